//! Draws invented results into a folder, to look at: `cargo run -p report --example samples -- FOLDER`.

use std::error::Error;
use std::path::PathBuf;

use report::{
    ConfusionPlot, Curves, EvaluationPoint, Example, HeadlineNumber, Page, ScoreRow, Section, StepPoint, html,
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
