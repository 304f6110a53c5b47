//! What a data set with a name declares.

use std::path::Path;

use super::choice::Source;
use crate::error::DataError;
use crate::load_options::DatasetOptions;
use crate::loaded::Loaded;

/// A data set that has a name, declared by the file that loads it.
#[derive(Debug)]
pub struct NamedDataset {
    pub name: &'static str,
    /// One line for the help text and the documentation.
    pub(crate) about: &'static str,
    /// In the order of the label numbers.
    pub(crate) label_names: &'static [&'static str],
    /// Rows of train, validation and test, as published.
    pub(crate) rows: [usize; 3],
    pub(crate) license: &'static str,
    /// The flags that this data set takes, of those that not all data sets take.
    pub(crate) flags: &'static [&'static str],
    /// Where it can be downloaded, in the order in which `--source auto` tries.
    pub(crate) downloads: &'static [(Source, Download)],
    pub(crate) folder: Option<FolderFiles>,
}

pub(crate) type Download = fn(&LoadRequest<'_>) -> Result<Loaded, DataError>;

/// How a data set is read from `--source DIR`.
#[derive(Debug)]
pub(crate) struct FolderFiles {
    /// The files that must be in the folder.
    pub(crate) files: &'static [&'static str],
    pub(crate) load: fn(&Path, &LoadRequest<'_>) -> Result<Loaded, DataError>,
}

#[derive(Clone, Copy)]
pub(crate) struct LoadRequest<'a> {
    pub(crate) dataset: &'static NamedDataset,
    pub(crate) options: &'a DatasetOptions,
    /// Why the sources before this one failed, with `--source auto`.
    pub(crate) unreachable: &'a [String],
}

impl NamedDataset {
    /// The error for a source that doesn't have this data set.
    pub(crate) fn not_from(&self, source: &str) -> DataError {
        let mut hints: Vec<String> =
            self.downloads.iter().map(|(source, _)| format!("--source {}", source.name())).collect();
        if let Some(folder) = &self.folder {
            hints.push(format!("--source DIR with {} in it", joined(folder.files, "and")));
        }
        DataError::Request(format!(
            "--dataset {} is not available from {source} (hint: {})",
            self.name,
            joined(&hints, "or")
        ))
    }
}

/// `a, b and c`, for the word `and`.
pub(crate) fn joined<S: AsRef<str>>(names: &[S], word: &str) -> String {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    match names.as_slice() {
        [first @ .., before, last] => {
            let first: String = first.iter().map(|name| format!("{name}, ")).collect();
            format!("{first}{before} {word} {last}")
        }
        few => few.concat(),
    }
}
