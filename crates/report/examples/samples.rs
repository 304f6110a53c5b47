//! Draws invented results into a folder, to look at: `cargo run -p report --example samples -- FOLDER`.

use std::error::Error;
use std::path::PathBuf;

use report::{
    ConfidenceBin, ConfusionPlot, Curves, EvaluationPoint, Example, HeadlineNumber, IntervalPlot, IntervalRow,
    LinePlot, Page, Picture, PlotAxis, PlotInterval, PlotLine, ReliabilityLine, ReliabilityPlot, ScoreRow, Section,
    StepPoint, html,
};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("which folder? (hint: samples FOLDER)")?);
    std::fs::create_dir_all(&folder)?;
    let save = |name: &str, bytes: Vec<u8>| std::fs::write(folder.join(name), bytes);

    for (name, labels) in matrices() {
        let counts = counts(labels.len());
        let title = format!("{name}: test split");
        let picture = ConfusionPlot { labels: &labels, counts: &counts, title: &title }.draw()?;
        save(&format!("confusion-{name}.svg"), picture.svg().into())?;
        save(&format!("confusion-{name}.png"), picture.png()?)?;
    }
    let (steps, evaluations) = run(1602);
    let curves = Curves { title: "Training run", steps: &steps, evaluations: &evaluations, best_step: Some(1068) };
    let picture = curves.draw()?;
    save("curves.svg", picture.svg().into())?;
    save("curves.png", picture.png()?)?;
    let (steps, evaluations) = run(3);
    let short = Curves { steps: &steps, evaluations: &evaluations[..1], ..Curves::default() };
    save("curves-short.png", short.draw()?.png()?)?;
    for (name, picture) in judged()? {
        save(&format!("{name}.svg"), picture.svg().into())?;
        save(&format!("{name}.png"), picture.png()?)?;
    }
    save("report.html", page(curves)?.into_bytes())?;
    Ok(())
}

fn matrices() -> Vec<(&'static str, Vec<String>)> {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    vec![
        ("2", owned(&["negative", "positive"])),
        ("3", owned(&["negative", "neutral", "положительный"])),
        ("5", owned(&["very negative", "negative", "neutral", "positive", "very positive"])),
        ("long", owned(&["complaint about delivery or packaging", "praise", "question about an order", "other"])),
        ("wide", owned(&["とても悪い", "悪い", "どちらでもない", "良い 🙂"])),
        ("12", (1..=12).map(|month| format!("topic number {month}")).collect()),
        ("20", (1..=20).map(|number| format!("class {number}")).collect()),
    ]
}

/// Mostly right, some neighbors confused, the last class without examples from five classes on.
fn counts(classes: usize) -> Vec<Vec<u64>> {
    let count = |t: usize, p: usize| match t.abs_diff(p) {
        _ if classes > 3 && t + 1 == classes => 0,
        0 => 300 + 97 * t as u64 % 211,
        1 => 40 + 13 * p as u64,
        2 => 5,
        _ => 0,
    };
    (0..classes).map(|t| (0..classes).map(|p| count(t, p)).collect()).collect()
}

fn run(steps: u64) -> (Vec<StepPoint>, Vec<EvaluationPoint>) {
    let share = |step: u64| step as f64 / steps as f64;
    let noise = |step: u64| (step as f64 * 12.9898).sin() * 43_758.545 % 1.0;
    let loss = |step: u64| 0.15 + 0.55 * (-3.0 * share(step)).exp() * (1.0 + 0.5 * noise(step));
    let rate = |step: u64| 2e-5 * (share(step) / 0.1).min((1.0 - share(step)) / 0.9);
    let evaluation = |epoch: u64| EvaluationPoint {
        step: steps * epoch / 3,
        loss: [0.31, 0.27, 0.29][epoch as usize - 1],
        scores: [("accuracy", 0.861), ("F1", 0.858), ("macro F1", 0.849), ("Matthews", 0.72)]
            .map(|(name, score)| (name.to_owned(), score + 0.012 * epoch as f64 - 0.003 * (epoch * epoch) as f64))
            .to_vec(),
    };
    let step = |step| StepPoint { step, loss: loss(step), learning_rate: rate(step) };
    ((1..=steps).map(step).collect(), (1..=3).map(evaluation).collect())
}

fn page(curves: Curves) -> Result<String, report::ReportError> {
    let labels = ["negative".to_owned(), "positive".to_owned()];
    let counts = [vec![800, 112], vec![97, 812]];
    let pairs = |pairs: &[(&str, &str)]| pairs.iter().map(|&(a, b)| (a.to_owned(), b.to_owned())).collect::<Vec<_>>();
    let row = |name: &str, precision, recall, f1, examples| ScoreRow {
        name: name.to_owned(),
        precision,
        recall,
        f1,
        examples,
    };
    let number = |name: &str, value: &str, detail: &str| HeadlineNumber {
        name: name.to_owned(),
        value: value.to_owned(),
        detail: detail.to_owned(),
    };
    let example = |text: &str, truth: Option<&str>, positive: f64| Example {
        text: text.to_owned(),
        truth: truth.map(str::to_owned),
        predicted: labels[usize::from(positive > 0.5)].clone(),
        probabilities: vec![(labels[0].clone(), 1.0 - positive), (labels[1].clone(), positive)],
    };
    let confusion = ConfusionPlot { labels: &labels, counts: &counts, title: "" }.draw()?;
    let curves = Curves { title: "", ..curves }.draw()?;
    let numbers = [
        number("Accuracy", "88.5 %", "1,821 sentences"),
        number("Precision", "0.8853", "weighted"),
        number("Recall", "0.8852", "weighted"),
        number("F1", "0.8852", "weighted"),
    ];
    let averages = [
        row("weighted", 0.8853, 0.8852, 0.8852, 1821),
        row("macro", 0.8853, 0.8853, 0.8852, 1821),
        row("micro", 0.8852, 0.8852, 0.8852, 1821),
    ];
    let classes = [row("negative", 0.8919, 0.8772, 0.8845, 912), row("positive", 0.8788, f64::NAN, 0.8860, 909)];
    let examples = [
        example("A warm, funny film that stays with you.", Some("positive"), 0.983),
        example("It is <not> \"good\" & never tries to be.", Some("positive"), 0.121),
        example("لا بأس به", None, 0.55),
    ];
    let origins = pairs(&[("data", "packaged reviews, 10,605 sentences, MIT"), ("weights", "a small BERT, 6 layers")]);
    let options = pairs(&[("learning_rate", "2e-5"), ("batch_size", "16"), ("epochs", "3"), ("seed", "42")]);
    let sections = vec![
        Section::new("", html::headline(&numbers)),
        Section::new("Scores", html::scores("Average", &averages)),
        Section::new("Scores by class", html::scores("Class", &classes)),
        Section::new("Confusion matrix", html::figure(&confusion)),
        Section::new("Training", html::figure(&curves)),
        Section::new("Example predictions", html::examples(&examples)),
        Section::new("Sources of the data and weights", html::pairs(&origins)),
        Section::new("Configuration", html::pairs(&options)),
    ];
    let page = Page {
        title: "Sentiment of film reviews",
        subtitle: "runs/20261123-061500-sst2-bert, test split, on the CPU",
        notes: &["The usual data set could not be reached: packaged reviews stood in for it.".to_owned()],
        sections,
    };
    Ok(page.html())
}

/// The pictures of a judgement.
fn judged() -> Result<Vec<(&'static str, Picture)>, report::ReportError> {
    let interval = |value: f64, half: f64| PlotInterval { value, low: value - half, high: (value + half).min(1.0) };
    let bin = |(low, rows, accuracy): (f64, u64, f64)| ConfidenceBin {
        low,
        high: low + 0.1,
        rows,
        confidence: low + 0.056,
        accuracy: interval(accuracy, 1.0 / (rows as f64).sqrt()),
    };
    let one = [(0.5, 91, 0.49), (0.6, 112, 0.58), (0.7, 190, 0.72), (0.8, 330, 0.79), (0.9, 1098, 0.94)].map(bin);
    let two = [(0.5, 91, 0.55), (0.6, 112, 0.66), (0.7, 190, 0.74), (0.8, 330, 0.84), (0.9, 1098, 0.95)].map(bin);
    let alone = [ReliabilityLine { name: "", bins: &one }];
    let both =
        [ReliabilityLine { name: "runs/lr-1e-5", bins: &one }, ReliabilityLine { name: "runs/lr-5e-5", bins: &two }];

    let names = ["very negative", "negative", "neutral", "positive", "very positive"];
    let curve = |skill: f64| -> Vec<(f64, f64)> {
        (0..=100).map(|step| f64::from(step) / 100.0).map(|x| (x, x.powf(1.0 / skill))).collect()
    };
    let curves: Vec<_> = (2..7).map(|skill| curve(f64::from(skill))).collect();
    let notes: Vec<String> = (2..7).map(|skill| format!("AUC {:.3}", 1.0 - 1.0 / (f64::from(skill) + 1.0))).collect();
    let lines: Vec<PlotLine> = names
        .iter()
        .zip(&notes)
        .zip(&curves)
        .map(|((name, note), points)| PlotLine { name, note, points, marked: &[] })
        .collect();
    let share = |name| PlotAxis { name, range: Some((0.0, 1.0)), percent: true };
    let roc = LinePlot {
        title: "SST-5 on test: ROC",
        x: share("false positive rate"),
        y: share("true positive rate"),
        lines: &lines,
        diagonal: true,
    };
    let risk: Vec<(f64, f64)> = (1..=200).map(|step| f64::from(step) / 200.0).map(|x| (x, 0.12 * x * x)).collect();
    let marked = [(0.65, 0.0507, "95 % right".to_owned()), (0.29, 0.0101, "99 % right".to_owned())];
    let risk = LinePlot {
        title: "SST-2 on test: abstaining",
        x: share("coverage: share of rows that are predicted"),
        y: PlotAxis { name: "risk: share of wrong predictions among them", range: None, percent: true },
        lines: &[PlotLine { name: "this model", note: "", points: &risk, marked: &marked }],
        diagonal: false,
    }
    .draw()?;
    let row = |group, name, value, half, note, marked| IntervalRow {
        group,
        name,
        share: interval(value, half),
        note,
        marked,
    };
    let rows = [
        row("length", "up to 10 tokens", 0.91, 0.03, "of 219", false),
        row("length", "11 to 20 tokens", 0.89, 0.02, "of 728", false),
        row("length", "more than 40 tokens", 0.84, 0.05, "of 182", false),
        row("negation", "with a negation", 0.79, 0.04, "of 346", true),
        row("negation", "without", 0.9, 0.015, "of 1,475", false),
        row(
            "a column of the user's file with a long name",
            "and a value that is longer than there is room",
            0.87,
            0.06,
            "of 99",
            false,
        ),
    ];
    let slices = IntervalPlot {
        title: "SST-2 on test: slices",
        axis: "accuracy with its 95 % interval",
        reference: Some(("all rows", interval(0.8792, 0.015))),
        rows: &rows,
    };
    Ok(vec![
        ("reliability", ReliabilityPlot { title: "SST-2 on test: reliability", models: &alone }.draw()?),
        ("reliability-of-two", ReliabilityPlot { title: "Reliability", models: &both }.draw()?),
        ("roc", roc.draw()?),
        ("risk-coverage", risk),
        ("slices", slices.draw()?),
    ])
}
