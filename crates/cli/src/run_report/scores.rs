//! Precision, recall and F1 over all classes, by each way to average them.

use anyhow::Result;
use metrics::{ClassificationReport, Scores};
use report::{ScoreRow, Section, html};

use super::ReportInput;
use super::wording::{number_with_range, score_name};

pub(super) fn section(input: &ReportInput) -> Result<Section> {
    let averages = html::scores("Average", &averages(&input.result.report));
    let Some(judgement) = input.judgement() else { return Ok(Section::new("Scores", averages)) };
    let names = input.result.report.headline().map(|(name, _)| name);
    let known = names.iter().filter_map(|name| Some((*name, judgement.scores.get(*name)?)));
    let rows: Vec<_> = known
        .map(|(name, score)| (score_name(name).to_owned(), vec![number_with_range(score), method(score).to_owned()]))
        .collect();
    Ok(Section::new("Scores", html::table(&["Score", "Value and 95 % interval", "Interval"], &rows) + averages))
}

fn method(estimate: &judge::Estimate) -> &'static str {
    match estimate.method {
        judge::IntervalMethod::Wilson => "Wilson",
        judge::IntervalMethod::Bca => "bootstrap, BCa",
        judge::IntervalMethod::Percentile => "bootstrap, percentiles",
        judge::IntervalMethod::Basic => "bootstrap, mirrored",
    }
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
