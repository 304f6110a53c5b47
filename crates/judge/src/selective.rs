//! What is gained by leaving out the predictions that the model is least sure of.

use metrics::{RiskCoverage, SelectionPoint};
use serde::{Deserialize, Serialize};

use crate::confidence::Confidences;
use crate::scored::ScoredRows;

/// Risk and coverage as the least sure predictions are left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SelectivePrediction {
    /// From the full coverage down; at most 200 points, for a plot.
    pub curve: Vec<RiskPoint>,
    /// The area under risk over coverage, 0 to 1; lower is better.
    pub area: f64,
    /// For a few wanted accuracies the threshold that reaches them, where one does.
    pub thresholds: Vec<AbstentionThreshold>,
}

/// The state of affairs if only predictions with at least this probability are taken.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RiskPoint {
    /// The least probability of a prediction that is taken.
    pub threshold: f64,
    /// The share of rows whose predictions are taken, 0 to 1.
    pub coverage: f64,
    /// The share of wrong ones among them, 0 to 1.
    pub risk: f64,
}

/// A threshold for a wanted accuracy.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AbstentionThreshold {
    /// The wanted accuracy, 0 to 1.
    pub accuracy: f64,
    /// The least probability of a prediction that is taken; `None` if no threshold reaches the accuracy.
    pub threshold: Option<f64>,
    /// The share of rows that is then predicted, 0 where no threshold is.
    pub coverage: f64,
}

/// Points of the curve that is drawn.
const POINTS: usize = 200;

impl SelectivePrediction {
    /// Risk and coverage of [checked](ScoredRows::check) rows, and a threshold for each of the `wanted` accuracies, 0 to 1. Rows of
    /// the same probability are taken together.
    ///
    /// A threshold is the lowest that reaches its accuracy on these rows: on others it may be missed by chance.
    ///
    /// # Panics
    /// If the rows aren't checked.
    pub fn of(rows: &ScoredRows<'_>, wanted: &[f64]) -> Self {
        let Confidences { probabilities, correct } = Confidences::of(rows);
        let all = RiskCoverage::new(&probabilities, &correct);
        let threshold = |accuracy: &f64| {
            let found = all.reaching(*accuracy);
            AbstentionThreshold {
                accuracy: *accuracy,
                threshold: found.map(|found| found.threshold),
                coverage: found.map_or(0.0, |found| found.coverage),
            }
        };
        Self {
            curve: all.curve(POINTS).into_iter().map(RiskPoint::from).collect(),
            area: all.area(),
            thresholds: wanted.iter().map(threshold).collect(),
        }
    }
}

impl From<SelectionPoint> for RiskPoint {
    fn from(SelectionPoint { threshold, coverage, risk }: SelectionPoint) -> Self {
        Self { threshold, coverage, risk }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::confidence::sample_rows;

    #[test]
    fn less_is_predicted_and_more_of_it_is_right() {
        let sample = sample_rows(1_000);
        let selective = SelectivePrediction::of(&sample.rows(), &[0.5, 0.7, 0.8, 1.1]);
        let SelectivePrediction { curve, area, thresholds } = &selective;
        assert_eq!((curve.len(), curve[0].coverage), (POINTS, 1.0));
        assert!(curve.windows(2).all(|pair| pair[0].coverage > pair[1].coverage), "{curve:?}");
        assert!(*area > 0.0 && *area < curve[0].risk, "{area}");
        for wanted in &thresholds[..3] {
            let threshold = wanted.threshold.unwrap();
            let taken = (0..1_000)
                .filter(|row| f64::from(sample.probabilities[*row][sample.predictions[*row] as usize]) >= threshold);
            let right: Vec<bool> = taken.map(|row| sample.predictions[row] == sample.truth[row]).collect();
            let accuracy = right.iter().filter(|right| **right).count() as f64 / right.len() as f64;
            assert!(accuracy >= wanted.accuracy, "{wanted:?}: {accuracy}");
            assert_eq!(wanted.coverage, right.len() as f64 / 1_000.0);
        }
        assert!(thresholds[1].coverage > thresholds[2].coverage, "{thresholds:?}");
        assert_eq!((thresholds[3].threshold, thresholds[3].coverage), (None, 0.0), "more than all can't be right");
    }
}
