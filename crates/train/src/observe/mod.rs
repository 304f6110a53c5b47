//! Observers of a training: plain records go out, nothing comes back, so that no observer can change what is trained.
//!
//! An observer that can no longer write (a full disk) says so once and falls silent; it never stops the training.

mod progress;
mod tensorboard;

use run::{End, EvaluationRecord, Event, LogWriter, RunFolder, Start, StepRecord};

pub(crate) use progress::Progress;
pub(crate) use tensorboard::TensorBoard;

use crate::error::Result;

/// Receives the events of a training in order.
pub(crate) trait Observer {
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
pub(crate) struct Observers(Vec<Box<dyn Observer>>);

impl Observers {
    /// The observers of a run: progress on stderr, `log.jsonl`, and TensorBoard's files where they are wanted.
    ///
    /// # Errors
    /// A file that can't be opened in the run's folder.
    pub fn of(run: &RunFolder, tensorboard: bool) -> Result<Self> {
        let mut observers: Vec<Box<dyn Observer>> = vec![Box::new(Progress::on_stderr())];
        observers.push(Box::new(LogWriter::open(run.path())?));
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

/// `log.jsonl`.
impl Observer for LogWriter {
    fn on_start(&mut self, start: &Start) {
        self.write(&Event::Start(start.clone()));
    }

    fn on_step(&mut self, step: &StepRecord) {
        self.write(&Event::Step(step.clone()));
    }

    fn on_evaluation(&mut self, evaluation: &EvaluationRecord) {
        self.write(&Event::Evaluation(evaluation.clone()));
    }

    fn on_end(&mut self, end: &End) {
        self.write(&Event::End(end.clone()));
    }
}

/// Records for the tests of the observers.
#[cfg(test)]
mod samples {
    use run::{Best, EndReason, Scores};

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
            scores: Scores(vec![("accuracy".to_owned(), 0.875), ("f1".to_owned(), 0.8125)]),
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
