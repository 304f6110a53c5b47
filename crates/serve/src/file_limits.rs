//! What a file that is labeled over HTTP, and all of them together, may take.

use std::path::PathBuf;
use std::time::Duration;

/// What one file, and all of them together, may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileLimits {
    /// Bytes of a file as it is sent.
    pub max_bytes: usize,
    pub max_rows: u64,
    /// Files that are sent, labeled or fetched at one time.
    pub max_files: usize,
    /// From the first byte of a file to the last of its answer.
    pub timeout: Duration,
    /// Where files lie while they are labeled.
    pub folder: PathBuf,
}

impl Default for FileLimits {
    fn default() -> Self {
        let (timeout, folder) = (Duration::from_secs(600), std::env::temp_dir());
        Self { max_bytes: 64_000_000, max_rows: 100_000, max_files: 4, timeout, folder }
    }
}

impl FileLimits {
    /// Bytes of a file's cells, so that a small archive can't unpack to a large file.
    pub(crate) fn max_unpacked_bytes(&self) -> usize {
        self.max_bytes.saturating_mul(8)
    }
}
