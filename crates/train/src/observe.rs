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
