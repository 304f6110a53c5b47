//! The files that are being labeled: how many more there may be, and how far each is.

mod progress;

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::file_limits::FileLimits;

pub(crate) use progress::{ProgressTable, RowProgress};

/// What all requests with a file share.
#[derive(Debug)]
pub(crate) struct FilesState {
    /// How many more files may be on the disk.
    pub room: Arc<Semaphore>,
    pub progress: ProgressTable,
}

impl FilesState {
    pub(crate) fn new(limits: &FileLimits) -> Self {
        let room = Arc::new(Semaphore::new(limits.max_files.min(Semaphore::MAX_PERMITS)));
        Self { room, progress: ProgressTable::default() }
    }
}
