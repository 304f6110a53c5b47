//! Data sets of the Hugging Face Hub by name, from the Parquet files that the Hub makes of every data set.
//!
//! They are on the branch `refs/convert/parquet` as `CONFIGURATION/SPLIT/0000.parquet`. All files are taken from the one
//! commit that the branch's list of files is of.

use std::collections::BTreeMap;
use std::path::Path;

use disk::sha256_file;
use fetch::hub::Listing;
use fetch::{FetchError, Hub, RepoRef};
use table::FileFormat;

use super::split_files::{FLAGS, LoadedFiles, SplitFiles, split_names};
use crate::error::DataError;
use crate::load_options::DatasetOptions;
use crate::loaded::{Loaded, Places};
use crate::record::Split;
use crate::thousands::grouped;

/// The branch on which the Hub keeps the Parquet files.
const BRANCH: &str = "refs/convert/parquet";
/// The configuration without a name, unless there is only one.
const DEFAULT_CONFIG: &str = "default";
/// Where the Hub has converted only the beginning of a large split, this is before the split's name.
const PARTIAL: &str = "partial-";
/// The Hub lists at most about so many files, and doesn't say whether there are more.
const MAX_FILES: usize = 50_000;
/// Names that a message lists before it says how many more there are.
const LISTED: usize = 20;
/// Endings of files that are no names on the Hub, beside those of the formats that are read.
const FILE_ENDINGS: [&str; 10] = ["txt", "gz", "zst", "zip", "xz", "bz2", "xls", "xlsx", "arrow", "feather"];

pub(super) fn takes(flag: &str) -> bool {
    FLAGS.contains(&flag)
}

/// A data set of the Hub as `--dataset` names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubDataset {
    id: String,
    config: Option<String>,
}

impl HubDataset {
    /// Reads `OWNER/NAME` or `OWNER/NAME:CONFIGURATION`; `None` for what can't be one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (id, config) = match text.split_once(':') {
            Some((id, config)) => (id, Some(config)),
            None => (text, None),
        };
        let ending = Path::new(id).extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        let is_file = FileFormat::of(Path::new(id)).is_some() || FILE_ENDINGS.contains(&ending);
        let is_name = id.contains('/') && !id.contains('@') && RepoRef::dataset(id).is_ok();
        let is_config = config.is_none_or(|config| !config.contains('/'));
        let config = config.map(str::to_owned);
        (is_name && is_config && (config.is_some() || !is_file)).then(|| Self { id: id.to_owned(), config })
    }

    pub(super) fn name(&self) -> String {
        match &self.config {
            Some(config) => format!("{}:{config}", self.id),
            None => self.id.clone(),
        }
    }

    /// Downloads and reads the data set.
    pub(super) fn load(&self, options: &DatasetOptions) -> Result<Loaded, DataError> {
        let hub = Hub::from_env().map_err(|source| DataError::Fetch { source_name: "hub", source })?;
        self.load_from(&hub, options)
    }

    fn load_from(&self, hub: &Hub, options: &DatasetOptions) -> Result<Loaded, DataError> {
        let not_there = |source| DataError::HubDataset { name: self.name(), source: Box::new(source) };
        let repo = RepoRef::dataset(&format!("{}@{BRANCH}", self.id)).map_err(not_there)?;
        let listing = match hub.listing(&repo) {
            Err(FetchError::NoSuchRevision { .. }) => return Err(self.without_parquet()),
            listing => listing.map_err(not_there)?,
        };
        let fetched = match self.fetch(hub, &repo, listing) {
            // The list was remembered, and the Hub has replaced the commit since.
            Err(DataError::Fetch { source: FetchError::NoSuchFile { .. }, .. }) => {
                self.fetch(hub, &repo, hub.current_listing(&repo).map_err(not_there)?)
            }
            fetched => fetched,
        }?;
        fetched.read(options)
    }

    /// Downloads the files of the configuration.
    fn fetch(&self, hub: &Hub, repo: &RepoRef, listing: Listing) -> Result<Fetched, DataError> {
        let hub_error = |source| DataError::Fetch { source_name: "hub", source };
        if listing.files.len() >= MAX_FILES {
            return Err(DataError::Request(format!(
                "--dataset {}: the Hub lists {} Parquet files, and there may be more that it leaves out (hint: download \
                 the files and give --dataset their path)",
                self.name(),
                grouped(listing.files.len())
            )));
        }
        let configs = configurations(&listing.files);
        let config = self.choose(&configs)?;
        let splits = self.split_names(&config.splits)?;
        let notes = self.notes(config, &splits);
        let pinned = repo.at(&listing.commit).map_err(hub_error)?;
        let (mut files, mut names) = (Vec::new(), Vec::new());
        for (split, name) in splits {
            for path in &config.splits[name] {
                files.push((split, hub.file(&pinned, path).map_err(hub_error)?));
                names.push((*path).to_owned());
            }
        }
        // The shortest name that means this configuration.
        let usual = configs.len() == 1 || config.name == DEFAULT_CONFIG;
        let dataset = if usual { self.id.clone() } else { format!("{}:{}", self.id, config.name) };
        let source =
            format!("Hugging Face Hub, {}@{BRANCH}, configuration {} ({})", self.id, config.name, listing.commit);
        Ok(Fetched { dataset, source, files: SplitFiles(files), names, notes })
    }

    fn choose<'a>(&self, configs: &'a [Configuration<'a>]) -> Result<&'a Configuration<'a>, DataError> {
        let named = |name: &str| configs.iter().find(|config| config.name == name);
        let names: Vec<&str> = configs.iter().map(|config| config.name).collect();
        let [first, ..] = names[..] else { return Err(self.without_parquet()) };
        let problem = match (&self.config, configs) {
            (Some(config), _) => match named(config) {
                Some(found) => return Ok(found),
                None => format!("{} has no configuration {config:?}, only", self.id),
            },
            (None, [only]) => return Ok(only),
            (None, _) => match named(DEFAULT_CONFIG) {
                Some(found) => return Ok(found),
                None => format!("{} has several configurations:", self.id),
            },
        };
        let (names, id) = (shortened(&names), &self.id);
        Err(DataError::Request(format!("--dataset {}: {problem} {names} (hint: --dataset {id}:{first})", self.name())))
    }

    /// The names of the splits that are train, validation and test.
    fn split_names<'a>(&self, splits: &SplitPaths<'a>) -> Result<Vec<(Split, &'a str)>, DataError> {
        let found = |split: Split| split_names(split).iter().find_map(|name| Some(*splits.get_key_value(name)?.0));
        let found: Vec<_> = Split::ALL.into_iter().filter_map(|split| Some((split, found(split)?))).collect();
        if found.first().is_some_and(|(split, _)| *split == Split::Train) {
            return Ok(found);
        }
        let names: Vec<&str> = splits.keys().copied().collect();
        Err(DataError::Request(format!(
            "--dataset {}: no split is called {}, only {} (hint: download the file to train on and give --dataset its path)",
            self.name(),
            split_names(Split::Train).join(" or "),
            shortened(&names)
        )))
    }

    /// What is left out of a configuration.
    fn notes(&self, config: &Configuration<'_>, used: &[(Split, &str)]) -> Vec<String> {
        let unused = config.splits.keys().copied().filter(|name| !used.iter().any(|(_, used)| used == name));
        let unused: Vec<&str> = unused.collect();
        let unused = match unused[..] {
            [] => None,
            [only] => Some(format!("{}: split {only:?} is not used", self.id)),
            _ => Some(format!("{}: splits {} are not used", self.id, shortened(&unused))),
        };
        let partial = config.partial.then(|| {
            format!("NOT THE WHOLE DATA SET: the Hub's Parquet files of {} hold only the beginning of it", self.id)
        });
        unused.into_iter().chain(partial).collect()
    }

    fn without_parquet(&self) -> DataError {
        DataError::Request(format!(
            "--dataset {}: the Hub has no Parquet files of this data set, as for those that a script loads (hint: \
             download its files and give --dataset their path)",
            self.name()
        ))
    }
}

/// A data set's files on this machine.
struct Fetched {
    dataset: String,
    source: String,
    files: SplitFiles,
    /// The path of each file in the repository.
    names: Vec<String>,
    notes: Vec<String>,
}

impl Fetched {
    fn read(self, options: &DatasetOptions) -> Result<Loaded, DataError> {
        let Self { dataset, source, files, names, mut notes } = self;
        let LoadedFiles { loaded, splits } = files.load(options, None)?;
        notes.extend(loaded.notes);
        let digests = names.iter().zip(files.paths()).map(|(name, path)| Ok((name.clone(), sha256_file(&path)?)));
        Ok(Loaded {
            variant: format!("{dataset}: {splits}"),
            license: "stated on its page on the Hugging Face Hub".into(),
            source_sha256: digests.collect::<Result<_, DataError>>()?,
            // Shards of different splits have the same file name.
            places: Places { files: names, ..loaded.places },
            dataset,
            source,
            notes,
            ..loaded
        })
    }
}

/// The files of each split, by its name.
type SplitPaths<'a> = BTreeMap<&'a str, Vec<&'a str>>;

/// One of the forms in which a data set comes.
#[derive(Debug)]
struct Configuration<'a> {
    name: &'a str,
    splits: SplitPaths<'a>,
    /// A split isn't whole.
    partial: bool,
}

fn configurations(files: &[String]) -> Vec<Configuration<'_>> {
    let mut found: BTreeMap<&str, Configuration<'_>> = BTreeMap::new();
    let mut sorted: Vec<&str> = files.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    for path in sorted {
        // The names are printed.
        let Some(stem) = path.strip_suffix(".parquet").filter(|stem| !stem.contains(char::is_control)) else {
            continue;
        };
        let (name, split) = match stem.split('/').collect::<Vec<_>>()[..] {
            [config, split, _] => (config, split),
            [config, file] => (config, split_of_older_name(file)),
            _ => continue,
        };
        let config = found.entry(name).or_insert(Configuration { name, splits: BTreeMap::new(), partial: false });
        let (split, partial) = split.strip_prefix(PARTIAL).map_or((split, false), |whole| (whole, true));
        config.partial |= partial;
        config.splits.entry(split).or_default().push(path);
    }
    found.into_values().collect()
}

/// The split in an older file's name: `train` in `imdb-train` and `imdb-train-00000-of-00002`.
fn split_of_older_name(stem: &str) -> &str {
    let parts: Vec<&str> = stem.split('-').collect();
    match parts[..] {
        [.., split, _, "of", _] => split,
        [.., split] => split,
        [] => stem,
    }
}

/// `a, b, c and 4 more`.
fn shortened(names: &[&str]) -> String {
    match names.len().checked_sub(LISTED) {
        None | Some(0) => names.join(", "),
        Some(more) => format!("{} and {more} more", names[..LISTED].join(", ")),
    }
}

#[cfg(test)]
mod tests;
