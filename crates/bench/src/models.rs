//! The models to measure with, and the data prepared for each.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::context::BenchContext;
use crate::options::{Device, ModelChoice};

/// The kind of model, on which the targets depend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ModelKind {
    MiniLm,
    BertBase,
    Other,
}

/// A model with its prepared data.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub name: String,
    pub kind: ModelKind,
    /// Weights, configuration and tokenizer in Hugging Face layout, which both sides read.
    pub folder: PathBuf,
    /// The value of `prepare --model`.
    model_flag: String,
    /// The prepared treebank.
    pub prepared: PathBuf,
}

impl Model {
    /// The packaged all-MiniLM-L6-v2 in its folder, with its prepared data.
    pub(crate) fn mini_lm(folder: PathBuf, prepared: PathBuf) -> Model {
        Model { name: "MiniLM-L6".into(), kind: ModelKind::MiniLm, folder, model_flag: "packaged".into(), prepared }
    }

    /// The target for this model on a CPU; other devices and models have none.
    pub(crate) fn target(&self, device: Device, mini_lm: f64, bert_base: f64) -> Option<f64> {
        match (device, self.kind) {
            (Device::Cpu, ModelKind::MiniLm) => Some(mini_lm),
            (Device::Cpu, ModelKind::BertBase) => Some(bert_base),
            _ => None,
        }
    }

    /// Prepares the training and validation sentences, and `test` as the test split, into a folder of this name.
    pub(crate) fn prepare(&self, context: &mut BenchContext, name: &str, test: &str) -> Result<PathBuf> {
        prepare_for(context, &self.model_flag, name, test)
    }
}

/// Makes the models and their data.
///
/// # Errors
/// The packaged model, which every benchmark needs, is not available. Other missing models become notes.
pub(crate) fn prepare(context: &mut BenchContext) -> Result<Vec<Model>> {
    // Always prepared, because BERT-base uses its tokenizer.
    let prepared = prepare_for(context, "packaged", "minilm", "test.csv")?;
    let folder = fetch::packaged::model()?;
    let mini_lm = Model::mini_lm(folder, prepared);
    let mut models = Vec::new();
    for choice in context.options.models() {
        let model = match choice {
            ModelChoice::MiniLm => Ok(mini_lm.clone()),
            ModelChoice::BertBase => bert_base(context, &mini_lm.folder),
            ModelChoice::Folder(folder) => {
                let name = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy().into_owned();
                in_folder(context, name.clone(), ModelKind::Other, folder, &format!("own-{name}"))
            }
        };
        models.extend(context.results.record(true, model));
    }
    Ok(models)
}

/// bert-base-uncased's configuration with random weights, written once.
fn bert_base(context: &mut BenchContext, tokenizer: &Path) -> Result<Model> {
    let folder = context.folder.join("bert-base");
    if !folder.is_dir() {
        let Some(peers) = &context.peers else {
            bail!("BERT-base is skipped: its weights are made by the peers, which are not available");
        };
        let mut script = peers.script("random_model.py");
        script.arg("--tokenizer").arg(tokenizer).arg("--output").arg(&folder);
        context.measure("random weights for BERT-base", script, None)?;
    }
    in_folder(context, "BERT-base".into(), ModelKind::BertBase, folder, "bert-base")
}

fn in_folder(
    context: &mut BenchContext,
    name: String,
    kind: ModelKind,
    folder: PathBuf,
    data_name: &str,
) -> Result<Model> {
    let model_flag = folder.display().to_string();
    let prepared = prepare_for(context, &model_flag, data_name, "test.csv")?;
    Ok(Model { name, kind, folder, model_flag, prepared })
}

fn prepare_for(context: &mut BenchContext, model: &str, name: &str, test: &str) -> Result<PathBuf> {
    let output = context.folder.join("prepared").join(name);
    let data = &context.corpus.folder;
    let mut command = context.verdict(&["prepare", "--allow-leakage", "--model", model]);
    command.arg("--dataset").arg(data.join("train.csv")).arg("--validation-file").arg(data.join("validation.csv"));
    command.arg("--test-file").arg(data.join(test)).arg("--output").arg(&output);
    context.measure(&format!("data for {model}"), command, None)?;
    Ok(output)
}
