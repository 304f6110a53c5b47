//! Precision, recall and F1 of each class.

use anyhow::Result;
use report::{ScoreRow, Section, html};

use super::ReportInput;
use super::scores::score_row;

pub(super) fn section(input: &ReportInput) -> Result<Section> {
    let classes = &input.evaluation.report.per_class;
    let rows: Vec<ScoreRow> =
        classes.iter().map(|class| score_row(&class.label, class.scores, class.support)).collect();
    Ok(Section::new("Scores by class", html::scores("Class", &rows)))
}
