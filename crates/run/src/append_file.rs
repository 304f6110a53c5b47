//! A file that only grows, record by record.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use disk::DiskError;

/// A file that records are appended to, each by one write: that is thousands of times faster than a step, so
/// nothing is buffered, and a killed run loses no record and leaves no half of one.
#[derive(Debug)]
pub struct AppendFile {
    path: PathBuf,
    /// `None` after a write that failed.
    file: Option<File>,
}

impl AppendFile {
    /// Opens a file for appending; creates it if it is missing.
    pub fn open(path: &Path) -> disk::Result<Self> {
        let file = File::options().create(true).append(true).open(path).map_err(DiskError::at("open", path))?;
        Ok(Self { path: path.to_owned(), file: Some(file) })
    }

    /// Appends one record. The first failure is reported; that record and all later ones are dropped.
    pub fn append(&mut self, record: &[u8]) {
        let Some(file) = &mut self.file else { return };
        if let Err(error) = file.write_all(record) {
            tracing::warn!(
                "{}: {error}; no further records are written to it; training continues",
                self.path.display()
            );
            self.file = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_appended_immediately() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, "earlier\n").unwrap();
        let mut log = AppendFile::open(&path).unwrap();
        log.append(b"now\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "earlier\nnow\n");
    }

    #[test]
    fn a_folder_that_is_gone_is_an_error_and_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let error = AppendFile::open(&folder.path().join("gone/log")).err().map(|error| error.to_string());
        assert!(error.is_some_and(|error| error.starts_with("failed to open") && error.ends_with("gone/log")));
    }

    /// /dev/full takes no byte, as a full disk does.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_stops_only_the_log() {
        let mut log = AppendFile::open(Path::new("/dev/full")).unwrap();
        log.append(b"a\n");
        assert!(log.file.is_none());
        log.append(b"b\n");
    }
}
