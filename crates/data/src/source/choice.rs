//! Where a named data set is loaded from: what `--source` accepts.

use std::path::PathBuf;
use std::str::FromStr;

use crate::error::DataError;

/// A place from which data sets are downloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Hub,
    Stanford,
    Packaged,
}

impl Source {
    pub const ALL: [Self; 3] = [Self::Hub, Self::Stanford, Self::Packaged];

    /// The name that `--source` accepts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hub => "hub",
            Self::Stanford => "stanford",
            Self::Packaged => "packaged",
        }
    }

    /// What is downloaded, in one line for the documentation.
    pub fn about(self) -> &'static str {
        match self {
            Self::Hub => {
                "Parquet files from the Hugging Face Hub; `HF_ENDPOINT`, `HF_HOME`, `HF_HUB_CACHE`, `HF_HUB_OFFLINE` and \
                 `HF_TOKEN` are honored"
            }
            Self::Stanford => "the official archive `trainDevTestTrees_PTB.zip`",
            Self::Packaged => "the film-review sentences in the Python package `vaderSentiment`, downloaded with `pip`",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SourceChoice {
    /// The first reachable one of the data set's sources.
    #[default]
    Auto,
    Download(Source),
    Folder(PathBuf),
}

impl SourceChoice {
    /// The help text of `--source`.
    pub fn help() -> String {
        format!("auto (the first that is reachable), {}, or a folder", names())
    }
}

fn names() -> String {
    Source::ALL.map(Source::name).join(", ")
}

impl FromStr for SourceChoice {
    type Err = DataError;

    fn from_str(name: &str) -> Result<Self, DataError> {
        if name.is_empty() {
            return Err(DataError::Request(format!("--source is empty (hint: auto, {} or a folder)", names())));
        }
        if name == "auto" {
            return Ok(Self::Auto);
        }
        let known = Source::ALL.into_iter().find(|source| source.name() == name);
        Ok(known.map_or_else(|| Self::Folder(PathBuf::from(name)), Self::Download))
    }
}
