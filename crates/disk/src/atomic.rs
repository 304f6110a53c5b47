//! Changes that happen whole or not at all: a file is written beside its place, synced, then renamed.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::Builder;

use crate::error::{DiskError, Result};
use crate::faults::call;
use crate::new_file::NewFile;

/// Prefix of the names of unfinished files and folders. Those that a killed process left behind can be removed.
pub const UNFINISHED: &str = ".unfinished-";

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
        if let Err(error) = call(|| fs::hard_link(file, unfinished)) {
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
    put(path, |unfinished| call(|| std::os::unix::fs::symlink(target, unfinished)))
}

/// Puts at `path` what `make` makes under another name beside it.
fn put(path: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> Result<()> {
    let unfinished = beside(path);
    let made = make(&unfinished).and_then(|()| rename(&unfinished, path)).and_then(|()| sync_folder(folder_of(path)));
    // After a failure it may be there, and after a rename between two names of one file, which does nothing, it still is.
    let _ = fs::remove_file(&unfinished);
    made.map_err(DiskError::at("write", path))
}

/// Removes a folder of files, file by file.
///
/// A file's space is given back when its last handle is closed, which takes 0.1 s for a gigabyte on a disk that
/// discards free blocks. Callers don't wait for that: the handles are closed on a thread of their own.
///
/// # Errors
/// What the system says; some of the files may be gone then.
pub fn remove_folder(folder: &Path) -> io::Result<()> {
    let mut handles = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        handles.extend(File::open(&path));
        call(|| fs::remove_file(&path))?;
    }
    match call(|| fs::remove_dir(folder)) {
        // Network file systems keep a file that is open under another name in its folder.
        Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {
            drop(handles);
            return call(|| fs::remove_dir(folder));
        }
        removed => removed?,
    }
    // Without a thread they are closed here.
    let _ = Builder::new().name("free-space".to_owned()).spawn(move || drop(handles));
    Ok(())
}

/// Creates a folder and those above it if they are missing.
pub fn create_folder_all(folder: &Path) -> Result<()> {
    call(|| fs::create_dir_all(folder)).map_err(DiskError::at("create the folder", folder))
}

/// Creates a folder in an existing one.
pub fn create_folder(folder: &Path) -> io::Result<()> {
    call(|| fs::create_dir(folder))
}

pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    call(|| fs::rename(from, to))
}

/// Exchanges two folders, atomically if the file system can.
pub fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    if try_exchange(one, other)? {
        return Ok(());
    }
    // For an instant `other` is missing; both contents still exist.
    let aside = beside(other);
    rename(other, &aside)?;
    rename(one, other)?;
    rename(&aside, one)
}

/// Exchanges two folders atomically, so that neither path is ever missing. False, and nothing is changed, if the kernel (ENOSYS, EOPNOTSUPP) or the file system (EINVAL) has no such exchange.
#[cfg(target_os = "linux")]
pub(crate) fn try_exchange(one: &Path, other: &Path) -> io::Result<bool> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match call(|| Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::InvalidInput) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn try_exchange(_: &Path, _: &Path) -> io::Result<bool> {
    Ok(false)
}

/// Makes sure that the names in a folder survive a power cut. Only Unix has that, except some network file systems.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    match call(|| File::open(folder)?.sync_all()) {
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
        synced => synced,
    }
}

pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A unique temporary name beside `path`.
pub(crate) fn beside(path: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    path.with_file_name(format!("{UNFINISHED}{name}-{}-{number}", std::process::id()))
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn removing_a_folder_is_retried_while_it_is_not_empty() {
        let root = tempfile::tempdir().unwrap();
        let fill = || {
            let folder = root.path().join("old");
            fs::create_dir(&folder).unwrap();
            ["a", "b"].iter().for_each(|name| fs::write(folder.join(name), "content").unwrap());
            folder
        };
        let folder = fill();
        let calls = faults::count(|| remove_folder(&folder).unwrap());
        assert!(calls.len() == 3 && names(root.path()).is_empty(), "two files and a folder: {calls:?}");
        let folder = fill();
        let not_empty = rustix::io::Errno::NOTEMPTY.raw_os_error();
        faults::with(Fault { at: calls[2], errno: not_empty, for_ever: false }, || remove_folder(&folder)).unwrap();
        assert!(names(root.path()).is_empty());
        let folder = fill();
        faults::with(Fault { at: calls[2], errno: not_empty, for_ever: true }, || remove_folder(&folder)).unwrap_err();
        assert_eq!(names(root.path()), ["old"]);
    }

    /// EINVAL, ENOSYS, EOPNOTSUPP.
    #[cfg(target_os = "linux")]
    #[test]
    fn folders_are_exchanged_without_file_system_support_too() {
        let root = tempfile::tempdir().unwrap();
        let [one, other] = ["one", "other"].map(|name| root.path().join(name));
        for (folder, content) in [(&one, "1"), (&other, "2")] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("content"), content).unwrap();
        }
        let contents = || [&one, &other].map(|folder| fs::read_to_string(folder.join("content")).unwrap());
        exchange(&one, &other).unwrap();
        assert_eq!(contents(), ["2", "1"]);
        for errno in [22, 38, 95] {
            let before = contents();
            let at = faults::count(|| exchange(&one, &other).unwrap())[0];
            faults::with(Fault { at, errno, for_ever: false }, || exchange(&one, &other)).unwrap();
            assert_eq!(contents(), before);
            assert_eq!(names(root.path()).len(), 2);
        }
        let at = faults::count(|| exchange(&one, &other).unwrap())[0];
        let before = contents();
        faults::with(Fault { at, errno: 28, for_ever: false }, || exchange(&one, &other)).unwrap_err();
        assert_eq!(contents(), before, "another error changes nothing");
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
}
