//! Whether a model's probabilities mean what they say.

use metrics::{Bootstrap, CalibrationBin, CalibrationError, ConfidenceBins, brier_scores, log_losses};
use serde::{Deserialize, Serialize};

use crate::confidence::Confidences;
use crate::estimate::{Estimate, IntervalMethod};
use crate::scored::ScoredRows;

/// Measures of probabilities against what came true.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Mean of `-ln p(true class)`, in nats.
    pub log_loss: Estimate,
    /// Mean squared distance of the probabilities to the true class, summed over classes: 0 to 2.
    pub brier: Estimate,
    /// Expected calibration error of the predicted class over [`Calibration::bins`], 0 to 1.
    pub ece: Estimate,
    /// Equal-width bins of the predicted class's probability; those without rows are left out.
    pub bins: Vec<ReliabilityBin>,
}

/// The rows whose predicted class has a probability in `(low, high]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// The lower end, exclusive.
    pub low: f64,
    /// The upper end, inclusive.
    pub high: f64,
    /// How many rows.
    pub rows: u64,
    /// The mean probability of their predicted classes.
    pub confidence: f64,
    /// The share of them that is right.
    pub accuracy: Estimate,
}

impl Calibration {
    /// Measures the probabilities of [checked](ScoredRows::check) rows; the intervals are those of `bootstrap`, of a bin's accuracy
    /// Wilson's.
    ///
    /// Chance only adds to a calibration error, so that also a perfectly calibrated model has one above 0 on a finite number of rows:
    /// [`CalibrationError`] says how its interval takes that into account.
    ///
    /// # Panics
    /// If the rows aren't checked.
    pub fn of(rows: &ScoredRows<'_>, bootstrap: &Bootstrap) -> Self {
        let log_losses = log_losses(rows.truth, rows.probabilities);
        let brier_scores = brier_scores(rows.truth, rows.probabilities);
        let Confidences { probabilities, correct } = Confidences::of(rows);
        let confidences = ConfidenceBins::new(&probabilities, &correct);
        let mean = |values: &[f64], drawn: &[u32]| {
            drawn.iter().map(|row| values[*row as usize]).sum::<f64>() / drawn.len() as f64
        };
        let intervals = bootstrap.intervals(rows.truth.len(), 2, &|drawn, values| {
            values[0] = mean(&log_losses, drawn);
            values[1] = mean(&brier_scores, drawn);
        });
        let [log_loss, brier] = [0, 1].map(|place| Estimate::from(intervals[place]));
        let CalibrationError { value, low, high } = CalibrationError::of(&confidences, bootstrap);
        let ece = Estimate { value, low, high, method: IntervalMethod::Basic };
        Self { log_loss, brier, ece, bins: confidences.bins().into_iter().map(ReliabilityBin::from).collect() }
    }
}

impl From<CalibrationBin> for ReliabilityBin {
    fn from(bin: CalibrationBin) -> Self {
        let CalibrationBin { low, high, rows, confidence, correct } = bin;
        Self { low, high, rows, confidence, accuracy: Estimate::share(correct, rows) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::confidence::sample_rows;

    #[test]
    fn the_figures_are_those_of_all_rows_within_their_intervals() {
        let sample = sample_rows(400);
        let rows = sample.rows();
        let calibration = Calibration::of(&rows, &Bootstrap { resamples: 1_000, seed: 0 });
        let Calibration { log_loss, brier, ece, bins } = &calibration;
        for estimate in [log_loss, brier, ece] {
            assert!((estimate.low..estimate.high).contains(&estimate.value), "{estimate:?}");
        }
        assert_eq!(bins.iter().map(|bin| bin.rows).sum::<u64>(), 400);
        let distance: f64 = bins.iter().map(|bin| bin.rows as f64 * (bin.confidence - bin.accuracy.value).abs()).sum();
        assert!((distance / 400.0 - ece.value).abs() < 1e-12, "{ece:?}");
        let json = serde_json::to_value(&calibration).unwrap();
        assert_eq!(json["bins"][0]["accuracy"]["method"], "wilson");
        assert_eq!(serde_json::from_value::<Calibration>(json).unwrap(), calibration);
    }
}
