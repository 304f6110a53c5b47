//! `evaluation-SPLIT.json`: a run's scores on a split.

use std::path::{Path, PathBuf};

use disk::DiskError;
use judge::{Judgement, SCHEMA_VERSION};
use metrics::ClassificationReport;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::environment::Environment;
use crate::error::{Result, RunError};
use crate::group_scores::GroupScores;

/// What `evaluate` found: on what, in which way, and how good the model is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluationResult {
    pub run: String,
    pub data: String,
    pub dataset: String,
    pub source: String,
    pub model: String,
    pub split: String,
    /// `fp32`, `bf16` or `int8`.
    pub precision: String,
    /// `cpu` or `cuda:0`.
    pub device: String,
    /// Mean cross-entropy.
    pub loss: f64,
    pub seconds: f64,
    /// The share of the first batch in that, into which one-off costs of the process fall.
    pub first_batch_seconds: f64,
    #[serde(flatten)]
    pub report: ClassificationReport,
    pub label_names: Vec<String>,
    /// Rows are true classes, columns predicted ones.
    pub confusion_matrix: Vec<Vec<u64>>,
    pub notes: Vec<String>,
    /// With what it was computed; `None` in files of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    /// The scores of all runs of the group that this is the best run of, if it is of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupScores>,
    /// What the scores mean; `None` where that was not judged, and where another version judged it.
    #[serde(default, deserialize_with = "of_this_version", skip_serializing_if = "Option::is_none")]
    pub judgement: Option<Judgement>,
}

/// The other scores of a file are read whatever version wrote its judgement.
fn of_this_version<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<Judgement>, D::Error> {
    let value = Option::<Value>::deserialize(deserializer)?;
    let is_ours = |value: &Value| value["schema_version"] == SCHEMA_VERSION;
    value.filter(is_ours).map(|value| serde_json::from_value(value).map_err(serde::de::Error::custom)).transpose()
}

impl EvaluationResult {
    pub fn path(run: &Path, split: &str) -> PathBuf {
        run.join(format!("evaluation-{split}.json"))
    }

    /// The result of a run on a split.
    ///
    /// # Errors
    /// A file that isn't there or isn't what this program writes.
    pub fn read(run: &Path, split: &str) -> Result<Self> {
        let path = Self::path(run, split);
        let bytes = std::fs::read(&path).map_err(DiskError::at("read", &path))?;
        serde_json::from_slice(&bytes).map_err(|source| RunError::Record { path, source })
    }

    /// The content of its file.
    ///
    /// # Errors
    /// Names that can't be written as JSON.
    pub fn to_json(&self) -> serde_json::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}
