//! Finds the device, data, model and tokenizer of a run and checks that they are compatible before the first step.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use collective::{Alone, Collective};
use data::DataError;
use data::manifest::{Manifest, ModelSource, Prepared, newest_prepared};
use data::store::Examples;
use disk::{human_bytes, sha256_file};
use fetch::{ModelOrigin, PretrainedModel};
use kernels::isa::Isa;
use model::{
    Backend, ChosenPrecision, Config, GpuModel, LoadOptions, LoadReport, PrecisionChoice, SequenceClassifier,
    check_dropout, device_name,
};
use run::{CONFIG, DATA, MODEL};
use tch::Device;
use tokenize::Casing;

use crate::checkpoint::{Identity, Publication};
use crate::error::{Result, TrainError};
use crate::memory_estimate;
use crate::options::{ClassWeights, RegularizationOptions, TrainConfig};
use crate::ranks;

/// The checked inputs of a run.
pub(crate) struct Setup {
    pub(crate) prepared: Prepared,
    pub(crate) train: Examples,
    /// `None` if the data has no labeled validation split.
    pub(crate) validation: Option<Examples>,
    pub(crate) pretrained: PretrainedModel,
    /// `config.json` with the run's labels and dropout.
    pub(crate) model_config: Config,
    pub(crate) precision: ChosenPrecision,
    pub(crate) device: Device,
    pub(crate) backend: Backend,
    /// The most memory in bytes that the run is expected to need.
    pub(crate) memory: u64,
    /// Notes about device and precision that were chosen for a reason that is not the user's.
    pub(crate) choice_notes: Vec<String>,
}

impl Setup {
    /// `recorded` is the precision of the run that is resumed, which `auto` then means on a CPU: measured again, another one
    /// could be chosen, or another library.
    pub(crate) fn new(config: &TrainConfig, recorded: Option<ChosenPrecision>, ranks: &dyn Collective) -> Result<Self> {
        let device = ranks::device_of(config.device.device()?, ranks)?;
        ranks::set_threads(config, ranks);
        let dir = data_folder(config)?;
        let prepared = Prepared::open(&dir)?;
        let manifest = &prepared.manifest;
        let train = prepared.split("train")?;
        let labeled = |split: &str| manifest.splits.get(split).is_some_and(|split| split.labeled == split.rows);
        if !labeled("train") {
            let split = &manifest.splits["train"];
            return Err(unlabeled("train", split.rows, split.rows - split.labeled));
        }
        if train.len() < config.batch_size {
            return Err(TrainError::Refused(format!(
                "{} has {rows} training rows, fewer than one batch of {} (hint: more data, or --batch-size {rows})",
                dir.display(),
                config.batch_size,
                rows = train.len(),
            )));
        }
        let validation = if labeled("validation") { Some(prepared.split("validation")?) } else { None };
        let pretrained = find_model(config.model.as_deref(), manifest)?;
        let mut model_config = Config::from_folder(&pretrained.folder)?;
        check_data_matches_model(&prepared, &pretrained, &model_config)?;
        config.regularization.check_layers(model_config.num_hidden_layers as usize)?;
        config.regularization.check_labels(&manifest.label_names)?;
        config.regularization.check_label_counts(&manifest.splits["train"].label_counts)?;
        config.schedule.check_total_steps(total_steps(config, train.len()))?;
        model_config.set_labels(&manifest.label_names);
        override_dropout(&mut model_config, &config.regularization);
        let precision = match (config.precision, recorded) {
            (PrecisionChoice::Auto, Some(recorded)) if device == Device::Cpu => recorded,
            (choice, _) => choice.on(device, &model_config),
        };
        let memory = check_memory(config, &model_config, (device, precision), (&train, validation.as_ref()), ranks)?;
        let backend = Backend::on(device)?;
        if backend == Backend::Libtorch && has_dropout(&model_config) {
            check_dropout(device)?;
        }
        let choice_notes = config.device.note(device).into_iter().chain(config.precision.note(device)).collect();
        Ok(Self {
            prepared,
            train,
            validation,
            pretrained,
            model_config,
            device,
            backend,
            precision,
            memory,
            choice_notes,
        })
    }

    /// The pretrained model with the run's labels, dropout and frozen parts, and a report of what was loaded from its
    /// file.
    pub(crate) fn load_model(&self, config: &TrainConfig) -> Result<(SequenceClassifier, LoadReport)> {
        let options = LoadOptions {
            device: self.device,
            precision: self.precision,
            new_head: true,
            reinit_layers: config.regularization.reinit_layers,
            seed: config.seed,
        };
        let model_config = self.model_config.clone();
        let (mut model, report) = SequenceClassifier::load(&self.pretrained.folder, model_config, &options)?;
        model.parameters_mut().freeze(|role| config.regularization.freezes(role));
        Ok((model, report))
    }

    /// What the run's metrics record about its inputs and how it is computed, besides the notes of the data.
    pub(crate) fn notes(&self) -> impl Iterator<Item = String> {
        let of_inputs = self.pretrained.note.clone().into_iter();
        of_inputs.chain(self.backend.note(self.device)).chain(self.choice_notes.iter().cloned())
    }

    /// The rates that the number format was chosen by, as they are recorded.
    pub(crate) fn product_gflops(&self) -> BTreeMap<String, f64> {
        self.precision.rates.map(|rates| rates.by_name()).unwrap_or_default()
    }

    /// The files that make the run's folder a Hugging Face model folder, besides the weights.
    pub(crate) fn publication(&self) -> Result<Publication> {
        let casing = Casing::from_lower_case(self.prepared.manifest.lower_case);
        let mut files: Publication =
            tokenize::published_files(&self.pretrained.folder, casing).map_err(DataError::from)?;
        files.push((DATA.to_owned(), (serde_json::to_string_pretty(&self.prepared.manifest)? + "\n").into_bytes()));
        files.push((CONFIG.to_owned(), self.model_config.to_json()?.into_bytes()));
        Ok(files)
    }

    /// The sha256 of the initial weights. Takes about one second per two gigabytes.
    pub(crate) fn base_weights_sha256(&self) -> Result<String> {
        Ok(sha256_file(&self.pretrained.folder.join(MODEL))?)
    }

    /// Everything besides the configuration that affects the result of the run. `base_weights_sha256` is left empty.
    pub(crate) fn identity(&self) -> Result<Identity> {
        let manifest = &self.prepared.manifest;
        let sum_of = |split: &str| manifest.splits.get(split).map(|split| split.sha256.clone());
        let base_config = self.pretrained.folder.join(CONFIG);
        Ok(Identity {
            train_sha256: sum_of("train").unwrap_or_default(),
            validation_sha256: sum_of("validation"),
            label_names: manifest.label_names.clone(),
            tokenizer_sha256: manifest.tokenizer_sha256.clone(),
            base_config_sha256: sha256_file(&base_config)?,
            base_weights_sha256: String::new(),
            device: device_name(self.device),
            gpu: GpuModel::of(self.device).map(|gpu| gpu.to_string()),
            precision: self.precision.format.to_string(),
            threads: tch::get_num_threads(),
            backend: Some(self.backend.name().to_owned()),
            instruction_set: instruction_set(self.backend),
            processes: 1,
        })
    }

    pub(crate) fn class_weights(&self, config: &TrainConfig) -> Option<Vec<f64>> {
        let counts = &self.prepared.manifest.splits["train"].label_counts;
        match &config.regularization.class_weights {
            ClassWeights::None => None,
            // scikit-learn's "balanced": the total weight of each class is equal, and the mean weight of an example is
            // 1.
            ClassWeights::Balanced => {
                let (rows, classes) = (counts.iter().sum::<usize>() as f64, counts.len() as f64);
                Some(counts.iter().map(|&count| rows / (classes * (count as f64).max(1.0))).collect())
            }
            ClassWeights::Values(values) => Some(values.clone()),
        }
    }
}

/// What several trainings with one configuration share, found once for all of them.
pub(crate) struct SharedInputs {
    pub(crate) prepared: Prepared,
    /// The model as `run.toml` records it.
    pub(crate) model: String,
    pub(crate) precision: ChosenPrecision,
}

impl SharedInputs {
    /// Sets the number of threads of this process to the configuration's, because `auto` measures with them.
    pub(crate) fn find(config: &TrainConfig) -> Result<Self> {
        let device = config.device.device()?;
        ranks::set_threads(config, &Alone);
        let prepared = Prepared::open(&data_folder(config)?)?;
        let pretrained = find_model(config.model.as_deref(), &prepared.manifest)?;
        let precision = config.precision.on(device, &Config::from_folder(&pretrained.folder)?);
        Ok(Self { prepared, model: recorded_name(&pretrained), precision })
    }
}

/// The number format of a training with this configuration, for those who start several that must agree. Sets the number of
/// threads of this process to the configuration's, because `auto` measures with them.
///
/// # Errors
/// Data or a model that can't be found.
pub fn resolve_precision(config: &TrainConfig) -> Result<ChosenPrecision> {
    Ok(SharedInputs::find(config)?.precision)
}

/// The model as a saved configuration names it, so that it means the same from every working directory.
pub(crate) fn recorded_name(pretrained: &PretrainedModel) -> String {
    match pretrained.origin {
        ModelOrigin::Local => absolute(&pretrained.folder).display().to_string(),
        _ => pretrained.name.clone(),
    }
}

/// A path that means the same from every working directory.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

pub(crate) fn data_folder(config: &TrainConfig) -> Result<PathBuf> {
    match &config.data {
        Some(dir) => Ok(dir.clone()),
        None => Ok(newest_prepared()?),
    }
}

/// The instruction set of the kernels; `None` for a run that doesn't use them.
pub(crate) fn instruction_set(backend: Backend) -> Option<String> {
    (backend == Backend::Kernels).then(|| Isa::selected().name().to_owned())
}

/// The optimizer steps of an epoch over that many rows.
pub(crate) fn steps_per_epoch(config: &TrainConfig, rows: usize) -> u64 {
    rows.div_ceil(config.batch_size).div_ceil(config.gradient_accumulation_steps) as u64
}

/// The optimizer steps of a run over that many rows.
pub(crate) fn total_steps(config: &TrainConfig, rows: usize) -> u64 {
    let planned = config.epochs * steps_per_epoch(config, rows);
    config.max_steps.map_or(planned, |limit| limit.min(planned))
}

/// The requested model, or by default the model whose tokenizer the data was prepared with.
fn find_model(requested: Option<&str>, manifest: &Manifest) -> Result<PretrainedModel> {
    let source = &manifest.model;
    let name = match (requested, &source.origin) {
        (Some(name), _) => name,
        (None, ModelOrigin::Packaged) => "packaged",
        (None, _) => &source.name,
    };
    Ok(as_recorded(fetch::pretrained_model(Some(name))?, source))
}

/// A model under the name, and with the note, that the data records for it, if it is the same one. A resumed run, which
/// requests the model that its first process found, then writes the same as the first.
fn as_recorded(found: PretrainedModel, source: &ModelSource) -> PretrainedModel {
    let is_same = match found.origin {
        _ if found.origin != source.origin => false,
        ModelOrigin::Local => is_same_folder(&found.folder, Path::new(&source.name)),
        _ => found.name == source.name,
    };
    match is_same {
        true => PretrainedModel { name: source.name.clone(), note: source.note.clone().or(found.note), ..found },
        false => found,
    }
}

/// Whether a path is that of a recorded one, which may be relative to a directory that this process doesn't work in. A
/// resumed run then calls its model by the same name as before.
fn is_same_folder(path: &Path, recorded: &Path) -> bool {
    let same = match (path.canonicalize(), recorded.canonicalize()) {
        (Ok(path), Ok(recorded)) => path == recorded,
        (_, Err(_)) => true,
        (Err(_), Ok(_)) => false,
    };
    same && path.ends_with(recorded)
}

/// The error for a split that has rows without a label.
pub(crate) fn unlabeled(split: &str, rows: usize, unlabeled: usize) -> TrainError {
    TrainError::Refused(format!(
        "split \"{split}\": {unlabeled} of {rows} rows have no label, so it can be predicted but neither trained on nor \
         scored (hint: `predict` answers unlabeled texts; evaluate takes --split)"
    ))
}

/// Refuses data whose token ids have another meaning for this model or are out of range.
fn check_data_matches_model(prepared: &Prepared, pretrained: &PretrainedModel, model: &Config) -> Result<()> {
    let manifest = &prepared.manifest;
    let casing = Casing::from_lower_case(manifest.lower_case);
    let incompatible = |problem: String, max_length: usize| {
        Err(TrainError::Refused(format!(
            "{} doesn't fit the model {name}: {problem} (hint: cargo xtask prepare-data --dataset {} --model {name} \
             --max-length {max_length}{casing})",
            prepared.dir.display(),
            manifest.dataset,
            name = pretrained.name,
            casing = casing.flag().map_or(String::new(), |flag| format!(" {flag}")),
        )))
    };
    // The tokenizer itself isn't needed, because the texts are already token ids.
    if tokenize::sha256(&pretrained.folder, casing).map_err(DataError::from)? != manifest.tokenizer_sha256 {
        let problem = format!("it was tokenized for {}, whose tokenizer is another one", manifest.model.name);
        return incompatible(problem, manifest.max_length);
    }
    let positions = model.max_position_embeddings as usize;
    if manifest.splits.values().any(|split| split.longest > positions) {
        let problem = format!("its texts have up to {} tokens, and the model reads {positions}", manifest.max_length);
        return incompatible(problem, positions);
    }
    if manifest.vocab_size > model.vocab_size as usize {
        let last = manifest.vocab_size - 1;
        let problem = format!("its token ids go up to {last}, and the model knows {}", model.vocab_size);
        return incompatible(problem, manifest.max_length);
    }
    Ok(())
}

fn override_dropout(model: &mut Config, requested: &RegularizationOptions) {
    model.hidden_dropout_prob = requested.hidden_dropout.unwrap_or(model.hidden_dropout_prob);
    model.attention_probs_dropout_prob = requested.attention_dropout.unwrap_or(model.attention_probs_dropout_prob);
    model.classifier_dropout = requested.classifier_dropout.or(model.classifier_dropout);
}

fn has_dropout(model: &Config) -> bool {
    [model.hidden_dropout_prob, model.attention_probs_dropout_prob, model.classifier_dropout_prob()] != [0.0; 3]
}

/// Estimates the memory of a run in bytes before any weights are loaded, and refuses one on the CPU that needs more than
/// this machine has. On other devices a batch that does not fit is halved in training.
fn check_memory(
    config: &TrainConfig,
    model: &Config,
    (device, precision): (Device, ChosenPrecision),
    (train, validation): (&Examples, Option<&Examples>),
    ranks: &dyn Collective,
) -> Result<u64> {
    // Each process computes its share of a batch.
    let of_process = TrainConfig { batch_size: config.batch_size.div_ceil(ranks.world()), ..config.clone() };
    let config = &of_process;
    let (train, validation) = (train.token_counts(), validation.map(Examples::token_counts).unwrap_or_default());
    let plan = memory_estimate::MemoryPlan { config, model, precision, train: &train, validation: &validation };
    let estimate = match device {
        Device::Cpu => memory_estimate::check(&plan, ranks.local_world() as u64)?,
        _ => memory_estimate::MemoryEstimate::of(&plan, 0),
    };
    let bytes = estimate.total();
    tracing::debug!("memory at most: {} ({bytes} bytes)", human_bytes(bytes));
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resumed_run_finds_the_name_and_the_note_that_its_first_process_found() {
        let folder = tempfile::tempdir().unwrap();
        let tiny = folder.path().join("tiny");
        std::fs::create_dir(&tiny).unwrap();
        let source = |name: &str, origin| ModelSource { name: name.into(), origin, note: Some("a fallback".into()) };
        let found =
            |name: &str, origin| PretrainedModel { folder: tiny.clone(), name: name.into(), origin, note: None };
        let named = |found, source| {
            let found = as_recorded(found, &source);
            (found.name, found.note)
        };
        let noted = |name: &str| (name.to_owned(), Some("a fallback".to_owned()));

        let packaged = found("all-MiniLM", ModelOrigin::Packaged);
        assert_eq!(named(packaged.clone(), source("all-MiniLM", ModelOrigin::Packaged)), noted("all-MiniLM"));
        assert_eq!(named(packaged.clone(), source("another", ModelOrigin::Packaged)), ("all-MiniLM".into(), None));
        assert_eq!(named(packaged, source("all-MiniLM", ModelOrigin::Local)), ("all-MiniLM".into(), None));

        // The data records the path relative to the directory that it was prepared in, the run an absolute one.
        let absolute = tiny.display().to_string();
        let local = found(&absolute, ModelOrigin::Local);
        assert_eq!(named(local.clone(), source("tiny", ModelOrigin::Local)), noted("tiny"));
        assert_eq!(named(local, source("tiny2", ModelOrigin::Local)), (absolute, None));
    }
}
