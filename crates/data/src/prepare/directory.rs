//! Making a directory appear all at once.
//!
//! It is filled under a hidden name beside its place, synced, and put there by one rename. An older directory is
//! exchanged with the new one in a single step, so the place is never empty. Where the file system can't exchange, the
//! older one steps aside first; killed between those two renames, the process leaves both beside the empty place, and
//! the next preparation puts the older one back before it does anything else.
//!
//! Whoever fills a directory holds a lock on it, which dies with its process. That is how leftovers of killed
//! preparations are told from the work of a living one.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::audit::AUDIT;
use crate::error::DataError;
use crate::manifest::{MANIFEST, SPLITS, file_name};

/// A directory that is being filled. Dropped without [`commit`](Self::commit), it is removed.
pub(super) struct Staging {
    partial: PathBuf,
    aside: PathBuf,
    output: PathBuf,
    /// Locked where the file system has locks.
    _lock: File,
}

/// Refuses an output that is not ours to replace: anything but a new place, an empty directory or prepared data.
pub(super) fn check(output: &Path) -> Result<(), DataError> {
    let entries = match fs::read_dir(output) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            let message = "is a file, and prepared data is a folder; nothing was changed (hint: another --output)";
            return Err(DataError::content(output, message));
        }
        Err(error) => return Err(DataError::io(output, error)),
    };
    for entry in entries {
        let name = entry.map_err(|error| DataError::io(output, error))?.file_name();
        let ours = name == MANIFEST || name == AUDIT || SPLITS.iter().any(|split| name == *file_name(split));
        if !ours {
            return Err(DataError::content(
                output,
                format!("holds {name:?}, which is no prepared data; nothing was changed (hint: another --output)"),
            ));
        }
    }
    Ok(())
}

impl Staging {
    pub(super) fn create(output: &Path) -> Result<Self, DataError> {
        // A link stays a link: what it points to is replaced.
        let output = if output.is_symlink() {
            output.canonicalize().map_err(|error| DataError::io(output, error))?
        } else {
            output.to_owned()
        };
        let Some(name) = output.file_name().map(|name| name.to_string_lossy().into_owned()) else {
            return Err(DataError::Request(format!("--output {}: a folder's name is needed", output.display())));
        };
        let parent = parent(&output);
        fs::create_dir_all(parent).map_err(|error| DataError::io(parent, error))?;
        clear_leftovers(&output, &name);
        let beside = |what: &str| output.with_file_name(format!(".{name}.{what}-{}", std::process::id()));
        let (partial, aside) = (beside("partial"), beside("old"));
        let lock = create_locked(&partial).map_err(|error| DataError::io(&partial, error))?;
        Ok(Self { partial, aside, output, _lock: lock })
    }

    /// Where to put the files.
    pub(super) fn path(&self) -> &Path {
        &self.partial
    }

    /// Puts the directory in its place. What was there lies under this one's hidden name then, until it is dropped.
    pub(super) fn commit(self) -> Result<(), DataError> {
        self.commit_by(exchange)
    }

    fn commit_by(self, exchange: impl FnOnce(&Path, &Path) -> io::Result<()>) -> Result<(), DataError> {
        check(&self.output)?;
        sync(&self.partial)?;
        let placed = if self.output.is_dir() {
            match exchange(&self.partial, &self.output) {
                Err(error) if cannot_exchange(&error) => self.replace_in_two_steps(),
                other => other,
            }
        } else {
            fs::rename(&self.partial, &self.output)
        };
        placed.map_err(|error| DataError::io(&self.output, error))?;
        sync(parent(&self.output))
    }

    fn replace_in_two_steps(&self) -> io::Result<()> {
        fs::rename(&self.output, &self.aside)?;
        fs::rename(&self.partial, &self.output).inspect_err(|_| {
            // What made the second rename fail is worth more to a person than what makes this one fail.
            let _ = fs::rename(&self.aside, &self.output);
        })
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        for path in [&self.partial, &self.aside] {
            // Nothing depends on their going: a hidden directory is never taken for prepared data.
            let _ = fs::remove_dir_all(path);
        }
    }
}

/// Two directories change places; nobody sees either place empty.
#[cfg(target_os = "linux")]
fn exchange(a: &Path, b: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE)?)
}

#[cfg(not(target_os = "linux"))]
fn exchange(_: &Path, _: &Path) -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

/// Whether the kernel (ENOSYS, EOPNOTSUPP) or the file system (EINVAL) has no such exchange.
fn cannot_exchange(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::InvalidInput)
}

/// A new directory whose lock is ours.
fn create_locked(path: &Path) -> io::Result<File> {
    loop {
        fs::create_dir(path)?;
        let dir = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            other => other?,
        };
        // Without locks a leftover is never known to be one and stays; that is all.
        let _ = dir.lock();
        // Somebody who cleared up may have taken it for a leftover before it was locked.
        if path.is_dir() {
            return Ok(dir);
        }
    }
}

/// Removes what killed preparations of the same place have left, and puts back an older directory that one of them had
/// moved aside. All of it is best effort: a leftover costs room and nothing else.
fn clear_leftovers(output: &Path, name: &str) {
    let Ok(entries) = fs::read_dir(parent(output)) else { return };
    let (partial, old) = (format!(".{name}.partial-"), format!(".{name}.old-"));
    let number = |name: &str, start: &str| -> Option<u32> { name.strip_prefix(start)?.parse().ok() };
    let names: Vec<String> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    for found in &names {
        let Some(process) = number(found, &partial).or_else(|| number(found, &old)) else { continue };
        // Held until the directory is gone, so that nobody else clears it meanwhile.
        let partial = output.with_file_name(format!("{partial}{process}"));
        let lock = File::open(&partial);
        let alive = match lock.as_ref().map(File::try_lock) {
            Ok(Err(TryLockError::WouldBlock)) => true,
            // Without locks nobody knows; only our own number's can't be another's.
            Ok(Err(TryLockError::Error(_))) => process != std::process::id(),
            Ok(Ok(())) | Err(_) => false,
        };
        if alive {
            continue;
        }
        let aside = output.with_file_name(format!("{old}{process}"));
        if !output.exists() && aside.join(MANIFEST).is_file() {
            let _ = fs::rename(&aside, output);
        }
        let _ = fs::remove_dir_all(&aside);
        let _ = fs::remove_dir_all(&partial);
    }
}

fn parent(output: &Path) -> &Path {
    match output.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn sync(dir: &Path) -> Result<(), DataError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| DataError::io(dir, error))
}

#[cfg(test)]
mod tests;
