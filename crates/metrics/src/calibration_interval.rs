//! The interval of an expected calibration error, which chance only raises.
//!
//! The error is a sum of distances, so that even a perfectly calibrated model has one on a finite number of rows, and each resample
//! has more of it than the rows themselves. Quantiles of resamples, also corrected ones, therefore lie too high: of a calibrated model
//! BCa's interval never holds the truth. The basic bootstrap mirrors the quantiles at the figure, and so takes that excess away.

use crate::bca::linear_quantile;
use crate::bootstrap::{Bootstrap, all_cores, computed};
use crate::calibration::ConfidenceBins;
use crate::resample::RowDraws;

/// Numbers below this are drawn, so that a share of them is a probability.
const DRAWN_BELOW: u64 = 1 << 32;

/// An expected calibration error with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CalibrationError {
    /// The error of all rows.
    pub value: f64,
    /// The lower end, at least 0: 0 itself where predictions that are right as often as their confidence says show as large an
    /// error in more than 2.5 % of simulations.
    pub low: f64,
    /// The upper end, at most 1.
    pub high: f64,
}

impl CalibrationError {
    /// The error of all rows. The ends are those of the basic bootstrap (Davison and Hinkley, "Bootstrap methods and their
    /// application", 1997, section 5.2), widened to hold the value and, by a test of the hypothesis that the model is calibrated
    /// (Bröcker and Smith, "Increasing the reliability of reliability diagrams", 2007), to hold 0. NaN without rows or resamples.
    pub fn of(rows: &ConfidenceBins, bootstrap: &Bootstrap) -> Self {
        let count = rows.len();
        let all: Vec<u32> = (0..count as u32).collect();
        let value = rows.calibration_error(&all);
        if count == 0 || bootstrap.resamples == 0 {
            return Self { value, low: f64::NAN, high: f64::NAN };
        }
        let sorted = |error: &(dyn Fn(u32) -> f64 + Sync)| {
            let drawn = bootstrap.resamples as usize;
            let compute = |_: &mut (), number, values: &mut [f64]| values[0] = error(number);
            let mut errors = computed(all_cores(), drawn, 1, &|| (), &compute);
            errors.sort_unstable_by(f64::total_cmp);
            errors
        };
        let resampled = sorted(&|number| rows.calibration_error(&bootstrap.resample(number, count)));
        let by_chance = sorted(&|number| {
            // Another seed than that of the resamples, so that the two have nothing in common.
            let mut draws = RowDraws::new(!bootstrap.seed, u64::from(number), DRAWN_BELOW as usize);
            rows.simulated_error(|confidence| f64::from(draws.draw()) < confidence * DRAWN_BELOW as f64)
        });
        let is_chance = value <= linear_quantile(&by_chance, 0.975);
        let low = 2.0 * value - linear_quantile(&resampled, 0.975);
        let high = 2.0 * value - linear_quantile(&resampled, 0.025);
        Self { value, low: if is_chance { 0.0 } else { low.clamp(0.0, value) }, high: high.clamp(value, 1.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows whose predictions are right with the probability `right_of` of their confidence.
    fn rows(count: usize, seed: u64, right_of: &dyn Fn(f64) -> f64) -> ConfidenceBins {
        let mut draws = RowDraws::new(seed, 0, DRAWN_BELOW as usize);
        let mut share = || f64::from(draws.draw()) / DRAWN_BELOW as f64;
        let (mut confidences, mut correct) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let confidence = 1.0 - 0.5 * share().powi(2);
            confidences.push(confidence as f32);
            correct.push(share() < right_of(confidence));
        }
        ConfidenceBins::new(&confidences, &correct)
    }

    /// The share of 200 samples whose interval holds the truth.
    fn coverage(count: usize, truth: f64, right_of: &dyn Fn(f64) -> f64) -> f64 {
        let holds = |seed: &u64| {
            let error = CalibrationError::of(&rows(count, *seed, right_of), &Bootstrap { resamples: 499, seed: *seed });
            (error.low..=error.high).contains(&truth)
        };
        (0..200).filter(holds).count() as f64 / 200.0
    }

    #[test]
    fn intervals_hold_the_truth_of_calibrated_and_of_overconfident_models() {
        for (count, at_least) in [(100, 0.85), (872, 0.92)] {
            let calibrated = coverage(count, 0.0, &|confidence| confidence);
            assert!(calibrated >= 0.93, "{count} rows: {calibrated}");
            // Right 0.1 less often than the model says, in every bin.
            let overconfident = coverage(count, 0.1, &|confidence| confidence - 0.1);
            assert!(overconfident >= at_least, "{count} rows: {overconfident}");
        }
    }

    #[test]
    fn the_ends_hold_the_value_and_follow_from_the_seed() {
        let bootstrap = Bootstrap { resamples: 999, seed: 3 };
        for count in [1, 2, 30] {
            let rows = rows(count, 5, &|_| 0.5);
            let error = CalibrationError::of(&rows, &bootstrap);
            assert!(
                0.0 <= error.low && error.low <= error.value && error.value <= error.high && error.high <= 1.0,
                "{error:?}"
            );
            assert_eq!(error, CalibrationError::of(&rows, &bootstrap));
        }
        assert!(CalibrationError::of(&ConfidenceBins::new(&[], &[]), &bootstrap).low.is_nan());
    }
}
