//! Example predictions: those with the highest probability, first right ones, then wrong ones.

use anyhow::Result;
use report::{Example, Section, html};

use super::{PredictedRows, ReportInput};

/// How many right and how many wrong predictions are shown.
const EXAMPLES_OF_EACH_KIND: usize = 3;

/// Empty where the mistakes have a section of their own, and where only the scores are kept.
pub(super) fn section(input: &ReportInput) -> Result<Section> {
    let Some(rows) = input.rows.filter(|_| input.judgement().is_none()) else { return Ok(Section::default()) };
    let evaluation = rows.evaluation;
    let predictions: Vec<RowPrediction> = (0..rows.examples.len())
        .map(|row| RowPrediction {
            row,
            probability: evaluation.probabilities[row][evaluation.predictions[row] as usize],
            right: rows.examples.label(row) == Some(evaluation.predictions[row]),
        })
        .collect();
    let chosen = most_confident(&predictions, true).into_iter().chain(most_confident(&predictions, false));
    let examples = chosen.map(|row| example(input, rows, row)).collect::<Result<Vec<_>>>()?;
    Ok(Section::new("Example predictions", html::examples(&examples)))
}

struct RowPrediction {
    row: usize,
    /// Of the predicted class.
    probability: f32,
    right: bool,
}

/// The rows of the right or the wrong predictions with the highest probability; of equal ones the first.
fn most_confident(predictions: &[RowPrediction], right: bool) -> Vec<usize> {
    let mut predictions: Vec<&RowPrediction> =
        predictions.iter().filter(|prediction| prediction.right == right).collect();
    predictions.sort_by(|a, b| b.probability.total_cmp(&a.probability).then(a.row.cmp(&b.row)));
    predictions.iter().take(EXAMPLES_OF_EACH_KIND).map(|prediction| prediction.row).collect()
}

fn example(input: &ReportInput, rows: PredictedRows, row: usize) -> Result<Example> {
    let name = |class: u32| input.result.label_names[class as usize].clone();
    let probabilities = rows.evaluation.probabilities[row].iter().map(|&probability| f64::from(probability));
    Ok(Example {
        text: rows.examples.text(row)?.to_owned(),
        truth: rows.examples.label(row).map(name),
        predicted: name(rows.evaluation.predictions[row]),
        probabilities: input.result.label_names.iter().cloned().zip(probabilities).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_confident_predictions_come_first_and_of_equal_ones_the_first_row() {
        let predictions: Vec<RowPrediction> =
            [(0.6, true), (0.9, false), (0.8, true), (0.8, true), (0.99, true), (0.7, true), (0.5, false)]
                .into_iter()
                .enumerate()
                .map(|(row, (probability, right))| RowPrediction { row, probability, right })
                .collect();
        assert_eq!(most_confident(&predictions, true), [4, 2, 3]);
        assert_eq!(most_confident(&predictions, false), [1, 6]);
        assert!(most_confident(&[], true).is_empty());
    }
}
