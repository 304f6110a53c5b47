//! Folders that survive a power cut: created, replaced by another one, removed, and cleared of what killed processes
//! have left.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::thread::Builder;

use crate::calls::{create_dir, remove_dir, remove_file, rename, sync_folder, try_exchange};
use crate::error::{DiskError, Result};
use crate::path::{UNFINISHED, folder_of};

/// Prefix of the name that a folder has while another one takes its place, on a file system that can't exchange two
/// folders. There, a process that is killed between two renames leaves nothing in the place, and [`clear_unfinished`] puts
/// this folder back.
pub const REPLACED: &str = ".replaced-";

/// What [`clear_unfinished`] found.
#[derive(Debug, Default)]
pub struct Cleared {
    /// Folders that were being replaced, under their own names again.
    pub put_back: Vec<PathBuf>,
    /// Files and folders that were unfinished, or replaced by newer ones.
    pub removed: Vec<PathBuf>,
}

/// Creates a folder and those above it if they are missing. All of them survive a power cut then: the name of each is
/// synced, in the folder that it is in, before the next one is created.
///
/// # Errors
/// A folder that can't be written to, or a file in the place of one.
pub fn create_folder_all(folder: &Path) -> Result<()> {
    let create = || {
        let missing = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
        let missing: Vec<&Path> = folder.ancestors().take_while(missing).collect();
        let existing = missing.last().map_or(folder, |highest| folder_of(highest));
        // A process that was killed before it synced the name may have created it.
        sync_name(existing)?;
        // An existing file is refused by the same call as a missing folder is created by.
        let missing = if missing.is_empty() && !folder.is_dir() { vec![folder] } else { missing };
        for folder in missing.into_iter().rev() {
            match create_folder(folder) {
                // Another process was faster, or the path leads back, as `a/..` does.
                Err(error) if error.kind() == ErrorKind::AlreadyExists && folder.is_dir() => sync_name(folder)?,
                created => created?,
            }
        }
        Ok(())
    };
    create().map_err(DiskError::at("create the folder", folder))
}

/// Creates a folder in an existing one, and syncs its name.
///
/// # Errors
/// What the system says; [`ErrorKind::AlreadyExists`] if the name is taken.
pub fn create_folder(folder: &Path) -> io::Result<()> {
    create_dir(folder)?;
    sync_name(folder)
}

/// Syncs the name of a folder, in the folder that it is in.
fn sync_name(folder: &Path) -> io::Result<()> {
    match sync_folder(folder_of(folder)) {
        // What can't be opened can't be synced. It can be created in all the same, or is a place that others look after.
        Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) => Ok(()),
        synced => synced,
    }
}

/// Puts the folder `new` in the place of the folder `place`, beside which it is, and removes the older one. Both are
/// folders of files, and the files of `new` are synced.
///
/// If this is interrupted, the older or the newer folder is at `place`, whole, at the latest after
/// [`clear_unfinished`].
///
/// # Errors
/// A folder that can't be renamed, synced or removed; the older or the newer one is then at `place`.
pub fn replace_folder(new: &Path, place: &Path) -> io::Result<()> {
    if try_exchange(new, place)? {
        sync_folder(folder_of(place))?;
        return remove_folder(new);
    }
    let aside = place.with_file_name(format!("{REPLACED}{}", place.file_name().unwrap_or_default().to_string_lossy()));
    if aside.exists() {
        remove_folder(&aside)?;
    }
    rename(place, &aside)?;
    rename(new, place).inspect_err(|_| {
        // The error of the second rename matters more than that of this one.
        let _ = rename(&aside, place);
    })?;
    sync_folder(folder_of(place))?;
    remove_folder(&aside)
}

/// Ends in `folder` what killed processes have begun: a folder that they were replacing and that is missing is put back,
/// then everything unfinished is removed. No other process may write there.
///
/// # Errors
/// A folder that can't be read or written to; one that is missing holds nothing.
pub fn clear_unfinished(folder: &Path) -> Result<Cleared> {
    let names = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Cleared::default()),
        entries => entries
            .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>())
            .map_err(DiskError::at("list the folder", folder))?,
    };
    let mut cleared = Cleared::default();
    for name in &names {
        let (path, name) = (folder.join(name), name.to_string_lossy());
        match name.strip_prefix(REPLACED).map(|place| folder.join(place)) {
            Some(place) if !place.exists() => {
                rename(&path, &place).map_err(DiskError::at("rename", &path))?;
                cleared.put_back.push(place);
            }
            Some(_) => cleared.removed.push(path),
            None if name.starts_with(UNFINISHED) => cleared.removed.push(path),
            None => {}
        }
    }
    if !cleared.put_back.is_empty() || !cleared.removed.is_empty() {
        // The process may have been killed between a rename and its sync: what is removed here must not be what a power
        // cut would give the name back to.
        sync_folder(folder).map_err(DiskError::at("write", folder))?;
    }
    for path in &cleared.removed {
        remove_tree(path).map_err(DiskError::at("remove", path))?;
    }
    Ok(cleared)
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
        remove_file(&path)?;
    }
    match remove_dir(folder) {
        // Network file systems keep a file that is open under another name in its folder.
        Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {
            drop(handles);
            return remove_dir(folder);
        }
        removed => removed?,
    }
    // Without a thread they are closed here.
    let _ = Builder::new().name("free-space".to_owned()).spawn(move || drop(handles));
    Ok(())
}

/// Removes a file, or a folder with everything in it. Links are removed and not followed.
///
/// # Errors
/// What the system says; a part may be gone then.
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    if !path.symlink_metadata()?.is_dir() {
        return remove_file(path);
    }
    for entry in fs::read_dir(path)? {
        remove_tree(&entry?.path())?;
    }
    remove_dir(path)
}

/// Removes a file if it is there, so that a power cut can't bring it back.
///
/// # Errors
/// A folder that can't be written to.
pub fn remove_file_durably(path: &Path) -> Result<()> {
    let removed = match remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        removed => removed,
    };
    removed.and_then(|()| sync_folder(folder_of(path))).map_err(DiskError::at("remove", path))
}

#[cfg(test)]
mod tests;
