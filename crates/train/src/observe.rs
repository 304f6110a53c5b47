//! Observers of training: they receive records and return nothing, so no observer can change the result.
//!
//! An observer that fails to write (for example on a full disk) warns once and stops writing; it never stops training.

mod progress;
mod tensorboard;

use run::{Event, LogWriter, RunFolder};

use crate::error::Result;
use progress::Progress;
use tensorboard::TensorBoard;

/// Training events, which observers receive in order.
pub(crate) enum Notice<'a> {
    /// An event that is also written to the log.
    Record(&'a Event),
    EvaluationStarts {
        split: &'a str,
    },
    SaveStarts,
    Saved {
        step: u64,
        seconds: f64,
    },
}

pub(crate) trait Observer {
    fn notify(&mut self, notice: &Notice<'_>);
}

#[derive(Default)]
pub(crate) struct Observers(Vec<Box<dyn Observer>>);

impl Observers {
    /// The observers of a run: progress on stderr, `log.jsonl`, and TensorBoard's files if `tensorboard` is set.
    ///
    /// # Errors
    /// A file that can't be opened in the run's folder.
    pub(crate) fn of(run: &RunFolder, tensorboard: bool) -> Result<Self> {
        let mut observers: Vec<Box<dyn Observer>> =
            vec![Box::new(Progress::on_stderr()), Box::new(LogWriter::open(run.path())?)];
        if tensorboard {
            observers.push(Box::new(TensorBoard::create(run)?));
        }
        Ok(Self(observers))
    }

    pub(crate) fn notify(&mut self, notice: &Notice<'_>) {
        self.0.iter_mut().for_each(|observer| observer.notify(notice));
    }

    pub(crate) fn record(&mut self, event: Event) {
        self.notify(&Notice::Record(&event));
    }
}

/// `log.jsonl`.
impl Observer for LogWriter {
    fn notify(&mut self, notice: &Notice<'_>) {
        if let Notice::Record(event) = notice {
            self.write(event);
        }
    }
}

/// Records for the tests of the observers.
#[cfg(test)]
mod samples {
    use run::{Best, EndReason, EndRecord, EvaluationRecord, NamedScores, StartRecord, StepRecord};

    pub(super) fn start() -> StartRecord {
        StartRecord {
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

    pub(super) fn step(step: u64) -> StepRecord {
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

    pub(super) fn evaluation() -> EvaluationRecord {
        EvaluationRecord {
            epoch: 1.0,
            step: 433,
            split: "validation".to_owned(),
            loss: 0.375,
            scores: NamedScores(vec![("accuracy".to_owned(), 0.875), ("f1".to_owned(), 0.8125)]),
            value: 0.875,
            seconds: 4.5,
            best: true,
        }
    }

    pub(super) fn end() -> EndRecord {
        EndRecord {
            reason: EndReason::EarlyStopping,
            step: 866,
            epoch: 2.0,
            seconds: 433.0,
            best: Some(Best { metric: "accuracy".to_owned(), value: 0.875, step: 433, epoch: 1.0 }),
        }
    }
}
