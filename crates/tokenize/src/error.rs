//! What can go wrong between a model folder and token ids.

use std::path::PathBuf;

/// An error of this crate. Each says what was found, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum TokenizeError {
    /// A file that could not be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// A folder without a tokenizer, or a file that isn't a BERT tokenizer.
    #[error("{}: {message}", path.display())]
    Content {
        /// The file or folder.
        path: PathBuf,
        /// What was found and what to do.
        message: String,
    },
    /// A tokenizer file that the library can't use, or a text that it fails on.
    #[error("{}: can't be used: {source} (hint: fetch the model again, or name another with --model)", path.display())]
    Library {
        /// The tokenizer's file.
        path: PathBuf,
        /// What the library said.
        #[source]
        source: tokenizers::Error,
    },
    /// A maximum length that the special tokens alone fill.
    #[error(
        "--max-length {max_length} leaves no room for text beside the {special_tokens} special tokens: at least {} is \
         needed",
        special_tokens + 1
    )]
    MaxLength {
        /// The most ids that a text was to have.
        max_length: usize,
        /// How many of them are special tokens.
        special_tokens: usize,
    },
}

impl TokenizeError {
    pub(crate) fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }

    pub(crate) fn content(path: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self::Content { path: path.into(), message: message.into() }
    }
}
