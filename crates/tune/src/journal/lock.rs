//! The lock of a journal: Optuna's lock file, and in front of it a gate for our own processes.
//!
//! Optuna takes a journal by making `JOURNAL.lock`, a symbolic link or an empty file, whichever of its two locks it was
//! told to use; both fail where there is something of that name already, and so does ours, which is a file with a few
//! words in it. A lock that stands unchanged for [`GRACE`] is taken to be left behind by a dead process and removed.
//! Half a minute is long where processes are killed often, so our own first take the gate, a lock of the operating system
//! on the journal that ends with its process by whatever means: a lock file that says it is ours and from this machine
//! is then certainly left behind, or else its owner would have the gate, and it is removed at once.
//!
//! The gate is a help and no promise. Where the file system has no locks, or whoever has it stands still for longer than
//! the grace period, the lock file alone counts, as it does between us and Optuna.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use disk::{DiskError, LockState, try_lock};

use super::worker::{kernel, unique};
use crate::error::Result;

/// How long a lock file may stand unchanged before it is taken to be left behind. Optuna's.
pub(crate) const GRACE: Duration = Duration::from_secs(30);
/// The first and the longest pause before a lock is tried again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));
/// After so long a wait for somebody else's lock it is said that there is one.
const SAY_AFTER: Duration = Duration::from_secs(10);

/// A journal that nobody else writes to, until this is dropped.
#[derive(Debug)]
pub(crate) struct JournalLock {
    path: PathBuf,
    /// What the lock file says if it is this one.
    words: String,
    /// Opened when it is closed, after the lock file is removed.
    gate: Option<File>,
}

pub(crate) fn path_of(journal: &Path) -> PathBuf {
    journal.with_added_extension("lock")
}

impl JournalLock {
    /// Waits for a journal, which must be there, and takes it.
    pub(crate) fn acquire(journal: &Path, grace: Duration) -> Result<Self> {
        let gate = gate(journal, grace)?;
        let path = path_of(journal);
        let io = |error| DiskError::at("lock", journal)(error);
        let gated = if gate.is_some() { "gated" } else { "ungated" };
        let words = format!("verdict {gated} {} {} {}\n", kernel().unwrap_or("-"), std::process::id(), unique());
        let lock = Self { path, words, gate };
        let mut wait = Wait::new(grace);
        loop {
            if lock.make().map_err(io)? {
                return Ok(lock);
            }
            let found = FoundLock::at(&lock.path).map_err(io)?;
            let Some(found) = found else { continue };
            if lock.gate.is_some() && found.is_left_behind() {
                tracing::info!("{}: removed, its process is gone", lock.path.display());
                remove(&lock.path, &found).map_err(io)?;
            } else if wait.is_over(&lock.path, &found) {
                tracing::warn!("{}: removed, it stood there unchanged for {grace:?}", lock.path.display());
                remove(&lock.path, &found).map_err(io)?;
            } else {
                wait.pause();
            }
        }
    }

    /// Whether the lock is still this one, and not taken away by somebody who thought its owner dead.
    pub(crate) fn is_held(&self) -> bool {
        fs::read_to_string(&self.path).is_ok_and(|words| words == self.words)
    }

    /// Makes the lock file, whole or not at all; whether it is there and this one's.
    fn make(&self) -> io::Result<bool> {
        let unfinished = match (&self.gate, kernel()) {
            // Behind the gate nobody else on this machine uses the name. It can be there from a killed process, as the
            // second name of a lock, so it is not written to.
            (Some(_), Some(kernel)) => self.path.with_added_extension(kernel),
            _ => beside(&self.path),
        };
        remove_file(&unfinished)?;
        let made = (|| {
            write_new(&unfinished, &self.words)?;
            match fs::hard_link(&unfinished, &self.path) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    // Here files have one name each. For an instant this lock is empty, as Optuna's are always.
                    write_new(&self.path, &self.words)
                }
                linked => linked,
            }
        })();
        remove_file(&unfinished)?;
        match made {
            // A server whose answer was lost makes the link and then says that it was there.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(self.is_held()),
            made => made.map(|()| true),
        }
    }
}

impl Drop for JournalLock {
    fn drop(&mut self) {
        if self.is_held() {
            // If it can't be removed, it will be found left behind.
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

/// A name beside a lock file that no other thread or process uses. Whoever is killed before it is removed leaves it.
fn beside(lock: &Path) -> PathBuf {
    lock.with_added_extension(unique())
}

/// The gate of a journal, or none where there can't be one.
fn gate(journal: &Path, grace: Duration) -> Result<Option<File>> {
    let io = |error| DiskError::at("open", journal)(error);
    let file = OpenOptions::new().read(true).write(true).open(journal).map_err(io)?;
    let (begun, mut pause) = (Instant::now(), PAUSES.0);
    loop {
        match try_lock(&file) {
            Ok(LockState::Acquired) => return Ok(Some(file)),
            Ok(LockState::Held) if begun.elapsed() < grace => {
                std::thread::sleep(pause);
                pause = PAUSES.1.min(pause * 2);
            }
            Ok(LockState::Held | LockState::Unsupported) | Err(_) => return Ok(None),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct FoundLock {
    /// What it says, nothing if it is Optuna's.
    words: Vec<u8>,
    /// When it was last changed. Optuna looks at the time of what a link leads to, the journal, so that counts too.
    changed: Option<SystemTime>,
}

impl FoundLock {
    /// `None` where there is no lock file any more.
    fn at(path: &Path) -> io::Result<Option<Self>> {
        let metadata = match fs::symlink_metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            metadata => metadata?,
        };
        let mut words = Vec::new();
        if metadata.is_file() {
            match File::open(path) {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                file => file?.take(256).read_to_end(&mut words)?,
            };
        }
        let behind = fs::metadata(path).and_then(|metadata| metadata.modified());
        Ok(Some(Self { words, changed: behind.or_else(|_| metadata.modified()).ok() }))
    }

    /// Whether it is ours, from this machine, and made behind the gate.
    fn is_left_behind(&self) -> bool {
        let Some(kernel) = kernel() else { return false };
        self.words.starts_with(format!("verdict gated {kernel} ").as_bytes())
    }
}

/// Removes a lock file that was found. Between the finding and the removing somebody else may have removed it and made
/// another, so it is first given a name under which nobody else looks.
fn remove(path: &Path, found: &FoundLock) -> io::Result<()> {
    let aside = beside(path);
    match disk::rename(path, &aside) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        renamed => renamed?,
    }
    if FoundLock::at(&aside)?.is_some_and(|now| now.words != found.words) {
        // Of the two who want the lock now one gets it; if it isn't this one's owner, it finds that out.
        let _ = fs::hard_link(&aside, path);
    }
    fs::remove_file(&aside)
}

struct Wait {
    grace: Duration,
    begun: Instant,
    pause: Duration,
    said: bool,
    last: Option<FoundLock>,
    unchanged: Instant,
}

impl Wait {
    fn new(grace: Duration) -> Self {
        Self { grace, begun: Instant::now(), pause: PAUSES.0, said: false, last: None, unchanged: Instant::now() }
    }

    /// Whether the lock file has stood unchanged for the grace period.
    fn is_over(&mut self, path: &Path, found: &FoundLock) -> bool {
        if self.last.as_ref() != Some(found) {
            self.last = Some(FoundLock { words: found.words.clone(), changed: found.changed });
            self.unchanged = Instant::now();
        }
        if self.begun.elapsed() > SAY_AFTER && !self.said {
            tracing::warn!("waiting for {}, which another process has", path.display());
            self.said = true;
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
        let begun = Instant::now();
        drop(JournalLock::acquire(journal, grace).unwrap());
        begun.elapsed()
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
        let lock = JournalLock::acquire(&journal, GRACE).unwrap();
        assert!(lock.is_held());
        assert_eq!(names(folder.path()), ["study.jsonl", "study.jsonl.lock"]);
        let other = std::thread::spawn({
            let journal = journal.clone();
            move || taken(&journal, GRACE)
        });
        std::thread::sleep(Duration::from_millis(100));
        drop(lock);
        assert!(other.join().unwrap() >= Duration::from_millis(90));
        assert_eq!(names(folder.path()), ["study.jsonl"]);
    }

    #[test]
    fn what_a_dead_process_of_ours_left_is_no_obstacle() {
        let folder = tempfile::tempdir().unwrap();
        let journal = journal(folder.path());
        let Some(kernel) = kernel() else { return eprintln!("SKIPPED: this system doesn't name its boot") };
        fs::write(path_of(&journal), format!("verdict gated {kernel} 1 x\n")).unwrap();
        assert!(taken(&journal, GRACE) < GRACE / 2);
        assert_eq!(names(folder.path()), ["study.jsonl"]);
    }

    #[test]
    fn somebody_elses_lock_is_given_its_grace() {
        let folder = tempfile::tempdir().unwrap();
        let journal = journal(folder.path());
        let lock = path_of(&journal);
        let grace = Duration::from_millis(300);
        let others: [(&str, &dyn Fn()); 5] = [
            ("Optuna's file", &|| fs::write(&lock, "").unwrap()),
            ("Optuna's link", &|| symlink(&journal, &lock).unwrap()),
            ("a link to nothing", &|| symlink("gone/study.jsonl", &lock).unwrap()),
            ("another machine's", &|| fs::write(&lock, "verdict gated other-boot 1 x\n").unwrap()),
            ("without a gate", &|| {
                fs::write(&lock, format!("verdict ungated {} 1 x\n", kernel().unwrap_or("-"))).unwrap();
            }),
        ];
        for (name, make) in others {
            make();
            let took = taken(&journal, grace);
            assert!(took >= grace && took < GRACE, "{name}: {took:?}");
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
    fn a_lock_that_was_taken_away_is_left_to_who_took_it() {
        let folder = tempfile::tempdir().unwrap();
        let journal = journal(folder.path());
        let lock = JournalLock::acquire(&journal, GRACE).unwrap();
        fs::remove_file(path_of(&journal)).unwrap();
        symlink(&journal, path_of(&journal)).unwrap();
        assert!(!lock.is_held());
        drop(lock);
        assert_eq!(names(folder.path()), ["study.jsonl", "study.jsonl.lock"]);
    }

    #[test]
    fn a_lock_that_changed_hands_is_not_removed() {
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
