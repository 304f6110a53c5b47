//! Errors of this crate.

use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum TokenizeError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    /// A folder without a tokenizer, or a file that isn't a BERT tokenizer.
    #[error("{}: {message}", path.display())]
    Content { path: PathBuf, message: String },
    /// A tokenizer file that the library can't use, or a text that it fails on.
    #[error("{}: not usable: {source} (hint: fetch the model again, or name another with --model)", path.display())]
    Library { path: PathBuf, source: tokenizers::Error },
    #[error(
        "--max-length {max_length} leaves no room for text beside the {special_tokens} special tokens: at least {} is \
         needed",
        special_tokens + 1
    )]
    MaxLength { max_length: usize, special_tokens: usize },
}

impl TokenizeError {
    pub(crate) fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }

    pub(crate) fn content(path: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self::Content { path: path.into(), message: message.into() }
    }
}
