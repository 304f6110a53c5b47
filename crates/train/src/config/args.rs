//! What a person asked for, before any default: each option is `Some` only where a flag or the file says so.

use std::path::PathBuf;

use metrics::Metric;
use serde::Deserialize;

use super::policy::{ClassWeights, DeviceChoice, OptimizerKind, Precision, ScheduleKind};

/// The flags of `train`; the same names in snake_case are the keys of a `--config` file.
#[derive(Debug, Clone, PartialEq, Default, clap::Args, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainArgs {
    /// TOML file with the same names in snake_case (`batch_size = 16`); a flag wins over the file
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,

    /// Prepared data [default: the newest under data/prepared]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Hugging Face model folder or Hub id [default: the one the data was prepared for]
    #[arg(long, value_name = "ID|DIR")]
    pub model: Option<String>,
    /// Folder of the run [default: runs/TIME-DATASET-MODEL]
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,

    /// Go on from the newest good checkpoint of a run folder, from one checkpoint's folder, or, without PATH, of
    /// --output or of the newest unfinished run; starts from nothing where there is none
    #[arg(long, value_name = "PATH", num_args = 0..=1)]
    #[serde(skip)]
    pub resume: Option<Option<PathBuf>>,
    /// Go on although configuration, data, tokenizer, weights or thread count differ from the checkpoint's
    #[arg(long, requires = "resume")]
    #[serde(skip)]
    pub allow_change: bool,
    /// Show at the end where a step's time goes, and write it into the run as profile.json
    #[arg(long)]
    #[serde(skip)]
    pub profile: bool,

    /// Passes over the training data [default: 3]
    #[arg(long, value_name = "N", value_parser = whole::<u64>, allow_negative_numbers = true)]
    pub epochs: Option<u64>,
    /// Stop after N optimizer steps, also within an epoch; the schedule ends there too
    #[arg(long, value_name = "N", value_parser = whole::<u64>, allow_negative_numbers = true)]
    pub max_steps: Option<u64>,
    /// Examples a forward and backward pass [default: 16]
    #[arg(long, value_name = "N", value_parser = whole::<usize>, allow_negative_numbers = true)]
    pub batch_size: Option<usize>,
    /// Examples a forward pass in evaluation [default: 32]
    #[arg(long, value_name = "N", value_parser = whole::<usize>, allow_negative_numbers = true)]
    pub eval_batch_size: Option<usize>,
    /// Batches whose gradients are averaged into one step [default: 1]
    #[arg(long, value_name = "N", value_parser = whole::<usize>, allow_negative_numbers = true)]
    pub gradient_accumulation_steps: Option<usize>,
    /// Put examples of similar length into one batch [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub group_by_length: Option<bool>,
    /// Seed of everything random: head, order, dropout [default: 42]
    #[arg(long, value_name = "N", value_parser = whole::<u64>, allow_negative_numbers = true)]
    pub seed: Option<u64>,
    /// Number format of the computation [default: auto]
    #[arg(long, ignore_case = true)]
    pub precision: Option<Precision>,
    /// Where to compute [default: auto]
    #[arg(long, ignore_case = true)]
    pub device: Option<DeviceChoice>,
    /// CPU threads [default: one a physical core]
    #[arg(long, value_name = "N", value_parser = whole::<usize>, allow_negative_numbers = true)]
    pub threads: Option<usize>,

    /// Rule of the update [default: adamw]
    #[arg(long, ignore_case = true, help_heading = "Optimizer")]
    pub optimizer: Option<OptimizerKind>,
    /// Peak learning rate [default: 0.00002]
    #[arg(long, value_name = "X", value_parser = number, allow_hyphen_values = true, help_heading = "Optimizer")]
    pub learning_rate: Option<f64>,
    /// Weight decay; biases and norms never decay [default: 0.01]
    #[arg(long, value_name = "X", value_parser = number, allow_hyphen_values = true, help_heading = "Optimizer")]
    pub weight_decay: Option<f64>,
    /// Decay of the gradient's average [default: 0.9]
    #[arg(long, value_name = "X", value_parser = number, allow_hyphen_values = true, help_heading = "Optimizer")]
    pub beta1: Option<f64>,
    /// Decay of the squared gradient's average; 0.99 for lion [default: 0.999]
    #[arg(long, value_name = "X", value_parser = number, allow_hyphen_values = true, help_heading = "Optimizer")]
    pub beta2: Option<f64>,
    /// Added to the denominator of adam and adamw [default: 0.00000001]
    #[arg(long, value_name = "X", value_parser = number, allow_hyphen_values = true, help_heading = "Optimizer")]
    pub epsilon: Option<f64>,
    /// Momentum of sgd [default: 0.9]
    #[arg(long, value_name = "X", value_parser = number, allow_hyphen_values = true, help_heading = "Optimizer")]
    pub momentum: Option<f64>,
    /// Gradients with a larger global norm are scaled down to it; 0 turns clipping off [default: 1.0]
    #[arg(long, value_name = "X", value_parser = number, allow_hyphen_values = true, help_heading = "Optimizer")]
    pub max_grad_norm: Option<f64>,
    /// Each layer below the head learns this much slower than the one above [default: 1.0]
    #[arg(long, value_name = "X", value_parser = number, allow_hyphen_values = true, help_heading = "Optimizer")]
    pub layer_decay: Option<f64>,

    /// Shape of the learning rate after warm-up [default: linear]
    #[arg(long, ignore_case = true, help_heading = "Schedule")]
    pub schedule: Option<ScheduleKind>,
    /// Steps over which the learning rate rises from 0 [default: 0]
    #[arg(long, value_name = "N", value_parser = whole::<u64>, allow_negative_numbers = true, help_heading = "Schedule")]
    pub warmup_steps: Option<u64>,
    /// The same as a share of all steps [default: 0.0]
    #[arg(long, value_name = "X", value_parser = number, allow_hyphen_values = true, help_heading = "Schedule")]
    pub warmup_ratio: Option<f64>,
    /// Power of the polynomial schedule [default: 1.0]
    #[arg(long, value_name = "X", value_parser = number, allow_hyphen_values = true, help_heading = "Schedule")]
    pub polynomial_power: Option<f64>,

    /// Dropout after embeddings and sublayers [default: the model's]
    #[arg(long, value_name = "X", value_parser = number, allow_hyphen_values = true, help_heading = "Regularisation")]
    pub hidden_dropout: Option<f64>,
    /// Dropout of attention probabilities [default: the model's]
    #[arg(long, value_name = "X", value_parser = number, allow_hyphen_values = true, help_heading = "Regularisation")]
    pub attention_dropout: Option<f64>,
    /// Dropout before the classifier [default: the model's]
    #[arg(long, value_name = "X", value_parser = number, allow_hyphen_values = true, help_heading = "Regularisation")]
    pub classifier_dropout: Option<f64>,
    /// Share of each label spread over all classes [default: 0.0]
    #[arg(long, value_name = "X", value_parser = number, allow_hyphen_values = true, help_heading = "Regularisation")]
    pub label_smoothing: Option<f64>,
    /// none, balanced, or one number a class: 1.0,2.5 [default: none]
    #[arg(long, value_name = "WEIGHTS", allow_negative_numbers = true, help_heading = "Regularisation")]
    pub class_weights: Option<ClassWeights>,
    /// Leave the embeddings as they are [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        help_heading = "Regularisation")]
    pub freeze_embeddings: Option<bool>,
    /// Leave the lowest N layers as they are [default: 0]
    #[arg(long, value_name = "N", value_parser = whole::<usize>, allow_negative_numbers = true, help_heading = "Regularisation")]
    pub freeze_layers: Option<usize>,
    /// Draw the top N layers anew before training [default: 0]
    #[arg(long, value_name = "N", value_parser = whole::<usize>, allow_negative_numbers = true, help_heading = "Regularisation")]
    pub reinit_layers: Option<usize>,

    /// Evaluate every N steps [default: at the end of every epoch]
    #[arg(long, value_name = "N", value_parser = whole::<u64>, allow_negative_numbers = true, help_heading = "Evaluation")]
    pub eval_steps: Option<u64>,
    /// The validation figure that decides which model is kept [default: accuracy]
    #[arg(long, value_name = "METRIC", help_heading = "Evaluation")]
    pub best_metric: Option<Metric>,
    /// Stop after N evaluations without a better one [default: off]
    #[arg(long, value_name = "N", value_parser = whole::<u64>, allow_negative_numbers = true, help_heading = "Evaluation")]
    pub early_stopping_patience: Option<u64>,
    /// Save a checkpoint every N steps, besides those at the end of every epoch
    #[arg(long, value_name = "N", value_parser = whole::<u64>, allow_negative_numbers = true, help_heading = "Checkpoints")]
    pub save_every: Option<u64>,
    /// Keep the last N checkpoints, and the best that each of them knows of [default: 1]
    #[arg(long, value_name = "N", value_parser = whole::<usize>, allow_negative_numbers = true, help_heading = "Checkpoints")]
    pub save_total: Option<usize>,
    /// Write TensorBoard event files into the run [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        help_heading = "Evaluation")]
    pub tensorboard: Option<bool>,
}

/// What is done with every option alike. An option left out of the list below doesn't compile.
macro_rules! every_option {
    ($($option:ident)*) => {
        impl TrainArgs {
            /// These options, and where one is `None` the other's.
            fn or(self, other: TrainArgs) -> TrainArgs {
                TrainArgs { config: self.config, resume: self.resume, allow_change: self.allow_change, profile: self.profile, $($option: self.$option.or(other.$option)),* }
            }

            /// Whether the option of this name is given here.
            pub(super) fn sets(&self, name: &str) -> bool {
                match name {
                    $(stringify!($option) => self.$option.is_some(),)*
                    _ => false,
                }
            }
        }
    };
}

every_option!(
    data model output epochs max_steps batch_size eval_batch_size gradient_accumulation_steps group_by_length seed
    precision device threads optimizer learning_rate weight_decay beta1 beta2 epsilon momentum max_grad_norm layer_decay
    schedule warmup_steps warmup_ratio polynomial_power hidden_dropout attention_dropout classifier_dropout
    label_smoothing class_weights freeze_embeddings freeze_layers reinit_layers eval_steps best_metric
    early_stopping_patience save_every save_total tensorboard
);

impl TrainArgs {
    /// These flags over a file's values.
    ///
    /// A warm-up given by flag replaces the file's whole warm-up, whether that counts steps or a ratio.
    pub(super) fn over(self, mut file: TrainArgs) -> TrainArgs {
        if self.warmup_steps.is_some() || self.warmup_ratio.is_some() {
            file.warmup_steps = None;
            file.warmup_ratio = None;
        }
        self.or(file)
    }
}

/// A count from the command line. Zero is judged later, where the error can name the allowed range.
fn whole<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let wrong = if digits { "it is too large" } else { "it must be a whole number without a sign" };
    text.parse().map_err(|_| wrong.to_owned())
}

/// A number from the command line; its range is judged later, as a count's is.
fn number(text: &str) -> Result<f64, String> {
    text.trim().parse().map_err(|_| "it must be a number, such as 0.1 or 2e-5".to_owned())
}
