//! No file half written: a file that matters is written beside its place, synced, then renamed.
//!
//! Every call that changes the disk on such a way goes through `call`, so that tests can let each one of them fail.

#[cfg(test)]
pub(crate) mod faults;
mod output;
mod sum;

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{Builder, Scope, ScopedJoinHandle};

pub(crate) use output::Output;
pub(crate) use sum::sha256_of;

use crate::error::{Result, TrainError};

/// How the names of unfinished files and folders begin. One that a killed process left behind means nothing.
pub const UNFINISHED: &str = ".unfinished-";

/// One call to the file system on the way of a save.
fn call<T>(run: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    #[cfg(test)]
    faults::next()?;
    run()
}

/// Begins `task` on a thread of its own.
pub(crate) fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &'static str,
    task: impl FnOnce() -> T + Send + 'scope,
) -> io::Result<ScopedJoinHandle<'scope, T>> {
    #[cfg(test)]
    let task = faults::on_thread(name, task);
    let started = Builder::new().name(name.to_owned()).spawn_scoped(scope, task);
    started.map_err(|error| io::Error::new(error.kind(), format!("the system gives no thread to save on: {error}")))
}

/// What a thread's task gave, or its panic.
pub(crate) fn join<T>(thread: ScopedJoinHandle<T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Puts `bytes` at `path`, replacing what was there: at every instant either the old or the new content is there whole.
///
/// # Errors
/// A folder that can't be written to, a full disk; the old content then stays.
pub fn write_atomic(path: &Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    let unfinished = beside(path);
    let write = || {
        let mut output = Output::create(&unfinished)?;
        output.write_all(bytes.as_ref())?;
        output.finish()?;
        rename(&unfinished, path)?;
        sync_folder(folder_of(path))
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&unfinished);
        TrainError::io("write", path)(error)
    })
}

/// Gives `file` the second name `path`, replacing what was there. Where the file system knows no second names the
/// content is copied.
///
/// # Errors
/// As [`write_atomic`].
pub(crate) fn link_atomic(file: &Path, path: &Path) -> Result<()> {
    let unfinished = beside(path);
    let link = || {
        if let Err(error) = call(|| fs::hard_link(file, &unfinished)) {
            if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
                return Err(error);
            }
            let mut output = Output::create(&unfinished)?;
            io::copy(&mut File::open(file)?, &mut output)?;
            output.finish()?;
        }
        rename(&unfinished, path)?;
        sync_folder(folder_of(path))
    };
    let linked = link();
    // A rename between two names of one file does nothing, so the first of them is then still there.
    let _ = fs::remove_file(&unfinished);
    linked.map_err(TrainError::io("write", path))
}

/// Removes a folder of files, file by file.
///
/// A file's room is given back when its last handle is closed, and a disk that is told of every free block takes 0.1 s
/// for a gigabyte. Nobody has to wait for that: the handles are closed on a thread of their own.
pub(crate) fn remove_folder(folder: &Path) -> io::Result<()> {
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
    let _ = Builder::new().name("free-room".to_owned()).spawn(move || drop(handles));
    Ok(())
}

pub(crate) fn create_folder(folder: &Path) -> io::Result<()> {
    call(|| fs::create_dir(folder))
}

pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    call(|| fs::rename(from, to))
}

/// Lets two folders change places, at once where the system can.
pub(crate) fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        use rustix::io::Errno;
        match call(|| Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)) {
            Err(error)
                if [Errno::INVAL, Errno::NOSYS].map(|it| Some(it.raw_os_error())).contains(&error.raw_os_error()) => {}
            exchanged => return exchanged,
        }
    }
    // Some file systems can't. For an instant neither has its name; the content of both is there, and older ones are.
    let aside = beside(other);
    rename(other, &aside)?;
    rename(one, other)?;
    rename(&aside, one)
}

/// Makes the names in a folder last. Only Unix has that.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { call(|| File::open(folder)?.sync_all()) } else { Ok(()) }
}

/// A name of its own for what will be at `path`.
fn beside(path: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    path.with_file_name(format!("{UNFINISHED}{name}-{}-{number}", std::process::id()))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn new_content_takes_the_place_of_old() {
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
            let full = faults::with(faults::Fault { at, errno: 28, for_ever: false }, || write_atomic(&path, "new"));
            assert_eq!(full.unwrap_err().to_string(), format!("can't write {}", path.display()));
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
    fn a_second_name_survives_the_first_and_can_be_given_twice() {
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

    #[test]
    fn a_folder_goes_where_names_of_open_files_linger_too() {
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
        faults::with(faults::Fault { at: calls[2], errno: not_empty, for_ever: false }, || remove_folder(&folder))
            .unwrap();
        assert!(names(root.path()).is_empty());
        let folder = fill();
        faults::with(faults::Fault { at: calls[2], errno: not_empty, for_ever: true }, || remove_folder(&folder))
            .unwrap_err();
        assert_eq!(names(root.path()), ["old"]);
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
