//! The audit as a file of the prepared directory.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::Audit;
use crate::error::DataError;
use crate::store::hex;

/// The name of the audit in a prepared directory.
pub const AUDIT: &str = "audit.json";
/// A thousand classes and all examples at their longest are far less.
const MAX_BYTES: u64 = 16 << 20;

impl Audit {
    /// Writes the audit into a directory that is being filled, and syncs it; its lower-case hex sha256.
    pub(crate) fn write(&self, dir: &Path) -> Result<String, DataError> {
        let path = dir.join(AUDIT);
        let io = |error| DataError::io(&path, error);
        let mut text = serde_json::to_string_pretty(self).map_err(|error| io(error.into()))?;
        text.push('\n');
        let mut file = File::create(&path).map_err(io)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
        Ok(hex(&Sha256::digest(text.as_bytes())))
    }

    /// Reads the audit of a prepared directory and holds it against `sha256`.
    pub(crate) fn read(dir: &Path, sha256: &str) -> Result<Self, DataError> {
        let path = dir.join(AUDIT);
        let hint = "(hint: prepare the data again)";
        let mut bytes = Vec::new();
        File::open(&path)
            .and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes))
            .map_err(|error| DataError::io(&path, error))?;
        let found = hex(&Sha256::digest(&bytes));
        if found != sha256 {
            return Err(DataError::content(path, format!("sha256 is {found}, not {sha256} {hint}")));
        }
        serde_json::from_slice(&bytes)
            .map_err(|error| DataError::content(path, format!("is not an audit: {error} {hint}")))
    }
}
