//! Whether there is space for a run's checkpoints, asked before it is needed.

use std::path::Path;

use disk::{DiskError, free_bytes, human_bytes, is_full};

use crate::error::{Result, TrainError};

/// Refuses to go on where fewer than `needed` bytes are free in the file system of `path`.
pub(crate) fn check(path: &Path, needed: u64) -> Result<()> {
    let free = free_bytes(path).map_err(DiskError::at("ask for the free space of", path))?;
    if free < needed { Err(too_little(path, needed, free)) } else { Ok(()) }
}

/// An error of writing `needed` bytes into `path`, in the words of a full disk where it is one.
pub(crate) fn explain(error: DiskError, path: &Path, needed: u64) -> TrainError {
    if is_full(&error.source) {
        return too_little(path, needed, free_bytes(path).unwrap_or(0));
    }
    error.into()
}

fn too_little(path: &Path, needed: u64, free: u64) -> TrainError {
    let (path, needed, free) = (path.display(), human_bytes(needed), human_bytes(free));
    TrainError::Refused(format!(
        "checkpoints in {path} need {needed}, {free} free (hint: free some space, another --output, or a smaller \
         --save-total)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_space_and_never_for_everything() {
        let folder = tempfile::tempdir().unwrap();
        check(folder.path(), 1).unwrap();
        let message = check(folder.path(), u64::MAX).unwrap_err().to_string();
        assert!(message.starts_with(&format!("checkpoints in {} need", folder.path().display())), "{message}");
        let message = check(&folder.path().join("gone"), 1).unwrap_err().to_string();
        assert!(message.contains("gone"), "{message}");
    }

    #[test]
    fn needed_and_free_are_shown() {
        assert_eq!(
            too_little(Path::new("runs/a"), 1_313_000_000, 204_000_000).to_string(),
            "checkpoints in runs/a need 1.3 GB, 204.0 MB free (hint: free some space, another --output, or a smaller \
             --save-total)"
        );
    }
}
