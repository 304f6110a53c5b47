//! Draws invented studies into a folder, to look at: `cargo run -p report --example study_samples -- FOLDER`. Beside each
//! page lie its pictures as PNGs.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use report::{
    ConfusionPlot, HeadlineNumber, ParamSetting, ScoreRow, StudyOutcome, StudyPage, StudyParameter, StudyScale,
    StudyTrial,
};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::fontdb::Database;
use resvg::usvg::roxmltree::Document;
use resvg::usvg::{Options, Tree};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("which folder? (hint: study_samples FOLDER)")?);
    std::fs::create_dir_all(&folder)?;
    let mut fonts = Database::new();
    fonts.load_font_data(dejavu::sans::regular().to_vec());
    fonts.load_font_data(dejavu::sans::bold().to_vec());
    fonts.load_system_fonts();
    fonts.set_sans_serif_family("DejaVu Sans");
    let options = Options { fontdb: Arc::new(fonts), ..Options::default() };

    for (name, trials) in [("0", 0), ("1", 1), ("2", 2), ("40", 40), ("200", 200), ("1000", 1000)] {
        let (parameters, trials) = (parameters(), trials_of(trials, 4));
        save(&folder, name, &page(&parameters, &trials, true)?, &options)?;
    }
    let failed: Vec<StudyTrial> = trials_of(12, 2).into_iter().map(failing).collect();
    save(&folder, "failed", &page(&parameters(), &failed, true)?, &options)?;
    let (parameters, trials) = odd();
    save(&folder, "odd", &page(&parameters, &trials, false)?, &options)?;
    Ok(())
}

/// Writes a page and its pictures.
fn save(folder: &Path, name: &str, html: &str, options: &Options) -> Result<(), Box<dyn Error>> {
    std::fs::write(folder.join(format!("study-{name}.html")), html)?;
    let xml = html.trim_start_matches("<!DOCTYPE html>\n");
    let document = Document::parse(xml)?;
    for (number, svg) in document.descendants().filter(|node| node.tag_name().name() == "svg").enumerate() {
        let tree = Tree::from_str(&xml[svg.range()], options)?;
        let size = tree.size().to_int_size();
        let mut pixels = Pixmap::new(size.width(), size.height()).ok_or("a picture without a size")?;
        resvg::render(&tree, Transform::identity(), &mut pixels.as_mut());
        std::fs::write(folder.join(format!("study-{name}-{number:02}.png")), pixels.encode_png()?)?;
    }
    Ok(())
}

/// The study's search space.
fn parameters() -> Vec<StudyParameter> {
    let number = |low, high, log| StudyScale::Number { low, high, log };
    let words = |words: &[&str]| StudyScale::Words(words.iter().map(|&word| word.to_owned()).collect());
    [
        ("learning_rate", number(5e-6, 2e-4, true)),
        ("batch_size", words(&["8", "16", "32", "64"])),
        ("epochs", number(1.0, 4.0, false)),
        ("warmup_proportion", number(0.0, 0.2, false)),
        ("weight_decay", number(1e-4, 0.1, true)),
        ("schedule", words(&["linear", "cosine", "constant", "inverse-square-root"])),
        ("layerwise_decay", number(0.8, 1.0, false)),
    ]
    .map(|(name, scale)| StudyParameter { name: name.to_owned(), scale })
    .into()
}

/// Numbers from 0 to 1 that look random.
fn noise(trial: u64, what: u64) -> f64 {
    let mixed =
        (trial * 31 + what + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23).wrapping_mul(0xD134_2543_DE82_EF95);
    (mixed >> 11) as f64 / (1u64 << 53) as f64
}

/// Trials of a search that gets better, on so many workers; a third is pruned, some diverge or fail.
fn trials_of(trials: u64, workers: usize) -> Vec<StudyTrial> {
    let mut free = vec![0.0; workers];
    (0..trials).map(|number| trial(number, &mut free)).collect()
}

fn trial(number: u64, free: &mut [f64]) -> StudyTrial {
    let noise = |what| noise(number, what);
    let focus = 1.0 / (1.0 + number as f64 / 15.0);
    let rate = 3e-5 * (5.0 * (noise(0) - 0.5) * focus.max(0.25)).exp();
    let batch = [8.0, 16.0, 32.0, 64.0][(4.0 * noise(1)) as usize % 4];
    let epochs = 1.0 + (4.0 * noise(2)).floor().min(3.0);
    let schedule = ["linear", "cosine", "constant", "inverse-square-root"][(4.0 * noise(3)) as usize % 4];
    let diverged = rate > 1.4e-4 && noise(9) > 0.4;
    let miss = (rate / 3e-5).ln().abs();
    let score = if diverged { 0.502 } else { 0.902 - 0.012 * miss * miss - 0.006 / epochs - 0.008 * noise(4) };
    let mut params = vec![
        ("learning_rate".to_owned(), ParamSetting::Number(rate)),
        ("batch_size".to_owned(), ParamSetting::Number(batch)),
        ("epochs".to_owned(), ParamSetting::Number(epochs)),
        ("weight_decay".to_owned(), ParamSetting::Number(1e-4 * (6.9 * noise(6)).exp())),
        ("schedule".to_owned(), ParamSetting::Word(schedule.to_owned())),
        ("layerwise_decay".to_owned(), ParamSetting::Number(0.8 + 0.2 * noise(7))),
    ];
    if schedule != "constant" {
        params.push(("warmup_proportion".to_owned(), ParamSetting::Number(0.2 * noise(5))));
    }
    let outcome = match number % 17 {
        11 => StudyOutcome::Failed,
        _ if number > 5 && (score < 0.889 || noise(8) > 0.8) => StudyOutcome::Pruned,
        _ => StudyOutcome::Complete,
    };
    let ran = if outcome == StudyOutcome::Pruned { 0.5 } else { epochs };
    let points = (4.0 * ran) as u32;
    let curve: Vec<(f64, f64)> = (1..=points)
        .map(|point| f64::from(point) / 4.0)
        .map(|at| (at, (score - 0.09 * (-1.6 * at).exp() + 0.004 * (noise(20 + (8.0 * at) as u64) - 0.5)).max(0.49)))
        .collect();
    let worker = (0..free.len()).min_by(|&a, &b| free[a].total_cmp(&free[b])).unwrap_or(0);
    let (begun, seconds) = (free[worker], ran * (95.0 + 40.0 * noise(10)));
    free[worker] += seconds + 4.0;
    let trial = StudyTrial {
        number,
        outcome,
        value: curve.last().map(|&(_, value)| value),
        params,
        curve,
        begun,
        seconds,
        error: None,
    };
    if outcome == StudyOutcome::Failed { failing(trial) } else { trial }
}

fn failing(trial: StudyTrial) -> StudyTrial {
    let error =
        "out of memory: a step needs 9.1 GB, 7.9 GB are free (hint: --batch-size 32 --gradient-accumulation-steps 2)";
    StudyTrial {
        outcome: StudyOutcome::Failed,
        value: None,
        curve: Vec::new(),
        seconds: 0.2 * trial.seconds,
        error: Some(error.to_owned()),
        ..trial
    }
}

/// Twelve parameters with awkward names, losses, a running trial and numbers that are none.
fn odd() -> (Vec<StudyParameter>, Vec<StudyTrial>) {
    let name = |index: usize| match index {
        0 => "a_parameter_with_a_rather_long_name.and-parts".to_owned(),
        1 => "скорость обучения".to_owned(),
        2 => "学習率".to_owned(),
        3 => "<script>".to_owned(),
        index => format!("option_{index}"),
    };
    let parameter = |index: usize| StudyParameter {
        name: name(index),
        scale: match index {
            4 => StudyScale::Number { low: 2e-5, high: 2e-5, log: true },
            5 => StudyScale::Words((0..40).map(|word| format!("word number {word}")).collect()),
            6 => StudyScale::Words(vec!["only".to_owned()]),
            7 => StudyScale::Number { low: 0.0, high: 1e7, log: false },
            _ => StudyScale::Number { low: -1.0, high: 1.0, log: false },
        },
    };
    let setting = |trial: u64, index: usize| match index {
        4 => ParamSetting::Number(2e-5),
        5 => ParamSetting::Word(format!("word number {}", (40.0 * noise(trial, 40)) as u32)),
        6 => ParamSetting::Word("only".to_owned()),
        7 => ParamSetting::Number(1e7 * noise(trial, 41)),
        _ => ParamSetting::Number(2.0 * noise(trial, index as u64) - 1.0),
    };
    let trial = |number: u64| {
        let loss = 0.3 + noise(number, 1).powi(2);
        StudyTrial {
            number,
            outcome: if number == 24 { StudyOutcome::Running } else { StudyOutcome::Complete },
            value: Some(if number == 7 { f64::NAN } else { loss }),
            params: (0..12)
                .filter(|index| !(number + index).is_multiple_of(5))
                .map(|index| (name(index as usize), setting(number, index as usize)))
                .collect(),
            curve: vec![(1.0, 2.0 * loss), (2.0, f64::INFINITY), (3.0, loss)],
            begun: 3_000.0 * number as f64,
            seconds: 2_900.0,
            error: None,
        }
    };
    ((0..12).map(parameter).collect(), (0..25).map(trial).collect())
}

fn page(parameters: &[StudyParameter], trials: &[StudyTrial], maximize: bool) -> Result<String, report::ReportError> {
    let owned = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let merit = |trial: &&StudyTrial| trial.value.map_or(f64::NEG_INFINITY, |v| if maximize { v } else { -v });
    let complete = trials.iter().filter(|trial| trial.outcome == StudyOutcome::Complete);
    let winner = complete.filter(|trial| merit(trial).is_finite()).max_by(|a, b| merit(a).total_cmp(&merit(b)));
    let figure = |name: &str, value: &str, detail: &str| HeadlineNumber {
        name: name.to_owned(),
        value: value.to_owned(),
        detail: detail.to_owned(),
    };
    let (labels, counts) = (["negative".to_owned(), "positive".to_owned()], [vec![800, 112], vec![97, 812]]);
    let shares = [0.61, 0.17, 0.09, 0.06, 0.04, 0.02, 0.01];
    let importance: Vec<(String, f64)> =
        parameters.iter().zip(shares).map(|(parameter, share)| (parameter.name.clone(), share)).collect();
    let won = winner.is_some();
    let winning = [owned("learning_rate", "2.9e-5"), owned("batch_size", "16")];
    StudyPage {
        title: "A search for film reviews",
        subtitle: "studies/reviews, 20 minutes on four workers",
        notes: &["A small data set stood in for the usual one.".to_owned()],
        headline: &[
            figure("Validation accuracy", "89.81 %", "trial 35"),
            figure("Test accuracy", "88.52 %", "1,821 sentences"),
            figure("Trials", &trials.len().to_string(), "4 workers"),
        ],
        metric: if maximize { "accuracy" } else { "loss" },
        maximize,
        parameters,
        trials,
        importance: if won { &importance } else { &[] },
        winner: winner.map(|trial| trial.number),
        winning: if won { &winning } else { &[] },
        optimism: if won { "accuracy: validation 0.8981, test 0.8852: 1.3 points of optimism" } else { "" },
        test_scores: &[ScoreRow {
            name: "weighted".to_owned(),
            precision: 0.8853,
            recall: 0.8852,
            f1: 0.8852,
            examples: 1821,
        }],
        confusion: won.then_some(ConfusionPlot { labels: &labels, counts: &counts, title: "" }),
        origins: &[owned("data", "packaged reviews, 10,605 sentences")],
    }
    .html()
}
