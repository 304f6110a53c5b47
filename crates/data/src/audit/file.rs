//! The audit as a file of the prepared directory.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use disk::{sha256_hex, write_atomic};

use super::Audit;
use crate::error::DataError;

pub const AUDIT: &str = "audit.json";
/// A thousand classes and all examples at their longest are far less.
const MAX_BYTES: u64 = 16 << 20;

impl Audit {
    /// Writes the audit into a directory that is being filled; its lower-case hex sha256.
    pub(crate) fn write(&self, dir: &Path) -> Result<String, DataError> {
        let path = dir.join(AUDIT);
        let text = serde_json::to_string_pretty(self).map_err(|error| DataError::io(&path, error.into()))? + "\n";
        write_atomic(&path, &text)?;
        Ok(sha256_hex(text))
    }

    /// Reads the audit of a prepared directory and holds it against `sha256`.
    pub(crate) fn read(dir: &Path, sha256: &str) -> Result<Self, DataError> {
        let path = dir.join(AUDIT);
        let hint = "(hint: prepare the data again)";
        let mut bytes = Vec::new();
        File::open(&path)
            .and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes))
            .map_err(|error| DataError::io(&path, error))?;
        let found = sha256_hex(&bytes);
        if found != sha256 {
            return Err(DataError::content(path, format!("sha256 is {found}, not {sha256} {hint}")));
        }
        serde_json::from_slice(&bytes)
            .map_err(|error| DataError::content(path, format!("is not an audit: {error} {hint}")))
    }
}
