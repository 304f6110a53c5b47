//! Errors of this crate, with the place in the file.

use std::fmt;
use std::path::PathBuf;

use crate::excerpt::listed;

#[derive(Debug, thiserror::Error)]
pub enum TableError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{}: {reason}", path.display())]
    File { path: PathBuf, reason: String },
    /// A malformed line.
    #[error("{}: line {line}: {reason}", path.display())]
    Line { path: PathBuf, line: u64, reason: String },
    #[error("{place}, column {column:?}: {reason}")]
    Value { place: Place, column: String, reason: String },
    #[error(transparent)]
    Disk(#[from] disk::DiskError),
}

impl TableError {
    pub fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }

    pub fn file(path: impl Into<PathBuf>, reason: impl Into<String>) -> Self {
        Self::File { path: path.into(), reason: reason.into() }
    }

    /// A column that is missing or ambiguous; `seen` are the names of all columns.
    pub fn column<'a>(
        path: impl Into<PathBuf>,
        reason: &str,
        seen: impl ExactSizeIterator<Item = &'a str>,
        hint: &str,
    ) -> Self {
        Self::file(path, format!("{reason}; columns found: {} (hint: {hint})", listed(seen)))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub path: PathBuf,
    /// The row, from 1; a header is not counted.
    pub row: u64,
    /// The line on which the row starts, from 1; `None` in files that have no lines.
    pub line: Option<u64>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: row {}", self.path.display(), self.row)?;
        match self.line {
            Some(line) if line != self.row => write!(f, " (line {line})"),
            _ => Ok(()),
        }
    }
}
