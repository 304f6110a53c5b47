//! The data sets: what `--dataset` accepts.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use table::FileFormat;

use super::hub_dataset::{self, HubDataset};
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
        self.with_this_many_classes(classes).ok_or_else(|| {
            let known: Vec<String> = self.family().iter().map(|member| member.label_names.len().to_string()).collect();
            DataError::Request(format!(
                "--classes {classes}: --dataset {} does not have that many classes (hint: choose {})",
                self.name,
                joined(&known, "or")
            ))
        })
    }

    /// The data set of the same family to choose instead of `--classes`, if there is one with this number of classes.
    pub(crate) fn hint_for_classes(&self, classes: Option<u32>) -> Option<String> {
        let other = self.with_this_many_classes(classes?)?;
        Some(format!("--dataset {} has {} classes", other.name, other.label_names.len()))
    }

    fn with_this_many_classes(&self, classes: u32) -> Option<&'static Self> {
        self.family().iter().find(|member| member.label_names.len() == classes as usize)
    }

    fn family(&self) -> &'static [Self] {
        let contains_self = |family: &&&[Self]| family.iter().any(|member| member.name == self.name);
        FAMILIES.iter().find(contains_self).copied().unwrap_or_default()
    }
}

/// A data set that has a name here or on the Hub, or a file or folder of the user.
#[derive(Debug, Clone)]
pub enum Dataset {
    Named(&'static NamedDataset),
    Hub(HubDataset),
    File(PathBuf),
}

impl Dataset {
    /// The name that `--dataset` accepts, or the path.
    pub fn name(&self) -> String {
        match self {
            Self::Named(named) => named.name.into(),
            Self::Hub(dataset) => dataset.name(),
            Self::File(path) => path.display().to_string(),
        }
    }

    /// The flags that this data set takes, of those that not all data sets take.
    pub(crate) fn takes(&self, flag: &str) -> bool {
        match self {
            Self::Named(named) => named.flags.contains(&flag),
            Self::Hub(_) => hub_dataset::takes(flag),
            Self::File(_) => own_files::takes(flag),
        }
    }

    /// What to say of a path that could also be a name of the Hub.
    pub(crate) fn note_on_name(path: &Path) -> Option<String> {
        let name = HubDataset::parse(path.to_str()?)?.name();
        let what = if path.is_dir() { "folder" } else { "file" };
        Some(format!("{name} is a {what} here, so it is not looked up on the Hub"))
    }

    /// The data sets that take a flag, as a hint: `--dataset sst2, sst3 or sst5`.
    pub(crate) fn names_accepting(flag: &str) -> String {
        let named = NamedDataset::all().filter(|dataset| dataset.flags.contains(&flag)).map(|dataset| dataset.name);
        let own = own_files::takes(flag).then_some("FILE");
        let hub = hub_dataset::takes(flag).then_some("OWNER/NAME");
        format!("--dataset {}", joined(&named.chain(own).chain(hub).collect::<Vec<_>>(), "or"))
    }

    /// The help text of `--dataset`: a line for each name.
    pub(crate) fn help() -> String {
        let width = NamedDataset::all().map(|dataset| dataset.name.len()).max().unwrap_or_default();
        let lines = NamedDataset::all().map(|dataset| format!("  {:width$}  {}\n", dataset.name, dataset.about));
        let formats = FileFormat::names();
        format!(
            "A name, OWNER/NAME or OWNER/NAME:CONFIGURATION of the Hugging Face Hub, or the path of your own {formats} \
             file or of a folder of split files\n{}",
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
            (Self::Hub(one), Self::Hub(other)) => one == other,
            (Self::File(one), Self::File(other)) => one == other,
            _ => false,
        }
    }
}

/// A path that exists comes before a name of the Hub.
impl FromStr for Dataset {
    type Err = DataError;

    fn from_str(name: &str) -> Result<Self, DataError> {
        if name.is_empty() {
            return Err(DataError::Request(format!("--dataset is empty (hint: {} or a path)", Self::names())));
        }
        if let Some(named) = NamedDataset::all().find(|dataset| dataset.name == name) {
            return Ok(Self::Named(named));
        }
        let path = PathBuf::from(name);
        let on_hub = if path.exists() { None } else { HubDataset::parse(name) };
        Ok(on_hub.map_or(Self::File(path), Self::Hub))
    }
}
