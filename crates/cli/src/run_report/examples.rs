//! Example predictions: those with the highest probability, first right ones, then wrong ones.

use anyhow::Result;
use report::{Example, Section, html};

use super::ReportInput;

/// How many right and how many wrong predictions are shown.
const EXAMPLES_OF_EACH_KIND: usize = 3;

pub(super) fn section(input: &ReportInput) -> Result<Section> {
    let evaluation = input.evaluation;
    let predictions: Vec<RowPrediction> = (0..input.examples.len())
        .map(|row| RowPrediction {
            row,
            probability: evaluation.probabilities[row][evaluation.predictions[row] as usize],
            right: input.examples.label(row) == Some(evaluation.predictions[row]),
        })
        .collect();
    let rows = most_confident(&predictions, true).into_iter().chain(most_confident(&predictions, false));
    let examples = rows.map(|row| example(input, row)).collect::<Result<Vec<_>>>()?;
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

fn example(input: &ReportInput, row: usize) -> Result<Example> {
    let name = |class: u32| input.labels[class as usize].clone();
    let probabilities = input.evaluation.probabilities[row].iter().map(|&probability| f64::from(probability));
    Ok(Example {
        text: input.examples.text(row)?.to_owned(),
        truth: input.examples.label(row).map(name),
        predicted: name(input.evaluation.predictions[row]),
        probabilities: input.labels.iter().cloned().zip(probabilities).collect(),
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
