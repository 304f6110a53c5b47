//! `calibration.json`: the temperature that is folded into a run's weights, and what that changed.

use std::fmt;
use std::path::{Path, PathBuf};

use disk::{DiskError, sha256_file};
use judge::Calibration;
use serde::{Deserialize, Serialize};

use crate::error::{Result, RunError};
use crate::folder::MODEL;

/// In the run's folder.
pub const CALIBRATION: &str = "calibration.json";

/// How a run's model was calibrated after its training. It holds only for the weights that it names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CalibrationRecord {
    /// What the trained model's logits are divided by, by all calibrations together.
    pub temperature: f64,
    /// The prepared data that it was fitted on.
    pub data: String,
    /// The split that it was fitted on, and what it changed there.
    pub fitted_on: CalibratedSplit,
    /// What it changed on a split that it was not fitted on, where there is a labeled one.
    pub held_out: Option<CalibratedSplit>,
    /// `fp32` or `bf16`: the number format in which the probabilities were computed.
    pub precision: String,
    /// sha256 of the weights as they were trained.
    pub trained_weights_sha256: String,
    /// sha256 of the weights with the temperature in them.
    pub calibrated_weights_sha256: String,
}

/// The probabilities for a split before and after a calibration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CalibratedSplit {
    /// The split's name.
    pub split: String,
    /// How many rows it has.
    pub rows: u64,
    /// With the weights before.
    pub before: Calibration,
    /// With the weights after.
    pub after: Calibration,
}

impl CalibrationRecord {
    pub fn path(run: &Path) -> PathBuf {
        run.join(CALIBRATION)
    }

    /// The record of the weights that are in a run's folder now: `None` where they are not calibrated, as after a resumed
    /// training. Reads the weights, where there is a record.
    ///
    /// # Errors
    /// Files that can't be read, and a record that isn't what this program writes.
    pub fn of(run: &Path) -> Result<Option<Self>> {
        let path = Self::path(run);
        if !path.exists() {
            return Ok(None);
        }
        let bytes = std::fs::read(&path).map_err(DiskError::at("read", &path))?;
        let record: Self = serde_json::from_slice(&bytes).map_err(|source| RunError::Record { path, source })?;
        let weights = sha256_file(&run.join(MODEL))?;
        Ok(Some(record).filter(|record| record.calibrated_weights_sha256 == weights))
    }

    /// The content of its file.
    ///
    /// # Errors
    /// Figures that can't be written as JSON.
    pub fn to_json(&self) -> serde_json::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

/// In words.
impl fmt::Display for CalibrationRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { temperature, fitted_on, .. } = self;
        write!(
            f,
            "the probabilities are calibrated: with a temperature of {temperature:.3}, fitted on the {} {} rows",
            fitted_on.rows, fitted_on.split
        )
    }
}

#[cfg(test)]
mod tests {
    use disk::sha256_hex;
    use judge::{Estimate, IntervalMethod};

    use super::*;

    fn record(calibrated: &str) -> CalibrationRecord {
        let estimate = Estimate { value: 0.5, low: 0.25, high: 0.75, method: IntervalMethod::Bca };
        let measured = Calibration { log_loss: estimate, brier: estimate, ece: estimate, bins: Vec::new() };
        let split =
            CalibratedSplit { split: "validation".to_owned(), rows: 872, before: measured.clone(), after: measured };
        CalibrationRecord {
            temperature: 1.25,
            data: "data".to_owned(),
            fitted_on: split,
            held_out: None,
            precision: "fp32".to_owned(),
            trained_weights_sha256: sha256_hex("trained"),
            calibrated_weights_sha256: sha256_hex(calibrated),
        }
    }

    #[test]
    fn a_record_holds_for_the_weights_that_it_names() {
        let run = tempfile::tempdir().unwrap();
        assert_eq!(CalibrationRecord::of(run.path()).unwrap(), None);
        let made = record("calibrated");
        std::fs::write(CalibrationRecord::path(run.path()), made.to_json().unwrap()).unwrap();
        std::fs::write(run.path().join(MODEL), "calibrated").unwrap();
        assert_eq!(CalibrationRecord::of(run.path()).unwrap(), Some(made.clone()));
        assert_eq!(
            made.to_string(),
            "the probabilities are calibrated: with a temperature of 1.250, fitted on the 872 validation rows"
        );
        std::fs::write(run.path().join(MODEL), "trained again").unwrap();
        assert_eq!(CalibrationRecord::of(run.path()).unwrap(), None);
        std::fs::write(CalibrationRecord::path(run.path()), "{").unwrap();
        let error = CalibrationRecord::of(run.path()).unwrap_err().to_string();
        assert!(error.contains("calibration.json") && error.contains("damaged"), "{error}");
    }
}
