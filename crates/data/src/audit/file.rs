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
const HINT: &str = "(hint: prepare the data again)";

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
        let bytes = verified(dir, sha256)?;
        serde_json::from_slice(&bytes)
            .map_err(|error| DataError::content(dir.join(AUDIT), format!("is not an audit: {error} {HINT}")))
    }
}

/// Holds the audit of a prepared directory against `sha256`. It may be one that an older program wrote.
pub(crate) fn verify(dir: &Path, sha256: &str) -> Result<(), DataError> {
    verified(dir, sha256).map(drop)
}

fn verified(dir: &Path, sha256: &str) -> Result<Vec<u8>, DataError> {
    let path = dir.join(AUDIT);
    let mut bytes = Vec::new();
    File::open(&path)
        .and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes))
        .map_err(|error| DataError::io(&path, error))?;
    let found = sha256_hex(&bytes);
    if found != sha256 {
        return Err(DataError::content(path, format!("sha256 is {found}, not {sha256} {HINT}")));
    }
    Ok(bytes)
}
