//! One run folder, one process: a lock that the operating system holds for us.
//!
//! The lock is one on an open file, so it ends with the process by whatever means the process ends. The file stays, and
//! the PID in it says nothing by itself: it is read only to name who holds a lock that couldn't be had.

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::path::Path;

use rustix::io::Errno;

use crate::error::{Result, TrainError};

/// The file in a run folder that its owner keeps locked.
pub const LOCK: &str = ".lock";

/// A run folder that no other process of ours writes to, until this is dropped.
#[derive(Debug)]
pub(crate) struct RunLock {
    file: File,
}

impl RunLock {
    /// Takes a run folder for this process, at once or not at all. The folder must be there.
    ///
    /// A file system without locks is said to be one and then trusted: there is nothing to hold on to.
    ///
    /// # Errors
    /// [`TrainError::RunTaken`] where another lock on the folder is alive, in this process or another;
    /// [`TrainError::Io`] where the file can't be made.
    pub(crate) fn take(folder: &Path) -> Result<Self> {
        let path = folder.join(LOCK);
        let open = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(TrainError::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(TrainError::RunTaken { path: folder.to_owned(), holder: holder(&mut file) });
            }
            Err(TryLockError::Error(error)) if without_locks(&error) => {
                let folder = folder.display();
                tracing::warn!("{folder} is on a file system without locks: see to it that only one run writes there");
            }
            Err(TryLockError::Error(error)) => return Err(TrainError::io("lock", &path)(error)),
        }
        name_holder(&mut file, &std::process::id().to_string()).map_err(TrainError::io("write", &path))?;
        Ok(Self { file })
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        // The name goes before the lock does, or the next owner could be told by ours for an instant. The file itself
        // stays: were it removed, somebody who had just opened it would lock what no longer has a name.
        let _ = name_holder(&mut self.file, "");
        let _ = self.file.unlock();
    }
}

fn name_holder(file: &mut File, name: &str) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(name.as_bytes())
}

/// The PID in a lock file; `None` where its owner hasn't written it yet.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn without_locks(error: &io::Error) -> bool {
    error.kind() == ErrorKind::Unsupported || error.raw_os_error() == Some(Errno::NOLCK.raw_os_error())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::{env, fs};

    use super::*;
    use crate::test_process::TestProcess;

    const FOLDER: &str = "VERDICT_TEST_LOCKED_FOLDER";

    #[test]
    #[ignore = "another process: started by the tests below, so `cargo test -p train` runs it"]
    fn another_process() {
        let folder = env::var_os(FOLDER).expect("a folder to lock");
        let _lock = RunLock::take(Path::new(&folder)).unwrap();
        TestProcess::say_ready();
        TestProcess::live_until_killed();
    }

    fn lock_in_another_process(folder: &Path) -> TestProcess {
        TestProcess::start("lock::tests::another_process", &[(FOLDER, folder.as_os_str() as &OsStr)])
    }

    #[test]
    fn a_taken_folder_is_refused_with_its_holder() {
        let folder = tempfile::tempdir().unwrap();
        let other = lock_in_another_process(folder.path());
        let message = RunLock::take(folder.path()).unwrap_err().to_string();
        assert!(message.contains(&format!("is in use by process {}", other.id())), "{message}");
        assert!(message.contains("--output"), "{message}");
        assert!(RunLock::take(folder.path()).is_err(), "being refused must not break the lock");
    }

    #[test]
    fn what_a_killed_process_left_is_no_obstacle() {
        let folder = tempfile::tempdir().unwrap();
        let mut other = lock_in_another_process(folder.path());
        let pid = other.id().to_string();
        other.kill();
        assert_eq!(fs::read_to_string(folder.path().join(LOCK)).unwrap(), pid, "SIGKILL leaves the file as it was");
        let _lock = RunLock::take(folder.path()).unwrap();
        let own = std::process::id().to_string();
        assert_eq!(fs::read_to_string(folder.path().join(LOCK)).unwrap(), own);
    }

    #[test]
    fn one_process_cannot_take_a_folder_twice_but_again() {
        let folder = tempfile::tempdir().unwrap();
        let first = RunLock::take(folder.path()).unwrap();
        let message = RunLock::take(folder.path()).unwrap_err().to_string();
        assert!(message.contains(&std::process::id().to_string()), "{message}");
        drop(first);
        assert_eq!(fs::read_to_string(folder.path().join(LOCK)).unwrap(), "");
        RunLock::take(folder.path()).unwrap();
    }

    #[test]
    fn a_lock_file_with_anything_in_it_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(LOCK), [0xff; 4096]).unwrap();
        let first = RunLock::take(folder.path()).unwrap();
        fs::write(folder.path().join(LOCK), [0xff; 4096]).unwrap();
        let message = RunLock::take(folder.path()).unwrap_err().to_string();
        assert!(message.contains("another process"), "{message}");
        drop(first);
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let message = RunLock::take(&folder.path().join("gone")).unwrap_err().to_string();
        assert!(message.contains("gone"), "{message}");
    }
}
