//! The figures that an evaluation begins with, each with its interval.
//!
//! Shares of rows have Wilson's interval: accuracy, which weighted recall is too, and the precision and recall of a class. So has the F1
//! of a class, because it grows with a share and with nothing else: of the rows that are of the class or predicted as it, the share `J`
//! for which both is true, by `F1 = 2 J / (1 + J)` (Lam, Gopal & Qian, "Confidence intervals for the F1 score: a comparison of four
//! methods", 2023). The scores of all classes together have BCa intervals.
//!
//! Where all rows are right, no resample holds a mistake, and a bootstrap would call the model perfect. There, and where all are
//! wrong, the other end is the score that the model would have at the end of accuracy's interval. Where all rows are of one class,
//! Matthews correlation is 0 by definition, and may be anything.

use std::collections::BTreeMap;

use metrics::{Bootstrap, ClassCounts, ClassificationReport, ConfusionMatrix, OverallScores, ReportOptions, wilson};

use crate::cells::{Cells, NamedScore};
use crate::estimate::{Estimate, IntervalMethod};
use crate::judgement::ClassEstimates;
use crate::scored::ScoredRows;

/// Into how many parts a row is divided where a share of the rows is labeled otherwise.
const PARTS: u64 = 1_000_000;

/// The scores that are computed by a bootstrap, by name, in ascending order.
const BOOTSTRAPPED: [NamedScore; 4] = [
    ("f1", |scores| scores.weighted.f1),
    ("macro_f1", |scores| scores.macro_average.f1),
    ("matthews", |scores| scores.matthews),
    ("precision", |scores| scores.weighted.precision),
];

/// A class with fewer rows is missing from so many resamples that the bootstrap's intervals are off: simulated
/// (`tests/coverage.rs`), those of macro F1 and Matthews correlation hold the truth in 86 % with 1 or 3 such rows, in 96 % or more with 8.
const ENOUGH_ROWS: u64 = 8;

/// The figures that an evaluation begins with.
#[derive(Debug, Clone, PartialEq)]
pub struct HeadlineFigures {
    /// Of all classes together: `accuracy`, `precision`, `recall`, `f1` (these three weighted), `macro_f1`, `matthews`.
    pub scores: BTreeMap<String, Estimate>,
    /// Of each class, in the order of the classes.
    pub per_class: Vec<ClassEstimates>,
    /// What is to be said beside the intervals, where they can't be relied on.
    pub caution: Option<String>,
}

impl HeadlineFigures {
    /// The figures of `rows`.
    ///
    /// # Errors
    /// No rows, no classes, and labels that are none of the classes.
    pub fn of(rows: &ScoredRows<'_>, bootstrap: &Bootstrap) -> metrics::Result<Self> {
        let matrix = ConfusionMatrix::from_pairs(rows.truth, rows.predictions, rows.label_names.len())?;
        let report = ClassificationReport::new(&matrix, rows.label_names, ReportOptions::default())?;
        let accuracy = Estimate::share(matrix.correct(), matrix.total());
        let mut scores = BTreeMap::from([("accuracy".to_owned(), accuracy), ("recall".to_owned(), accuracy)]);
        scores.extend(bootstrapped(rows, &matrix, bootstrap).map(|(name, score)| (name.to_owned(), score)));

        let per_class = report.per_class.iter().enumerate().map(|(class, scores)| {
            let correct = matrix.count(class, class);
            ClassEstimates {
                label: scores.label.clone(),
                precision: Estimate::share(correct, scores.predicted),
                recall: Estimate::share(correct, scores.support),
                f1: class_f1(correct, scores.support, scores.predicted),
            }
        });
        Ok(Self { scores, per_class: per_class.collect(), caution: caution(&report) })
    }
}

/// Names the rarest class, if it is too rare.
fn caution(report: &ClassificationReport) -> Option<String> {
    let present = report.per_class.iter().filter(|class| class.support > 0);
    let rarest = present.min_by_key(|class| class.support).filter(|class| class.support < ENOUGH_ROWS)?;
    let rows = if rarest.support == 1 { "row" } else { "rows" };
    Some(format!(
        "class {:?} has only {} {rows}: the intervals of macro_f1 and matthews can't be relied on, those of the classes can",
        rarest.label, rarest.support
    ))
}

/// The F1 of a class, by Wilson's interval of the share that it grows with.
fn class_f1(correct: u64, support: u64, predicted: u64) -> Estimate {
    let either = support + predicted - correct;
    let (low, high) = wilson(correct, either);
    let f1 = |share: f64| 2.0 * share / (1.0 + share);
    let value = if either == 0 { 0.0 } else { (2 * correct) as f64 / (support + predicted) as f64 };
    Estimate { value, low: f1(low), high: f1(high), method: IntervalMethod::Wilson }
}

/// The scores that are no shares.
fn bootstrapped(
    rows: &ScoredRows<'_>,
    matrix: &ConfusionMatrix,
    bootstrap: &Bootstrap,
) -> impl Iterator<Item = (&'static str, Estimate)> {
    let cells = Cells::of(rows.truth.iter().zip(rows.predictions).map(|(truth, predicted)| [*truth, *predicted]));
    let classes = matrix.classes();
    let found = bootstrap.intervals_of_cells(&cells.rows, cells.kinds.len(), BOOTSTRAPPED.len(), &|counts, values| {
        let overall = cells.scores(counts, 1, classes);
        values.iter_mut().zip(BOOTSTRAPPED).for_each(|(value, (_, score))| *value = score(&overall));
    });
    let same = all_right_or_wrong(matrix);
    let all_right = matrix.correct() == matrix.total();
    let one_class = matrix.support().contains(&matrix.total());
    BOOTSTRAPPED.into_iter().zip(found).map(move |((name, score), found)| match &same {
        _ if one_class && name == "matthews" => (name, Estimate { low: -1.0, high: 1.0, ..found.into() }),
        // Resamples of right rows may hold one class only, where Matthews is 0; those of wrong rows need not be alike.
        Some(changed) if all_right || found.low == found.high => {
            let other = score(changed);
            let (low, high) = (found.value.min(other), found.value.max(other));
            (name, Estimate { value: found.value, low, high, method: IntervalMethod::Wilson })
        }
        _ => (name, found.into()),
    })
}

/// Where all rows are right, or all are wrong: the scores at the other end of accuracy's interval. The share of rows by which that
/// is away is then labeled otherwise: wrong ones right, and right ones as each of the other classes equally often.
fn all_right_or_wrong(matrix: &ConfusionMatrix) -> Option<OverallScores> {
    let (total, support) = (matrix.total(), matrix.support());
    let all_right = matrix.correct() == total;
    if (matrix.correct() > 0 && !all_right) || matrix.classes() < 2 {
        return None;
    }
    // Mistakes are between the classes of these rows, if there are several.
    let several = support.iter().filter(|rows| **rows > 0).count() > 1;
    let others = |truth: usize| -> Vec<usize> {
        let is_other = |class: &usize| *class != truth && (support[*class] > 0 || !several);
        if all_right { (0..support.len()).filter(is_other).collect() } else { vec![truth] }
    };
    let moved = 1.0 - wilson(total, total).0;
    let mut changed = ClassCounts::new(matrix.classes());
    for (truth, row) in matrix.rows().enumerate() {
        for (predicted, &rows) in row.iter().enumerate().filter(|(_, rows)| **rows > 0) {
            let others = others(truth);
            let moves = ((rows * PARTS) as f64 * moved / others.len() as f64).round() as u64;
            changed.add(truth as u32, predicted as u32, rows * PARTS - moves * others.len() as u64);
            others.iter().for_each(|class| changed.add(truth as u32, *class as u32, moves));
        }
    }
    Some(changed.overall(ReportOptions::default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Figures of rows given as (true class, predicted class, how many).
    fn figures(classes: usize, counts: &[(u32, u32, usize)]) -> HeadlineFigures {
        let expand = |label: fn(&(u32, u32, usize)) -> u32| -> Vec<u32> {
            counts.iter().flat_map(|count| std::iter::repeat_n(label(count), count.2)).collect()
        };
        let (truth, predictions) = (expand(|count| count.0), expand(|count| count.1));
        let label_names: Vec<String> = (0..classes).map(|class| format!("class {class}")).collect();
        let rows = ScoredRows {
            label_names: &label_names,
            truth: &truth,
            predictions: &predictions,
            probabilities: &[],
            facts: &[],
        };
        HeadlineFigures::of(&rows, &Bootstrap { resamples: 999, seed: 0 }).unwrap()
    }

    #[test]
    fn every_figure_is_the_report_s_and_lies_in_its_interval() {
        let counts = [(0, 0, 80), (0, 1, 12), (1, 1, 150), (1, 0, 9), (1, 2, 4), (2, 2, 6), (2, 1, 2)];
        let found = figures(3, &counts);
        let names: Vec<&str> = found.scores.keys().map(String::as_str).collect();
        assert_eq!(names, ["accuracy", "f1", "macro_f1", "matthews", "precision", "recall"]);
        assert_eq!(found.scores["accuracy"], Estimate::share(236, 263));
        assert_eq!(found.scores["recall"], found.scores["accuracy"], "weighted recall is accuracy");

        let matrix = ConfusionMatrix::from_counts(&[vec![80, 12, 0], vec![9, 150, 4], vec![0, 2, 6]]).unwrap();
        let report = ClassificationReport::new(&matrix, &["a", "b", "c"], ReportOptions::default()).unwrap();
        let values = [report.weighted.f1, report.macro_average.f1, report.matthews, report.weighted.precision];
        for (name, value) in ["f1", "macro_f1", "matthews", "precision"].iter().zip(values) {
            let Estimate { value: found, low, high, method } = found.scores[*name];
            assert_eq!((found, method), (value, IntervalMethod::Bca), "{name}");
            assert!(low < value && value < high && high - low < 0.35, "{name}: {low} to {high}");
        }
        for (class, scores) in found.per_class.iter().zip(&report.per_class) {
            let values = [class.precision.value, class.recall.value, class.f1.value];
            assert_eq!(values, [scores.scores.precision, scores.scores.recall, scores.scores.f1]);
            assert!(class.f1.low < class.f1.value && class.f1.value < class.f1.high);
        }
        assert_eq!(found.caution, None);
        // The rare class is known least.
        let width = |class: usize| found.per_class[class].f1.high - found.per_class[class].f1.low;
        assert!(width(2) > 2.0 * width(0));
    }

    #[test]
    fn a_class_of_few_rows_has_a_caution() {
        let found = figures(3, &[(0, 0, 80), (0, 1, 12), (1, 1, 150), (2, 1, 7)]).caution.unwrap();
        assert!(found.starts_with("class \"class 2\" has only 7 rows: the intervals of macro_f1"), "{found}");
        assert!(figures(2, &[(0, 0, 80), (1, 0, 1)]).caution.unwrap().contains("only 1 row:"));
    }

    #[test]
    fn a_model_without_mistakes_is_not_called_perfect() {
        let found = figures(3, &[(0, 0, 30), (1, 1, 20)]);
        for (name, score) in &found.scores {
            assert!(score.value == 1.0 && score.high == 1.0 && score.low < 0.94, "{name}: {score}");
            assert_eq!(score.method, IntervalMethod::Wilson);
        }
        let (low, accuracy) = (|name: &str| found.scores[name].low, found.scores["accuracy"].low);
        assert!((low("f1") - accuracy).abs() < 0.002, "{} and {accuracy}", low("f1"));
        assert!(low("matthews") < accuracy, "which is 0 by chance, not a half");
        assert_eq!(found.per_class[0].f1.high, 1.0);
        assert!(found.per_class[0].f1.low < 0.95 && found.per_class[1].f1.low < found.per_class[0].f1.low);
        let of_one_class = figures(2, &[(1, 1, 12)]);
        assert!(of_one_class.scores["f1"].low < 0.9, "{}", of_one_class.scores["f1"]);
        let matthews = of_one_class.scores["matthews"];
        assert_eq!((matthews.value, matthews.low, matthews.high), (0.0, -1.0, 1.0), "there is nothing to tell apart");
    }

    #[test]
    fn a_model_without_right_rows_is_not_called_hopeless() {
        let found = figures(2, &[(0, 1, 10), (1, 0, 12)]);
        assert!(found.scores["f1"].value == 0.0 && found.scores["f1"].low == 0.0 && found.scores["f1"].high > 0.1);
        assert!(found.scores["matthews"].value == -1.0 && found.scores["matthews"].high > -0.8);
    }

    #[test]
    fn a_class_without_rows_is_not_known() {
        let absent = &figures(3, &[(0, 0, 30), (1, 1, 20), (1, 0, 3)]).per_class[2];
        for estimate in [absent.precision, absent.recall, absent.f1] {
            assert_eq!((estimate.value, estimate.low, estimate.high), (0.0, 0.0, 1.0));
        }
    }

    #[test]
    fn labels_that_are_no_class_are_refused() {
        let label_names = ["a".to_owned(), "b".to_owned()];
        let rows = ScoredRows {
            label_names: &label_names,
            truth: &[0, 2],
            predictions: &[0, 1],
            probabilities: &[],
            facts: &[],
        };
        let error = HeadlineFigures::of(&rows, &Bootstrap::default()).unwrap_err().to_string();
        assert!(error.starts_with("row 1: expected a true label below 2, found 2"), "{error}");
    }
}
