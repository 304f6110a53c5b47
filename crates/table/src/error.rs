//! What can be wrong with a file, and where.

use std::fmt;
use std::path::PathBuf;

use crate::excerpt::listed;

/// An error of a table. Each says what was found, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    /// A file that as a whole isn't what it should be.
    #[error("{}: {reason}", path.display())]
    File { path: PathBuf, reason: String },
    /// A line that is not what its format asks for.
    #[error("{}: line {line}: {reason}", path.display())]
    Line { path: PathBuf, line: u64, reason: String },
    #[error("{place}, column {column:?}: {reason}")]
    Value { place: Place, column: String, reason: String },
}

impl TableError {
    /// An [`std::io::Error`] with the path it happened to.
    pub fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }

    /// A file that as a whole isn't what it should be.
    pub fn file(path: impl Into<PathBuf>, reason: impl Into<String>) -> Self {
        Self::File { path: path.into(), reason: reason.into() }
    }

    /// A column that isn't there, or isn't there once; `seen` are the names of those that are.
    pub fn column<'a>(
        path: impl Into<PathBuf>,
        reason: &str,
        seen: impl ExactSizeIterator<Item = &'a str>,
        hint: &str,
    ) -> Self {
        Self::file(path, format!("{reason}; columns seen: {} (hint: {hint})", listed(seen)))
    }
}

/// A row of a file, as a person would look for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// The row, from 1; a header is not counted.
    pub row: u64,
    /// The line on which the row begins, from 1; `None` in files that have no lines.
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
