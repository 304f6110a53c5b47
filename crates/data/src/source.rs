//! Data sets, and loading them from where they come from. A family of data sets is one file of `source/` and one line in
//! [`FAMILIES`].

mod choice;
mod dataset;
mod glue;
mod hub;
mod hub_dataset;
mod named;
mod own_files;
mod reviews;
mod split_files;
mod split_tables;
mod treebank;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use table::FileFormat;

use crate::error::DataError;
use crate::load_options::DatasetOptions;
use crate::loaded::Loaded;

pub use choice::{Source, SourceChoice};
pub use dataset::Dataset;
pub use hub_dataset::HubDataset;
pub use named::NamedDataset;
pub use treebank::{TreebankNode, TreebankSplit, treebank_classes, treebank_label_names, treebank_polarity};

pub(crate) use dataset::DEFAULT;
use named::LoadRequest;

/// The data sets that have a name. Help texts, error messages and documentation list the data sets from this table.
static FAMILIES: &[&[NamedDataset]] = &[&treebank::DATASETS, &glue::DATASETS, &reviews::DATASETS];

const TWO_CLASSES: &[&str] = &["negative", "positive"];
const THREE_CLASSES: &[&str] = &["negative", "neutral", "positive"];
const FIVE_CLASSES: &[&str] = &["very negative", "negative", "neutral", "positive", "very positive"];

/// Reads `dataset` from `source`.
///
/// # Errors
/// A data set that the source doesn't have, content that can't be read, and flags that this data set doesn't take.
pub fn load(dataset: &Dataset, source: &SourceChoice, options: &DatasetOptions) -> Result<Loaded, DataError> {
    refuse_unused_flags(dataset, options)?;
    let named = match dataset {
        Dataset::Named(named) => named.with_classes(options.classes)?,
        Dataset::File(path) if *source == SourceChoice::Auto => {
            check_exists(path)?;
            let mut loaded = own_files::read(path, options)?;
            loaded.notes.splice(0..0, Dataset::note_on_name(path));
            return Ok(loaded);
        }
        Dataset::Hub(dataset) if *source == SourceChoice::Auto => return dataset.load(options),
        Dataset::File(_) | Dataset::Hub(_) => {
            let what = if matches!(dataset, Dataset::Hub(_)) { "is read from the Hub" } else { "is a path" };
            return Err(DataError::Request(format!(
                "--source is for {}, and --dataset {} {what} (hint: leave --source out)",
                Dataset::names(),
                dataset.name()
            )));
        }
    };
    let request = LoadRequest { dataset: named, options, unreachable: &[] };
    match source {
        SourceChoice::Auto => load_first_reachable(&request),
        SourceChoice::Download(source) => match named.downloads.iter().find(|(known, _)| known == source) {
            Some((_, download)) => download(&request),
            None => Err(named.not_from(source.name())),
        },
        SourceChoice::Folder(folder) => match &named.folder {
            Some(files) => (files.load)(folder, &request),
            None => Err(named.not_from("a folder")),
        },
    }
}

/// A path without an ending that doesn't exist is probably a mistyped name.
fn check_exists(path: &Path) -> Result<(), DataError> {
    if !path.exists() && path.extension().is_none() && !path.to_string_lossy().contains(['*', '?', '[']) {
        return Err(DataError::Request(format!(
            "--dataset {}: no data set has this name, and there is no such file or folder (hint: {}, OWNER/NAME for \
             a data set of the Hub, or the path of a {} file)",
            path.display(),
            Dataset::names(),
            FileFormat::names()
        )));
    }
    Ok(())
}

/// A flag that the data set doesn't take is a misunderstanding, so it is an error.
fn refuse_unused_flags(dataset: &Dataset, options: &DatasetOptions) -> Result<(), DataError> {
    let Some(flag) = options.given_flags().into_iter().find(|flag| !dataset.takes(flag)) else {
        return Ok(());
    };
    let hint = match dataset {
        Dataset::Named(named) if flag == "--classes" => named.hint_for_classes(options.classes),
        _ => None,
    };
    Err(DataError::Request(format!(
        "{flag} is not available for --dataset {} (hint: {})",
        dataset.name(),
        hint.unwrap_or_else(|| format!("{}, or leave {flag} out", Dataset::names_accepting(flag)))
    )))
}

/// Tries the data set's sources in order. Those that were not reachable are notes of the result.
fn load_first_reachable(request: &LoadRequest<'_>) -> Result<Loaded, DataError> {
    let mut unreachable = Vec::new();
    let downloads = request.dataset.downloads;
    for (position, (source, download)) in downloads.iter().enumerate() {
        let is_last = position + 1 == downloads.len();
        match download(&LoadRequest { unreachable: &unreachable, ..*request }) {
            Ok(mut loaded) => {
                loaded.notes.splice(0..0, unreachable);
                return Ok(loaded);
            }
            Err(error) if is_unreachable(&error) && !is_last => {
                unreachable.push(format!("--source {} is not reachable: {error}", source.name()));
            }
            Err(error) => return Err(error),
        }
    }
    Err(request.dataset.not_from("--source auto"))
}

fn is_unreachable(error: &DataError) -> bool {
    matches!(error, DataError::Fetch { source, .. } if source.is_unreachable())
}

/// Lower-case hex sha256 of each file, by its name.
fn digests(paths: &[PathBuf]) -> Result<BTreeMap<String, String>, DataError> {
    let mut found = BTreeMap::new();
    for path in paths {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        // Two shards in different folders may have the same name; the second is listed by its whole path.
        let name = if found.contains_key(&name) { path.display().to_string() } else { name };
        found.insert(name, own_files::digest(path)?);
    }
    Ok(found)
}

#[cfg(test)]
pub(crate) mod tests;
