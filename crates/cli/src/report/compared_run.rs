//! A run that is compared with others: an evaluation, the options of its training, and how its scores went.

use std::path::Path;

use anyhow::Result;
use data::manifest::Manifest;
use run::{EvaluationResult, Event, RUN_TOML, read_log};

use crate::run_report::{kept, manifest, options};

pub(super) struct ComparedRun {
    /// Its folder as the user named it.
    pub name: String,
    pub result: EvaluationResult,
    /// Of the data that it was trained on; `None` in a folder of other making.
    pub manifest: Option<Manifest>,
    pub options: Vec<(String, String)>,
    /// Accuracy on validation over the epochs of the training.
    pub learning: Vec<(f64, f64)>,
}

impl ComparedRun {
    pub(super) fn read(run: &Path, split: &str) -> Result<Self> {
        let options = std::fs::read_to_string(run.join(RUN_TOML)).map(|toml| options(&toml)).unwrap_or_default();
        let evaluation = |event: Event| match event {
            Event::Evaluation(evaluation) => Some((evaluation.epoch, evaluation.scores.get("accuracy")?)),
            _ => None,
        };
        Ok(Self {
            name: run.display().to_string(),
            result: kept::read(run, split)?,
            manifest: manifest(run),
            options,
            learning: read_log(run)?.into_iter().filter_map(evaluation).collect(),
        })
    }
}
