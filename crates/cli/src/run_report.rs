//! The pictures and the page that an evaluation leaves in the run's folder.

use std::path::PathBuf;

use anyhow::Result;
use data::manifest::Manifest;
use data::store::Examples;
use metrics::ClassificationReport;
use report::{ConfusionPlot, Curves, Example, Figure, Page, ScoreRow, StepPoint};
use run::{EvaluationRecord, Event, RUN_TOML, RunFolder, StepRecord, read_log};
use train::evaluate::Evaluation;

/// How many example predictions the page shows: the surest hits and the surest misses.
const EXAMPLES: usize = 6;

/// An evaluation and what it was of.
pub(crate) struct Scored<'a> {
    pub split: &'a str,
    pub evaluation: &'a Evaluation,
    pub labels: &'a [String],
    pub examples: &'a Examples,
    pub manifest: &'a Manifest,
    pub trained_on: &'a Manifest,
    pub notes: &'a [String],
}

/// Writes `confusion-SPLIT.svg` and `.png`, `curves.svg` and `.png`, and `report-SPLIT.html`; returns their paths.
pub(crate) fn write(run: &RunFolder, scored: &Scored) -> Result<Vec<PathBuf>> {
    let split = scored.split;
    let counts = scored.evaluation.confusion.counts();
    let title = format!("{} on {split}", scored.manifest.dataset);
    let confusion = ConfusionPlot { labels: scored.labels, counts: &counts, title: &title };
    let mut files: Vec<(String, Vec<u8>)> = vec![
        (format!("confusion-{split}.svg"), confusion.svg()?.into_bytes()),
        (format!("confusion-{split}.png"), confusion.png()?),
    ];
    let (mut steps, mut evaluations, mut best_step) = (Vec::new(), Vec::new(), None);
    for event in read_log(run.path())? {
        match event {
            Event::Step(StepRecord { step, loss, learning_rate, .. }) => {
                steps.push(StepPoint { step, loss, learning_rate })
            }
            Event::Evaluation(EvaluationRecord { step, loss, scores, best, .. }) => {
                best_step = if best { Some(step) } else { best_step };
                let score = |name: &str| (name.to_owned(), scores.get(name).unwrap_or(f64::NAN));
                let scores = ["accuracy", "f1", "macro_f1"].map(score).to_vec();
                evaluations.push(report::EvaluationPoint { step, loss, scores });
            }
            Event::Start(_) | Event::End(_) => {}
        }
    }
    let curves = Curves { title: "Training", steps: &steps, evaluations: &evaluations, kept_step: best_step };
    if !steps.is_empty() {
        files.push(("curves.svg".to_owned(), curves.svg()?.into_bytes()));
        files.push(("curves.png".to_owned(), curves.png()?));
    }
    let page = page(run, scored, confusion, (!steps.is_empty()).then_some(curves))?;
    files.push((format!("report-{split}.html"), page.into_bytes()));
    let mut paths = Vec::with_capacity(files.len());
    for (name, bytes) in files {
        run.write(&name, bytes)?;
        paths.push(run.file(&name));
    }
    Ok(paths)
}

fn page(run: &RunFolder, scored: &Scored, confusion: ConfusionPlot, curves: Option<Curves>) -> Result<String> {
    let report = &scored.evaluation.report;
    let configuration = std::fs::read_to_string(run.file(RUN_TOML))?;
    let configuration: Vec<(String, String)> = configuration
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .map(|(key, value)| (key.to_owned(), value.trim_matches('"').to_owned()))
        .collect();
    let page = Page {
        title: &format!("{}: {} on {}", scored.trained_on.model.name, scored.manifest.dataset, scored.split),
        subtitle: &run.path().display().to_string(),
        notes: scored.notes,
        headline: &headline(scored),
        averages: &averages(report),
        classes: &classes(report),
        confusion: Some(confusion),
        curves,
        origins: &origins(scored),
        configuration: &configuration,
        examples: &examples(scored)?,
    };
    Ok(page.html()?)
}

fn headline(scored: &Scored) -> Vec<Figure> {
    let scores = scored.evaluation.scores();
    let shown = scores.iter().take(4).map(|(name, value)| Figure {
        name: name.clone(),
        value: format!("{:.2} %", 100.0 * value),
        detail: if name == "accuracy" { format!("{} examples", scored.examples.len()) } else { "weighted".to_owned() },
    });
    shown.collect()
}

/// A row for each way to average.
pub(crate) fn averages(report: &ClassificationReport) -> Vec<ScoreRow> {
    let rows = [("weighted", report.weighted), ("macro", report.macro_average), ("micro", report.micro)];
    let row = |(name, scores): (&str, metrics::Scores)| ScoreRow {
        name: name.to_owned(),
        precision: scores.precision,
        recall: scores.recall,
        f1: scores.f1,
        examples: report.examples,
    };
    rows.map(row).to_vec()
}

fn classes(report: &ClassificationReport) -> Vec<ScoreRow> {
    let row = |class: &metrics::ClassScores| ScoreRow {
        name: class.label.clone(),
        precision: class.scores.precision,
        recall: class.scores.recall,
        f1: class.scores.f1,
        examples: class.support,
    };
    report.per_class.iter().map(row).collect()
}

fn origins(scored: &Scored) -> Vec<(String, String)> {
    let manifest = scored.manifest;
    [
        ("data set", manifest.variant.clone()),
        ("source", manifest.source.clone()),
        ("licence", manifest.license.clone()),
        ("model", scored.trained_on.model.name.clone()),
        ("model's origin", scored.trained_on.model.origin.to_string()),
        ("longest text", format!("{} tokens", manifest.max_length)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

/// The rows that the model was surest of: hits first, then misses, of which there is most to learn.
fn examples(scored: &Scored) -> Result<Vec<Example>> {
    let evaluation = scored.evaluation;
    let sureness = |row: usize| evaluation.probabilities[row][evaluation.predictions[row] as usize];
    let hit = |row: &usize| scored.examples.label(*row) == Some(evaluation.predictions[*row]);
    let surest = |wanted: bool| {
        let mut rows: Vec<usize> = (0..scored.examples.len()).filter(|row| hit(row) == wanted).collect();
        rows.sort_by(|&a, &b| sureness(b).total_cmp(&sureness(a)).then(a.cmp(&b)));
        rows.truncate(EXAMPLES / 2);
        rows
    };
    let name = |class: u32| scored.labels[class as usize].clone();
    let example = |row: usize| -> Result<Example> {
        Ok(Example {
            text: scored.examples.text(row)?.to_owned(),
            truth: scored.examples.label(row).map(name),
            predicted: name(evaluation.predictions[row]),
            probabilities: scored
                .labels
                .iter()
                .cloned()
                .zip(evaluation.probabilities[row].iter().map(|&p| f64::from(p)))
                .collect(),
        })
    };
    surest(true).into_iter().chain(surest(false)).map(example).collect()
}
