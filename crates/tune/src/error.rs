//! Errors of a study, each with a hint.

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
        "{}, line {line}: {problem} (hint: the file is damaged or is not a study; to continue from the lines before, \
         copy it and remove this line and all that follow)", path.display()
    )]
    Damaged { path: PathBuf, line: u64, problem: String },

    /// The journal is no longer the file that was read before.
    #[error("{} was replaced or cut off while it was in use (hint: run the same command again)", path.display())]
    Replaced { path: PathBuf },

    /// The lock was lost several times between acquiring it and writing.
    #[error(
        "failed to keep the lock {}: another process removed it several times (hint: look for that process, or for a \
         disk on which a write takes more than 30 s)", path.display()
    )]
    LockLost { path: PathBuf },

    #[error("{}: expected a study \"{study}\", found {}", path.display(), names(found))]
    NoStudy { path: PathBuf, study: String, found: Vec<String> },

    #[error(
        "study \"{study}\" in {}: expected the direction {expected}, found {found} (hint: use another study name)",
        path.display()
    )]
    OtherDirection { path: PathBuf, study: String, found: StudyDirection, expected: StudyDirection },

    #[error(
        "study \"{study}\" in {}: expected one objective, found {objectives} (hint: use another study name)", path.display()
    )]
    Objectives { path: PathBuf, study: String, objectives: String },

    #[error("study \"{study}\" has no trial {number}, only {count} trials")]
    NoTrial { study: String, number: u64, count: u64 },

    /// The trial's state does not allow this.
    #[error("trial {number} is {state}, so it can't {action}")]
    WrongState { number: u64, state: TrialState, action: &'static str },

    #[error("trial {number} now belongs to {owner}, because this process was considered dead")]
    NotOwner { number: u64, owner: String },

    #[error("parameter \"{name}\" {problem}")]
    BadParam { name: String, problem: String },

    #[error("trial {number} can't be complete with the value NaN (hint: finish it as failed)")]
    NanValue { number: u64 },

    #[error("failed to export the trials: {source}")]
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
