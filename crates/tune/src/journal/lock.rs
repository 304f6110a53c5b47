//! The lock of a journal: Optuna's lock file, and before it an operating-system lock among our own processes.
//!
//! Optuna locks a journal by creating `JOURNAL.lock`, a symbolic link or an empty file, depending on which of its two locks
//! is used; both fail if the name exists, and so does ours, which is a file with a line of text. A lock file that is
//! unchanged for [`GRACE_PERIOD`] is considered stale, left by a dead process, and removed. Half a minute is long where
//! processes are killed often, so our own first take an operating-system lock on the journal, which ends with its
//! process: a lock file of ours from this machine is then certainly stale, since its owner would hold that lock, and it
//! is removed at once.
//!
//! The operating-system lock is only an optimization. Where the file system has none, or its owner is suspended for longer
//! than the grace period, the lock file alone counts, as it does between us and Optuna.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use disk::{DiskError, LockState, try_lock};

use super::worker::{kernel, unique};
use crate::error::Result;

/// How long a lock file may be unchanged before it is considered stale, as in Optuna.
pub(crate) const GRACE_PERIOD: Duration = Duration::from_secs(30);
/// The first and the longest pause between two attempts.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));
/// After this long a wait a message says that another process has the lock.
const MESSAGE_AFTER: Duration = Duration::from_secs(10);

/// The exclusive right to write to a journal, until this is dropped.
#[derive(Debug)]
pub(crate) struct JournalLock {
    path: PathBuf,
    /// The text of the lock file if it is this one.
    text: String,
    /// The operating-system lock; dropped after the lock file is removed.
    os_lock: Option<File>,
}

pub(crate) fn path_of(journal: &Path) -> PathBuf {
    journal.with_added_extension("lock")
}

impl JournalLock {
    /// Waits for the lock of an existing journal.
    pub(crate) fn acquire(journal: &Path, grace: Duration) -> Result<Self> {
        let os_lock = os_lock(journal, grace)?;
        let path = path_of(journal);
        let io = |error| DiskError::at("lock", journal)(error);
        let gated = if os_lock.is_some() { "gated" } else { "ungated" };
        let text = format!("verdict {gated} {} {} {}\n", kernel().unwrap_or("-"), std::process::id(), unique());
        let lock = Self { path, text, os_lock };
        let mut wait = Wait::new(grace);
        loop {
            if lock.make().map_err(io)? {
                return Ok(lock);
            }
            let found = FoundLock::at(&lock.path).map_err(io)?;
            let Some(found) = found else { continue };
            if lock.os_lock.is_some() && found.is_stale() {
                tracing::info!("{}: removed, its process is gone", lock.path.display());
                remove(&lock.path, &found).map_err(io)?;
            } else if wait.is_over(&lock.path, &found) {
                tracing::warn!("{}: removed, it was unchanged for {} s", lock.path.display(), grace.as_secs());
                remove(&lock.path, &found).map_err(io)?;
            } else {
                wait.pause();
            }
        }
    }

    /// Whether the lock is still held, and was not taken away as stale.
    pub(crate) fn is_held(&self) -> bool {
        fs::read_to_string(&self.path).is_ok_and(|text| text == self.text)
    }

    /// Creates the lock file atomically; returns whether it exists and is this one.
    fn make(&self) -> io::Result<bool> {
        let unfinished = match (&self.os_lock, kernel()) {
            // With the operating-system lock no other process on this machine uses the name. The file can exist from a
            // killed process, as a hard link of a lock, so it is not written to.
            (Some(_), Some(kernel)) => self.path.with_added_extension(kernel),
            _ => beside(&self.path),
        };
        remove_file(&unfinished)?;
        let made = (|| {
            write_new(&unfinished, &self.text)?;
            match fs::hard_link(&unfinished, &self.path) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    // There are no hard links here. For an instant this lock is empty, as Optuna's always are.
                    write_new(&self.path, &self.text)
                }
                linked => linked,
            }
        })();
        remove_file(&unfinished)?;
        match made {
            // A server whose answer was lost makes the link, and then reports that it exists.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(self.is_held()),
            made => made.map(|()| true),
        }
    }
}

impl Drop for JournalLock {
    fn drop(&mut self) {
        if self.is_held() {
            // If it can't be removed, it becomes stale.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}

fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// A name beside a lock file that no other thread or process uses.
fn beside(lock: &Path) -> PathBuf {
    lock.with_added_extension(unique())
}

/// The operating-system lock on a journal, or `None` if it is not available.
fn os_lock(journal: &Path, grace: Duration) -> Result<Option<File>> {
    let io = |error| DiskError::at("open", journal)(error);
    let file = OpenOptions::new().read(true).write(true).open(journal).map_err(io)?;
    let (started, mut pause) = (Instant::now(), PAUSES.0);
    loop {
        match try_lock(&file) {
            Ok(LockState::Acquired) => return Ok(Some(file)),
            Ok(LockState::Held) if started.elapsed() < grace => {
                std::thread::sleep(pause);
                pause = PAUSES.1.min(pause * 2);
            }
            Ok(LockState::Held | LockState::Unsupported) | Err(_) => return Ok(None),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct FoundLock {
    /// Its text, empty if it is Optuna's.
    text: Vec<u8>,
    /// When it was last changed; of a symbolic link the time of its target, the journal, as in Optuna.
    changed: Option<SystemTime>,
}

impl FoundLock {
    /// `None` if there is no lock file any more.
    fn at(path: &Path) -> io::Result<Option<Self>> {
        let metadata = match fs::symlink_metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            metadata => metadata?,
        };
        let mut text = Vec::new();
        if metadata.is_file() {
            match File::open(path) {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                file => file?.take(256).read_to_end(&mut text)?,
            };
        }
        let behind = fs::metadata(path).and_then(|metadata| metadata.modified());
        Ok(Some(Self { text, changed: behind.or_else(|_| metadata.modified()).ok() }))
    }

    /// Whether it is ours, from this machine, and was made with the operating-system lock held.
    fn is_stale(&self) -> bool {
        let Some(kernel) = kernel() else { return false };
        self.text.starts_with(format!("verdict gated {kernel} ").as_bytes())
    }
}

/// Removes a lock file that was found. Meanwhile another process may have removed it and created its own, so it is first
/// renamed to a unique name.
fn remove(path: &Path, found: &FoundLock) -> io::Result<()> {
    let aside = beside(path);
    match disk::rename(path, &aside) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        renamed => renamed?,
    }
    if FoundLock::at(&aside)?.is_some_and(|now| now.text != found.text) {
        // Another process's lock was moved: put it back, unless yet another one was created.
        let _ = fs::hard_link(&aside, path);
    }
    fs::remove_file(&aside)
}

struct Wait {
    grace: Duration,
    started: Instant,
    pause: Duration,
    has_warned: bool,
    last: Option<FoundLock>,
    unchanged: Instant,
}

impl Wait {
    fn new(grace: Duration) -> Self {
        Self {
            grace,
            started: Instant::now(),
            pause: PAUSES.0,
            has_warned: false,
            last: None,
            unchanged: Instant::now(),
        }
    }

    /// Whether the lock file was unchanged for the grace period.
    fn is_over(&mut self, path: &Path, found: &FoundLock) -> bool {
        if self.last.as_ref() != Some(found) {
            self.last = Some(FoundLock { text: found.text.clone(), changed: found.changed });
            self.unchanged = Instant::now();
        }
        if self.started.elapsed() > MESSAGE_AFTER && !self.has_warned {
            tracing::warn!("waiting for {}, which another process holds", path.display());
            self.has_warned = true;
        }
        let over = self.unchanged.elapsed() > self.grace;
        if over {
            self.last = None;
        }
        over
    }

    fn pause(&mut self) {
        std::thread::sleep(self.pause);
        self.pause = PAUSES.1.min(self.pause * 2);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn journal(folder: &Path) -> PathBuf {
        let path = folder.join("study.jsonl");
        fs::write(&path, "").unwrap();
        path
    }

    /// How long taking the lock took.
    fn taken(journal: &Path, grace: Duration) -> Duration {
        let started = Instant::now();
        drop(JournalLock::acquire(journal, grace).unwrap());
        started.elapsed()
    }

    fn names(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn a_lock_is_held_until_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let journal = journal(folder.path());
        let lock = JournalLock::acquire(&journal, GRACE_PERIOD).unwrap();
        assert!(lock.is_held());
        assert_eq!(names(folder.path()), ["study.jsonl", "study.jsonl.lock"]);
        let other = std::thread::spawn({
            let journal = journal.clone();
            move || taken(&journal, GRACE_PERIOD)
        });
        std::thread::sleep(Duration::from_millis(100));
        drop(lock);
        assert!(other.join().unwrap() >= Duration::from_millis(90));
        assert_eq!(names(folder.path()), ["study.jsonl"]);
    }

    #[test]
    fn a_lock_of_a_dead_process_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let journal = journal(folder.path());
        let Some(kernel) = kernel() else { return test_support::skipped("this system doesn't name its boot") };
        fs::write(path_of(&journal), format!("verdict gated {kernel} 1 x\n")).unwrap();
        assert!(taken(&journal, GRACE_PERIOD) < GRACE_PERIOD / 2);
        assert_eq!(names(folder.path()), ["study.jsonl"]);
    }

    #[test]
    fn a_lock_of_another_process_is_respected_for_the_grace_period() {
        let folder = tempfile::tempdir().unwrap();
        let journal = journal(folder.path());
        let lock = path_of(&journal);
        let grace = Duration::from_millis(300);
        let others: [(&str, &dyn Fn()); 5] = [
            ("Optuna's file", &|| fs::write(&lock, "").unwrap()),
            ("Optuna's link", &|| symlink(&journal, &lock).unwrap()),
            ("a link to nothing", &|| symlink("gone/study.jsonl", &lock).unwrap()),
            ("another machine's", &|| fs::write(&lock, "verdict gated other-boot 1 x\n").unwrap()),
            ("without a os_lock", &|| {
                fs::write(&lock, format!("verdict ungated {} 1 x\n", kernel().unwrap_or("-"))).unwrap();
            }),
        ];
        for (name, make) in others {
            make();
            let took = taken(&journal, grace);
            assert!(took >= grace && took < GRACE_PERIOD, "{name}: {took:?}");
            assert_eq!(names(folder.path()), ["study.jsonl"], "{name}");
        }
    }

    #[test]
    fn a_lock_that_changes_is_alive() {
        let folder = tempfile::tempdir().unwrap();
        let journal = journal(folder.path());
        let path = path_of(&journal);
        fs::write(&path, "").unwrap();
        let other = std::thread::spawn({
            let path = path.clone();
            move || {
                for _ in 0..20 {
                    std::thread::sleep(Duration::from_millis(100));
                    let file = File::options().write(true).open(&path).unwrap();
                    file.set_modified(SystemTime::now()).unwrap();
                }
            }
        });
        assert!(taken(&journal, Duration::from_secs(1)) >= Duration::from_secs(2));
        other.join().unwrap();
    }

    #[test]
    fn a_lock_that_was_taken_over_is_left_to_its_new_owner() {
        let folder = tempfile::tempdir().unwrap();
        let journal = journal(folder.path());
        let lock = JournalLock::acquire(&journal, GRACE_PERIOD).unwrap();
        fs::remove_file(path_of(&journal)).unwrap();
        symlink(&journal, path_of(&journal)).unwrap();
        assert!(!lock.is_held());
        drop(lock);
        assert_eq!(names(folder.path()), ["study.jsonl", "study.jsonl.lock"]);
    }

    #[test]
    fn a_lock_of_another_owner_is_not_removed() {
        let folder = tempfile::tempdir().unwrap();
        let journal = journal(folder.path());
        let path = path_of(&journal);
        fs::write(&path, "old").unwrap();
        let found = FoundLock::at(&path).unwrap().unwrap();
        fs::write(&path, "new").unwrap();
        remove(&path, &found).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        fs::remove_file(&path).unwrap();
        remove(&path, &found).unwrap();
        assert_eq!(names(folder.path()), ["study.jsonl"]);
    }
}
