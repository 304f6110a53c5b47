//! A run seen from outside, while it goes on: how far its log is, which saves are unfinished, which checkpoint is the
//! newest.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use train::files::UNFINISHED;
use train::run_directory::LOG;

/// The folder of a run's checkpoints.
pub const CHECKPOINTS: &str = "checkpoints";
/// How the name of a checkpoint begins; its step follows.
const STEP: &str = "step-";
/// The file that makes a checkpoint valid.
const SUMS: &str = "SHA256SUMS";

/// More than the longest line of a log.
const TAIL: i64 = 8192;

/// The last step that the log of a run holds.
pub fn last_step(run: &Path) -> Option<u64> {
    let mut file = File::open(run.join(LOG)).ok()?;
    let length = file.metadata().ok()?.len() as i64;
    file.seek(SeekFrom::End(-length.min(TAIL))).ok()?;
    let mut tail = String::new();
    file.read_to_string(&mut tail).ok()?;
    let whole = &tail[..tail.rfind('\n')?];
    whole.lines().rev().find_map(step_of)
}

/// The step of a log line about a step.
fn step_of(line: &str) -> Option<u64> {
    let record: serde_json::Value = serde_json::from_str(line).ok()?;
    (record["event"] == "step").then(|| record["step"].as_u64()).flatten()
}

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

/// The newest finished checkpoint of a run and its step.
pub fn newest_checkpoint(run: &Path) -> Option<(u64, PathBuf)> {
    let entries = fs::read_dir(run.join(CHECKPOINTS)).ok()?.flatten();
    let finished = entries.filter_map(|entry| {
        let step = entry.file_name().to_str()?.strip_prefix(STEP)?.parse().ok()?;
        entry.path().join(SUMS).is_file().then(|| (step, entry.path()))
    });
    finished.max()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of its own under the system's temporary one, gone at the end.
    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn the_last_step_is_that_of_the_last_whole_line_about_one() {
        let run = folder();
        let log = run.path().join(LOG);
        assert_eq!(last_step(run.path()), None);
        fs::write(&log, "{\"event\":\"start\",\"steps_done\":7}\n").unwrap();
        assert_eq!(last_step(run.path()), None);
        let mut text = String::new();
        for step in 1..=200 {
            text += &format!("{{\"event\":\"step\",\"step\":{step},\"note\":\"{}\"}}\n", "x".repeat(100));
        }
        text += "{\"event\":\"evaluation\",\"step\":201}\n{\"event\":\"step\",\"step\":20";
        fs::write(&log, &text).unwrap();
        assert_eq!(last_step(run.path()), Some(200));
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
    fn only_finished_checkpoints_count_and_by_their_number() {
        let run = folder();
        assert_eq!(newest_checkpoint(run.path()), None);
        for (name, file) in [
            ("step-9", SUMS),
            ("step-00000010", SUMS),
            ("step-00000100", "model.safetensors"),
            (".unfinished-step-00000200", SUMS),
        ] {
            let checkpoint = run.path().join(CHECKPOINTS).join(name);
            fs::create_dir_all(&checkpoint).unwrap();
            fs::write(checkpoint.join(file), "").unwrap();
        }
        let (step, path) = newest_checkpoint(run.path()).unwrap();
        assert!(step == 10 && path.ends_with("step-00000010"), "{step} {}", path.display());
        assert_eq!(unfinished_checkpoints(run.path()).len(), 1);
        fs::write(run.path().join(".unfinished-model"), "").unwrap();
        assert_eq!(unfinished(run.path()).len(), 2);
    }
}
