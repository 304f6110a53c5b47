//! What can be wrong with labels, counts and names.

use std::fmt;

/// This crate's result.
pub type Result<T> = std::result::Result<T, MetricsError>;

/// Which of the two label lists a label came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The labels that the data carries.
    Truth,
    /// The labels that the model gave.
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

/// Why something can't be scored. Rows count from 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum MetricsError {
    #[error(
        "{truth} true labels but {predicted} predicted ones (hint: score each example once, both lists in the same order)"
    )]
    Lengths { truth: usize, predicted: usize },
    #[error(
        "row {row}: {side} label {label} is not a class index below {classes} (hint: labels count from 0, and a split \
         without labels can be predicted but not scored)"
    )]
    Label { side: Side, row: usize, label: u32, classes: usize },
    #[error("no examples to score (hint: choose a split that has labelled rows)")]
    Empty,
    #[error("a confusion matrix needs at least one class, 0 were given (hint: pass the number of label names)")]
    NoClasses,
    #[error(
        "row {row} of the counts has {found} columns, expected {classes} (hint: one row and one column for each class)"
    )]
    NotSquare { row: usize, found: usize, classes: usize },
    #[error("the counts add up to more than 2^62 examples (hint: the file they came from is damaged)")]
    TooMany,
    #[error("{found} label names for {classes} classes (hint: one name for each class, in the order of the indices)")]
    Names { found: usize, classes: usize },
    #[error(
        "\"{found}\" is not a metric (hint: loss, accuracy, matthews, or precision, recall, f1, alone for the weighted \
         average or as in macro-f1 and micro-f1)"
    )]
    UnknownMetric { found: String },
}
