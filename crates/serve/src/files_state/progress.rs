//! How far the files are that are being labeled, for the clients that sent them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::error::RequestError;

/// The files that are being labeled, by the names that their clients gave them.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProgressTable(Arc<Mutex<HashMap<String, Arc<RowProgress>>>>);

/// The rows of a file.
#[derive(Debug, Default)]
pub(crate) struct RowProgress {
    /// 0 until they are counted.
    pub rows: AtomicU64,
    pub rows_done: AtomicU64,
}

/// [`RowProgress`] at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct FileProgress {
    rows: u64,
    rows_done: u64,
}

/// A file that is being labeled; when dropped, it is so no longer.
#[derive(Debug)]
pub(crate) struct FileInProgress {
    table: ProgressTable,
    id: Option<String>,
    counts: Arc<RowProgress>,
}

impl ProgressTable {
    /// Begins a file, with a name by which its client can ask for it, or without.
    ///
    /// # Errors
    /// Another file that has the name.
    pub(crate) fn begin(&self, id: Option<&str>) -> Result<FileInProgress, RequestError> {
        let counts = Arc::new(RowProgress::default());
        if let Some(id) = id {
            let mut files = self.lock();
            if files.contains_key(id) {
                return Err(RequestError::Validation(format!("progress: {id:?} is the name of another file")));
            }
            files.insert(id.to_owned(), Arc::clone(&counts));
        }
        Ok(FileInProgress { table: self.clone(), id: id.map(str::to_owned), counts })
    }

    pub(crate) fn of(&self, id: &str) -> Option<FileProgress> {
        let files = self.lock();
        let counts = files.get(id)?;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Some(FileProgress { rows: read(&counts.rows), rows_done: read(&counts.rows_done) })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<RowProgress>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FileInProgress {
    pub(crate) fn counts(&self) -> Arc<RowProgress> {
        Arc::clone(&self.counts)
    }
}

impl Drop for FileInProgress {
    fn drop(&mut self) {
        if let Some(id) = &self.id {
            self.table.lock().remove(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_name_while_it_is_labeled() {
        let table = ProgressTable::default();
        let file = table.begin(Some("a")).unwrap();
        assert!(table.begin(Some("a")).is_err() && table.begin(None).is_ok());
        file.counts().rows.store(7, Ordering::Relaxed);
        assert_eq!(table.of("a"), Some(FileProgress { rows: 7, rows_done: 0 }));
        drop(file);
        assert_eq!(table.of("a"), None);
    }
}
