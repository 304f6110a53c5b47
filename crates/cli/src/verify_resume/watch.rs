//! A run seen from outside, while it goes on: whether its log has changed, and which saves are unfinished.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use disk::UNFINISHED;
use run::LOG;
use run::checkpoints::CHECKPOINTS;

/// Tells one state of a log from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogState(Option<(u64, SystemTime)>);

/// The present state of a run's log.
pub fn log_state(run: &Path) -> LogState {
    let state = || {
        let metadata = fs::metadata(run.join(LOG)).ok()?;
        Some((metadata.len(), metadata.modified().ok()?))
    };
    LogState(state())
}

/// A save that isn't finished: where it is, and what tells it from a later one of the same name.
pub type Unfinished = (PathBuf, u64, Option<SystemTime>);

/// The unfinished checkpoints of a run.
pub fn unfinished_checkpoints(run: &Path) -> BTreeSet<Unfinished> {
    unfinished_in(&run.join(CHECKPOINTS)).collect()
}

/// All that is unfinished in a run: checkpoints, and files beside the one that they shall replace.
pub fn unfinished(run: &Path) -> BTreeSet<Unfinished> {
    unfinished_in(&run.join(CHECKPOINTS)).chain(unfinished_in(run)).collect()
}

fn unfinished_in(folder: &Path) -> impl Iterator<Item = Unfinished> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let unfinished = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(UNFINISHED));
    unfinished.filter_map(|entry| {
        let metadata = entry.metadata().ok()?;
        Some((entry.path(), metadata.ino(), metadata.created().ok()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of its own under the system's temporary one, gone at the end.
    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn a_log_that_was_cut_or_grew_is_in_another_state() {
        let run = folder();
        let none = log_state(run.path());
        assert_eq!(none, log_state(run.path()));
        fs::write(run.path().join(LOG), "a\n").unwrap();
        let some = log_state(run.path());
        assert_ne!(none, some);
        fs::write(run.path().join(LOG), "a\nb\n").unwrap();
        assert_ne!(some, log_state(run.path()));
    }

    #[test]
    fn what_is_unfinished_is_found_in_both_places() {
        let run = folder();
        fs::create_dir_all(run.path().join(CHECKPOINTS).join(".unfinished-step-00000200")).unwrap();
        fs::create_dir_all(run.path().join(CHECKPOINTS).join("step-00000100")).unwrap();
        assert_eq!(unfinished_checkpoints(run.path()).len(), 1);
        fs::write(run.path().join(".unfinished-model"), "").unwrap();
        assert_eq!(unfinished(run.path()).len(), 2);
    }
}
