//! What a run needs, found and held against each other before the first step: device, data, model, tokenizer.

use std::path::Path;

use data::manifest::{Manifest, Prepared, newest_prepared};
use data::store::Examples;
use data::tokenize;
use fetch::cache::sha256_file;
use fetch::{Checkpoint, Origin};
use model::{BertForSequenceClassification, Config, DropoutOverrides, LoadOptions, LoadReport};
use tch::Device;

use crate::checkpoint::Identity;
use crate::config::{ClassWeights, TrainConfig};
use crate::device::{device, precision};
use crate::error::{Result, TrainError};
use crate::kept::CONFIG;
use crate::memory;
use crate::room;
use crate::trainer::device_name;

/// A run's parts, checked.
pub(crate) struct Setup {
    pub(crate) prepared: Prepared,
    pub(crate) train: Examples,
    /// `None` where the data has no labelled validation split.
    pub(crate) validation: Option<Examples>,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) model: BertForSequenceClassification,
    pub(crate) report: LoadReport,
    pub(crate) precision: model::Precision,
}

impl Setup {
    pub(crate) fn new(config: &TrainConfig) -> Result<Self> {
        let device = device(config.device)?;
        if let Some(threads) = config.threads {
            tch::set_num_threads(threads as i32);
        }
        let dir = match &config.data {
            Some(dir) => dir.clone(),
            None => newest_prepared()?,
        };
        let prepared = Prepared::open(&dir)?;
        let manifest = &prepared.manifest;
        let train = prepared.split("train")?;
        let labelled = |split: &str| manifest.splits.get(split).is_some_and(|split| split.labelled == split.rows);
        if !labelled("train") {
            let split = &manifest.splits["train"];
            let unlabelled = split.rows - split.labelled;
            return Err(TrainError::Unlabelled { split: "train".to_owned(), rows: split.rows, unlabelled });
        }
        if train.len() < config.batch_size {
            return Err(TrainError::TooFewRows { data: dir, rows: train.len(), batch_size: config.batch_size });
        }
        let validation = if labelled("validation") { Some(prepared.split("validation")?) } else { None };
        let checkpoint = find_model(config.model.as_deref(), manifest)?;
        check_fit(manifest, &dir, &checkpoint)?;
        let precision = precision(config.precision, device);
        if device == Device::Cpu {
            let mut model = Config::from_folder(&checkpoint.folder)?;
            model.set_labels(&manifest.label_names);
            model.override_dropout(dropout(config));
            check_memory(config, &model, precision, (&train, validation.as_ref()))?;
        }
        let (model, report) = load(config, manifest, &checkpoint.folder, device, precision)?;
        Ok(Self { prepared, train, validation, checkpoint, model, report, precision })
    }

    /// `fp32` or `bf16`.
    pub(crate) fn precision_name(&self) -> String {
        format!("{:?}", self.precision).to_lowercase()
    }

    /// The sha256 of the weights that training begins with, which takes a second for every two gigabytes.
    pub(crate) fn base_weights_sha256(&self) -> Result<String> {
        Ok(sha256_file(&self.checkpoint.folder.join("model.safetensors"))?)
    }

    /// What decides about every bit of the run besides its configuration; the sum of the base weights is left open.
    pub(crate) fn identity(&self) -> Result<Identity> {
        let manifest = &self.prepared.manifest;
        let sum_of = |split: &str| manifest.splits.get(split).map(|split| split.sha256.clone());
        let base_config = self.checkpoint.folder.join(CONFIG);
        Ok(Identity {
            train_sha256: sum_of("train").unwrap_or_default(),
            validation_sha256: sum_of("validation"),
            label_names: manifest.label_names.clone(),
            tokenizer_sha256: manifest.tokenizer_sha256.clone(),
            base_config_sha256: sha256_file(&base_config)?,
            base_weights_sha256: String::new(),
            device: device_name(&self.model),
            precision: self.precision_name(),
            threads: tch::get_num_threads(),
        })
    }

    /// The weight of each class in the loss.
    pub(crate) fn class_weights(&self, config: &TrainConfig) -> Option<Vec<f64>> {
        let counts = &self.prepared.manifest.splits["train"].label_counts;
        match &config.class_weights {
            ClassWeights::None => None,
            // scikit-learn's "balanced": every class counts the same in sum, and the mean example counts 1.
            ClassWeights::Balanced => {
                let (rows, classes) = (counts.iter().sum::<usize>() as f64, counts.len() as f64);
                Some(counts.iter().map(|&count| rows / (classes * (count as f64).max(1.0))).collect())
            }
            ClassWeights::Values(values) => Some(values.clone()),
        }
    }
}

/// The model asked for, and without one that of the data: its tokenizer made the ids.
fn find_model(asked: Option<&str>, manifest: &Manifest) -> Result<Checkpoint> {
    if let Some(name) = asked {
        return Ok(fetch::checkpoint(Some(name))?);
    }
    let source = &manifest.model;
    let name = match source.origin {
        Origin::Packaged => "packaged",
        _ => &source.name,
    };
    let found = fetch::checkpoint(Some(name))?;
    Ok(Checkpoint { note: source.note.clone().or(found.note), ..found })
}

/// Refuses data whose ids this model would read as other words, or can't read at all.
fn check_fit(manifest: &Manifest, dir: &Path, checkpoint: &Checkpoint) -> Result<()> {
    let config = Config::from_folder(&checkpoint.folder)?;
    let unfit = |problem: String, max_length: usize| {
        Err(TrainError::Unfit {
            data: dir.to_owned(),
            model: checkpoint.name.clone(),
            problem,
            dataset: manifest.dataset.clone(),
            max_length,
        })
    };
    // The tokenizer itself isn't needed: the texts are ids by now.
    if tokenize::sha256(&checkpoint.folder)? != manifest.tokenizer_sha256 {
        let problem = format!("it was tokenized for {}, whose tokenizer is another one", manifest.model.name);
        return unfit(problem, manifest.max_length);
    }
    let positions = config.max_position_embeddings as usize;
    if manifest.splits.values().any(|split| split.longest > positions) {
        let problem = format!("its texts have up to {} tokens, and the model reads {positions}", manifest.max_length);
        return unfit(problem, positions);
    }
    if manifest.vocab_size > config.vocab_size as usize {
        let problem =
            format!("its token ids go up to {}, and the model knows {}", manifest.vocab_size - 1, config.vocab_size);
        return unfit(problem, manifest.max_length);
    }
    Ok(())
}

fn dropout(config: &TrainConfig) -> DropoutOverrides {
    DropoutOverrides {
        hidden: config.hidden_dropout,
        attention: config.attention_dropout,
        classifier: config.classifier_dropout,
    }
}

/// Refuses a run that this machine's memory can't hold, before any weight is read.
fn check_memory(
    config: &TrainConfig,
    model: &Config,
    precision: model::Precision,
    (train, validation): (&Examples, Option<&Examples>),
) -> Result<()> {
    let (train, validation) = (train.token_counts(), validation.map(Examples::token_counts).unwrap_or_default());
    let plan = memory::Plan { config, model, precision, train: &train, validation: &validation };
    let need = memory::check(&plan)?;
    tracing::debug!("memory at most: {} ({need:?})", room::shown(need.total()));
    Ok(())
}

fn load(
    config: &TrainConfig,
    manifest: &Manifest,
    folder: &Path,
    device: Device,
    precision: model::Precision,
) -> Result<(BertForSequenceClassification, LoadReport)> {
    config.validate_layers(Config::from_folder(folder)?.num_hidden_layers as usize)?;
    config.validate_labels(&manifest.label_names)?;
    let options = LoadOptions {
        label_names: Some(manifest.label_names.clone()),
        device,
        precision,
        seed: config.seed,
        dropout: dropout(config),
        reinit_layers: config.reinit_layers as i64,
    };
    let (mut model, report) = BertForSequenceClassification::load(folder, &options)?;
    model.parameters_mut().freeze(|name| config.freezes(name));
    Ok((model, report))
}
