//! Scores of a classifier, with scikit-learn's definitions.
//!
//! Predictions are counted into a [`ConfusionMatrix`]; everything else is computed from those counts, once, by
//! [`ClassificationReport::new`]. A [`Metric`] names one number of the report, to choose the best model by.
//!
//! ```
//! use metrics::{ClassificationReport, ConfusionMatrix, Metric, ReportOptions};
//!
//! let truth = [0, 1, 1, 0];
//! let predicted = [0, 1, 0, 0];
//! let matrix = ConfusionMatrix::from_pairs(&truth, &predicted, 2)?;
//! let report = ClassificationReport::new(&matrix, &["negative", "positive"], ReportOptions::default())?;
//! assert_eq!(report.accuracy, 0.75);
//!
//! let metric: Metric = "macro-f1".parse()?;
//! println!("{metric} {:.3}\n{report}\n{}", metric.value(&report, 0.4), matrix.render(&["negative", "positive"])?);
//! # Ok::<(), metrics::MetricsError>(())
//! ```
//!
//! Every value agrees with scikit-learn's to 1e-12 (`tests/fixtures/metrics`). Labels are class indices from 0; what
//! the classes are called matters only for display.

#![warn(missing_docs)]

mod classification;
mod confusion;
mod error;
mod metric;
mod plausibility;
mod render;
mod table;
mod text;

pub use classification::{Average, ClassScores, ClassificationReport, Labels, ReportOptions, Scores, ZeroDivision};
pub use confusion::ConfusionMatrix;
pub use error::{MetricsError, Result, Side};
pub use metric::{Direction, Metric};
pub use plausibility::{ScoredSplit, TrainingCourse, implausible_scores, implausible_training};
