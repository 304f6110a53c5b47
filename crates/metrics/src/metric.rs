//! The metric by which the best model is chosen, by name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::classification::{Average, ClassificationReport};
use crate::error::MetricsError;

/// Whether higher or lower is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// A higher value is better.
    Higher,
    /// A lower value is better.
    Lower,
}

/// A number to compare models by. Parsed from and displayed as `loss`, `accuracy`, `matthews`, `f1` (weighted),
/// `macro-f1`, `micro-f1`, and so for `precision` and `recall`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Metric {
    /// The mean loss of the evaluation.
    Loss,
    /// The share of examples that got their true class.
    Accuracy,
    /// Matthews correlation.
    Matthews,
    /// Precision under an average.
    Precision(Average),
    /// Recall under an average.
    Recall(Average),
    /// F1 under an average.
    F1(Average),
}

impl Metric {
    /// This metric's value in an evaluation with the given mean `loss`.
    pub fn value(self, report: &ClassificationReport, loss: f64) -> f64 {
        match self {
            Metric::Loss => loss,
            Metric::Accuracy => report.accuracy,
            Metric::Matthews => report.matthews,
            Metric::Precision(average) => report.average(average).precision,
            Metric::Recall(average) => report.average(average).recall,
            Metric::F1(average) => report.average(average).f1,
        }
    }

    /// Whether higher or lower is better.
    pub fn direction(self) -> Direction {
        match self {
            Metric::Loss => Direction::Lower,
            _ => Direction::Higher,
        }
    }

    /// Whether `candidate` is better than `best`. A tie and NaN are not; any number is better than NaN.
    pub fn is_better(self, candidate: f64, best: f64) -> bool {
        match self.direction() {
            _ if candidate.is_nan() => false,
            _ if best.is_nan() => true,
            Direction::Higher => candidate > best,
            Direction::Lower => candidate < best,
        }
    }
}

impl FromStr for Metric {
    type Err = MetricsError;

    fn from_str(text: &str) -> Result<Self, MetricsError> {
        let name = text.trim().to_ascii_lowercase().replace('_', "-");
        let (average, score) = match name.split_once('-') {
            None => (None, name.as_str()),
            Some((first, last)) => match (average(first), average(last)) {
                (Some(average), None) => (Some(average), last),
                (None, Some(average)) => (Some(average), first),
                _ => {
                    return Err(MetricsError::UnknownMetric { found: text.to_owned() });
                }
            },
        };
        match (score, average) {
            ("loss", None) => Ok(Metric::Loss),
            ("accuracy", None) => Ok(Metric::Accuracy),
            ("matthews" | "mcc", None) => Ok(Metric::Matthews),
            ("precision", average) => Ok(Metric::Precision(average.unwrap_or_default())),
            ("recall", average) => Ok(Metric::Recall(average.unwrap_or_default())),
            ("f1", average) => Ok(Metric::F1(average.unwrap_or_default())),
            _ => Err(MetricsError::UnknownMetric { found: text.to_owned() }),
        }
    }
}

fn average(name: &str) -> Option<Average> {
    match name {
        "weighted" => Some(Average::Weighted),
        "macro" => Some(Average::Macro),
        "micro" => Some(Average::Micro),
        _ => None,
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (average, score) = match *self {
            Metric::Loss => return f.write_str("loss"),
            Metric::Accuracy => return f.write_str("accuracy"),
            Metric::Matthews => return f.write_str("matthews"),
            Metric::Precision(average) => (average, "precision"),
            Metric::Recall(average) => (average, "recall"),
            Metric::F1(average) => (average, "f1"),
        };
        match average {
            Average::Weighted => f.write_str(score),
            Average::Macro => write!(f, "macro-{score}"),
            Average::Micro => write!(f, "micro-{score}"),
        }
    }
}

impl TryFrom<String> for Metric {
    type Error = MetricsError;

    fn try_from(text: String) -> Result<Self, MetricsError> {
        text.parse()
    }
}

impl From<Metric> for String {
    fn from(metric: Metric) -> Self {
        metric.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ConfusionMatrix, ReportOptions};

    #[test]
    fn names_read_and_print() -> Result<(), MetricsError> {
        for name in ["loss", "accuracy", "matthews", "precision", "macro-recall", "micro-f1", "f1", "macro-f1"] {
            assert_eq!(name.parse::<Metric>()?.to_string(), name);
        }
        for (alias, name) in [("weighted-f1", "f1"), ("F1_macro", "macro-f1"), (" mcc ", "matthews")] {
            assert_eq!(alias.parse::<Metric>()?.to_string(), name);
        }
        for wrong in ["", "f2", "macro-loss", "macro-micro", "macro-f1-x", "macro-", "-f1", "weighted-accuracy"] {
            let error = wrong.parse::<Metric>().unwrap_err();
            assert_eq!(error, MetricsError::UnknownMetric { found: wrong.to_owned() });
        }
        Ok(())
    }

    #[test]
    fn each_metric_has_its_value_and_direction() -> Result<(), MetricsError> {
        let matrix = ConfusionMatrix::from_pairs(&[0, 0, 0, 1], &[0, 0, 1, 1], 2)?;
        let report = ClassificationReport::new(&matrix, &["a", "b"], ReportOptions::default())?;
        let value = |name: &str| name.parse::<Metric>().map(|metric| metric.value(&report, 0.3));
        assert_eq!(value("loss")?, 0.3);
        assert_eq!(value("accuracy")?, 0.75);
        assert_eq!(value("precision")?, 0.875);
        assert_eq!(value("macro-precision")?, 0.75);
        assert_eq!(value("micro-recall")?, 0.75);
        assert!((value("f1")? - (0.75 * 0.8 + 0.25 * 2.0 / 3.0)).abs() < 1e-15);
        assert!((value("matthews")? - 1.0 / 3f64.sqrt()).abs() < 1e-15);
        let better = |metric: Metric, a, b| metric.is_better(a, b);
        assert!(better(Metric::Loss, 0.1, 0.2) && !better(Metric::Loss, 0.2, 0.1));
        assert!(better(Metric::Accuracy, 0.2, 0.1) && !better(Metric::Accuracy, 0.1, 0.2));
        assert!(!better(Metric::Accuracy, 0.2, 0.2), "the earlier of two equals stays");
        assert!(!better(Metric::Loss, f64::NAN, 9.0) && better(Metric::Loss, 9.0, f64::NAN));
        Ok(())
    }
}
