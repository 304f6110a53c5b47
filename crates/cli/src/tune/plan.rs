//! The settings that all trials of a study share, and the configuration of each trial.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use data::manifest::{Manifest, Prepared, newest_prepared};
use metrics::Metric;
use model::{DeviceChoice, Precision};
use run::slug;
use serde_json::{Value, json};
use toml::Table;
use train::options::{self, Choice};
use train::{TrainConfig, visible_gpus};
use tune::sampler::SamplerKind;
use tune::space::{Space, SpaceFields};
use tune::{Distribution, Param};

use super::args::TuneArgs;
use super::attributes::EPOCHS_PER_EVALUATION;
use super::study_context::StudyContext;
use super::study_precision::is_auto;
use crate::chosen_device;

/// The default number of trials.
const DEFAULT_TRIALS: u64 = 20;
/// One worker per this many CPU cores: one training can't use more efficiently.
const CORES_PER_WORKER: usize = 8;
/// Evaluations per epoch, so that a bad trial is pruned early. Fewer if they would take more than a quarter of the training
/// time, where a validation row costs about a third of a training row.
const EVALUATIONS_PER_EPOCH: f64 = 4.0;
const MAX_EVALUATION_TIME: f64 = 0.25;
const COST_OF_EVALUATING: f64 = 1.0 / 3.0;

/// Options that a space can't contain: values would not be comparable, or files would be elsewhere.
const NOT_SEARCHABLE: [&str; 3] = ["data", "output", "best_metric"];

/// The settings that all trials of a study share.
pub(super) struct StudyPlan {
    pub data: PathBuf,
    pub manifest: Manifest,
    /// `None`: the model that the data was prepared for.
    pub model: Option<String>,
    pub metric: Metric,
    /// The number of trials; `None`: as many as the sampler has, or as the time allows.
    pub trials: Option<u64>,
    pub time: Option<Duration>,
    pub workers: usize,
    pub device: DeviceChoice,
    /// What `auto` means in every trial; `None` until it is known, and where each trial names a format.
    pub precision: Option<Precision>,
    /// CPU threads per trial.
    threads: usize,
    /// The GPUs, as `CUDA_VISIBLE_DEVICES` names them.
    gpus: Vec<String>,
}

impl StudyPlan {
    pub(super) fn new(args: &TuneArgs) -> Result<Self> {
        let data = match &args.data {
            Some(dir) => dir.clone(),
            None => newest_prepared()?,
        };
        let manifest = Prepared::open(&data)?.manifest;
        match manifest.splits.get("validation") {
            Some(split) if split.rows > 0 && split.labeled == split.rows => {}
            _ => bail!(
                "{} has no labeled validation split, which is needed to compare trials (hint: prepare the data with one, see \
                 `cargo xtask prepare-data --help`)",
                data.display()
            ),
        }
        let gpus = visible_gpus(chosen_device(args.device)?);
        let cores = usize::try_from(tch::get_num_threads()).unwrap_or(1).max(1);
        let workers = match args.workers {
            Some(workers) => usize::from(workers),
            None if gpus.is_empty() => (cores / CORES_PER_WORKER).max(1),
            None => gpus.len(),
        };
        let trials = match (args.trials, args.sampler) {
            (Some(trials), _) => Some(trials),
            (None, SamplerKind::Grid) => None,
            (None, _) => args.time.is_none().then_some(DEFAULT_TRIALS),
        };
        Ok(Self {
            data,
            manifest,
            model: args.model.clone(),
            metric: args.metric,
            trials,
            time: args.time,
            workers,
            device: args.device,
            precision: None,
            threads: (cores / workers).max(1),
            gpus,
        })
    }

    /// The search space of `--space`, or the default one.
    ///
    /// # Errors
    /// A file that can't be read; a value that training does not accept, with its line; an option that no trial reads.
    pub(super) fn space(args: &TuneArgs) -> Result<Space> {
        let names: Vec<&str> = options::keys().filter(|name| !NOT_SEARCHABLE.contains(name)).collect();
        let fields = SpaceFields { names: &names, check: &options::check };
        let Some(path) = &args.space else { return Ok(Space::default_space(&fields)?) };
        let space = Space::load(path, &fields)?;
        let varied = space.parameters().iter().map(|parameter| parameter.name.as_str());
        for name in varied.chain(space.fixed().keys().map(String::as_str)) {
            if let Some(why) = unused_options(name, &space) {
                bail!("{}: {name} has no effect: {why} (hint: remove it)", path.display());
            }
        }
        Ok(space)
    }

    /// What makes values comparable.
    pub(super) fn context(&self, space: &Space) -> StudyContext {
        let model = self.model.as_deref().unwrap_or(&self.manifest.model.name);
        let mut fixed = space.fixed().clone();
        // It changes only the last digits of a value.
        fixed.remove("threads");
        StudyContext(BTreeMap::from([
            ("data", json!(self.manifest.fingerprint)),
            ("model", json!(model)),
            ("metric", json!(self.metric.to_string())),
            ("fixed options", json!(fixed)),
        ]))
    }

    /// The default name of a study of this data and model.
    pub(super) fn name(&self) -> String {
        let model = self.model.as_deref().unwrap_or(&self.manifest.model.name);
        format!("{}-{}", slug(&self.manifest.dataset, "data"), slug(model, "model"))
    }

    /// A trial's whole configuration, as `train --config` takes it.
    pub(super) fn configuration(&self, space: &Space, params: &BTreeMap<String, Param>) -> Table {
        let mut settings = space.settings(params);
        let mut set = |name: &str, value: toml::Value| {
            settings.entry(name).or_insert(value);
        };
        set("data", self.data.display().to_string().into());
        set("best_metric", self.metric.to_string().into());
        set("device", self.device.name().into());
        set("threads", (self.threads as i64).into());
        if let Some(model) = &self.model {
            set("model", model.clone().into());
        }
        if let Some(precision) = self.precision {
            let named = settings.get("precision").and_then(toml::Value::as_str).is_some_and(|value| !is_auto(value));
            if !named {
                settings.insert("precision".to_owned(), precision.to_string().into());
            }
        }
        let spacing = self.evaluation_spacing(&settings) as i64;
        settings.entry("eval_steps").or_insert(spacing.into());
        // A fixed option of the space may be one that this trial does not read.
        let all = settings.clone();
        settings.retain(|name, _| options::no_effect_reason(name, &all).is_none());
        settings
    }

    /// What the configurations of all trials have in common, for what depends on nothing else.
    pub(super) fn base_config(&self) -> TrainConfig {
        TrainConfig {
            data: Some(self.data.clone()),
            model: self.model.clone(),
            device: self.device,
            threads: Some(self.threads),
            ..TrainConfig::default()
        }
    }

    /// The user attributes of a trial from its start.
    pub(super) fn attributes(&self, space: &Space, params: &BTreeMap<String, Param>) -> BTreeMap<String, Value> {
        let settings = self.configuration(space, params);
        let spacing = settings.get("eval_steps").and_then(toml::Value::as_integer).unwrap_or(1) as f64;
        let epochs = spacing / self.steps_per_epoch(&settings) as f64;
        BTreeMap::from([(EPOCHS_PER_EVALUATION.to_owned(), json!(epochs))])
    }

    /// The GPU of a worker; `None` without GPUs.
    pub(super) fn gpu(&self, worker: usize) -> Option<&str> {
        (!self.gpus.is_empty()).then(|| self.gpus[worker % self.gpus.len()].as_str())
    }

    /// The number of parallel trials and their devices, for the first line of output.
    pub(super) fn describe_workers(&self) -> String {
        let at_once = match self.workers {
            1 => "one trial at a time".to_owned(),
            workers => format!("{workers} trials in parallel"),
        };
        match self.gpus.len() {
            0 => format!("{at_once}, {} CPU thread{} each", self.threads, if self.threads == 1 { "" } else { "s" }),
            1 => format!("{at_once} on one GPU"),
            gpus => format!("{at_once} on {gpus} GPUs"),
        }
    }

    fn steps_per_epoch(&self, settings: &Table) -> u64 {
        let default = TrainConfig::default();
        let number = |name: &str, otherwise: usize| {
            let value = settings.get(name).and_then(toml::Value::as_integer);
            value.and_then(|value| u64::try_from(value).ok()).unwrap_or(otherwise as u64).max(1)
        };
        let batches = (self.rows("train") as u64).div_ceil(number("batch_size", default.batch_size));
        batches.div_ceil(number("gradient_accumulation_steps", default.gradient_accumulation_steps)).max(1)
    }

    /// Optimizer steps between two evaluations.
    fn evaluation_spacing(&self, settings: &Table) -> u64 {
        let affordable = MAX_EVALUATION_TIME * self.rows("train") as f64
            / (COST_OF_EVALUATING * self.rows("validation").max(1) as f64);
        self.steps_per_epoch(settings).div_ceil(affordable.floor().clamp(1.0, EVALUATIONS_PER_EPOCH) as u64)
    }

    fn rows(&self, split: &str) -> usize {
        self.manifest.splits.get(split).map_or(0, |split| split.rows)
    }
}

/// Why no trial of a space reads an option, such as `momentum` if `optimizer` is never sgd; `None` if one does.
fn unused_options(name: &str, space: &Space) -> Option<String> {
    let decides = options::depends_on(name)?;
    let varied = space.parameters().iter().find(|parameter| parameter.name == decides);
    let tables: Vec<Table> = match varied.map(|parameter| &parameter.distribution) {
        Some(Distribution::Categorical { choices }) => {
            let words = choices.iter().map(|choice| toml::Value::from(choice.to_string()));
            words.map(|word| Table::from_iter([(decides.to_owned(), word)])).collect()
        }
        _ => vec![space.fixed().clone()],
    };
    let mut reasons: Vec<String> =
        tables.iter().map(|table| options::no_effect_reason(name, table)).collect::<Option<_>>()?;
    reasons.pop()
}

#[cfg(test)]
mod tests {
    use tune::ParamValue;
    use tune::space::Hyperparameter;

    use super::*;

    #[test]
    fn an_option_that_no_trial_reads_is_found() {
        let optimizers = |words: &[&str]| {
            let choices = words.iter().map(|word| ParamValue::Str((*word).to_owned())).collect();
            Hyperparameter::new("optimizer", Distribution::Categorical { choices })
        };
        let momentum = Distribution::Float { low: 0.8, high: 0.9, log: false, step: None };
        let never = |optimizer: Option<Hyperparameter>, fixed: &[(&str, &str)]| {
            let parameters = optimizer.into_iter().chain([Hyperparameter::new("momentum", momentum.clone())]).collect();
            let fixed = fixed.iter().map(|(name, word)| ((*name).to_owned(), (*word).into())).collect();
            unused_options("momentum", &Space::new(parameters, fixed).unwrap())
        };
        assert_eq!(never(Some(optimizers(&["adamw", "sgd"])), &[]), None);
        assert_eq!(never(None, &[("optimizer", "SGD")]), None);
        let read_by_sgd = |why: Option<String>| why.is_some_and(|why| why.ends_with("only optimizer = sgd does"));
        assert!(read_by_sgd(never(Some(optimizers(&["adamw", "lion"])), &[])));
        assert!(read_by_sgd(never(None, &[("optimizer", "lion")])));
        assert!(read_by_sgd(never(None, &[])));
    }
}
