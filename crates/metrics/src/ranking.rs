//! How well one class is told from all others by its probability, whatever the threshold: the ROC curve, the precision-recall
//! curve, and the areas under them, with scikit-learn's definitions. Rows of the same probability cross a threshold together.

use crate::thinning::kept_points;

/// The rows of a class and all others, by the probability of that class.
#[derive(Debug, Clone)]
pub struct ClassRanking {
    /// For each probability that occurs, from the highest down: how many rows of other classes and how many of the class have at
    /// least that.
    above: Vec<(u64, u64)>,
    positives: u64,
    negatives: u64,
}

impl ClassRanking {
    /// Ranks rows by `scores`; `positive` says which of them are of the class.
    ///
    /// # Panics
    /// If the two don't have the same length.
    pub fn new(scores: &[f32], positive: &[bool]) -> Self {
        assert_eq!(scores.len(), positive.len(), "one score for each row");
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_unstable_by(|one, other| scores[*other].total_cmp(&scores[*one]));
        let (mut above, mut negatives, mut positives) = (Vec::new(), 0, 0);
        for (at, row) in order.iter().enumerate() {
            *(if positive[*row] { &mut positives } else { &mut negatives }) += 1;
            if order.get(at + 1).is_none_or(|next| scores[*next] != scores[*row]) {
                above.push((negatives, positives));
            }
        }
        Self { above, positives, negatives }
    }

    /// The area under the ROC curve, 0 to 1: the probability that a row of the class has a higher score than one of another,
    /// where equal scores count half (`roc_auc_score`). `None` without rows of the class or of another.
    pub fn roc_auc(&self) -> Option<f64> {
        if self.positives == 0 || self.negatives == 0 {
            return None;
        }
        let mut twice = 0u128;
        let mut before = (0, 0);
        for (negatives, positives) in &self.above {
            twice += u128::from(negatives - before.0) * u128::from(positives + before.1);
            before = (*negatives, *positives);
        }
        Some(twice as f64 / (2 * u128::from(self.positives) * u128::from(self.negatives)) as f64)
    }

    /// The mean of the precisions at each threshold, weighted by the recall that the threshold adds, 0 to 1
    /// (`average_precision_score`). `None` without rows of the class.
    pub fn average_precision(&self) -> Option<f64> {
        if self.positives == 0 {
            return None;
        }
        let (mut sum, mut before) = (0.0, 0);
        for (negatives, positives) in &self.above {
            sum += (positives - before) as f64 * *positives as f64 / (negatives + positives) as f64;
            before = *positives;
        }
        Some(sum / self.positives as f64)
    }

    /// Points of false positive rate and true positive rate from (0, 0) to (1, 1), at most `at_most` of them. Empty without
    /// rows of the class or of another.
    pub fn roc(&self, at_most: usize) -> Vec<(f64, f64)> {
        if self.positives == 0 || self.negatives == 0 {
            return Vec::new();
        }
        let share = |(negatives, positives): &(u64, u64)| {
            (*negatives as f64 / self.negatives as f64, *positives as f64 / self.positives as f64)
        };
        thinned(&[(0, 0)].iter().chain(&self.above).map(share).collect::<Vec<_>>(), at_most)
    }

    /// Points of recall and precision from a recall of 0, where the precision counts as 1, to a recall of 1, at most `at_most`
    /// of them. Empty without rows of the class.
    pub fn precision_recall(&self, at_most: usize) -> Vec<(f64, f64)> {
        if self.positives == 0 {
            return Vec::new();
        }
        let point = |(negatives, positives): &(u64, u64)| {
            (*positives as f64 / self.positives as f64, *positives as f64 / (negatives + positives) as f64)
        };
        let points: Vec<_> = [(0.0, 1.0)].into_iter().chain(self.above.iter().map(point)).collect();
        thinned(&points, at_most)
    }
}

fn thinned(points: &[(f64, f64)], at_most: usize) -> Vec<(f64, f64)> {
    kept_points(points, at_most).into_iter().map(|point| points[point]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: usize = usize::MAX;

    #[test]
    fn equal_scores_cross_the_threshold_together() {
        let ranking = ClassRanking::new(&[0.9, 0.5, 0.5, 0.5, 0.1], &[true, true, false, false, false]);
        assert_eq!(ranking.roc(ALL), [(0.0, 0.0), (0.0, 0.5), (2.0 / 3.0, 1.0), (1.0, 1.0)]);
        assert_eq!(ranking.precision_recall(ALL), [(0.0, 1.0), (0.5, 1.0), (1.0, 0.5), (1.0, 0.4)]);
        assert_eq!(ranking.roc_auc(), Some(5.0 / 6.0));
        assert_eq!(ranking.average_precision(), Some(0.75));
    }

    #[test]
    fn without_one_side_there_is_no_curve() {
        let none = ClassRanking::new(&[0.2, 0.7], &[false, false]);
        assert_eq!((none.roc_auc(), none.average_precision()), (None, None));
        assert!(none.roc(ALL).is_empty() && none.precision_recall(ALL).is_empty());
        let all = ClassRanking::new(&[0.2, 0.7], &[true, true]);
        assert_eq!((all.roc_auc(), all.average_precision()), (None, Some(1.0)));
        assert!(all.roc(ALL).is_empty());
        assert_eq!(all.precision_recall(ALL), [(0.0, 1.0), (0.5, 1.0), (1.0, 1.0)]);
    }

    /// The area under straight lines between points.
    fn area(points: &[(f64, f64)]) -> f64 {
        points.windows(2).map(|pair| (pair[1].0 - pair[0].0) * (pair[0].1 + pair[1].1) / 2.0).sum()
    }

    #[test]
    fn a_thinned_curve_has_the_area_of_all_points() {
        // 10,000 rows, half of them of the class, whose scores are the squares of the others'.
        let rows = 0..10_000u32;
        let uniform = |row: u32| (f64::from(row) * 0.618_033_988_749_895).fract();
        let positive: Vec<bool> = rows.clone().map(|row| row % 2 == 0).collect();
        let scores: Vec<f32> =
            rows.map(|row| if row % 2 == 0 { uniform(row).sqrt() } else { uniform(row) } as f32).collect();
        let ranking = ClassRanking::new(&scores, &positive);
        let (all, thin) = (ranking.roc(ALL), ranking.roc(200));
        assert!(all.len() > 5_000 && thin.len() == 200, "{} {}", all.len(), thin.len());
        assert_eq!((thin[0], thin[199]), ((0.0, 0.0), (1.0, 1.0)));
        let auc = ranking.roc_auc().unwrap();
        assert!((area(&all) - auc).abs() < 1e-12 && (area(&thin) - auc).abs() < 1e-4, "{} {auc}", area(&thin));
        let (all, thin) = (ranking.precision_recall(ALL), ranking.precision_recall(200));
        assert!(thin.len() == 200 && (area(&all) - area(&thin)).abs() < 1e-4, "{} {}", area(&all), area(&thin));
    }
}
