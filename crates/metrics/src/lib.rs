//! Scores of a classifier with scikit-learn's definitions, and how sure they are.
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
//! How sure a figure is: [`wilson`] and [`paired_difference`] for shares, a [`Bootstrap`] for everything else. Whether a difference is chance:
//! [`mcnemar_mid_p`] for two models on the same rows, [`two_proportions_p`] for two groups of rows, [`holm`] for several tests.
//!
//! Every score agrees with scikit-learn's to 1e-12 (`tests/fixtures/metrics`), every statistic with scipy's and statsmodels' to
//! 1e-9 (`tests/fixtures/statistics`), every measure of probabilities with scikit-learn's, netcal's, cleanlab's and scipy's to 1e-9
//! (`tests/fixtures/probabilities`). Labels are class indices from 0; what the classes are called matters only for display.

#![warn(missing_docs)]

mod bca;
mod bootstrap;
mod calibration;
mod calibration_interval;
mod classification;
mod confusion;
mod correlation;
mod counting;
mod error;
mod interval;
mod label_errors;
mod metric;
mod normal;
mod plausibility;
mod probabilities;
mod ranking;
mod render;
mod resample;
mod selective;
mod significance;
mod table;
mod temperature;
mod text;
mod thinning;

pub use bca::{BootstrapInterval, BootstrapMethod};
pub use bootstrap::Bootstrap;
pub use calibration::{CONFIDENCE_BINS, CalibrationBin, ConfidenceBins, brier_scores, log_losses};
pub use calibration_interval::CalibrationError;
pub use classification::{
    Average, ClassCounts, ClassScores, ClassificationReport, Labels, OverallScores, ReportOptions, Scores, ZeroDivision,
};
pub use confusion::ConfusionMatrix;
pub use correlation::spearman;
pub use error::{MetricsError, Result, Side};
pub use interval::{paired_difference, wilson};
pub use label_errors::label_issues;
pub use metric::{Direction, Metric};
pub use plausibility::{ScoredSplit, TrainingCourse, implausible_scores, implausible_training};
pub use probabilities::check_probabilities;
pub use ranking::ClassRanking;
pub use selective::{RiskCoverage, SelectionPoint};
pub use significance::{holm, mcnemar_mid_p, two_proportions_p};
pub use temperature::{DegenerateFit, FittedTemperature, TEMPERATURE_LIMITS, fit_temperature, logits_of};
