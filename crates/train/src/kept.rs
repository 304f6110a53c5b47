//! What a run leaves behind besides its logs: the kept model as a Hugging Face folder, and its figures.

use std::fs;

use metrics::ClassificationReport;
use serde::Serialize;

use crate::error::{Result, TrainError};
use crate::evaluate::Evaluation;
use crate::files::write_atomic;
use crate::observe::{Best, End, EndReason};
use crate::run_directory::RunDirectory;
use crate::setup::Setup;
use crate::trainer::device_name;

/// The prepared data's manifest, copied into the run: what the model was trained on, and how its texts are cut.
pub const DATA: &str = "data.json";

/// The tokenizer's files in a Hugging Face model folder.
const TOKENIZER_FILES: [&str; 4] = ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"];

/// Writes the model with its tokenizer into the run's folder, in the place of an earlier one.
pub(crate) fn keep_model(directory: &RunDirectory, setup: &Setup) -> Result<()> {
    for name in TOKENIZER_FILES {
        let from = setup.checkpoint.folder.join(name);
        if from.is_file() {
            let bytes = fs::read(&from).map_err(TrainError::io("read", &from))?;
            write_atomic(&directory.file(name), bytes)?;
        }
    }
    directory.write(DATA, serde_json::to_string_pretty(&setup.prepared.manifest)? + "\n")?;
    // Last the weights: with them the folder is a usable run.
    setup.model.save(directory.path())?;
    Ok(())
}

/// The content of `metrics.json`.
#[derive(Debug, Serialize)]
pub(crate) struct Figures<'a> {
    reason: EndReason,
    steps: u64,
    epochs: f64,
    seconds: f64,
    /// Over training and its evaluations.
    examples_per_second: f64,
    peak_memory_bytes: Option<u64>,
    device: String,
    precision: String,
    threads: i32,
    dataset: &'a str,
    source: &'a str,
    model: &'a str,
    notes: Vec<&'a str>,
    best: Option<&'a Best>,
    /// Of the kept model.
    validation: Option<Validation<'a>>,
}

#[derive(Debug, Serialize)]
struct Validation<'a> {
    loss: f64,
    #[serde(flatten)]
    report: &'a ClassificationReport,
}

impl<'a> Figures<'a> {
    pub(crate) fn new(setup: &'a Setup, end: &'a End, evaluation: Option<&'a Evaluation>, batch_size: usize) -> Self {
        let manifest = &setup.prepared.manifest;
        let examples = (end.epoch * setup.train.len() as f64).min((end.step * batch_size as u64) as f64);
        Self {
            reason: end.reason,
            steps: end.step,
            epochs: end.epoch,
            seconds: end.seconds,
            examples_per_second: examples / end.seconds,
            peak_memory_bytes: peak_memory_bytes(),
            device: device_name(&setup.model),
            precision: setup.precision_name(),
            threads: tch::get_num_threads(),
            dataset: &manifest.dataset,
            source: &manifest.source,
            model: &setup.checkpoint.name,
            notes: manifest.notes.iter().chain(&setup.checkpoint.note).map(String::as_str).collect(),
            best: end.best.as_ref(),
            validation: evaluation.map(|evaluation| Validation { loss: evaluation.loss, report: &evaluation.report }),
        }
    }

    pub(crate) fn to_json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

/// The most memory that this process had at once, where the system tells (Linux).
pub fn peak_memory_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
