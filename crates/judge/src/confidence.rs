//! How sure a model is of its predictions.

use crate::scored::ScoredRows;

/// The predictions of some rows, in the order of the rows.
pub(crate) struct Confidences {
    /// The probability of each row's predicted class.
    pub(crate) probabilities: Vec<f32>,
    /// Whether that is the true class.
    pub(crate) correct: Vec<bool>,
}

impl Confidences {
    pub(crate) fn of(rows: &ScoredRows<'_>) -> Self {
        let predicted = rows.predictions.iter().zip(rows.probabilities);
        Self {
            probabilities: predicted.map(|(class, row)| row[*class as usize]).collect(),
            correct: rows.predictions.iter().zip(rows.truth).map(|(predicted, truth)| predicted == truth).collect(),
        }
    }
}

/// Rows of three classes for tests: mostly right, and surer than they should be.
#[cfg(test)]
pub(crate) struct SampleRows {
    pub(crate) label_names: Vec<String>,
    pub(crate) truth: Vec<u32>,
    pub(crate) predictions: Vec<u32>,
    pub(crate) probabilities: Vec<Vec<f32>>,
    texts: Vec<String>,
}

#[cfg(test)]
impl SampleRows {
    pub(crate) fn rows(&self) -> ScoredRows<'_> {
        let Self { label_names, truth, predictions, probabilities, .. } = self;
        ScoredRows { label_names, truth, predictions, probabilities, facts: &[] }
    }

    pub(crate) fn facts(&self) -> Vec<crate::RowFacts<'_>> {
        self.texts.iter().map(|text| crate::RowFacts { text, ..Default::default() }).collect()
    }
}

#[cfg(test)]
pub(crate) fn sample_rows(count: usize) -> SampleRows {
    // Equidistributed numbers between 0 and 1.
    let number = |row: usize, of: f64| (row as f64 * of).fract();
    let (mut truth, mut predictions, mut probabilities) = (Vec::new(), Vec::new(), Vec::new());
    for row in 0..count {
        let sure = 0.4 + 0.6 * number(row, 0.618_033_988_749_895);
        let predicted = row % 3;
        let rest = (1.0 - sure) / 2.0;
        let mut of_row = vec![rest as f32; 3];
        of_row[predicted] = sure as f32;
        let is_right = number(row, 0.414_213_562_373_095) < sure - 0.15;
        truth.push(if is_right { predicted } else { (predicted + 1) % 3 } as u32);
        predictions.push(predicted as u32);
        probabilities.push(of_row);
    }
    let label_names = ["negative", "neutral", "positive"].map(str::to_owned).into();
    let texts = (0..count).map(|row| format!("text {row}, \"quoted\"")).collect();
    SampleRows { label_names, truth, predictions, probabilities, texts }
}
