//! What can go wrong between a source and a batch.

use std::path::PathBuf;

/// An error of this crate. Each says what was found, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file or folder could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// Bad content at a place in a file.
    #[error("{}: {message}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Row, column, value and what to do.
        message: String,
    },
    /// A model that can't be trained.
    #[error(transparent)]
    Model(Box<dyn std::error::Error + Send + Sync>),
    /// Bytes that are not UTF-8 text.
    #[error("{}: byte {offset} (line {line}): {reason}", path.display())]
    Encoding {
        /// The file.
        path: PathBuf,
        /// The first bad byte, from 0.
        offset: u64,
        /// The line it is in, from 1.
        line: u64,
        /// What was found and how to convert it.
        reason: String,
    },
    /// A line that is not what its format asks for.
    #[error("{}: line {line}: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line where it began, from 1.
        line: u64,
        /// What was found and what to do.
        reason: String,
    },
    /// A column that isn't there, or isn't there once.
    #[error("{}: {reason}; columns seen: {seen} (hint: {hint})", path.display())]
    Column {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        reason: String,
        /// The columns of the file, in order.
        seen: String,
        /// The flag that settles it.
        hint: String,
    },
    /// A value that can't be used.
    #[error("{place}, column {column:?}: {reason}")]
    Value {
        /// File and row.
        place: Place,
        /// The column.
        column: String,
        /// The value and what to do.
        reason: String,
    },
    /// A Parquet file that can't be read.
    #[error("{}: not readable as Parquet: {} (hint: the file is damaged; fetch or write it again)", path.display(), plain(cause))]
    Parquet {
        /// The Parquet file.
        path: PathBuf,
        /// What the Parquet library said.
        cause: parquet::errors::ParquetError,
    },
    /// A source that can't be reached or gave something else than was asked for.
    #[error("{source_name}: {source}")]
    Fetch {
        /// The source's name, as `--source` knows it.
        source_name: &'static str,
        /// What happened.
        #[source]
        source: fetch::FetchError,
    },
    /// A tokenizer file that can't be used, or a text it fails on.
    #[error("{}: can't be used: {source} (hint: fetch the model again, or name another with --model)", path.display())]
    Tokenizer {
        /// The tokenizer's file.
        path: PathBuf,
        /// What the tokenizer library said.
        #[source]
        source: tokenizers::Error,
    },
    /// An Arrow file that can't be written or isn't as it was written.
    #[error("{}: {} (hint: prepare the data again)", path.display(), plain(cause))]
    Arrow {
        /// The Arrow file.
        path: PathBuf,
        /// What the Arrow library said.
        cause: arrow::error::ArrowError,
    },
    /// A request that can't be met: names what was asked for and what to do instead.
    #[error("{0}")]
    Request(String),
}

impl DataError {
    /// An [`std::io::Error`] with the path it happened to.
    pub fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }

    /// Bad content of a file: `message` names row, column and value, and what to do.
    pub fn content(path: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self::Content { path: path.into(), message: message.into() }
    }
}

/// What the Parquet or Arrow library says, without the names that they give to their own errors.
fn plain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let names = [
        "External: ",
        "Parquet argument error: ",
        "Parquet error: ",
        "EOF: ",
        "Arrow: ",
        "Ipc error: ",
        "Parser error: ",
    ];
    while let Some(name) = names.iter().find(|name| text.starts_with(**name)) {
        text.drain(..name.len());
    }
    text
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

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: row {}", self.path.display(), self.row)?;
        match self.line {
            Some(line) if line != self.row => write!(f, " (line {line})"),
            _ => Ok(()),
        }
    }
}
