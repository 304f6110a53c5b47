//! Publishing a folder in one step.
//!
//! It is filled under a hidden name beside its place, synced, and put there by one rename. An older folder is exchanged
//! with the new one in a single step, so the place is never empty. Where the file system can't exchange, the older one
//! steps aside first; killed between those two renames, the process leaves both beside the empty place, and the next
//! [`StagedFolder::create`] puts the older one back before it does anything else.
//!
//! The process that fills a folder holds a lock on it, which ends with the process. An unlocked folder is therefore the
//! leftover of a killed process.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::calls::{create_dir, remove_dir, rename, sync_folder, try_exchange};
use crate::error::{DiskError, Result};
use crate::folder::{create_folder_all, remove_tree};
use crate::lock::{LockState, try_lock};
use crate::path::folder_of;

/// A folder that is being filled. Dropped without [`publish`](Self::publish), it is removed, with parents that were made
/// for it.
#[derive(Debug)]
pub struct StagedFolder {
    partial: PathBuf,
    aside: PathBuf,
    place: PathBuf,
    /// Parents that were missing, the deepest first.
    made: Vec<PathBuf>,
    /// Whether the place has changed and a power cut may undo that, which makes what is beside it precious.
    unsynced: bool,
    /// Locked where the file system has locks.
    _lock: File,
}

impl StagedFolder {
    /// Begins a folder for `place`, whose parents are made where they are missing. `marker` is a file that every whole
    /// folder of its kind holds: only one with it is put back.
    ///
    /// # Errors
    /// A path without a last part; folders that can't be made.
    pub fn create(place: &Path, marker: &str) -> Result<Self> {
        // A link stays a link: what it points to is replaced.
        let place = if place.is_symlink() {
            place.canonicalize().map_err(DiskError::at("follow the link", place))?
        } else {
            place.to_owned()
        };
        let Some(name) = place.file_name().map(|name| name.to_string_lossy().into_owned()) else {
            let unnamed = io::Error::new(ErrorKind::InvalidInput, "expected a path that ends with a folder's name");
            return Err(DiskError::at("create the folder", place)(unnamed));
        };
        let parent = folder_of(&place);
        let missing = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
        let made = parent.ancestors().take_while(missing).map(Path::to_owned).collect();
        create_folder_all(parent)?;
        clear_leftovers(&place, &name, marker);
        let beside = |what: &str| place.with_file_name(format!(".{name}.{what}-{}", std::process::id()));
        let (partial, aside) = (beside("partial"), beside("old"));
        let lock = create_locked(&partial).map_err(DiskError::at("create the folder", &partial))?;
        Ok(Self { partial, aside, place, made, unsynced: false, _lock: lock })
    }

    pub fn path(&self) -> &Path {
        &self.partial
    }

    /// Where the folder will be published: the requested path, with a link resolved.
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// Puts the folder in its place. What was there lies under this one's hidden name then, until it is dropped. Files
    /// in the folder must be synced already.
    ///
    /// # Errors
    /// A folder that can't be synced or renamed; what was there is then still there, in its place or, if the last sync
    /// fails, beside it.
    pub fn publish(mut self) -> Result<()> {
        self.put_in_place().map_err(DiskError::at("write", &self.place))
    }

    fn put_in_place(&mut self) -> io::Result<()> {
        sync_folders(&self.partial)?;
        if !self.place.is_dir() {
            rename(&self.partial, &self.place)?;
        } else if !try_exchange(&self.partial, &self.place)? {
            self.replace_in_two_steps()?;
        }
        self.unsynced = true;
        sync_folder(folder_of(&self.place))?;
        self.unsynced = false;
        Ok(())
    }

    fn replace_in_two_steps(&self) -> io::Result<()> {
        rename(&self.place, &self.aside)?;
        rename(&self.partial, &self.place).inspect_err(|_| {
            // The error of the second rename matters more than that of this one.
            let _ = rename(&self.aside, &self.place);
        })
    }
}

impl Drop for StagedFolder {
    fn drop(&mut self) {
        if self.unsynced {
            return;
        }
        // Best effort: a hidden folder that stays is harmless.
        let _ = remove_tree(&self.partial);
        // If it couldn't be put back, the next `create` tries again.
        if self.place.exists() {
            let _ = remove_tree(&self.aside);
        }
        // Parents that hold something by now stay.
        let _ = self.made.iter().try_for_each(|parent| remove_dir(parent));
    }
}

/// Syncs the names in a folder and in those below it.
fn sync_folders(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    sync_folder(folder)
}

/// Creates a folder and locks it.
fn create_locked(path: &Path) -> io::Result<File> {
    loop {
        create_dir(path)?;
        let folder = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            other => other?,
        };
        // Without locks, leftovers are not recognized and stay.
        let _ = folder.lock();
        // Another process may have removed it as a leftover before it was locked.
        if path.is_dir() {
            return Ok(folder);
        }
    }
}

/// Removes what killed processes have left beside this place, and puts back an older folder that one of them had moved
/// aside. All of it is best effort: a leftover costs space and nothing else.
fn clear_leftovers(place: &Path, name: &str, marker: &str) {
    let Ok(entries) = fs::read_dir(folder_of(place)) else { return };
    let (partial, old) = (format!(".{name}.partial-"), format!(".{name}.old-"));
    let number = |name: &str, start: &str| -> Option<u32> { name.strip_prefix(start)?.parse().ok() };
    let names: Vec<String> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    for found in &names {
        let Some(process) = number(found, &partial).or_else(|| number(found, &old)) else { continue };
        // Held until the folder is gone, so that no other process clears it at the same time.
        let partial = place.with_file_name(format!("{partial}{process}"));
        let lock = File::open(&partial);
        let alive = match lock.as_ref().map(try_lock) {
            Ok(Ok(LockState::Held)) => true,
            // Without locks this is unknown, except for the number of this process.
            Ok(Ok(LockState::Unsupported) | Err(_)) => process != std::process::id(),
            Ok(Ok(LockState::Acquired)) | Err(_) => false,
        };
        if alive {
            continue;
        }
        let aside = place.with_file_name(format!("{old}{process}"));
        if !place.exists() && aside.join(marker).is_file() && rename(&aside, place).is_err() {
            continue;
        }
        // The process may have been killed between a rename and its sync: what is removed here must not be what a power
        // cut would give the place back to.
        if sync_folder(folder_of(place)).is_err() {
            continue;
        }
        let _ = remove_tree(&aside);
        let _ = remove_tree(&partial);
    }
}

#[cfg(test)]
mod tests;
