//! Whoever watches a run: plain records go out, nothing comes back, so that no observer can change what is trained.
//!
//! An observer that can no longer write (a full disk) says so once and falls silent; it never stops the training.

mod jsonl;
mod log_file;
mod progress;
mod tensorboard;

use std::path::PathBuf;

use serde::{Deserialize, Serialize, Serializer};

pub use jsonl::JsonLines;
pub use progress::Progress;
pub use tensorboard::TensorBoard;

use crate::error::Result;
use crate::run_directory::RunDirectory;

/// What is known before the first step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Start {
    /// The folder of the run.
    pub run: PathBuf,
    /// The data set's name.
    pub dataset: String,
    /// The model's name.
    pub model: String,
    /// The device in words, such as `cpu` or `cuda:0`.
    pub device: String,
    /// The number format of the computation: `fp32` or `bf16`.
    pub precision: String,
    /// Parameters in all.
    pub parameters: u64,
    /// Parameters that aren't frozen.
    pub trainable_parameters: u64,
    /// Training examples an epoch.
    pub train_examples: u64,
    /// Validation examples.
    pub validation_examples: u64,
    /// Epochs asked for.
    pub epochs: u64,
    /// Optimizer steps already done, 0 unless the run goes on from a checkpoint.
    pub steps_done: u64,
    /// Optimizer steps in all.
    pub total_steps: u64,
}

/// One optimizer step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepRecord {
    /// Which step, from 1.
    pub step: u64,
    /// Steps in all.
    pub total_steps: u64,
    /// Epochs done, with the fraction of the present one.
    pub epoch: f64,
    /// Mean loss of the step's examples.
    pub loss: f64,
    /// Learning rate of the step (of the head, where layers differ).
    pub learning_rate: f64,
    /// Global norm of the gradients before clipping.
    pub gradient_norm: f64,
    /// Examples in the step.
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

/// One pass over a split.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvaluationRecord {
    /// Epochs done, with the fraction of the present one.
    pub epoch: f64,
    /// Optimizer steps done.
    pub step: u64,
    /// The split, such as `validation`.
    pub split: String,
    /// Mean loss, without label smoothing or class weights.
    pub loss: f64,
    /// Accuracy, precision, recall, F1 and the like by name, in the order to show them.
    #[serde(flatten, serialize_with = "as_map")]
    pub scores: Vec<(String, f64)>,
    /// The figure that decides which model is kept, whichever it is.
    pub value: f64,
    /// How long the pass took, in seconds.
    pub seconds: f64,
    /// Whether this is the best model so far.
    pub best: bool,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct End {
    /// Why.
    pub reason: EndReason,
    /// Optimizer steps done.
    pub step: u64,
    /// Epochs done, with the fraction of the last one.
    pub epoch: f64,
    /// Seconds of training in all, those before an interruption included.
    pub seconds: f64,
    /// The model that was kept, where an evaluation chose one.
    pub best: Option<Best>,
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// All epochs are done.
    Finished,
    /// `--max-steps` are done.
    MaxSteps,
    /// `--early-stopping-patience` evaluations brought nothing better.
    EarlyStopping,
    /// Somebody stopped it.
    Interrupted,
}

/// The model that was kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// The figure that chose it.
    pub metric: String,
    /// That figure's value.
    pub value: f64,
    /// Optimizer steps it had seen.
    pub step: u64,
    /// Epochs it had seen.
    pub epoch: f64,
}

/// Somebody who is told what happens, in the order in which it happens.
pub trait Observer {
    /// Before the first step.
    fn on_start(&mut self, _start: &Start) {}
    /// After each optimizer step.
    fn on_step(&mut self, _step: &StepRecord) {}
    /// Before each evaluation of a split.
    fn on_evaluation_start(&mut self, _split: &str) {}
    /// After each evaluation.
    fn on_evaluation(&mut self, _evaluation: &EvaluationRecord) {}
    /// Before each checkpoint.
    fn on_save_start(&mut self, _step: u64) {}
    /// After each checkpoint, which took so many seconds.
    fn on_save(&mut self, _step: u64, _seconds: f64) {}
    /// After everything else.
    fn on_end(&mut self, _end: &End) {}
}

/// Several observers as one.
#[derive(Default)]
pub struct Observers(pub Vec<Box<dyn Observer>>);

impl Observers {
    /// The observers of a run: progress on stderr, `log.jsonl`, and TensorBoard's files where they are wanted.
    ///
    /// # Errors
    /// A file that can't be opened in the run's folder.
    pub fn of(run: &RunDirectory, tensorboard: bool) -> Result<Self> {
        let mut observers: Vec<Box<dyn Observer>> = vec![Box::new(Progress::on_stderr())];
        observers.push(Box::new(JsonLines::open(run)?));
        if tensorboard {
            observers.push(Box::new(TensorBoard::create(run)?));
        }
        Ok(Self(observers))
    }
}

impl Observer for Observers {
    fn on_start(&mut self, start: &Start) {
        self.0.iter_mut().for_each(|observer| observer.on_start(start));
    }

    fn on_step(&mut self, step: &StepRecord) {
        self.0.iter_mut().for_each(|observer| observer.on_step(step));
    }

    fn on_evaluation_start(&mut self, split: &str) {
        self.0.iter_mut().for_each(|observer| observer.on_evaluation_start(split));
    }

    fn on_evaluation(&mut self, evaluation: &EvaluationRecord) {
        self.0.iter_mut().for_each(|observer| observer.on_evaluation(evaluation));
    }

    fn on_save_start(&mut self, step: u64) {
        self.0.iter_mut().for_each(|observer| observer.on_save_start(step));
    }

    fn on_save(&mut self, step: u64, seconds: f64) {
        self.0.iter_mut().for_each(|observer| observer.on_save(step, seconds));
    }

    fn on_end(&mut self, end: &End) {
        self.0.iter_mut().for_each(|observer| observer.on_end(end));
    }
}

fn as_map<S: Serializer>(pairs: &[(String, f64)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, value)| (name, value)))
}

/// Records for the tests of the observers.
#[cfg(test)]
mod samples {
    use super::*;

    pub fn start() -> Start {
        Start {
            run: "runs/a".into(),
            dataset: "sst2".to_owned(),
            model: "bert-base-uncased".to_owned(),
            device: "cpu".to_owned(),
            precision: "fp32".to_owned(),
            parameters: 109_483_778,
            trainable_parameters: 109_483_778,
            train_examples: 6920,
            validation_examples: 872,
            epochs: 3,
            steps_done: 0,
            total_steps: 1299,
        }
    }

    pub fn step(step: u64) -> StepRecord {
        StepRecord {
            step,
            total_steps: 1299,
            epoch: step as f64 / 433.0,
            loss: 0.5,
            learning_rate: 1.5e-5,
            gradient_norm: 2.25,
            examples: 16,
            tokens: 400,
            examples_per_second: 32.0,
            tokens_per_second: 800.0,
            seconds: step as f64 / 2.0,
        }
    }

    pub fn evaluation() -> EvaluationRecord {
        EvaluationRecord {
            epoch: 1.0,
            step: 433,
            split: "validation".to_owned(),
            loss: 0.375,
            scores: vec![("accuracy".to_owned(), 0.875), ("f1".to_owned(), 0.8125)],
            value: 0.875,
            seconds: 4.5,
            best: true,
        }
    }

    pub fn end() -> End {
        End {
            reason: EndReason::EarlyStopping,
            step: 866,
            epoch: 2.0,
            seconds: 433.0,
            best: Some(Best { metric: "accuracy".to_owned(), value: 0.875, step: 433, epoch: 1.0 }),
        }
    }
}
