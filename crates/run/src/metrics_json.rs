//! `metrics.json`: how a training ended and how good its best model is.

use std::collections::BTreeMap;
use std::path::Path;

use disk::DiskError;
use metrics::ClassificationReport;
use serde::{Deserialize, Serialize};

use crate::error::{Result, RunError};
use crate::folder::{METRICS, RunFolder};
use crate::records::{Best, EndReason};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunMetrics {
    pub reason: EndReason,
    pub steps: u64,
    pub epochs: f64,
    pub seconds: f64,
    /// Over training and its evaluations.
    pub examples_per_second: f64,
    /// Of the device that computed: the memory that libtorch held on a GPU, or the resident memory of the process on a
    /// CPU. `null` where it is not known.
    pub peak_memory_bytes: Option<u64>,
    /// Resident memory of the process, on every device.
    #[serde(default)]
    pub peak_host_memory_bytes: Option<u64>,
    /// `cpu` or `cuda:0`.
    pub device: String,
    /// `fp32` or `bf16`.
    pub precision: String,
    /// GFLOP/s of the model's products by number format, by which the format was chosen; empty where nothing was measured.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub product_gflops: BTreeMap<String, f64>,
    /// The processes that trained it together.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub processes: usize,
    /// Of each process.
    pub threads: i32,
    /// Of the kernels on a CPU: `avx512`, `avx2` or `baseline`. `None` on other devices, and if it was not recorded.
    pub instruction_set: Option<String>,
    /// Examples of one forward pass: fewer than a batch where memory was too small for it.
    pub micro_batch_size: usize,
    /// The same in an evaluation; `null` without one.
    #[serde(default)]
    pub eval_batch_size: Option<usize>,
    pub dataset: String,
    pub source: String,
    pub model: String,
    pub notes: Vec<String>,
    pub best: Option<Best>,
    /// Of the best model.
    pub validation: Option<ValidationMetrics>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ValidationMetrics {
    pub loss: f64,
    #[serde(flatten)]
    pub report: ClassificationReport,
}

fn one() -> usize {
    1
}

fn is_one(number: &usize) -> bool {
    *number == 1
}

impl RunMetrics {
    /// The metrics of a finished run.
    ///
    /// # Errors
    /// A file that isn't there or isn't what this program writes.
    pub fn read(run: &Path) -> Result<Self> {
        let path = run.join(METRICS);
        let bytes = std::fs::read(&path).map_err(DiskError::at("read", &path))?;
        serde_json::from_slice(&bytes).map_err(|source| RunError::Record { path, source })
    }

    /// Writes `metrics.json` into the run folder, which marks the run as finished.
    pub fn write(&self, run: &RunFolder) -> Result<()> {
        let json = serde_json::to_string_pretty(self)
            .map_err(|error| DiskError::at("write", run.file(METRICS))(error.into()))?;
        run.write(METRICS, json + "\n")
    }
}
