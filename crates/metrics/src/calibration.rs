//! How far probabilities are from what came true: log loss, the Brier score, and the calibration error of a model's confidence.
//!
//! Probabilities come in f32, as a model computes them, and are widened to f64 before anything is computed. What is a mean over
//! rows is given row by row, so that a bootstrap can take the mean of any rows.

/// Bins of equal width between 0 and 1; the usual number (Guo et al., "On calibration of modern neural networks", 2017).
pub const CONFIDENCE_BINS: usize = 15;

/// `-ln p` of each row, in nats, where p is the probability of its true class; the mean is scikit-learn's `log_loss` of the same
/// numbers in float64, which keeps p away from 0 and 1 by 2.2e-16.
///
/// # Panics
/// If there aren't as many rows of probabilities as true classes, or a row has none for its true class.
pub fn log_losses(truth: &[u32], probabilities: &[Vec<f32>]) -> Vec<f64> {
    per_row(truth, probabilities, |class, row| -f64::from(row[class]).clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln())
}

/// The squared distance of each row's probabilities to its true class, summed over all classes, from 0 to 2 (Brier,
/// "Verification of forecasts expressed in terms of probability", 1950). The mean is scikit-learn's `brier_score_loss` with
/// `scale_by_half=False`; of two classes, half of it is what scikit-learn gives by default.
///
/// # Panics
/// As [`log_losses`].
pub fn brier_scores(truth: &[u32], probabilities: &[Vec<f32>]) -> Vec<f64> {
    per_row(truth, probabilities, |true_class, row| {
        assert!(true_class < row.len(), "no probability for class {true_class}");
        let squared = |(class, p): (usize, &f32)| (f64::from(*p) - f64::from(u8::from(class == true_class))).powi(2);
        row.iter().enumerate().map(squared).sum()
    })
}

fn per_row(truth: &[u32], probabilities: &[Vec<f32>], value: impl Fn(usize, &[f32]) -> f64) -> Vec<f64> {
    assert_eq!(truth.len(), probabilities.len(), "one row of probabilities for each true class");
    truth.iter().zip(probabilities).map(|(class, row)| value(*class as usize, row)).collect()
}

/// The rows by the probability of their predicted class, their confidence, in [`CONFIDENCE_BINS`] bins.
#[derive(Debug, Clone)]
pub struct ConfidenceBins {
    /// The bin of each row.
    bin: Vec<u8>,
    confidence: Vec<f64>,
    correct: Vec<bool>,
}

/// The rows whose confidence is in `(low, high]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CalibrationBin {
    /// The lower end, exclusive.
    pub low: f64,
    /// The upper end, inclusive.
    pub high: f64,
    /// How many rows; at least one.
    pub rows: u64,
    /// Their mean confidence.
    pub confidence: f64,
    /// How many of them are right.
    pub correct: u64,
}

impl ConfidenceBins {
    /// Rows by their confidence, each with whether its prediction is right.
    ///
    /// # Panics
    /// If the two don't have the same length.
    pub fn new(confidences: &[f32], correct: &[bool]) -> Self {
        assert_eq!(confidences.len(), correct.len(), "one confidence for each prediction");
        let confidence: Vec<f64> = confidences.iter().copied().map(f64::from).collect();
        let bin = confidence.iter().map(|confidence| bin_of(*confidence)).collect();
        Self { bin, confidence, correct: correct.to_vec() }
    }

    /// The expected calibration error of some of the rows, which may repeat: the mean over rows of the distance between
    /// confidence and share of right predictions in their bin (Naeini, Cooper and Hauskrecht, "Obtaining well calibrated
    /// probabilities using Bayesian binning", 2015), as netcal's
    /// `ECE(15, detection=True)` computes it from confidences and whether they are right. 0 to 1; NaN without rows. It doesn't matter
    /// to which bin an edge belongs: no f32 but 0 and 1 is one.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn calibration_error(&self, rows: &[u32]) -> f64 {
        let mut gaps = [0.0; CONFIDENCE_BINS];
        for row in rows {
            let row = *row as usize;
            gaps[usize::from(self.bin[row])] += self.confidence[row] - f64::from(u8::from(self.correct[row]));
        }
        mean_gap(&gaps, rows.len())
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.bin.len()
    }

    /// The calibration error if each prediction were as right as `is_right` says of its confidence.
    pub(crate) fn simulated_error(&self, mut is_right: impl FnMut(f64) -> bool) -> f64 {
        let mut gaps = [0.0; CONFIDENCE_BINS];
        for (bin, confidence) in self.bin.iter().zip(&self.confidence) {
            gaps[usize::from(*bin)] += confidence - f64::from(u8::from(is_right(*confidence)));
        }
        mean_gap(&gaps, self.bin.len())
    }

    /// The bins that have rows, from the lowest up.
    pub fn bins(&self) -> Vec<CalibrationBin> {
        let of_bin = |bin: usize| {
            let rows = || (0..self.bin.len()).filter(move |row| usize::from(self.bin[*row]) == bin);
            let count = rows().count() as u64;
            (count > 0).then(|| CalibrationBin {
                low: edge(bin),
                high: edge(bin + 1),
                rows: count,
                confidence: rows().map(|row| self.confidence[row]).sum::<f64>() / count as f64,
                correct: rows().filter(|row| self.correct[*row]).count() as u64,
            })
        };
        (0..CONFIDENCE_BINS).filter_map(of_bin).collect()
    }
}

/// The mean over rows of the distance in their bin, by the sum of differences in each bin.
fn mean_gap(gaps: &[f64], rows: usize) -> f64 {
    gaps.iter().map(|gap| gap.abs()).sum::<f64>() / rows as f64
}

/// The lower end of a bin.
fn edge(bin: usize) -> f64 {
    bin as f64 / CONFIDENCE_BINS as f64
}

/// The bin that a confidence is in; the lowest one holds 0 too.
fn bin_of(confidence: f64) -> u8 {
    let above = (1..CONFIDENCE_BINS).take_while(|bin| confidence > edge(*bin)).count();
    above as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sure_and_wrong_prediction_costs_a_finite_loss_and_a_brier_score_of_two() {
        let rows = [vec![1.0, 0.0], vec![0.25, 0.75]];
        let losses = log_losses(&[1, 1], &rows);
        assert!((losses[0] - 36.04365338911715).abs() < 1e-12, "{losses:?}");
        assert_eq!(losses[1], -(0.75f64.ln()));
        assert_eq!(brier_scores(&[1, 1], &rows), [2.0, 0.125]);
    }

    #[test]
    fn bins_hold_their_upper_end_and_not_their_lower_one() {
        let at = |confidence: f64| bin_of(confidence);
        assert_eq!((at(0.0), at(1e-9), at(1.0)), (0, 0, 14));
        for bin in 1..CONFIDENCE_BINS {
            assert_eq!((at(edge(bin)), at(edge(bin) + 1e-12)), (bin as u8 - 1, bin as u8), "{bin}");
        }
    }

    #[test]
    fn the_calibration_error_weighs_each_bin_by_its_rows() {
        // Three rows in one bin, two of them right; one row in another, which is wrong.
        let bins = ConfidenceBins::new(&[0.75, 0.75, 0.75, 0.5], &[true, true, false, false]);
        let expected = 0.75 * (0.75f64 - 2.0 / 3.0).abs() + 0.25 * 0.5;
        assert!((bins.calibration_error(&[0, 1, 2, 3]) - expected).abs() < 1e-15);
        assert_eq!(bins.calibration_error(&[3, 3]), 0.5);
        let found = bins.bins();
        assert_eq!(found.iter().map(|bin| (bin.rows, bin.correct)).collect::<Vec<_>>(), [(1, 0), (3, 2)]);
        assert_eq!((found[1].low, found[1].high, found[1].confidence), (11.0 / 15.0, 12.0 / 15.0, 0.75));
    }
}
