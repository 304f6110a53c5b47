//! What is recorded of a training: plain numbers, written and read by these types.
//!
//! What isn't finite is `null` in JSON, which has no such numbers, and is read as NaN.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What is known before the first step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StartRecord {
    pub run: PathBuf,
    pub dataset: String,
    pub model: String,
    /// The device in words, such as `cpu` or `cuda:0`.
    pub device: String,
    /// The number format of the computation: `fp32` or `bf16`.
    pub precision: String,
    /// GFLOP/s of the model's products by number format, by which the format was chosen; empty where nothing was measured.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub product_gflops: BTreeMap<String, f64>,
    pub parameters: u64,
    pub trainable_parameters: u64,
    pub train_examples: u64,
    pub validation_examples: u64,
    pub epochs: u64,
    /// Optimizer steps already done: 0 unless the run resumes from a checkpoint.
    pub steps_done: u64,
    pub total_steps: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Which step, from 1.
    pub step: u64,
    pub total_steps: u64,
    /// Epochs done, with the fraction of the present one.
    pub epoch: f64,
    /// Mean loss of the step's examples.
    #[serde(deserialize_with = "nan_for_null")]
    pub loss: f64,
    /// Learning rate of the step (of the head, where layers differ).
    pub learning_rate: f64,
    /// Global norm of the gradients before clipping.
    #[serde(deserialize_with = "nan_for_null")]
    pub gradient_norm: f64,
    pub examples: u64,
    /// Tokens in the step, without padding.
    pub tokens: u64,
    /// Examples a second, over this step.
    pub examples_per_second: f64,
    /// Tokens a second, over this step.
    pub tokens_per_second: f64,
    /// Seconds of training so far, those before an interruption included.
    pub seconds: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluationRecord {
    /// Epochs done, with the fraction of the present one.
    pub epoch: f64,
    pub step: u64,
    pub split: String,
    /// Mean loss, without label smoothing or class weights.
    #[serde(deserialize_with = "nan_for_null")]
    pub loss: f64,
    /// Accuracy, precision, recall, F1 and the like by name, in the order to show them.
    #[serde(flatten)]
    pub scores: NamedScores,
    /// The score that decides which model is the best, whichever it is.
    #[serde(deserialize_with = "nan_for_null")]
    pub value: f64,
    pub seconds: f64,
    pub best: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndRecord {
    pub reason: EndReason,
    pub step: u64,
    /// Epochs done, with the fraction of the last one.
    pub epoch: f64,
    /// Seconds of training in all, those before an interruption included.
    pub seconds: f64,
    pub best: Option<Best>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    Finished,
    /// `--max-steps` are done.
    MaxSteps,
    /// `--early-stopping-patience` evaluations brought nothing better.
    EarlyStopping,
    Interrupted,
}

/// The best model, by the evaluation that chose it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Best {
    pub metric: String,
    #[serde(deserialize_with = "nan_for_null")]
    pub value: f64,
    pub step: u64,
    pub epoch: f64,
}

/// Scores by name, in the order in which they are shown.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NamedScores(pub Vec<(String, f64)>);

impl NamedScores {
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| *value)
    }
}

impl Serialize for NamedScores {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de> Deserialize<'de> for NamedScores {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = NamedScores;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("numbers by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<NamedScores, A::Error> {
                let mut scores = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Option<f64>>()? {
                    scores.push((name, value.unwrap_or(f64::NAN)));
                }
                Ok(NamedScores(scores))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

pub(crate) fn nan_for_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}
