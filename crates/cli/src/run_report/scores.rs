//! Precision, recall and F1 over all classes, by each way to average them.

use anyhow::Result;
use metrics::{ClassificationReport, Scores};
use report::{ScoreRow, Section, html};

use super::ReportInput;

pub(super) fn section(input: &ReportInput) -> Result<Section> {
    Ok(Section::new("Scores", html::scores("Average", &averages(&input.evaluation.report))))
}

/// A row for each way to average.
pub(crate) fn averages(report: &ClassificationReport) -> Vec<ScoreRow> {
    [("weighted", report.weighted), ("macro", report.macro_average), ("micro", report.micro)]
        .map(|(name, scores)| score_row(name, scores, report.examples))
        .to_vec()
}

pub(super) fn score_row(name: &str, scores: Scores, examples: u64) -> ScoreRow {
    ScoreRow { name: name.to_owned(), precision: scores.precision, recall: scores.recall, f1: scores.f1, examples }
}
