//! How well a class is told from all others as the threshold for it moves.

use metrics::ClassRanking;
use serde::{Deserialize, Serialize};

use crate::scored::ScoredRows;

/// The curves of one class against the rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassCurves {
    /// The class's name.
    pub label: String,
    /// The area under the ROC curve, 0 to 1; `None` without rows of the class or of another.
    pub roc_auc: Option<f64>,
    /// Average precision, 0 to 1; `None` without rows of the class.
    pub average_precision: Option<f64>,
    /// False positive rate and true positive rate; at most 200 points.
    pub roc: Vec<CurvePoint>,
    /// Recall and precision; at most 200 points.
    pub precision_recall: Vec<CurvePoint>,
}

/// A point of a curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Along the horizontal axis.
    pub x: f64,
    /// Along the vertical axis.
    pub y: f64,
}

/// Points of a curve that is drawn.
const POINTS: usize = 200;

impl ClassCurves {
    /// The curves of each class of [checked](ScoredRows::check) rows, in the order of the classes. The areas are those of all
    /// points, also where fewer are kept.
    ///
    /// # Panics
    /// If the rows aren't checked.
    pub fn of_all(rows: &ScoredRows<'_>) -> Vec<Self> {
        let of_class = |(class, label): (usize, &String)| {
            let scores: Vec<f32> = rows.probabilities.iter().map(|row| row[class]).collect();
            let positive: Vec<bool> = rows.truth.iter().map(|truth| *truth as usize == class).collect();
            let ranking = ClassRanking::new(&scores, &positive);
            Self {
                label: label.clone(),
                roc_auc: ranking.roc_auc(),
                average_precision: ranking.average_precision(),
                roc: points(ranking.roc(POINTS)),
                precision_recall: points(ranking.precision_recall(POINTS)),
            }
        };
        rows.label_names.iter().enumerate().map(of_class).collect()
    }
}

fn points(line: Vec<(f64, f64)>) -> Vec<CurvePoint> {
    line.into_iter().map(|(x, y)| CurvePoint { x, y }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::confidence::sample_rows;

    #[test]
    fn each_class_has_its_curves_and_a_class_without_rows_has_none() {
        let mut sample = sample_rows(300);
        sample.truth.iter_mut().filter(|truth| **truth == 2).for_each(|truth| *truth = 0);
        let curves = ClassCurves::of_all(&sample.rows());
        let labels: Vec<&str> = curves.iter().map(|curves| curves.label.as_str()).collect();
        assert_eq!(labels, ["negative", "neutral", "positive"]);
        for curves in &curves[..2] {
            assert!(curves.roc_auc.is_some_and(|area| area > 0.5) && curves.roc.len() > 10, "{curves:?}");
            assert!(curves.roc.len() <= POINTS && curves.precision_recall.len() <= POINTS);
            let ends = (curves.roc[0], curves.roc[curves.roc.len() - 1]);
            assert_eq!(ends, (CurvePoint { x: 0.0, y: 0.0 }, CurvePoint { x: 1.0, y: 1.0 }));
        }
        assert_eq!((curves[2].roc_auc, curves[2].average_precision), (None, None));
        assert!(curves[2].roc.is_empty() && curves[2].precision_recall.is_empty());
    }
}
