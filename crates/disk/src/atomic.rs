//! Changes that happen whole or not at all: a file is written beside its place, synced, then renamed.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use crate::calls::{hard_link, remove_file, rename, sync_folder};
use crate::error::{DiskError, Result};
use crate::new_file::NewFile;
use crate::path::{beside, folder_of};

/// Writes `bytes` to `path`, replacing what was there: readers see either the whole old content or the whole new one.
///
/// # Errors
/// A folder that can't be written to, a full disk; the old content then stays.
pub fn write_atomic(path: &Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    write_atomic_with(path, |file| file.write_all(bytes.as_ref()))
}

/// Writes to `path` what `content` writes, as [`write_atomic`] does.
///
/// # Errors
/// As [`write_atomic`], and what `content` returns.
pub fn write_atomic_with(path: &Path, content: impl FnOnce(&mut NewFile) -> io::Result<()>) -> Result<()> {
    put(path, |unfinished| {
        let mut file = NewFile::create(unfinished)?;
        content(&mut file)?;
        file.finish()
    })
}

/// Makes `path` a hard link to `file`, replacing what was there. Without hard links in the file system the content is
/// copied.
///
/// # Errors
/// As [`write_atomic`].
pub fn link_atomic(file: &Path, path: &Path) -> Result<()> {
    put(path, |unfinished| {
        if let Err(error) = hard_link(file, unfinished) {
            if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
                return Err(error);
            }
            let mut copy = NewFile::create(unfinished)?;
            io::copy(&mut File::open(file)?, &mut copy)?;
            copy.finish()?;
        }
        Ok(())
    })
}

/// Puts a symbolic link to `target` at `path`, replacing what was there. A relative target counts from the link's folder.
///
/// # Errors
/// As [`write_atomic`].
#[cfg(unix)]
pub fn symlink_atomic(target: &Path, path: &Path) -> Result<()> {
    put(path, |unfinished| crate::calls::symlink(target, unfinished))
}

/// Puts at `path` what `make` makes under another name beside it.
fn put(path: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> Result<()> {
    let unfinished = beside(path);
    let made = make(&unfinished).and_then(|()| rename(&unfinished, path)).and_then(|()| sync_folder(folder_of(path)));
    // After a failure it may be there, and after a rename between two names of one file, which does nothing, it still is.
    if unfinished.symlink_metadata().is_ok() {
        let _ = remove_file(&unfinished);
    }
    made.map_err(DiskError::at("write", path))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::faults::{self, Fault};

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn new_content_replaces_the_old() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.toml");
        write_atomic(&path, "seed = 1").unwrap();
        write_atomic(&path, "seed = 2").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "seed = 2");
        assert_eq!(names(folder.path()), ["run.toml"]);
    }

    #[test]
    fn a_failing_call_keeps_the_old_content_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.toml");
        write_atomic(&path, "good").unwrap();
        let calls = faults::count(|| write_atomic(&path, "good").unwrap());
        assert!(calls.len() >= 5, "create, write, sync, rename, sync of the folder: {calls:?}");
        for (number, &at) in calls.iter().enumerate() {
            let full = faults::with(Fault { at, errno: 28, for_ever: false }, || write_atomic(&path, "new"));
            assert_eq!(full.unwrap_err().to_string(), format!("failed to write {}", path.display()));
            let content = fs::read_to_string(&path).unwrap();
            // Only the last call, the folder's sync, comes after the rename.
            assert_eq!(content, if number + 1 == calls.len() { "new" } else { "good" }, "call {number}");
            assert_eq!(names(folder.path()), ["run.toml"]);
        }
    }

    #[test]
    fn a_missing_folder_is_an_error_that_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let error = write_atomic(&folder.path().join("gone/metrics.json"), "{}").unwrap_err();
        assert!(error.to_string().ends_with("gone/metrics.json"), "{error}");
    }

    #[test]
    fn a_hard_link_survives_the_original_and_can_be_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let (file, path) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&file, "weights").unwrap();
        fs::write(&path, "older").unwrap();
        link_atomic(&file, &path).unwrap();
        link_atomic(&file, &path).unwrap();
        assert_eq!(names(folder.path()).len(), 2);
        fs::remove_file(&file).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "weights");
        assert!(link_atomic(&file, &path).is_err(), "what is gone can't be linked");
        assert_eq!(fs::read_to_string(&path).unwrap(), "weights");
    }

    #[cfg(unix)]
    #[test]
    fn a_symbolic_link_replaces_a_broken_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("link");
        symlink_atomic(Path::new("gone"), &path).unwrap();
        fs::write(folder.path().join("blob"), "weights").unwrap();
        symlink_atomic(Path::new("blob"), &path).unwrap();
        assert_eq!(fs::read_link(&path).unwrap(), Path::new("blob"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "weights");
        let calls = faults::count(|| symlink_atomic(Path::new("blob"), &path).unwrap());
        for at in calls {
            let broken = Fault { at, errno: 5, for_ever: false };
            faults::with(broken, || symlink_atomic(Path::new("blob"), &path)).unwrap_err();
            assert_eq!(names(folder.path()).len(), 2, "nothing is left beside it");
        }
    }

    /// EINVAL and EOPNOTSUPP are how such a file system says it; others are failures.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_system_that_cannot_sync_folders_is_written_to_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.toml");
        let calls = faults::count(|| write_atomic(&path, "").unwrap());
        let at = *calls.last().unwrap();
        for (errno, written) in [(22, true), (95, true), (5, false)] {
            let outcome = faults::with(Fault { at, errno, for_ever: false }, || write_atomic(&path, ""));
            assert_eq!(outcome.is_ok(), written, "{errno}");
        }
    }

    /// The permissions are those of a file that is simply created.
    #[cfg(unix)]
    #[test]
    fn others_can_read_what_they_could_read_otherwise() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let mode = |name: &str| folder.path().join(name).metadata().unwrap().permissions().mode();
        fs::write(folder.path().join("plain"), "").unwrap();
        write_atomic(&folder.path().join("atomic"), "").unwrap();
        assert_eq!(mode("atomic"), mode("plain"));
    }

    #[test]
    fn a_power_cut_leaves_the_old_content_or_the_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.toml");
        let check = |written: &Result<()>, state: &str| match fs::read_to_string(&path).as_deref() {
            Ok("new") => {}
            Ok("old") if written.is_err() => {}
            found => panic!("{found:?}: {state}"),
        };
        let prepare = || {
            fs::write(&path, "old").unwrap();
            fs::write(folder.path().join("checkpoint"), "new").unwrap();
        };
        let link = || link_atomic(&folder.path().join("checkpoint"), &path);
        for states in [
            faults::power_cuts(folder.path(), prepare, || write_atomic(&path, "new"), check),
            faults::power_cuts(folder.path(), prepare, link, check),
        ] {
            assert!(states > 10, "{states}");
        }
    }
}
