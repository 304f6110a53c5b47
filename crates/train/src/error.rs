//! What can go wrong in training, and what to do about it.

mod memory;
mod options;

use std::path::{Path, PathBuf};

pub use memory::MemoryShortage;
pub use options::{GivenOption, OptionsError, ValueSource};

use collective::CollectiveError;

use crate::signals::Signal;

/// The result of anything in this crate that can fail.
pub type Result<T, E = TrainError> = std::result::Result<T, E>;

/// What can go wrong between the flags and the finished run.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    #[error(transparent)]
    Options(#[from] OptionsError),

    /// A checkpoint that couldn't be written. The run stops, because continuing would risk losing more work.
    #[error("step {step} is not saved: {source}. Training has stopped; {}", what_is_safe(*safe, run))]
    NotSaved {
        step: u64,
        /// The newest step that is saved.
        safe: Option<u64>,
        run: PathBuf,
        source: Box<TrainError>,
    },

    /// A signal stopped the run; its state is saved.
    #[error("stopped by {} after step {step}, which is saved (hint: cargo run -p train -- --resume {} continues from \
        there)", signal.name(), run.display())]
    Interrupted { signal: Signal, run: PathBuf, step: u64 },

    /// A signal stopped a group of runs; the state of each is saved.
    #[error("stopped by {}; {finished} of {members} runs are finished (hint: the same command, or `cargo run -p train -- \
        --resume {}`, continues with the others)", signal.name(), group.display())]
    GroupInterrupted { signal: Signal, group: PathBuf, finished: usize, members: usize },

    /// An evaluation that a signal stopped.
    #[error("stopped by a signal")]
    Stopped(Signal),

    /// Another process of the training is lost.
    #[error("{source}. Training has stopped after step {step}; {}", what_is_safe(*safe, run))]
    LostProcess {
        step: u64,
        /// The newest step that is saved.
        safe: Option<u64>,
        run: PathBuf,
        source: Box<CollectiveError>,
    },

    /// A process that is not rank 0 has stopped for a reason that all have, and that rank 0 says.
    #[error("rank {rank} has stopped together with rank 0, which says more: {reason}")]
    StoppedWithFirst { rank: usize, signal: Option<Signal>, reason: String },

    /// What goes wrong between processes.
    #[error(transparent)]
    Collective(Box<CollectiveError>),

    /// A loss or gradient that is no longer a number. No weight was updated with it.
    #[error(
        "step {step}: the loss is {loss} and the gradient's norm {gradient_norm}, so training has stopped before \
        this update; the state before it is saved in {}. Training rows of this step, counted from 0: {rows:?} \
        (hint: a lower --learning-rate, more --warmup-steps, or --precision fp32)", saved.display()
    )]
    NotFinite {
        /// The step, from 1.
        step: u64,
        loss: f64,
        gradient_norm: f64,
        /// The rows of that step in the training split.
        rows: Vec<usize>,
        /// The checkpoint of the state before that step.
        saved: PathBuf,
    },

    /// Memory that is too small for a part of training even in its smallest pieces.
    #[error("{0} (hint: {hint})", hint = .0.hint())]
    OutOfMemory(MemoryShortage),

    /// The same in a run, which has stopped.
    #[error("{at}: {shortage}. Training has stopped; {} (hint: {})", what_is_safe(*safe, run), shortage.hint())]
    StoppedOutOfMemory {
        /// The step or evaluation, such as `step 7`.
        at: String,
        shortage: MemoryShortage,
        /// The newest step that is saved.
        safe: Option<u64>,
        run: PathBuf,
    },

    /// A run that can't start or continue with the given options; the message contains the reason and a hint.
    #[error("{0}")]
    Refused(String),

    #[error(transparent)]
    Run(#[from] run::RunError),

    #[error(transparent)]
    Disk(#[from] disk::DiskError),

    #[error(transparent)]
    Data(#[from] data::DataError),

    #[error(transparent)]
    Fetch(#[from] fetch::FetchError),

    #[error(transparent)]
    Model(#[from] model::ModelError),

    /// Predictions that can't be scored.
    #[error(transparent)]
    Metrics(#[from] metrics::MetricsError),

    #[error("failed to write the record as JSON")]
    Json(#[from] serde_json::Error),

    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}

/// Where a run that has stopped can continue.
fn what_is_safe(safe: Option<u64>, run: &Path) -> String {
    match safe {
        Some(safe) => {
            format!("step {safe} is saved, and cargo run -p train -- --resume {} continues from there", run.display())
        }
        None => "no step was saved before".to_owned(),
    }
}

impl From<CollectiveError> for TrainError {
    fn from(error: CollectiveError) -> Self {
        Self::Collective(Box::new(error))
    }
}

impl TrainError {
    /// Saved optimizer state of another model or optimizer. `details` lists missing, unexpected and misshapen tensors,
    /// one per line.
    pub(crate) fn optimizer_state(details: &str) -> Self {
        Self::Refused(format!(
            "the saved optimizer state does not match this model and optimizer{details} (hint: resume with the model and the \
             --optimizer of the saved run)"
        ))
    }
}
