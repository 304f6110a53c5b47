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
    /// A tokenizer file that can't be used, or a text it fails on.
    #[error("{}: {source} (hint: fetch the model again, or name another with --model)", path.display())]
    Tokenizer {
        /// The tokenizer's file.
        path: PathBuf,
        /// What the tokenizer library said.
        #[source]
        source: tokenizers::Error,
    },
    /// An Arrow file that can't be written or isn't as it was written.
    #[error("{}: {source} (hint: prepare the data again)", path.display())]
    Arrow {
        /// The Arrow file.
        path: PathBuf,
        /// What the Arrow library said.
        #[source]
        source: arrow::error::ArrowError,
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
