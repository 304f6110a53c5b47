//! The page that compares runs: their scores with intervals, the options that differ, and their curves in common pictures.

use std::path::{Path, PathBuf};

use anyhow::Result;
use judge::{Estimate, Judgement};
use report::{
    IntervalPlot, IntervalRow, LinePlot, Page, PlotAxis, PlotInterval, PlotLine, ReliabilityLine, ReliabilityPlot,
    Remark, ReportError, Section, Tone, html,
};

use super::compared_run::ComparedRun;
use super::same_rows::{self, RowRelation};
use super::{differing_options, evaluate_again};
use crate::run_report::remarks::against;
use crate::run_report::wording::{count, number_with_range, percent, percent_with_range, score_name, shell_word};
use crate::run_report::{COVERAGE, RISK, confidence_bins, risk_over_coverage, write_page};

/// What a section of the page is made from: the runs, and the split that they were scored on.
type MakeSection = fn(&[ComparedRun], &str) -> Result<Section>;

const SECTIONS: [MakeSection; 6] = [scores, paired, options, learning, calibration, abstaining];

/// Writes the page and its pictures; returns their paths.
pub(super) fn write(runs: &[ComparedRun], split: &str, output: &Path) -> Result<Vec<PathBuf>> {
    let sections = SECTIONS.iter().map(|section| section(runs, split)).collect::<Result<Vec<_>>>()?;
    let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
    let title = format!("{} runs on {split}", runs.len());
    let mut notes = same_rows::notes(runs);
    for run in runs.iter().filter(|run| run.result.judgement.is_none()) {
        let again = evaluate_again(Path::new(&run.name), split);
        notes.push(format!("Of {} only plain scores are kept, without intervals: `{again}` adds them.", run.name));
    }
    write_page(&Page { title: &title, subtitle: &names.join(", "), notes: &notes, sections }, output)
}

fn judgement(run: &ComparedRun) -> Option<&Judgement> {
    run.result.judgement.as_ref()
}

/// A column for each run: what it is, and its scores.
fn scores(runs: &[ComparedRun], _: &str) -> Result<Section> {
    const SHOWN: [&str; 4] = ["accuracy", "f1", "macro_f1", "matthews"];
    let score = |run: &ComparedRun, name: &str| {
        let plain = run.result.report.headline().into_iter().find(|(known, _)| *known == name);
        let value = plain.map_or(f64::NAN, |(_, value)| value);
        match judgement(run).and_then(|judgement| judgement.scores.get(name)) {
            Some(estimate) if name == "matthews" => number_with_range(estimate),
            Some(estimate) => percent_with_range(estimate),
            None if name == "matthews" => format!("{value:.4}"),
            None => percent(value),
        }
    };
    let calibrated = |run: &ComparedRun, of: fn(&Judgement) -> &Estimate, show: fn(&Estimate) -> String| {
        judgement(run).map_or_else(|| "–".to_owned(), |judgement| show(of(judgement)))
    };
    let row = |name: &str, cell: &dyn Fn(&ComparedRun) -> String| {
        (name.to_owned(), runs.iter().map(cell).collect::<Vec<_>>())
    };
    let mut table = vec![
        row("Model", &|run| run.result.model.clone()),
        row("Data", &|run| run.result.dataset.clone()),
        row("Rows", &|run| count(run.result.report.examples)),
    ];
    table.extend(SHOWN.map(|name| row(score_name(name), &|run| score(run, name))));
    table.push(row("Log loss, in nats", &|run| {
        calibrated(run, |judgement| &judgement.calibration.log_loss, number_with_range)
    }));
    table.push(row("Expected calibration error (ECE)", &|run| {
        calibrated(run, |judgement| &judgement.calibration.ece, percent_with_range)
    }));
    let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
    let columns = [&["Score"][..], &names[..]].concat();

    let interval = |run: &ComparedRun| match judgement(run).and_then(|judgement| judgement.scores.get("accuracy")) {
        Some(accuracy) => PlotInterval { value: accuracy.value, low: accuracy.low, high: accuracy.high },
        None => {
            let accuracy = run.result.report.accuracy;
            PlotInterval { value: accuracy, low: accuracy, high: accuracy }
        }
    };
    let rows: Vec<IntervalRow> = runs
        .iter()
        .map(|run| IntervalRow { group: "", name: &run.name, share: interval(run), note: "", marked: false })
        .collect();
    let plot =
        IntervalPlot { title: "Accuracy", axis: "accuracy with its 95 % interval", reference: None, rows: &rows };
    let picture = plot.draw()?;
    let caption = "Scores with their 95 % intervals. Intervals that overlap don't make models equal: the difference on the same rows \
                   has an interval of its own, which is narrower.";
    let content = html::figure(&picture) + html::table(&columns, &table) + html::caption(caption);
    Ok(Section::new("Scores", content).with_picture("runs-accuracy", picture))
}

/// What paired tests are kept of these runs, and how to make those that aren't.
fn paired(runs: &[ComparedRun], split: &str) -> Result<Section> {
    let place = |name: &str| Path::new(name).canonicalize().ok();
    let mut remarks = Vec::new();
    for run in runs {
        let Some(comparison) = judgement(run).and_then(|judgement| judgement.comparison.as_ref()) else { continue };
        let other = runs
            .iter()
            .find(|other| other.name == comparison.against || place(&other.name) == place(&comparison.against));
        let accuracy = comparison.differences.iter().find(|difference| difference.score == "accuracy");
        let (Some(_), Some(accuracy)) = (other.filter(|other| other.name != run.name), accuracy) else { continue };
        let text = format!("{}: {}", run.name, against(&comparison.against, accuracy));
        remarks.push(Remark { tone: Tone::Plain, text });
    }
    let [first, second, ..] = runs else { return Ok(Section::default()) };
    let caption = match same_rows::relation(first, second) {
        RowRelation::Other(_) => "On other rows there is no paired test.".to_owned(),
        RowRelation::Same | RowRelation::PreparedTwice => format!(
            "A paired test of two runs needs the prediction of each row: `{} --against {}` makes one, and lists the changed \
             predictions.",
            evaluate_again(Path::new(&second.name), split),
            shell_word(&first.name)
        ),
    };
    Ok(Section::new("Which is better", html::remarks(&remarks) + html::caption(&caption)))
}

fn options(runs: &[ComparedRun], _: &str) -> Result<Section> {
    let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
    let rows = differing_options::rows(runs);
    if rows.is_empty() {
        let text = "The trainings have the same options, or none are kept.";
        return Ok(Section::new("Options that differ", html::caption(text)));
    }
    Ok(Section::new("Options that differ", html::table(&[&["Option"], &names[..]].concat(), &rows)))
}

/// The accuracy on validation while the runs were trained.
fn learning(runs: &[ComparedRun], _: &str) -> Result<Section> {
    let lines: Vec<PlotLine> =
        runs.iter().map(|run| PlotLine { name: &run.name, note: "", points: &run.learning, marked: &[] }).collect();
    let plot = LinePlot {
        title: "Accuracy on validation",
        x: PlotAxis { name: "epochs", range: None, percent: false },
        y: PlotAxis { name: "accuracy on validation", range: None, percent: true },
        lines: &lines,
        diagonal: false,
    };
    drawn("Training", "runs-training", plot.draw())
}

fn calibration(runs: &[ComparedRun], _: &str) -> Result<Section> {
    let bins =
        |run: &ComparedRun| judgement(run).map(|judgement| confidence_bins(&judgement.calibration)).unwrap_or_default();
    let bins: Vec<_> = runs.iter().map(bins).collect();
    let models: Vec<ReliabilityLine> =
        runs.iter().zip(&bins).map(|(run, bins)| ReliabilityLine { name: &run.name, bins }).collect();
    drawn("Calibration", "runs-reliability", ReliabilityPlot { title: "Reliability", models: &models }.draw())
}

fn abstaining(runs: &[ComparedRun], _: &str) -> Result<Section> {
    let points =
        |run: &ComparedRun| judgement(run).map(|found| risk_over_coverage(&found.selective)).unwrap_or_default();
    let points: Vec<_> = runs.iter().map(points).collect();
    let lines: Vec<PlotLine> = runs
        .iter()
        .zip(&points)
        .map(|(run, points)| PlotLine { name: &run.name, note: "", points, marked: &[] })
        .collect();
    let plot = LinePlot { title: "Abstaining", x: COVERAGE, y: RISK, lines: &lines, diagonal: false };
    drawn("Abstaining", "runs-risk-coverage", plot.draw())
}

/// A section of a picture; left out where there is nothing to draw.
fn drawn(heading: &'static str, name: &str, picture: Result<report::Picture, ReportError>) -> Result<Section> {
    match picture {
        Ok(picture) => Ok(Section::new(heading, html::figure(&picture)).with_picture(name, picture)),
        Err(ReportError::NothingToDraw { .. }) => Ok(Section::default()),
        Err(error) => Err(error.into()),
    }
}
