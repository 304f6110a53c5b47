//! An operation on a file or folder that failed.

use std::io;
use std::path::PathBuf;

pub type Result<T, E = DiskError> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
#[error("failed to {action} {}", path.display())]
pub struct DiskError {
    /// The verb, such as `write` or `list the folder`.
    pub action: &'static str,
    pub path: PathBuf,
    pub source: io::Error,
}

impl DiskError {
    /// For `map_err`: the operation that failed, with its verb and path.
    pub fn at(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self { action, path, source }
    }
}
