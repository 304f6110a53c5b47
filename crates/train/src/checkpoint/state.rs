//! `trainer.json`: the state of a run after a step, and the identity of its data and model.

use std::collections::{BTreeMap, BTreeSet};

use metrics::ConfusionMatrix;
use run::Best;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::Result;
use crate::options::{GivenOptions, OptionsError, TrainConfig, changeable_on_resume};

/// The format version of `trainer.json` and of what is derived from it; other versions are refused. Resuming from a
/// checkpoint of version 1 would use different dropout masks than the original run.
pub(crate) const FORMAT: u32 = 2;

/// The state of a run after a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrainerState {
    pub format: u32,
    /// Optimizer steps done.
    pub step: u64,
    /// The epoch of the next step, from 0, and its completed steps. Derived from `step`, for readers of the file.
    pub epoch: u64,
    pub step_in_epoch: u64,
    /// Whether the evaluation that is due after this step, if one is, has been done.
    pub evaluated: bool,
    /// The best model so far. A checkpoint of its step is kept as long as this one is.
    pub best: Option<BestModel>,
    pub evaluations_without_better: u64,
    /// Into how many parts each micro-batch is split because of limited memory.
    pub micro_batch_parts: usize,
    /// Examples of one forward pass in an evaluation, if memory was too small for `--eval-batch-size`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eval_batch_size: Option<usize>,
    /// Seconds of training so far, in all processes.
    pub seconds: f64,
    /// Bytes of each log that belong to the steps so far.
    pub logs: BTreeMap<String, u64>,
    /// The resolved configuration, by the names of `--config`.
    pub config: Map<String, Value>,
    pub identity: Identity,
}

/// The model of the best evaluation so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct BestModel {
    #[serde(flatten, with = "ExactBest")]
    pub best: Best,
    /// Mean loss of that evaluation.
    #[serde(with = "exact")]
    pub loss: f64,
    pub confusion: ConfusionMatrix,
}

/// The serialized form of [`Best`] in a checkpoint, which preserves a value that is not finite.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Best")]
struct ExactBest {
    metric: String,
    #[serde(with = "exact")]
    value: f64,
    step: u64,
    epoch: f64,
}

/// Everything besides the configuration that affects the result of a run. If any of it differs, a resumed run would not
/// reproduce the original one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Identity {
    pub train_sha256: String,
    pub validation_sha256: Option<String>,
    pub label_names: Vec<String>,
    pub tokenizer_sha256: String,
    /// sha256 of the `config.json` and of the weights that training began with.
    pub base_config_sha256: String,
    pub base_weights_sha256: String,
    /// `cpu` or `cuda:0`.
    pub device: String,
    /// The GPU's name and compute capability, which determine dropout masks and the order of summation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<String>,
    /// `fp32` or `bf16`.
    pub precision: String,
    /// CPU threads of libtorch, which determine the order of summation on the CPU.
    pub threads: i32,
    /// `kernels` or `libtorch`: what computed on the device. Their results differ in the last bits. `None` in checkpoints of
    /// earlier versions, which had no choice.
    #[serde(default)]
    pub backend: Option<String>,
    /// Of the kernels on a CPU, whose results differ in the last bits. `None` on other devices, and if it was not
    /// recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instruction_set: Option<String>,
    /// The processes of the training. With another number sums are added in another order, so that results differ in the
    /// last bits; that is no reason not to continue.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub processes: usize,
}

fn one() -> usize {
    1
}

fn is_one(number: &usize) -> bool {
    *number == 1
}

impl TrainerState {
    /// # Errors
    /// The problem with an invalid state, as reported by serde.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        // Check the format version first: other versions may have other fields.
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let Format { format } = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        if format != FORMAT {
            return Err(format!("has format {format}, and this program reads {FORMAT}"));
        }
        let mut state: Self = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        if state.micro_batch_parts == 0 {
            return Err("has micro_batch_parts 0, and 1 is the least".to_owned());
        }
        if state.eval_batch_size == Some(0) {
            return Err("has eval_batch_size 0, and 1 is the least".to_owned());
        }
        state.given().map_err(|error| error.to_string())?;
        // On other devices earlier versions drew other dropout masks, so there nothing is filled in.
        if state.identity.backend.is_none() && state.identity.device == "cpu" {
            state.identity.backend = Some("kernels".to_owned());
        }
        Ok(state)
    }

    pub(crate) fn best_step(&self) -> Option<u64> {
        self.best.as_ref().map(|model| model.best.step)
    }

    /// The saved configuration as given options.
    pub(crate) fn given(&self) -> Result<GivenOptions, OptionsError> {
        GivenOptions::from_json(&self.config)
    }

    /// A description of each difference from the saved state, one line each; empty if there is none.
    pub(crate) fn differences(&self, config: &TrainConfig, identity: &Identity) -> Result<Vec<String>> {
        let mut lines = config_differences(&self.config, &config.to_json()?);
        let (then, now) = (serde_json::to_value(&self.identity)?, serde_json::to_value(identity)?);
        let names = IDENTITY_NAMES.iter().filter(|(field, _)| match *field {
            "threads" => {
                let both_on_cpu = self.identity.device == "cpu" && identity.device == "cpu";
                both_on_cpu && self.identity.processes == identity.processes
            }
            "gpu" | "backend" => self.identity.device == identity.device,
            "instruction_set" => self.identity.instruction_set.is_some() && identity.instruction_set.is_some(),
            _ => true,
        });
        lines.extend(names.filter_map(|(field, name)| difference(name, &then[*field], &now[*field])));
        Ok(lines)
    }
}

/// The fields of [`Identity`] that must not change, and their names. The host's threads matter only where both devices are the CPU; the GPU's model and the
/// backend follow from the device where it is another one. Instruction sets are compared where both are known.
const IDENTITY_NAMES: [(&str, &str); 12] = [
    ("train_sha256", "the training split's sha256"),
    ("validation_sha256", "the validation split's sha256"),
    ("label_names", "the list of labels"),
    ("tokenizer_sha256", "the tokenizer's sha256"),
    ("base_config_sha256", "the base model's config.json's sha256"),
    ("base_weights_sha256", "the base model's weights' sha256"),
    ("device", "the device"),
    ("gpu", "the GPU's model"),
    ("precision", "the precision"),
    ("threads", "the number of threads"),
    ("backend", "the backend (libtorch with VERDICT_KERNELS=off, else kernels)"),
    ("instruction_set", "the instruction set of the kernels"),
];

/// The options that differ between two saved configurations and must not change on resume, one line each.
pub(crate) fn config_differences(then: &Map<String, Value>, now: &Map<String, Value>) -> Vec<String> {
    let names = then.keys().chain(now.keys()).collect::<BTreeSet<_>>();
    let value = |config: &Map<String, Value>, name: &str| config.get(name).cloned().unwrap_or_default();
    let names = names.into_iter().filter(|name| !changeable_on_resume(name));
    names.filter_map(|name| difference(name, &value(then, name), &value(now, name))).collect()
}

fn difference(name: &str, then: &Value, now: &Value) -> Option<String> {
    (then != now).then(|| format!("{name} was {}, and is {}", shown(then), shown(now)))
}

fn shown(value: &Value) -> String {
    if value.is_null() { "not set".to_owned() } else { value.to_string() }
}

/// Serializes a number as a JSON number, or as a string (`"NaN"`, `"inf"`) if it is not finite.
mod exact {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Number {
        Finite(f64),
        Named(String),
        /// `null`, which earlier versions wrote.
        Unknown,
    }

    pub(super) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        let number = if value.is_finite() { Number::Finite(*value) } else { Number::Named(value.to_string()) };
        number.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        match Number::deserialize(deserializer)? {
            Number::Finite(value) => Ok(value),
            Number::Named(name) => name.parse().map_err(D::Error::custom),
            Number::Unknown => Ok(f64::NAN),
        }
    }
}
