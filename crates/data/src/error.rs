//! Errors of this crate.

use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum DataError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    /// A failed operation on one of the program's own files.
    #[error("{}: {}", .0, .0.source)]
    Disk(#[from] disk::DiskError),
    /// Bad content at a place in a file.
    #[error("{}: {message}", path.display())]
    Content { path: PathBuf, message: String },
    /// A model that can't be trained.
    #[error(transparent)]
    Model(Box<dyn std::error::Error + Send + Sync>),
    #[error(transparent)]
    Table(#[from] table::TableError),
    #[error(transparent)]
    Tokenize(#[from] tokenize::TokenizeError),
    /// A source that is not reachable or returned something else than requested.
    #[error("{source_name}: {source}")]
    Fetch { source_name: &'static str, source: fetch::FetchError },
    /// What is neither a path nor a data set of the Hub that can be read.
    #[error("--dataset {name} is no file or folder here, and as a data set of the Hub: {source}")]
    HubDataset { name: String, source: Box<fetch::FetchError> },
    /// An Arrow file that can't be written or isn't as it was written.
    #[error("{}: {} (hint: prepare the data again)", path.display(), plain(cause))]
    Arrow { path: PathBuf, cause: arrow::error::ArrowError },
    /// A request that can't be fulfilled, with a hint what to do instead.
    #[error("{0}")]
    Request(String),
}

impl DataError {
    pub fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }

    /// For `map_err`: what the Arrow library says of a file.
    pub(crate) fn arrow(path: &Path) -> impl Fn(arrow::error::ArrowError) -> Self {
        move |cause| Self::Arrow { path: path.to_owned(), cause }
    }

    /// Bad content of a file: `message` names row, column and value, and what to do.
    pub fn content(path: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self::Content { path: path.into(), message: message.into() }
    }
}

/// What the Arrow library says, without the names that it gives to its own errors.
fn plain(error: &arrow::error::ArrowError) -> String {
    let mut text = error.to_string();
    while let Some(name) = ["Ipc error: ", "Parser error: "].iter().find(|name| text.starts_with(**name)) {
        text.drain(..name.len());
    }
    text
}
