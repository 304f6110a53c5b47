//! The configuration of a run: what was asked for ([`TrainArgs`], by flag and by file) becomes one set of resolved,
//! checked values ([`TrainConfig`]), which is saved with the run and can be given to `--config` again.
//!
//! ```
//! use train::config::{OptimizerKind, TrainArgs, TrainConfig};
//!
//! let args = TrainArgs { optimizer: Some(OptimizerKind::Lion), learning_rate: Some(3e-6), ..TrainArgs::default() };
//! let config = TrainConfig::from_args(&args)?;
//! assert_eq!((config.epochs, config.beta2), (3, 0.99));
//!
//! let refused = TrainConfig::from_args(&TrainArgs { batch_size: Some(0), ..TrainArgs::default() });
//! assert!(refused.unwrap_err().to_string().starts_with("--batch-size 0 is not allowed"));
//! # Ok::<(), train::TrainError>(())
//! ```

mod args;
mod file;
mod policy;
mod validate;

use std::path::{Path, PathBuf};

use metrics::Metric;
use model::Role;
use serde::Serialize;

pub use args::TrainArgs;
pub use policy::{ClassWeights, DeviceChoice, OptimizerKind, Precision, ScheduleKind};

use crate::error::{Result, TrainError};
use crate::schedule::Warmup;
use file::ConfigFile;

/// Every value of a run, none left open. Units and meaning are those of the flag with the same name.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrainConfig {
    /// Prepared data; `None`: the newest.
    pub data: Option<PathBuf>,
    /// Model folder or Hub id; `None`: the model that the data was prepared for.
    pub model: Option<String>,
    /// Folder of the run; `None`: a new one under `runs/`. Not saved, so that a saved configuration starts a new run
    /// and a moved folder says nothing false.
    #[serde(skip)]
    pub output: Option<PathBuf>,

    /// Passes over the training data, >= 1.
    pub epochs: u64,
    /// Upper bound of optimizer steps; `None`: the epochs alone decide.
    pub max_steps: Option<u64>,
    /// Examples a forward and backward pass, >= 1.
    pub batch_size: usize,
    /// Examples a forward pass in evaluation, >= 1.
    pub eval_batch_size: usize,
    /// Batches whose gradients are averaged into one optimizer step, >= 1.
    pub gradient_accumulation_steps: usize,
    /// Whether examples of similar length share a batch.
    pub group_by_length: bool,
    /// Seed of head, order and dropout, 0 to 2^63 - 1 (what TOML can hold).
    pub seed: u64,
    /// Number format of the computation.
    pub precision: Precision,
    /// Where to compute.
    pub device: DeviceChoice,
    /// CPU threads; `None`: libtorch's choice.
    pub threads: Option<usize>,

    /// Rule of the update.
    pub optimizer: OptimizerKind,
    /// Peak learning rate, in (0, 1].
    pub learning_rate: f64,
    /// Weight decay, in [0, 1].
    pub weight_decay: f64,
    /// Decay of the gradient's average, in [0, 1).
    pub beta1: f64,
    /// Decay of the squared gradient's average, in [0, 1).
    pub beta2: f64,
    /// Added to the denominator of adam and adamw, > 0.
    pub epsilon: f64,
    /// Momentum of sgd, in [0, 1).
    pub momentum: f64,
    /// Upper bound of the gradient's global norm; 0 turns clipping off.
    pub max_grad_norm: f64,
    /// Factor of the learning rate from a layer to the one below it, in (0, 1].
    pub layer_decay: f64,

    /// Shape of the learning rate after warm-up.
    pub schedule: ScheduleKind,
    /// Steps of warm-up; 0 where `warmup_ratio` says it.
    pub warmup_steps: u64,
    /// Warm-up as a share of all steps, in [0, 1]; 0 where `warmup_steps` says it.
    pub warmup_ratio: f64,
    /// Power of the polynomial schedule, > 0.
    pub polynomial_power: f64,

    /// Dropout after embeddings and sublayers, in [0, 1); `None`: the model's.
    pub hidden_dropout: Option<f64>,
    /// Dropout of attention probabilities, in [0, 1); `None`: the model's.
    pub attention_dropout: Option<f64>,
    /// Dropout before the classifier, in [0, 1); `None`: the model's.
    pub classifier_dropout: Option<f64>,
    /// Share of each label spread over all classes, in [0, 1).
    pub label_smoothing: f64,
    /// How much an example of each class counts.
    pub class_weights: ClassWeights,
    /// Whether the embeddings stay as they are.
    pub freeze_embeddings: bool,
    /// How many of the lowest layers stay as they are.
    pub freeze_layers: usize,
    /// How many of the top layers are drawn anew before training.
    pub reinit_layers: usize,

    /// Optimizer steps between evaluations; `None`: one at the end of every epoch.
    pub eval_steps: Option<u64>,
    /// The validation figure that decides which model is kept.
    pub best_metric: Metric,
    /// Evaluations without a better one after which to stop; `None`: never.
    pub early_stopping_patience: Option<u64>,
    /// Optimizer steps between checkpoints, besides those at the end of every epoch; `None`: those alone.
    pub save_every: Option<u64>,
    /// How many of the last checkpoints stay, >= 1. The best that each of them knows of stay too.
    pub save_total: usize,
    /// Whether TensorBoard event files are written.
    pub tensorboard: bool,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            data: None,
            model: None,
            output: None,
            epochs: 3,
            max_steps: None,
            batch_size: 16,
            eval_batch_size: 32,
            gradient_accumulation_steps: 1,
            group_by_length: false,
            seed: 42,
            precision: Precision::Auto,
            device: DeviceChoice::Auto,
            threads: None,
            optimizer: OptimizerKind::AdamW,
            learning_rate: 2e-5,
            weight_decay: 0.01,
            beta1: 0.9,
            beta2: OptimizerKind::AdamW.default_beta2(),
            epsilon: 1e-8,
            momentum: 0.9,
            max_grad_norm: 1.0,
            layer_decay: 1.0,
            schedule: ScheduleKind::Linear,
            warmup_steps: 0,
            warmup_ratio: 0.0,
            polynomial_power: 1.0,
            hidden_dropout: None,
            attention_dropout: None,
            classifier_dropout: None,
            label_smoothing: 0.0,
            class_weights: ClassWeights::None,
            freeze_embeddings: false,
            freeze_layers: 0,
            reinit_layers: 0,
            eval_steps: None,
            best_metric: Metric::Accuracy,
            early_stopping_patience: None,
            save_every: None,
            save_total: 1,
            tensorboard: false,
        }
    }
}

/// A configuration from what was asked for: the named fields fall back to their default, the optional ones stay open,
/// and the rest is given by hand.
macro_rules! resolve {
    ($asked:expr, defaults: $default:expr, [$($field:ident)*], open: [$($open:ident)*], $($rest:tt)*) => {
        TrainConfig {
            $($field: $asked.$field.unwrap_or($default.$field),)*
            $($open: $asked.$open,)*
            $($rest)*
        }
    };
}

impl TrainConfig {
    /// The checked configuration that flags, and the file that `--config` names, ask for.
    ///
    /// # Errors
    /// A file that can't be read as configuration; a value that [`TrainConfig::validate`] refuses, with the line of
    /// the file where it came from there.
    pub fn from_args(args: &TrainArgs) -> Result<Self> {
        Self::from_args_over(args, TrainArgs::default())
    }

    /// The names of the options that a configuration file may set.
    pub fn options() -> &'static [&'static str] {
        file::options()
    }

    /// Whether an option takes this value, as far as one can say without the others.
    ///
    /// # Errors
    /// What it must be, and what to do.
    pub fn check_option(name: &str, value: &toml::Value) -> Result<(), String> {
        file::check_option(name, value)
    }

    /// What a configuration file asks for.
    pub(crate) fn asked_in(path: &Path) -> Result<TrainArgs> {
        Ok(ConfigFile::read(path)?.args)
    }

    /// As [`TrainConfig::from_args`], with the values of `saved` where neither flag nor file says otherwise.
    pub(crate) fn from_args_over(args: &TrainArgs, saved: TrainArgs) -> Result<Self> {
        let Some(path) = &args.config else {
            let config = Self::resolve(args.clone().over(saved));
            config.validate()?;
            return Ok(config);
        };
        let file = ConfigFile::read(path)?;
        let config = Self::resolve(args.clone().over(file.args.clone()).over(saved));
        config.validate().map_err(|error| match error {
            TrainError::Value(mut value) if !args.sets(value.key) => {
                value.place = file.lines.get(value.key).map(|line| (file.path.clone(), *line));
                TrainError::Value(value)
            }
            other => other,
        })?;
        Ok(config)
    }

    /// The configuration in a file, such as the `run.toml` of a run, with defaults where it says nothing.
    ///
    /// # Errors
    /// As [`TrainConfig::from_args`].
    pub fn load(path: &Path) -> Result<Self> {
        Self::from_args(&TrainArgs { config: Some(path.to_owned()), ..TrainArgs::default() })
    }

    /// The configuration as TOML that [`TrainConfig::load`] and `--config` accept.
    ///
    /// # Errors
    /// A path that isn't UTF-8.
    pub fn to_toml(&self) -> Result<String> {
        Ok(toml::to_string(self)?)
    }

    /// The warm-up as the schedule takes it.
    pub fn warmup(&self) -> Warmup {
        if self.warmup_steps > 0 { Warmup::Steps(self.warmup_steps) } else { Warmup::Ratio(self.warmup_ratio) }
    }

    /// Whether that part of the model stays as it is.
    pub(crate) fn freezes(&self, role: Role) -> bool {
        match role {
            Role::Embedding => self.freeze_embeddings,
            Role::Layer(index) => index < self.freeze_layers,
            Role::Head => false,
        }
    }

    fn resolve(asked: TrainArgs) -> Self {
        let default = Self::default();
        let optimizer = asked.optimizer.unwrap_or(default.optimizer);
        resolve!(asked, defaults: default,
            [epochs batch_size eval_batch_size gradient_accumulation_steps group_by_length seed precision device
             learning_rate weight_decay beta1 epsilon momentum max_grad_norm layer_decay schedule warmup_steps
             warmup_ratio polynomial_power label_smoothing class_weights freeze_embeddings freeze_layers reinit_layers
             best_metric save_total tensorboard],
            open: [data model output max_steps threads hidden_dropout attention_dropout classifier_dropout eval_steps
                   early_stopping_patience save_every],
            optimizer,
            beta2: asked.beta2.unwrap_or(optimizer.default_beta2()),
        )
    }
}

#[cfg(test)]
mod tests;
