//! What a run leaves behind besides its logs: the kept model as a Hugging Face folder, and its figures.

use std::fs;

use metrics::{ClassificationReport, Options};
use serde::Serialize;

use crate::checkpoint::{BestModel, Publication};
use crate::error::{Result, TrainError};
use crate::observe::{Best, End, EndReason};
use crate::setup::Setup;
use crate::trainer::device_name;

/// The prepared data's manifest, copied into the run: what the model was trained on, and how its texts are cut.
pub const DATA: &str = "data.json";

/// The model's configuration in a Hugging Face model folder.
pub(crate) const CONFIG: &str = "config.json";

/// The tokenizer's files in a Hugging Face model folder.
const TOKENIZER_FILES: [&str; 4] = ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"];

/// The files that make a run's folder a Hugging Face model folder, besides the weights.
pub(crate) fn publication(setup: &Setup) -> Result<Publication> {
    let mut files = Publication::new();
    for name in TOKENIZER_FILES {
        let from = setup.checkpoint.folder.join(name);
        if from.is_file() {
            files.push((name.to_owned(), fs::read(&from).map_err(TrainError::io("read", &from))?));
        }
    }
    files.push((DATA.to_owned(), (serde_json::to_string_pretty(&setup.prepared.manifest)? + "\n").into_bytes()));
    files.push((CONFIG.to_owned(), setup.model.config().to_json()?.into_bytes()));
    Ok(files)
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
    /// Examples of one forward pass: fewer than a batch where a GPU's memory was too small for it.
    micro_batch_size: usize,
    dataset: &'a str,
    source: &'a str,
    model: &'a str,
    notes: Vec<&'a str>,
    best: Option<&'a Best>,
    /// Of the kept model.
    validation: Option<Validation>,
}

#[derive(Debug, Serialize)]
struct Validation {
    loss: f64,
    #[serde(flatten)]
    report: ClassificationReport,
}

impl<'a> Figures<'a> {
    pub(crate) fn new(
        setup: &'a Setup,
        end: &'a End,
        best: Option<&BestModel>,
        batch_size: usize,
        micro_batch_parts: usize,
    ) -> Result<Self> {
        let manifest = &setup.prepared.manifest;
        let examples = (end.epoch * setup.train.len() as f64).min((end.step * batch_size as u64) as f64);
        let validation = |model: &BestModel| -> Result<Validation> {
            let report = ClassificationReport::new(&model.confusion, &manifest.label_names, Options::default())?;
            Ok(Validation { loss: model.loss, report })
        };
        Ok(Self {
            reason: end.reason,
            steps: end.step,
            epochs: end.epoch,
            seconds: end.seconds,
            examples_per_second: examples / end.seconds,
            peak_memory_bytes: peak_memory_bytes(),
            device: device_name(&setup.model),
            precision: setup.precision_name(),
            threads: tch::get_num_threads(),
            micro_batch_size: batch_size.div_ceil(micro_batch_parts),
            dataset: &manifest.dataset,
            source: &manifest.source,
            model: &setup.checkpoint.name,
            notes: manifest.notes.iter().chain(&setup.checkpoint.note).map(String::as_str).collect(),
            best: end.best.as_ref(),
            validation: best.map(validation).transpose()?,
        })
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
