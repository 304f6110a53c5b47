//! What can go wrong in training, and what to do about it.

mod invalid_value;

use std::path::PathBuf;

pub use invalid_value::InvalidValue;

use crate::device::Findings;
use crate::memory::Shortage;
use crate::room::shown;
use crate::signals::Signal;

/// The result of anything in this crate that can fail.
pub type Result<T, E = TrainError> = std::result::Result<T, E>;

/// What can go wrong between the flags and the finished run.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A value outside what is allowed, from a flag, the file or a default.
    #[error("{0}")]
    Value(Box<InvalidValue>),

    /// Two options that exclude each other.
    #[error("{first} and {second} can't both be given: {why} (hint: {hint})")]
    Conflict {
        /// The one, as written.
        first: String,
        /// The other, as written.
        second: String,
        /// Why they don't go together.
        why: String,
        /// What to do.
        hint: String,
    },

    /// A `--config` file that isn't TOML, or a value in it of the wrong kind.
    #[error("{}, line {line}{}: {message}{}", path.display(),
        key.as_ref().map_or(String::new(), |key| format!(", key \"{key}\"")),
        if message.contains("(hint: ") { "" } else { " (hint: `key = value` with the names of `train --help` in snake_case)" })]
    ConfigFile {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The key whose value is wrong; `None` where the line itself can't be read.
        key: Option<String>,
        /// What was found.
        message: String,
    },

    /// A key in a `--config` file that no option has.
    #[error("{}, line {line}: no option is called \"{key}\"{}", path.display(), match nearest {
        Some(nearest) => format!(" (hint: did you mean \"{nearest}\"?)"),
        None => " (hint: `train --help` lists them; in the file they are written in snake_case)".to_owned(),
    })]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The key as it stands.
        key: String,
        /// The option whose name is closest, where one is close.
        nearest: Option<&'static str>,
    },

    /// A resolved configuration that can't be written as TOML.
    #[error("the configuration can't be written as TOML")]
    ConfigWrite(#[from] toml::ser::Error),

    /// An output folder with somebody else's files.
    #[error("{} isn't empty and isn't a run of ours: it holds \"{found}\" (hint: give another --output, \
        or none for a new folder under runs/)", path.display())]
    OutputTaken {
        /// The folder.
        path: PathBuf,
        /// One of the files in it.
        found: String,
    },

    /// An output folder with a trained model.
    #[error("{} already holds a trained model (hint: give another --output, or delete that folder to train into it \
        again)", path.display())]
    OutputFinished {
        /// The folder.
        path: PathBuf,
    },

    /// A run folder that another process writes to.
    #[error("{} is in use by {} (hint: wait for it, or give another --output)", path.display(),
        holder.map_or("another process".to_owned(), |holder| format!("process {holder}")))]
    RunTaken {
        /// The folder.
        path: PathBuf,
        /// That process; `None` where it hasn't said yet who it is.
        holder: Option<u32>,
    },

    /// Too little room on the disk for the checkpoints of a run.
    #[error("checkpoints in {} need {}, {} free (hint: free some space, another --output, or a smaller --save-total)",
        path.display(), shown(*needed), shown(*free))]
    NoRoom {
        /// The folder.
        path: PathBuf,
        /// Bytes that will be written.
        needed: u64,
        /// Bytes that can be.
        free: u64,
    },

    /// An output folder with a run that was stopped.
    #[error("{} holds a run that was stopped, saved up to step {step} (hint: --resume {} goes on from there; another \
        --output, or deleting that folder, starts anew)", path.display(), path.display())]
    HasCheckpoints {
        /// The folder.
        path: PathBuf,
        /// The step of its newest checkpoint.
        step: u64,
    },

    /// A checkpoint that couldn't be written. The run stops: what it would lose later is more than what it loses now.
    #[error("step {step} isn't saved: {source}. Training has stopped; {}", match safe {
        Some(safe) => format!("step {safe} is saved, and cargo run -p train -- --resume {} goes on from there",
            run.display()),
        None => "no step was saved before".to_owned(),
    })]
    NotSaved {
        /// The step.
        step: u64,
        /// The newest step that is saved.
        safe: Option<u64>,
        /// The run's folder.
        run: PathBuf,
        /// Why.
        source: Box<TrainError>,
    },

    /// A path to resume that holds no run.
    #[error("{} {}", path.display(), if path.exists() {
        "is neither a run nor one of its checkpoints (hint: --resume takes the folder that training said it writes to, \
            or a folder in its checkpoints)".to_owned()
    } else {
        format!("doesn't exist, so there is nothing to resume (hint: --output {} --resume goes on with a run where there \
            is one and begins it where there is none)", path.display())
    })]
    NothingToResume {
        /// The path.
        path: PathBuf,
    },

    /// A checkpoint that isn't as it was written.
    #[error("damaged checkpoint: {} {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },

    /// Checkpoints of which none is good.
    #[error("none of the checkpoints in {} is good:{details}\n  (hint: a copy of that folder made earlier may be; \
        deleting it lets --resume start from nothing)", path.display())]
    NoGoodCheckpoint {
        /// The folder of the checkpoints.
        path: PathBuf,
        /// What is wrong with each, one a line.
        details: String,
    },

    /// A run to be resumed that would no longer be the same run.
    #[error("{} can't go on as it began:{details}\n  (hint: give the earlier values, or --allow-change to go on all the \
        same)", path.display())]
    Changed {
        /// The checkpoint.
        path: PathBuf,
        /// What differs, one a line.
        details: String,
    },

    /// Somebody stopped the run; what it has learned is saved.
    #[error("stopped by {} after step {step}, which is saved (hint: cargo run -p train -- --resume {} goes on from \
        there)", signal.name(), run.display())]
    Interrupted {
        /// What stopped it.
        signal: Signal,
        /// The run's folder.
        run: PathBuf,
        /// Optimizer steps done.
        step: u64,
    },

    /// A pass over a split that a signal ended.
    #[error("stopped by a signal")]
    Stopped,

    /// A GPU on which not even one example at a time fits.
    #[error(
        "step {step}: the GPU's memory is too small for one example at a time (hint: a smaller model, a shorter \
        --max-length when preparing, or --device cpu)"
    )]
    NoGpuMemory {
        /// The step, from 1.
        step: u64,
    },

    /// Too little memory for a run on the CPU.
    #[error("{0}")]
    NoMemory(Box<Shortage>),

    /// No run to take the newest of.
    #[error("no finished run under {} (hint: `cargo run -p train` makes one; --run DIR names one elsewhere)",
        root.display())]
    NoRun {
        /// The folder that was searched.
        root: PathBuf,
    },

    /// A folder that isn't a finished run.
    #[error("{} is not a finished run: it has no {missing} (hint: --run takes the folder that training printed at its \
        end; without --run the newest is taken)", path.display())]
    NotARun {
        /// The folder.
        path: PathBuf,
        /// The file it lacks.
        missing: &'static str,
    },

    /// A file operation that failed.
    #[error("can't {action} {}", path.display())]
    Io {
        /// The verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },

    /// A tensor that an optimizer can't work on in place.
    #[error("{name}: this tensor is {found}, and the update needs {needed}")]
    UnfitTensor {
        /// The parameter's name.
        name: String,
        /// Kind, layout and device, or the shape.
        found: String,
        /// The same of what would fit.
        needed: String,
    },

    /// Saved optimizer state of another model or another optimizer.
    #[error(
        "the saved optimizer state doesn't fit this model and optimizer{details} \
        (hint: resume with the model and the --optimizer of the saved run)"
    )]
    OptimizerState {
        /// Missing, unexpected and misshapen tensors, one a line.
        details: String,
    },

    /// A split without labels where they are needed.
    #[error(
        "split \"{split}\": {unlabelled} of {rows} rows have no label, so it can be predicted but neither trained \
        on nor scored (hint: `predict` answers unlabelled texts; evaluate takes --split)"
    )]
    Unlabelled {
        /// The split.
        split: String,
        /// Its rows.
        rows: usize,
        /// How many of them have no label.
        unlabelled: usize,
    },

    /// Too little to learn from.
    #[error("{} has {rows} training rows, fewer than one batch of {batch_size} (hint: more data, or --batch-size \
        {rows})", data.display())]
    TooFewRows {
        /// The prepared data.
        data: PathBuf,
        /// Its training rows.
        rows: usize,
        /// The rows of a batch.
        batch_size: usize,
    },

    /// Prepared data that this model can't read.
    #[error("{} doesn't fit the model {model}: {problem} (hint: cargo xtask prepare-data --dataset {dataset} \
        --model {model} --max-length {max_length})", data.display())]
    Unfit {
        /// The prepared data.
        data: PathBuf,
        /// The model's name.
        model: String,
        /// What doesn't fit.
        problem: String,
        /// The data set, for the hint.
        dataset: String,
        /// A length that would fit, for the hint.
        max_length: usize,
    },

    /// CUDA asked for and not usable.
    #[error("--device cuda can't be had: {0}")]
    NoCuda(Box<Findings>),

    /// A loss or gradient that is no longer a number. Nothing was updated with it.
    #[error(
        "step {step}: the loss is {loss} and the gradient's norm {gradient_norm}, so training has stopped before \
        this update; the state before it is saved in {}. Training rows of this step, counted from 0: {rows:?} \
        (hint: a lower --learning-rate, more --warmup-steps, or --precision fp32)", saved.display()
    )]
    NotFinite {
        /// The step, from 1.
        step: u64,
        /// Its loss.
        loss: f64,
        /// Its gradient's global norm.
        gradient_norm: f64,
        /// Its rows in the training split.
        rows: Vec<usize>,
        /// The checkpoint of the state before it.
        saved: PathBuf,
    },

    /// Signals that can't be caught.
    #[error("the system doesn't let SIGINT and SIGTERM be caught")]
    Signals(#[source] std::io::Error),

    /// Something about the data.
    #[error(transparent)]
    Data(#[from] data::DataError),

    /// Something about finding a model.
    #[error(transparent)]
    Fetch(#[from] fetch::FetchError),

    /// Something about a model's files.
    #[error(transparent)]
    Model(#[from] model::ModelError),

    /// Predictions that can't be scored.
    #[error(transparent)]
    Metrics(#[from] metrics::MetricsError),

    /// Figures that can't be written as JSON.
    #[error("the figures can't be written as JSON")]
    Json(#[from] serde_json::Error),

    /// libtorch refused an operation.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}

impl TrainError {
    /// For `map_err`: a failed file operation, with its verb and path.
    pub fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
