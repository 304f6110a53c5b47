//! The data sets: what `--dataset` accepts.

use std::path::PathBuf;
use std::str::FromStr;

use table::FileFormat;

use super::named::{NamedDataset, joined};
use super::{FAMILIES, own_files};
use crate::error::DataError;

/// The data set without `--dataset`.
pub(crate) const DEFAULT: &str = "sst2";

impl NamedDataset {
    pub(crate) fn all() -> impl Iterator<Item = &'static Self> {
        FAMILIES.iter().copied().flatten()
    }

    /// The data set of the same family with this number of classes, as `--classes` asks for it.
    pub(crate) fn with_classes(&'static self, classes: Option<u32>) -> Result<&'static Self, DataError> {
        let Some(classes) = classes else { return Ok(self) };
        let family = FAMILIES.iter().find(|family| family.iter().any(|member| member.name == self.name));
        let family = family.copied().unwrap_or_default();
        family.iter().find(|member| member.label_names.len() == classes as usize).ok_or_else(|| {
            let known: Vec<String> = family.iter().map(|member| member.label_names.len().to_string()).collect();
            DataError::Request(format!(
                "--classes {classes}: --dataset {} does not have that many classes (hint: choose {})",
                self.name,
                joined(&known, "or")
            ))
        })
    }
}

/// A data set that has a name, or a file or folder of the user.
#[derive(Debug, Clone)]
pub enum Dataset {
    Named(&'static NamedDataset),
    File(PathBuf),
}

impl Dataset {
    /// The name that `--dataset` accepts, or the path.
    pub fn name(&self) -> String {
        match self {
            Self::Named(named) => named.name.into(),
            Self::File(path) => path.display().to_string(),
        }
    }

    /// The flags that this data set takes, of those that not all data sets take.
    pub(crate) fn takes(&self, flag: &str) -> bool {
        match self {
            Self::Named(named) => named.flags.contains(&flag),
            Self::File(_) => own_files::takes(flag),
        }
    }

    /// The data sets that take a flag: `glue-sst2 and files of your own`.
    pub(crate) fn that_take(flag: &str) -> String {
        let named = NamedDataset::all().filter(|dataset| dataset.flags.contains(&flag)).map(|dataset| dataset.name);
        let own = own_files::takes(flag).then_some("files of your own");
        joined(&named.chain(own).collect::<Vec<_>>(), "and")
    }

    /// The help text of `--dataset`: a line for each name.
    pub(crate) fn help() -> String {
        let width = NamedDataset::all().map(|dataset| dataset.name.len()).max().unwrap_or_default();
        let lines = NamedDataset::all().map(|dataset| format!("  {:width$}  {}\n", dataset.name, dataset.about));
        let formats = FileFormat::names();
        format!(
            "A name, or the path of your own {formats} file or of a folder of split files\n{}",
            lines.collect::<String>()
        )
    }

    /// All names: `sst2, sst3, …`.
    pub(crate) fn names() -> String {
        NamedDataset::all().map(|dataset| dataset.name).collect::<Vec<_>>().join(", ")
    }
}

impl PartialEq for Dataset {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Named(one), Self::Named(other)) => one.name == other.name,
            (Self::File(one), Self::File(other)) => one == other,
            _ => false,
        }
    }
}

impl FromStr for Dataset {
    type Err = DataError;

    fn from_str(name: &str) -> Result<Self, DataError> {
        if name.is_empty() {
            return Err(DataError::Request(format!("--dataset is empty (hint: {} or a path)", Self::names())));
        }
        let named = NamedDataset::all().find(|dataset| dataset.name == name);
        Ok(named.map_or_else(|| Self::File(PathBuf::from(name)), Self::Named))
    }
}
