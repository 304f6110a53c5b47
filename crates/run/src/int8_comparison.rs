//! `int8.json`: how a run's model computes in int8, held against fp32.

use std::fmt;
use std::path::Path;
use std::time::UNIX_EPOCH;

use disk::{DiskError, write_atomic};
use serde::{Deserialize, Serialize};

use crate::error::{Result, RunError};
use crate::folder::MODEL;

/// In the run's folder.
const FILE: &str = "int8.json";

/// A model's predictions in int8 held against those in fp32, on the same rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Int8Comparison {
    /// The rows' split.
    pub split: String,
    /// How many there are.
    pub rows: usize,
    /// How many have the same label in both formats.
    pub same_labels: usize,
    /// The share of right labels in int8, from 0 to 1.
    pub accuracy_int8: f64,
    /// The same in fp32.
    pub accuracy_fp32: f64,
    /// The weights that were compared.
    pub weights: WeightsFile,
}

/// What tells one weights file from another, without reading it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightsFile {
    bytes: u64,
    /// Nanoseconds since 1970.
    modified: u64,
}

impl WeightsFile {
    /// The weights of a run.
    ///
    /// # Errors
    /// A file that is not there.
    pub fn of(run: &Path) -> Result<Self> {
        let path = run.join(MODEL);
        let read = || {
            let metadata = std::fs::metadata(&path)?;
            let modified = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
            Ok(Self { bytes: metadata.len(), modified: u64::try_from(modified.as_nanos()).unwrap_or(u64::MAX) })
        };
        Ok(read().map_err(DiskError::at("read", &path))?)
    }
}

impl Int8Comparison {
    /// The comparison that is kept with a run; `None` without one, or if it is of other weights or not readable.
    pub fn read(run: &Path) -> Option<Self> {
        let kept: Self = serde_json::from_slice(&std::fs::read(run.join(FILE)).ok()?).ok()?;
        (kept.weights == WeightsFile::of(run).ok()?).then_some(kept)
    }

    /// Keeps it with the run.
    ///
    /// # Errors
    /// A folder that can't be written.
    pub fn write(&self, run: &Path) -> Result<()> {
        let path = run.join(FILE);
        let json =
            serde_json::to_string_pretty(self).map_err(|source| RunError::Record { path: path.clone(), source })?;
        Ok(write_atomic(&path, json + "\n")?)
    }
}

/// In words, with percentages.
impl fmt::Display for Int8Comparison {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { split, rows, same_labels, accuracy_int8, accuracy_fp32, .. } = self;
        write!(
            f,
            "int8 gives {same_labels} of the {rows} {split} rows the label of fp32 ({:.2} %); accuracy {:.2} %, fp32 {:.2} %",
            100.0 * *same_labels as f64 / *rows as f64,
            100.0 * accuracy_int8,
            100.0 * accuracy_fp32
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comparison_is_kept_until_the_weights_change() {
        let run = tempfile::tempdir().unwrap();
        assert_eq!(Int8Comparison::read(run.path()), None);
        std::fs::write(run.path().join(MODEL), "weights").unwrap();
        let weights = WeightsFile::of(run.path()).unwrap();
        let (split, rows, same_labels) = ("validation".to_owned(), 872, 864);
        let made = Int8Comparison { split, rows, same_labels, accuracy_int8: 0.87, accuracy_fp32: 0.8725, weights };
        made.write(run.path()).unwrap();
        assert_eq!(Int8Comparison::read(run.path()), Some(made.clone()));
        assert_eq!(
            made.to_string(),
            "int8 gives 864 of the 872 validation rows the label of fp32 (99.08 %); accuracy 87.00 %, fp32 87.25 %"
        );
        std::fs::write(run.path().join(MODEL), "other weights").unwrap();
        assert_eq!(Int8Comparison::read(run.path()), None);
        std::fs::write(run.path().join(FILE), "{").unwrap();
        assert_eq!(Int8Comparison::read(run.path()), None);
    }
}
