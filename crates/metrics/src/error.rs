//! Why labels, counts or names are rejected.

use std::fmt;

/// A result with [`MetricsError`].
pub type Result<T> = std::result::Result<T, MetricsError>;

/// Which of the two label lists a label came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The labels of the data.
    Truth,
    /// The labels that the model predicted.
    Predicted,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Truth => "true",
            Side::Predicted => "predicted",
        })
    }
}

/// Why something can't be scored. Rows are numbered from 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum MetricsError {
    #[error(
        "expected one predicted label for each of {truth} true labels, found {predicted} (hint: both lists must be in the same order)"
    )]
    Lengths { truth: usize, predicted: usize },
    #[error(
        "row {row}: expected a {side} label below {classes}, found {label} (hint: labels count from 0, and a split \
         without labels can be predicted but not scored)"
    )]
    Label { side: Side, row: usize, label: u32, classes: usize },
    #[error("no examples to score (hint: choose a split that has labeled rows)")]
    Empty,
    #[error("expected at least one class, found 0 (hint: pass the number of label names)")]
    NoClasses,
    #[error("expected {classes} counts in row {row}, found {found} (hint: one row and one column for each class)")]
    NotSquare { row: usize, found: usize, classes: usize },
    #[error(
        "row {row}: expected probabilities from 0 to 1, found {found} (hint: the model computes what are not numbers; train it \
         again with a smaller --learning-rate, or in fp32)"
    )]
    Probability { row: usize, found: String },
    #[error("row {row}: expected {classes} probabilities, found {found} (hint: one for each class)")]
    ProbabilityCount { row: usize, found: usize, classes: usize },
    #[error("the counts add up to more than 2^62 examples (hint: the file they came from is damaged)")]
    TooMany,
    #[error(
        "expected {classes} label names, found {found} (hint: one name for each class, in the order of the indices)"
    )]
    Names { found: usize, classes: usize },
    #[error(
        "\"{found}\" is not a metric (hint: choose loss, accuracy, matthews, or precision, recall or f1, alone for the \
         weighted average or as in macro-f1 and micro-f1)"
    )]
    UnknownMetric { found: String },
}
