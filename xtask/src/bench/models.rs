//! The models to measure with, and the data prepared for each.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::Ground;
use super::options::{Device, ModelChoice};
use super::results::Results;
use crate::libtorch::cache_folder;

/// Which aims hold for a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    MiniLm,
    BertBase,
    Other,
}

/// A model that is ready.
#[derive(Debug, Clone)]
pub struct Model {
    pub name: String,
    pub kind: Kind,
    /// Weights, configuration and tokenizer in Hugging Face layout, which both sides read.
    pub folder: PathBuf,
    /// What `prepare --model` is given for it.
    asked: String,
    /// The treebank, prepared for it.
    pub prepared: PathBuf,
}

impl Model {
    /// The aim for this model on the processor; there is none elsewhere or for a person's own model.
    pub fn aim(&self, device: Device, mini_lm: f64, bert_base: f64) -> Option<f64> {
        match (device, self.kind) {
            (Device::Cpu, Kind::MiniLm) => Some(mini_lm),
            (Device::Cpu, Kind::BertBase) => Some(bert_base),
            _ => None,
        }
    }

    /// Prepares the training and validation sentences, and `test` as the test split, into a folder of this name.
    pub fn prepare(&self, ground: &Ground, results: &mut Results, name: &str, test: &str) -> Result<PathBuf> {
        prepare_for(ground, results, &self.asked, name, test)
    }
}

/// Makes the models and their data.
///
/// # Errors
/// The packaged model, which every benchmark needs, can't be had. What else can't becomes a note.
pub fn prepare(ground: &Ground, results: &mut Results) -> Result<Vec<Model>> {
    // Always: its tokenizer is that of BERT-base too.
    let prepared = prepare_for(ground, results, "packaged", "minilm", "test.csv")?;
    let folder = cache_folder()?.join("packaged/all-MiniLM-L6-v2");
    if !folder.join("model.safetensors").is_file() {
        bail!("preparing data for the packaged model left no {}", folder.display());
    }
    let mini_lm = Model { name: "MiniLM-L6".into(), kind: Kind::MiniLm, folder, asked: "packaged".into(), prepared };
    let mut models = Vec::new();
    for choice in &ground.options.models {
        let model = match choice {
            ModelChoice::MiniLm => Ok(mini_lm.clone()),
            ModelChoice::BertBase => bert_base(ground, results, &mini_lm.folder),
            ModelChoice::Folder(folder) => own(ground, results, "own", Kind::Other, folder),
        };
        models.extend(results.attempt(true, model));
    }
    Ok(models)
}

/// bert-base-uncased's configuration with random weights, made once.
fn bert_base(ground: &Ground, results: &mut Results, tokenizer: &Path) -> Result<Model> {
    let folder = ground.folder.join("bert-base");
    if !folder.is_dir() {
        let peers = ground.peers.as_ref();
        let mut script =
            peers.context("BERT-base is left out: without peers nothing makes its weights")?.script("random_model.py");
        script.arg("--tokenizer").arg(tokenizer).arg("--output").arg(&folder);
        ground.measure(results, "random weights for BERT-base", script, None)?;
    }
    let mut model = own(ground, results, "bert-base", Kind::BertBase, &folder)?;
    model.name = "BERT-base".into();
    Ok(model)
}

fn own(ground: &Ground, results: &mut Results, place: &str, kind: Kind, folder: &Path) -> Result<Model> {
    let name = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy().into_owned();
    let asked = folder.display().to_string();
    let place = if kind == Kind::Other { format!("{place}-{name}") } else { place.to_owned() };
    let prepared = prepare_for(ground, results, &asked, &place, "test.csv")?;
    Ok(Model { name, kind, folder: folder.to_owned(), asked, prepared })
}

fn prepare_for(ground: &Ground, results: &mut Results, model: &str, name: &str, test: &str) -> Result<PathBuf> {
    let output = ground.folder.join("prepared").join(name);
    let data = &ground.material.folder;
    let mut command: Command = ground.verdict(&["prepare", "--allow-leakage", "--model", model]);
    command.arg("--dataset").arg(data.join("train.csv")).arg("--validation-file").arg(data.join("validation.csv"));
    command.arg("--test-file").arg(data.join(test)).arg("--output").arg(&output);
    ground.measure(results, &format!("data for {model}"), command, None)?;
    Ok(output)
}
