//! Paths and names of a run's checkpoints. Their contents are defined by `train`.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use disk::{DiskError, REPLACED};

pub const CHECKPOINTS: &str = "checkpoints";
/// The file that a checkpoint's writing ends with: the sums of the others.
pub const SUMS: &str = "SHA256SUMS";

/// `step-00000100`.
pub fn name_of(step: u64) -> String {
    format!("step-{step:08}")
}

/// The step in a checkpoint's name. Names sort by it as numbers, not as text.
pub fn step_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("step-")?;
    digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// The steps of the checkpoints in `folder` in order, complete or not; none if there is no such folder.
pub fn steps_in(folder: &Path) -> disk::Result<Vec<u64>> {
    let mut steps: Vec<u64> = names_in(folder)?.iter().filter_map(|name| step_of(name)).collect();
    steps.sort_unstable();
    Ok(steps)
}

/// The newest checkpoint of a run that was written to its end, and its step. Its contents aren't checked. It may be one
/// that was being replaced when its process was killed: the next `--resume` puts it back.
pub fn newest_complete(run: &Path) -> Option<(u64, PathBuf)> {
    let folder = run.join(CHECKPOINTS);
    let step = |name: &str| step_of(name.strip_prefix(REPLACED).unwrap_or(name));
    let names = names_in(&folder).ok()?;
    let mut checkpoints: Vec<_> =
        names.into_iter().filter_map(|name| Some((step(&name)?, folder.join(name)))).collect();
    // Of the same step, the one in the place comes last: `.` sorts before letters.
    checkpoints.sort_unstable();
    checkpoints.into_iter().rev().find(|(_, path)| path.join(SUMS).is_file())
}

/// The names in a folder, in no order.
pub(crate) fn read_names(folder: &Path) -> io::Result<Vec<String>> {
    fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

fn names_in(folder: &Path) -> disk::Result<Vec<String>> {
    match read_names(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        names => names.map_err(DiskError::at("list the folder", folder)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_finished_checkpoints_count_and_by_their_number() {
        let run = tempfile::tempdir().unwrap();
        assert_eq!(newest_complete(run.path()), None);
        for (name, file) in [
            ("step-00000009", SUMS),
            ("step-00000010", SUMS),
            ("step-00000100", "model.safetensors"),
            (".unfinished-step-00000200", SUMS),
            (".replaced-step-00000009", SUMS),
        ] {
            let checkpoint = run.path().join(CHECKPOINTS).join(name);
            fs::create_dir_all(&checkpoint).unwrap();
            fs::write(checkpoint.join(file), "").unwrap();
        }
        let (step, path) = newest_complete(run.path()).unwrap();
        assert!(step == 10 && path.ends_with("step-00000010"), "{step} {}", path.display());
        assert_eq!(steps_in(&run.path().join(CHECKPOINTS)).unwrap(), [9, 10, 100]);
        // Its process was killed between two renames.
        fs::rename(run.path().join(CHECKPOINTS).join("step-00000010"), path.with_file_name(".replaced-step-00000010"))
            .unwrap();
        let (step, path) = newest_complete(run.path()).unwrap();
        assert!(step == 10 && path.is_dir(), "{step} {}", path.display());
        assert_eq!(disk::clear_unfinished(&run.path().join(CHECKPOINTS)).unwrap().removed.len(), 2);
        let (step, path) = newest_complete(run.path()).unwrap();
        assert!(step == 10 && path.ends_with("step-00000010"), "{step} {}", path.display());
        assert_eq!(names_in(&run.path().join(CHECKPOINTS)).unwrap().len(), 3);
    }
}
