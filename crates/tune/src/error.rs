//! What can go wrong with a study, each with the way out.

use std::io;
use std::path::PathBuf;

use disk::DiskError;

use crate::space::SpaceError;
use crate::{Direction, TrialState};

/// The result of everything in this crate.
pub type Result<T, E = TuneError> = std::result::Result<T, E>;

/// Why a study could not be read, written or gone on with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TuneError {
    /// A space that can't be read, or can't be searched as asked.
    #[error(transparent)]
    Space(#[from] SpaceError),

    /// A file or folder of this machine could not be read or written.
    #[error("{}: {}", .0, .0.source)]
    Disk(#[from] DiskError),

    /// A line of the journal that is not one of Optuna's operations.
    #[error(
        "{}, line {line}: {problem} (hint: the file is damaged or not a study; copy it, then remove this line and \
         everything that follows to go on from what came before)", path.display()
    )]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// The line, the first is 1.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },

    /// The journal is not the file any more that was read before.
    #[error("{} was replaced or cut off while it was in use (hint: run the same command again)", path.display())]
    Replaced {
        /// The journal.
        path: PathBuf,
    },

    /// The lock was lost again and again between taking it and writing.
    #[error(
        "the lock {} is taken away from this process again and again (hint: look for a process that removes it, or a \
         disk on which a write takes longer than half a minute)", path.display()
    )]
    LockLost {
        /// The lock file.
        path: PathBuf,
    },

    /// The journal has no such study.
    #[error("{} has no study \"{study}\"; it has {}", path.display(), names(found))]
    NoStudy {
        /// The journal.
        path: PathBuf,
        /// The study asked for.
        study: String,
        /// The studies that are there.
        found: Vec<String>,
    },

    /// The study is there and optimises the other way round.
    #[error(
        "study \"{study}\" in {} is there to {found}, not to {wanted} its value (hint: take another study name)",
        path.display()
    )]
    OtherDirection {
        /// The journal.
        path: PathBuf,
        /// The study.
        study: String,
        /// Its direction.
        found: Direction,
        /// The direction asked for.
        wanted: Direction,
    },

    /// The study has no single direction.
    #[error(
        "study \"{study}\" in {} has {objectives}; one value to minimize or maximize can be gone on with (hint: take \
         another study name)", path.display()
    )]
    Objectives {
        /// The journal.
        path: PathBuf,
        /// The study.
        study: String,
        /// What it has instead.
        objectives: String,
    },

    /// The study has no trial of this number.
    #[error("study \"{study}\" has no trial {number}; it has {count}")]
    NoTrial {
        /// The study.
        study: String,
        /// The number asked for.
        number: u64,
        /// How many trials there are.
        count: u64,
    },

    /// The trial is not in a state in which this can be done to it.
    #[error("trial {number} is {state}, so it can't {doing}")]
    WrongState {
        /// The trial.
        number: u64,
        /// Its state.
        state: TrialState,
        /// What was to be done: "be finished".
        doing: &'static str,
    },

    /// The trial belongs to another worker.
    #[error("trial {number} belongs to {owner} now, because this process was taken for dead")]
    NotOwner {
        /// The trial.
        number: u64,
        /// Who has it, in words.
        owner: String,
    },

    /// A parameter that this study can't take.
    #[error("parameter \"{name}\" {problem}")]
    BadParam {
        /// The parameter.
        name: String,
        /// What is wrong with it.
        problem: String,
    },

    /// A trial was to be completed without a number.
    #[error("trial {number} can't be complete with a value that is no number (hint: finish it as failed)")]
    NotANumber {
        /// The trial.
        number: u64,
    },

    /// Trials could not be exported.
    #[error("cannot export the trials: {source}")]
    Export {
        /// The writer's reason.
        source: io::Error,
    },
}

fn names(found: &[String]) -> String {
    const SHOWN: usize = 12;
    let quoted: Vec<_> = found.iter().take(SHOWN).map(|name| format!("\"{name}\"")).collect();
    match found.len() {
        0 => "none".to_owned(),
        n if n > SHOWN => format!("{} and {} more", quoted.join(", "), n - SHOWN),
        _ => quoted.join(", "),
    }
}
