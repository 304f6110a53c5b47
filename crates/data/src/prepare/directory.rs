//! Making a directory appear all at once.
//!
//! It is filled under a hidden name beside its place, synced, and renamed. A directory can't be renamed over another, so
//! an older one steps aside first: killed between these two renames, the process leaves the place empty and both
//! directories whole beside it, and preparing again mends that.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::error::DataError;
use crate::manifest::{MANIFEST, SPLITS, file_name};

/// A directory that is being filled. Dropped without [`commit`](Self::commit), it is removed.
pub(super) struct Staging {
    partial: PathBuf,
    aside: PathBuf,
    output: PathBuf,
}

/// Refuses an output that is not ours to replace: anything but a new place, an empty directory or prepared data.
pub(super) fn check(output: &Path) -> Result<(), DataError> {
    let entries = match fs::read_dir(output) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(DataError::io(output, error)),
    };
    for entry in entries {
        let name = entry.map_err(|error| DataError::io(output, error))?.file_name();
        let ours = name == MANIFEST || SPLITS.iter().any(|split| name == *file_name(split));
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
        let beside = |what: &str| output.with_file_name(format!(".{name}.{what}-{}", std::process::id()));
        let staging = Self { partial: beside("partial"), aside: beside("old"), output };
        let parent = staging.parent();
        fs::create_dir_all(parent).map_err(|error| DataError::io(parent, error))?;
        // A killed process of the same number may have left one.
        staging.remove_leftovers();
        fs::create_dir(&staging.partial).map_err(|error| DataError::io(&staging.partial, error))?;
        Ok(staging)
    }

    /// Where to put the files.
    pub(super) fn path(&self) -> &Path {
        &self.partial
    }

    /// Puts the directory in its place.
    pub(super) fn commit(self) -> Result<(), DataError> {
        check(&self.output)?;
        sync(&self.partial)?;
        let io = |error| DataError::io(&self.output, error);
        let replaces = self.output.is_dir();
        if replaces {
            fs::rename(&self.output, &self.aside).map_err(io)?;
        }
        if let Err(error) = fs::rename(&self.partial, &self.output) {
            if replaces {
                fs::rename(&self.aside, &self.output).map_err(io)?;
            }
            return Err(io(error));
        }
        sync(self.parent())
    }

    fn parent(&self) -> &Path {
        match self.output.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        }
    }

    fn remove_leftovers(&self) {
        for path in [&self.partial, &self.aside] {
            // Nothing depends on their going: a hidden directory is never taken for prepared data.
            let _ = fs::remove_dir_all(path);
        }
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        self.remove_leftovers();
    }
}

fn sync(dir: &Path) -> Result<(), DataError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| DataError::io(dir, error))
}
