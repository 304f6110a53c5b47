//! Checks for enough disk space for a run's checkpoints before they are written.

use std::path::Path;

use disk::{DiskError, free_bytes, human_bytes, is_full};

use crate::error::{Result, TrainError};

/// Returns an error if fewer than `needed` bytes are free in the file system of `path`.
pub(crate) fn check(path: &Path, needed: u64) -> Result<()> {
    let free = free_bytes(path).map_err(DiskError::at("ask for the free space of", path))?;
    if free < needed { Err(not_enough_space(path, needed, free)) } else { Ok(()) }
}

/// Converts an error from writing `needed` bytes into `path`; a full disk gets the message of [`check`].
pub(crate) fn explain(error: DiskError, path: &Path, needed: u64) -> TrainError {
    if is_full(&error.source) {
        return not_enough_space(path, needed, free_bytes(path).unwrap_or(0));
    }
    error.into()
}

fn not_enough_space(path: &Path, needed: u64, free: u64) -> TrainError {
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
    fn check_accepts_one_byte_and_rejects_more_than_any_disk_has() {
        let folder = tempfile::tempdir().unwrap();
        check(folder.path(), 1).unwrap();
        let message = check(folder.path(), u64::MAX).unwrap_err().to_string();
        assert!(message.starts_with(&format!("checkpoints in {} need", folder.path().display())), "{message}");
        let message = check(&folder.path().join("gone"), 1).unwrap_err().to_string();
        assert!(message.contains("gone"), "{message}");
    }

    #[test]
    fn the_message_contains_needed_and_free_space() {
        assert_eq!(
            not_enough_space(Path::new("runs/a"), 1_313_000_000, 204_000_000).to_string(),
            "checkpoints in runs/a need 1.3 GB, 204.0 MB free (hint: free some space, another --output, or a smaller \
             --save-total)"
        );
    }
}
