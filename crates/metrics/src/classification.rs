//! Accuracy, precision, recall, F1 and Matthews correlation, from counts.
//!
//! With `tp`, `predicted` and `support` of a class: precision `tp / predicted`, recall `tp / support`, F1
//! `2 tp / (predicted + support)`. Averages over classes are unweighted (macro), weighted by support (weighted), or
//! taken of the summed counts (micro). Definitions, and what happens where a denominator is 0, are scikit-learn's
//! (`precision_recall_fscore_support`, `matthews_corrcoef`).

use serde::{Deserialize, Serialize};

use crate::confusion::ConfusionMatrix;
use crate::error::{MetricsError, Result};

/// The value of a score whose denominator is 0: precision of a class never predicted, recall of a class never true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ZeroDivision {
    /// 0.
    #[default]
    Zero,
    /// 1.
    One,
    /// NaN; averages leave the class out.
    Nan,
}

impl ZeroDivision {
    fn value(self) -> f64 {
        match self {
            ZeroDivision::Zero => 0.0,
            ZeroDivision::One => 1.0,
            ZeroDivision::Nan => f64::NAN,
        }
    }
}

/// Which classes enter the averages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Labels {
    /// Classes that occur in the truth or among the predictions: scikit-learn's default.
    #[default]
    Present,
    /// All classes of the model: scikit-learn's `labels=range(classes)`. Only macro averages can differ.
    All,
}

/// How a report is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReportOptions {
    /// The value of undefined scores.
    pub zero_division: ZeroDivision,
    /// The classes that enter the averages.
    pub labels: Labels,
}

/// How the scores of the classes become one score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Average {
    /// Each class counts by its number of examples.
    #[default]
    Weighted,
    /// Each class counts the same.
    Macro,
    /// Each example counts the same: over all classes this is accuracy.
    Micro,
}

/// Precision, recall and F1, each from 0 to 1, or NaN (null in JSON) under [`ZeroDivision::Nan`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Of what was predicted, the share that is true.
    #[serde(with = "nan_is_null")]
    pub precision: f64,
    /// Of what is true, the share that was predicted.
    #[serde(with = "nan_is_null")]
    pub recall: f64,
    /// The harmonic mean of precision and recall.
    #[serde(with = "nan_is_null")]
    pub f1: f64,
}

/// One class's scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassScores {
    /// The class's name.
    pub label: String,
    /// Its scores.
    #[serde(flatten)]
    pub scores: Scores,
    /// How many examples are of this class.
    pub support: u64,
    /// How many examples were predicted as this class.
    pub predicted: u64,
}

/// All scores of one set of predictions. `Display` is a table for the terminal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassificationReport {
    /// How many examples were scored.
    pub examples: u64,
    /// The share of examples that got their true class, 0 to 1.
    pub accuracy: f64,
    /// Matthews correlation, -1 to 1; for more than two classes Gorodkin's R_K. 0 if all true or all predicted labels are the same.
    pub matthews: f64,
    /// Averages weighted by support.
    pub weighted: Scores,
    /// Unweighted averages.
    #[serde(rename = "macro")]
    pub macro_average: Scores,
    /// Scores of the summed counts.
    pub micro: Scores,
    /// Every class of the model in the order of the indices, also those that don't occur.
    pub per_class: Vec<ClassScores>,
}

/// For each class how many examples are right, truly of it, and predicted as it: all that the scores are computed from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassCounts {
    correct: Vec<u64>,
    support: Vec<u64>,
    predicted: Vec<u64>,
}

/// The scores of all classes together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OverallScores {
    /// The share of examples that got their true class, 0 to 1.
    pub accuracy: f64,
    /// Matthews correlation, -1 to 1.
    pub matthews: f64,
    /// Averages weighted by support.
    pub weighted: Scores,
    /// Unweighted averages.
    pub macro_average: Scores,
    /// Scores of the summed counts.
    pub micro: Scores,
}

impl ClassCounts {
    /// No examples of so many classes.
    pub fn new(classes: usize) -> Self {
        Self { correct: vec![0; classes], support: vec![0; classes], predicted: vec![0; classes] }
    }

    /// Counts `examples` of class `truth` that were predicted as `predicted`; both are below the number of classes.
    pub fn add(&mut self, truth: u32, predicted: u32, examples: u64) {
        let (truth, predicted) = (truth as usize, predicted as usize);
        self.support[truth] += examples;
        self.predicted[predicted] += examples;
        if truth == predicted {
            self.correct[truth] += examples;
        }
    }

    /// The scores of one class.
    pub fn of_class(&self, class: usize, zero_division: ZeroDivision) -> Scores {
        Scores::of(self.correct[class], self.predicted[class], self.support[class], zero_division.value())
    }

    /// The scores of all classes together, of at least one example.
    pub fn overall(&self, options: ReportOptions) -> OverallScores {
        let averaged: Vec<(Scores, f64)> = (0..self.support.len())
            .filter(|class| options.labels == Labels::All || self.support[*class] + self.predicted[*class] > 0)
            .map(|class| (self.of_class(class, options.zero_division), self.support[class] as f64))
            .collect();
        let (total, correct): (u64, u64) = (self.support.iter().sum(), self.correct.iter().sum());
        OverallScores {
            accuracy: correct as f64 / total as f64,
            matthews: matthews(correct, &self.support, &self.predicted),
            weighted: Scores::mean(&averaged, |support| support),
            macro_average: Scores::mean(&averaged, |_| 1.0),
            micro: Scores::of(correct, total, total, options.zero_division.value()),
        }
    }
}

impl From<&ConfusionMatrix> for ClassCounts {
    fn from(matrix: &ConfusionMatrix) -> Self {
        Self {
            correct: (0..matrix.classes()).map(|class| matrix.count(class, class)).collect(),
            support: matrix.support(),
            predicted: matrix.predicted(),
        }
    }
}

impl ClassificationReport {
    /// Computes the scores of `matrix`, whose classes have the names `label_names`.
    ///
    /// # Errors
    /// A number of names that differs from the number of classes.
    pub fn new<S: AsRef<str>>(matrix: &ConfusionMatrix, label_names: &[S], options: ReportOptions) -> Result<Self> {
        if label_names.len() != matrix.classes() {
            return Err(MetricsError::Names { found: label_names.len(), classes: matrix.classes() });
        }
        let counts = ClassCounts::from(matrix);
        let class_scores = |(class, label): (usize, &S)| ClassScores {
            label: label.as_ref().to_owned(),
            scores: counts.of_class(class, options.zero_division),
            support: counts.support[class],
            predicted: counts.predicted[class],
        };
        let overall = counts.overall(options);
        Ok(Self {
            examples: matrix.total(),
            accuracy: overall.accuracy,
            matthews: overall.matthews,
            weighted: overall.weighted,
            macro_average: overall.macro_average,
            micro: overall.micro,
            per_class: label_names.iter().enumerate().map(class_scores).collect(),
        })
    }

    /// The scores that stand for all, by name in the order to show them: accuracy, then weighted averages, then the others.
    pub fn headline(&self) -> [(&'static str, f64); 6] {
        [
            ("accuracy", self.accuracy),
            ("precision", self.weighted.precision),
            ("recall", self.weighted.recall),
            ("f1", self.weighted.f1),
            ("macro_f1", self.macro_average.f1),
            ("matthews", self.matthews),
        ]
    }

    /// The scores under this average.
    pub fn average(&self, average: Average) -> Scores {
        match average {
            Average::Weighted => self.weighted,
            Average::Macro => self.macro_average,
            Average::Micro => self.micro,
        }
    }
}

impl Scores {
    fn of(true_positives: u64, predicted: u64, support: u64, undefined: f64) -> Self {
        let ratio = |numerator: u64, denominator: u64| match denominator {
            0 => undefined,
            _ => numerator as f64 / denominator as f64,
        };
        Self {
            precision: ratio(true_positives, predicted),
            recall: ratio(true_positives, support),
            f1: ratio(2 * true_positives, predicted + support),
        }
    }

    /// The mean of the classes' scores, weighted by what `weight` makes of a class's support.
    fn mean(classes: &[(Scores, f64)], weight: impl Fn(f64) -> f64) -> Self {
        let mean = |score: fn(&Scores) -> f64| {
            weighted_mean(classes.iter().map(|(scores, support)| (score(scores), weight(*support))))
        };
        Self { precision: mean(|s| s.precision), recall: mean(|s| s.recall), f1: mean(|s| s.f1) }
    }
}

/// The weighted mean of the defined values: NaN when there are none, the plain mean when their weights are all 0.
fn weighted_mean(values: impl Iterator<Item = (f64, f64)>) -> f64 {
    let (mut sum, mut weights, mut plain, mut count) = (0.0, 0.0, 0.0, 0.0);
    for (value, weight) in values.filter(|(value, _)| !value.is_nan()) {
        sum += value * weight;
        weights += weight;
        plain += value;
        count += 1.0;
    }
    if weights > 0.0 { sum / weights } else { plain / count }
}

/// `(c n - t.p) / sqrt((n² - p.p) (n² - t.t))` with `c` correct of `n`, `t` and `p` the true and the predicted counts
/// (Gorodkin 2004). The integers are exact; 0 where a factor is 0.
fn matthews(correct: u64, support: &[u64], predicted: &[u64]) -> f64 {
    let dot = |a: &[u64], b: &[u64]| a.iter().zip(b).map(|(&a, &b)| i128::from(a) * i128::from(b)).sum::<i128>();
    let total = i128::from(support.iter().sum::<u64>());
    let covariance = i128::from(correct) * total - dot(support, predicted);
    let spread = |counts: &[u64]| (total * total - dot(counts, counts)) as f64;
    let product = spread(predicted) * spread(support);
    if product == 0.0 { 0.0 } else { (covariance as f64 / product.sqrt()).clamp(-1.0, 1.0) }
}

/// JSON has no NaN: undefined scores are null there.
mod nan_is_null {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        if value.is_nan() { serializer.serialize_none() } else { serializer.serialize_f64(*value) }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(zero_division: ZeroDivision) -> Result<ClassificationReport> {
        // "b" is never predicted, "c" never true, "d" neither.
        let matrix = ConfusionMatrix::from_pairs(&[0, 0, 1], &[0, 2, 0], 4)?;
        ClassificationReport::new(
            &matrix,
            &["a", "b", "c", "d"],
            ReportOptions { zero_division, labels: Labels::Present },
        )
    }

    #[test]
    fn undefined_scores_take_the_chosen_value() -> Result<()> {
        let zero = report(ZeroDivision::Zero)?;
        assert_eq!(zero.per_class[1].scores, Scores { precision: 0.0, recall: 0.0, f1: 0.0 });
        assert_eq!(zero.per_class[3].scores, Scores { precision: 0.0, recall: 0.0, f1: 0.0 });
        let one = report(ZeroDivision::One)?;
        assert_eq!(one.per_class[1].scores, Scores { precision: 1.0, recall: 0.0, f1: 0.0 });
        assert_eq!(one.per_class[2].scores, Scores { precision: 0.0, recall: 1.0, f1: 0.0 });
        assert_eq!(one.per_class[3].scores, Scores { precision: 1.0, recall: 1.0, f1: 1.0 });
        let nan = report(ZeroDivision::Nan)?;
        assert!(nan.per_class[1].scores.precision.is_nan() && nan.per_class[3].scores.f1.is_nan());
        assert_eq!(nan.macro_average.precision, 0.25, "of a (1/2) and c (0): b and d have none");
        Ok(())
    }

    #[test]
    fn json_reads_back_and_undefined_is_null() -> std::result::Result<(), Box<dyn std::error::Error>> {
        let json = serde_json::to_value(report(ZeroDivision::Nan)?)?;
        assert_eq!(json["per_class"][1]["label"], "b");
        assert!(json["per_class"][1]["precision"].is_null());
        assert_eq!(json["macro"]["precision"], 0.25);
        let back: ClassificationReport = serde_json::from_value(json)?;
        assert!(back.per_class[1].scores.precision.is_nan());
        assert_eq!(back.per_class[0], report(ZeroDivision::Nan)?.per_class[0]);
        Ok(())
    }

    #[test]
    fn names_must_be_as_many_as_classes() -> Result<()> {
        let matrix = ConfusionMatrix::from_pairs(&[0], &[0], 2)?;
        let error = ClassificationReport::new(&matrix, &["only"], ReportOptions::default()).unwrap_err();
        assert_eq!(error, MetricsError::Names { found: 1, classes: 2 });
        Ok(())
    }
}
