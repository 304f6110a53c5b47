//! Whether prepared data may be written to a path.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::audit::AUDIT;
use crate::error::DataError;
use crate::manifest::{MANIFEST, SPLITS, file_name};

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
                format!("holds {name:?}, which is not prepared data; nothing was changed (hint: another --output)"),
            ));
        }
    }
    Ok(())
}
