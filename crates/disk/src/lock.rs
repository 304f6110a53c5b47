//! Locks of the operating system, which end with their process, however it ends.

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::path::Path;

use rustix::io::Errno;

use crate::calls::open_or_create;
use crate::error::{DiskError, Result};
use crate::folder::create_folder_all;
use crate::path::folder_of;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockState {
    /// It is locked by this handle now.
    Acquired,
    /// Another handle has it, in this process or another.
    Held,
    /// The file system has no locks.
    Unsupported,
}

/// Locks an open file or folder, at once or not at all.
///
/// # Errors
/// What the system says where it has locks and refuses this one for another reason.
pub fn try_lock(file: &File) -> io::Result<LockState> {
    match file.try_lock() {
        Ok(()) => Ok(LockState::Acquired),
        Err(TryLockError::WouldBlock) => Ok(LockState::Held),
        Err(TryLockError::Error(error))
            if error.kind() == ErrorKind::Unsupported || error.raw_os_error() == Some(Errno::NOLCK.raw_os_error()) =>
        {
            Ok(LockState::Unsupported)
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// A lock file, locked until this is dropped. The file itself stays: if it were removed, a process that had
/// just opened it would lock a file without a name.
#[derive(Debug)]
pub struct Lock {
    file: File,
    /// Whether the process is named in the file.
    named: bool,
}

#[derive(Debug)]
pub enum LockAttempt {
    Acquired(Lock),
    /// Another lock on it is alive; its process, where that has written its name yet.
    Held(Option<u32>),
    /// The file system has no locks, so it is not known whether it is ours alone.
    Unsupported(Lock),
}

impl Lock {
    /// Waits for the lock file at `path`, which is made with its folder where it is missing; `waiting` is called if
    /// another process has it. The file is never written to: Python's libraries lock files of the same names. Without
    /// locks in the file system it doesn't wait.
    pub fn acquire(path: &Path, waiting: impl FnOnce()) -> Result<Self> {
        create_folder_all(folder_of(path))?;
        let file = open(path)?;
        if try_lock(&file).map_err(DiskError::at("lock", path))? == LockState::Held {
            waiting();
            file.lock().map_err(DiskError::at("lock", path))?;
        }
        Ok(Self { file, named: false })
    }

    /// Takes the lock file at `path`, at once or not at all, and names this process in it. The name says nothing by
    /// itself: it is read only to tell who holds a lock that is held.
    pub fn try_acquire(path: &Path) -> Result<LockAttempt> {
        let mut file = open(path)?;
        let state = try_lock(&file).map_err(DiskError::at("lock", path))?;
        if state == LockState::Held {
            return Ok(LockAttempt::Held(holder(&mut file)));
        }
        name_holder(&mut file, &std::process::id().to_string()).map_err(DiskError::at("write", path))?;
        let lock = Self { file, named: true };
        Ok(if state == LockState::Acquired { LockAttempt::Acquired(lock) } else { LockAttempt::Unsupported(lock) })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.named {
            // The name is removed before the lock, so that the next owner is never reported under this process's name.
            let _ = name_holder(&mut self.file, "");
        }
        let _ = self.file.unlock();
    }
}

fn open(path: &Path) -> Result<File> {
    let file = open_or_create(path, File::options().read(true).write(true).create(true).truncate(false));
    file.map_err(DiskError::at("open", path))
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_second_holder_waits_until_the_lock_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("locks/x.lock");
        let held = Lock::acquire(&path, || panic!("the lock is free")).unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        let second = std::thread::spawn({
            let path = path.clone();
            move || {
                let lock = Lock::acquire(&path, || sender.send("waiting").unwrap());
                sender.send("acquired").unwrap();
                lock.map(drop)
            }
        });
        assert_eq!(receiver.recv_timeout(Duration::from_secs(10)), Ok("waiting"));
        assert!(receiver.recv_timeout(Duration::from_millis(200)).is_err());
        drop(held);
        assert_eq!(receiver.recv_timeout(Duration::from_secs(10)), Ok("acquired"));
        second.join().unwrap().unwrap();
        assert_eq!(std::fs::read_to_string(path).unwrap(), "", "a lock that is waited for names no process");
    }

    #[test]
    fn a_failed_try_lock_names_the_holder_and_can_be_retried() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let LockAttempt::Acquired(first) = Lock::try_acquire(&path).unwrap() else { panic!("the lock is free") };
        match Lock::try_acquire(&path).unwrap() {
            LockAttempt::Held(holder) => assert_eq!(holder, Some(std::process::id())),
            other => panic!("{other:?}"),
        }
        drop(first);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
        assert!(matches!(Lock::try_acquire(&path).unwrap(), LockAttempt::Acquired(_)));
    }

    #[test]
    fn a_lock_file_with_anything_in_it_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        std::fs::write(&path, [0xff; 4096]).unwrap();
        let first = Lock::try_acquire(&path).unwrap();
        std::fs::write(&path, [0xff; 4096]).unwrap();
        assert!(matches!(Lock::try_acquire(&path).unwrap(), LockAttempt::Held(None)));
        drop(first);
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let message = Lock::try_acquire(&folder.path().join("gone/lock")).unwrap_err().to_string();
        assert!(message.contains("gone"), "{message}");
    }
}
