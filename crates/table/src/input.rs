//! Where a table's bytes come from: a file, or a stream that can be read once.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error::TableError;
use crate::text::open_regular;

/// A file by its path, or a stream such as the standard input.
pub(crate) struct Input {
    /// The path; of a stream a name for messages.
    path: PathBuf,
    stream: Option<Box<dyn Read + Send>>,
}

impl Input {
    pub(crate) fn file(path: &Path) -> Self {
        Self { path: path.to_owned(), stream: None }
    }

    pub(crate) fn stream(name: &str, stream: Box<dyn Read + Send>) -> Self {
        Self { path: name.into(), stream: Some(stream) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file itself, for formats that seek.
    pub(crate) fn open_file(&self) -> Result<File, TableError> {
        match self.stream {
            None => open_regular(&self.path),
            Some(_) => Err(TableError::file(
                &self.path,
                "this format is read from a file, not from a pipe (hint: save it to a file first)",
            )),
        }
    }
}
