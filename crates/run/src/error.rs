//! Errors of this crate, with hints.

use std::path::PathBuf;

pub type Result<T, E = RunError> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("{} isn't empty and is not a verdict run: it holds \"{found}\" (hint: give another --output, or none for \
        a new folder under runs/)", path.display())]
    NotEmpty { path: PathBuf, found: String },

    #[error("{} already holds a trained model (hint: give another --output, or delete that folder to train into it \
        again)", path.display())]
    Finished { path: PathBuf },

    #[error("{} holds a run that was stopped, saved up to step {step} (hint: --resume {} continues from there; another \
        --output, or deleting that folder, starts a new run)", path.display(), path.display())]
    HasCheckpoints { path: PathBuf, step: u64 },

    /// A run folder that another process writes to; its PID, where that is known.
    #[error("{} is in use by {} (hint: wait for it, or give another --output)", path.display(),
        holder.map_or("another process".to_owned(), |holder| format!("process {holder}")))]
    InUse { path: PathBuf, holder: Option<u32> },

    #[error("no finished run under {} (hint: `cargo run -p train` makes one; --run DIR names one elsewhere)",
        root.display())]
    NoRun { root: PathBuf },

    #[error("{} is not a finished run: it has no {missing} (hint: --run takes the folder that training printed at its \
        end; without --run the newest is taken)", path.display())]
    NotARun { path: PathBuf, missing: &'static str },

    /// A group of runs that no command can open yet.
    #[error("{} is a group of runs, and none of its {members} runs is finished (hint: `cargo run -p train -- --resume \
        {}` continues it)", path.display(), path.display())]
    NoMember { path: PathBuf, members: usize },

    /// A single run, where a group was to be trained into.
    #[error("{} holds a single run, so no group of runs can be trained into it (hint: give another --output, or none for \
        a new folder under runs/)", path.display())]
    SingleRun { path: PathBuf },

    /// Predictions of a group that were not written by this program, or are damaged.
    #[error("{}: {message} (hint: the same command that trained the group writes it again once it is deleted)", path.display())]
    Predictions { path: PathBuf, message: String },

    #[error("{} was not written by verdict, or is damaged", path.display())]
    Record { path: PathBuf, source: serde_json::Error },

    #[error(transparent)]
    Disk(#[from] disk::DiskError),
}
