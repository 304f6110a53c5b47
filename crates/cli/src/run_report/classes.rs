//! Precision, recall and F1 of each class: with their intervals where they are known.

use anyhow::Result;
use judge::ClassEstimates;
use report::{ScoreRow, Section, html};

use super::ReportInput;
use super::scores::score_row;
use super::wording::{count, percent_with_range};

pub(super) fn section(input: &ReportInput) -> Result<Section> {
    let classes = &input.result.report.per_class;
    let estimated =
        input.judgement().map(|judgement| &judgement.per_class).filter(|found| found.len() == classes.len());
    let content = match estimated {
        Some(estimates) => {
            let row = |(class, estimates): (&metrics::ClassScores, &ClassEstimates)| {
                let figures = [&estimates.precision, &estimates.recall, &estimates.f1].map(percent_with_range);
                (class.label.clone(), [figures.to_vec(), vec![count(class.support)]].concat())
            };
            let rows: Vec<_> = classes.iter().zip(estimates).map(row).collect();
            html::table(&["Class", "Precision", "Recall", "F1", "Examples"], &rows)
        }
        None => {
            let row = |class: &metrics::ClassScores| score_row(&class.label, class.scores, class.support);
            html::scores("Class", &classes.iter().map(row).collect::<Vec<ScoreRow>>())
        }
    };
    Ok(Section::new("Scores by class", content))
}
