//! What can go wrong with a study, each with the way out.

use std::io;
use std::path::PathBuf;

use disk::DiskError;

use crate::space::SpaceError;
use crate::{StudyDirection, TrialState};

pub type Result<T, E = TuneError> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TuneError {
    #[error(transparent)]
    Space(#[from] SpaceError),

    #[error("{}: {}", .0, .0.source)]
    Disk(#[from] DiskError),

    #[error(
        "{}, line {line}: {problem} (hint: the file is damaged or not a study; copy it, then remove this line and \
         everything that follows to go on from what came before)", path.display()
    )]
    Damaged { path: PathBuf, line: u64, problem: String },

    /// The journal is not the file any more that was read before.
    #[error("{} was replaced or cut off while it was in use (hint: run the same command again)", path.display())]
    Replaced { path: PathBuf },

    /// The lock was lost again and again between taking it and writing.
    #[error(
        "the lock {} is taken away from this process again and again (hint: look for a process that removes it, or a \
         disk on which a write takes longer than half a minute)", path.display()
    )]
    LockLost { path: PathBuf },

    #[error("{} has no study \"{study}\"; it has {}", path.display(), names(found))]
    NoStudy { path: PathBuf, study: String, found: Vec<String> },

    #[error(
        "study \"{study}\" in {} is there to {found}, not to {wanted} its value (hint: take another study name)",
        path.display()
    )]
    OtherDirection { path: PathBuf, study: String, found: StudyDirection, wanted: StudyDirection },

    #[error(
        "study \"{study}\" in {} has {objectives}; one value to minimize or maximize can be gone on with (hint: take \
         another study name)", path.display()
    )]
    Objectives { path: PathBuf, study: String, objectives: String },

    #[error("study \"{study}\" has no trial {number}; it has {count}")]
    NoTrial { study: String, number: u64, count: u64 },

    /// The trial is not in a state in which this can be done to it.
    #[error("trial {number} is {state}, so it can't {doing}")]
    WrongState { number: u64, state: TrialState, doing: &'static str },

    #[error("trial {number} belongs to {owner} now, because this process was taken for dead")]
    NotOwner { number: u64, owner: String },

    #[error("parameter \"{name}\" {problem}")]
    BadParam { name: String, problem: String },

    #[error("trial {number} can't be complete with a value that is no number (hint: finish it as failed)")]
    NotANumber { number: u64 },

    #[error("cannot export the trials: {source}")]
    Export { source: io::Error },
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
