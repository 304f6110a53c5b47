//! Selective prediction: what is gained by abstaining where the model is least sure (El-Yaniv and Wiener, "On the foundations of
//! noise-free selective classification", 2010; Geifman and El-Yaniv, "Selective classification for deep neural networks", 2017).

use crate::thinning::kept_points;

/// Risk and coverage for each threshold of the confidence, which is the probability of the predicted class. Rows of the same
/// confidence are taken or left together.
#[derive(Debug, Clone)]
pub struct RiskCoverage {
    /// From the highest threshold down.
    steps: Vec<TakenRows>,
    rows: u64,
}

#[derive(Debug, Clone, Copy)]
struct TakenRows {
    threshold: f32,
    taken: u64,
    wrong: u64,
}

/// What holds if only predictions with at least this confidence are taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SelectionPoint {
    /// The least confidence of a prediction that is taken.
    pub threshold: f64,
    /// The share of rows whose predictions are taken, 0 to 1.
    pub coverage: f64,
    /// The share of wrong ones among them, 0 to 1.
    pub risk: f64,
}

impl RiskCoverage {
    /// Rows by their confidence, each with whether its prediction is right.
    ///
    /// # Panics
    /// If the two don't have the same length.
    pub fn new(confidences: &[f32], correct: &[bool]) -> Self {
        assert_eq!(confidences.len(), correct.len(), "one confidence for each prediction");
        let mut order: Vec<usize> = (0..confidences.len()).collect();
        order.sort_unstable_by(|one, other| confidences[*other].total_cmp(&confidences[*one]));
        let (mut steps, mut wrong) = (Vec::new(), 0);
        for (at, row) in order.iter().enumerate() {
            wrong += u64::from(!correct[*row]);
            if order.get(at + 1).is_none_or(|next| confidences[*next] != confidences[*row]) {
                steps.push(TakenRows { threshold: confidences[*row], taken: at as u64 + 1, wrong });
            }
        }
        Self { steps, rows: order.len() as u64 }
    }

    /// The curve from the full coverage down, at most `at_most` points of it.
    pub fn curve(&self, at_most: usize) -> Vec<SelectionPoint> {
        let points: Vec<SelectionPoint> = self.steps.iter().rev().map(|step| self.selection(step)).collect();
        let places: Vec<(f64, f64)> = points.iter().map(|point| (point.coverage, point.risk)).collect();
        kept_points(&places, at_most).into_iter().map(|point| points[point]).collect()
    }

    /// The area under risk over coverage, 0 to 1: the mean of the risks of the 1, 2, 3, ... surest predictions (AURC; Geifman,
    /// Uziel and El-Yaniv, "Bias-reduced uncertainty estimation for deep neural classifiers", 2019), in expectation over the
    /// order of those that are equally sure. NaN without rows.
    pub fn area(&self) -> f64 {
        let (mut sum, mut before) = (0.0, (0, 0));
        for step in &self.steps {
            let share = (step.wrong - before.1) as f64 / (step.taken - before.0) as f64;
            for taken in before.0 + 1..=step.taken {
                sum += (before.1 as f64 + share * (taken - before.0) as f64) / taken as f64;
            }
            before = (step.taken, step.wrong);
        }
        sum / self.rows as f64
    }

    /// The lowest threshold, and so the largest coverage, at which the predictions that are taken have at least this accuracy;
    /// `None` if none does.
    pub fn reaching(&self, accuracy: f64) -> Option<SelectionPoint> {
        let reaches = |step: &&TakenRows| (step.taken - step.wrong) as f64 / step.taken as f64 >= accuracy;
        self.steps.iter().rev().find(reaches).map(|step| self.selection(step))
    }

    fn selection(&self, step: &TakenRows) -> SelectionPoint {
        SelectionPoint {
            threshold: f64::from(step.threshold),
            coverage: step.taken as f64 / self.rows as f64,
            risk: step.wrong as f64 / step.taken as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_coverage_that_is_accurate_enough_is_found() {
        // From the surest down: right, right, wrong, right, right, wrong.
        let curve = RiskCoverage::new(&[0.95, 0.9, 0.85, 0.8, 0.75, 0.6], &[true, true, false, true, true, false]);
        let coverage = |accuracy| curve.reaching(accuracy).map(|selection| (selection.coverage * 6.0).round());
        assert_eq!(coverage(0.0), Some(6.0));
        assert_eq!(coverage(4.0 / 6.0), Some(6.0));
        assert_eq!(coverage(0.8), Some(5.0), "0.8 is reached again after it was lost");
        assert_eq!((coverage(0.81), coverage(1.0)), (Some(2.0), Some(2.0)));
        assert_eq!(curve.reaching(1.0).unwrap().threshold, f64::from(0.9f32));
        assert_eq!(RiskCoverage::new(&[0.9, 0.8], &[false, true]).reaching(0.6), None);
    }

    #[test]
    fn predictions_that_are_equally_sure_are_taken_together() {
        let curve = RiskCoverage::new(&[0.9, 0.9, 0.9, 0.5], &[true, false, true, true]);
        let found: Vec<_> = curve.curve(200).iter().map(|point| (point.coverage, point.risk)).collect();
        assert_eq!(found, [(1.0, 0.25), (0.75, 1.0 / 3.0)]);
        // One of the three is wrong, wherever it stands: a third of 1, of 2 and of 3; then one of four.
        assert!((curve.area() - (1.0 / 3.0 * 3.0 + 0.25) / 4.0).abs() < 1e-15);
        assert_eq!(curve.reaching(1.0), None);
        let all_equal = RiskCoverage::new(&[0.5; 8], &[true, false, true, true, true, true, true, true]);
        assert!((all_equal.area() - 0.125).abs() < 1e-15);
    }
}
