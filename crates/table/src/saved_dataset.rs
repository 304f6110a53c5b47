//! Folders that `save_to_disk` of the `datasets` library wrote: Arrow streams, their order in `state.json`, their features in
//! `dataset_info.json`.
//!
//! All of it is untrusted. A file is named in `state.json` and lies in the folder itself; what a load in Python would leave
//! out or reorder by files of indices is refused.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::arrow_ipc::{ArrowFile, NAME, positions};
use crate::arrow_rows::{ArrowRows, NextBatch};
use crate::column::Column;
use crate::error::TableError;
use crate::excerpt::{listed, quoted};
use crate::format::{FileFormat, OpenFile, Opened, RowIter};
use crate::input::Input;
use crate::input::open_regular;
use crate::read_options::ReadOptions;

const STATE: &str = "state.json";
const INFO: &str = "dataset_info.json";
const SPLITS: &str = "dataset_dict.json";
/// Far more than a folder with thousands of files has.
const MAX_JSON: u64 = 64 << 20;

pub(crate) const SAVED_DATASET: FileFormat = FileFormat {
    name: "save_to_disk",
    endings: &[],
    about: "a folder that `Dataset.save_to_disk` of `datasets` wrote; names of classes in its features are used",
    matches_folder: Some(matches),
    open,
    create: None,
};

fn matches(folder: &Path) -> bool {
    folder.join(STATE).is_file() || folder.join(SPLITS).is_file()
}

/// What is read of `state.json`. Versions of `datasets` before 2.0 wrote indices beside the data.
#[derive(Deserialize)]
struct SavedState {
    #[serde(rename = "_data_files")]
    data_files: Vec<DataFile>,
    #[serde(rename = "_indices_files", default)]
    indices_files: Option<Vec<Value>>,
    #[serde(rename = "_indices_data_files", default)]
    indices_data_files: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct DataFile {
    filename: String,
    /// The part of the file that counts, in the oldest versions.
    #[serde(default)]
    skip: Option<Value>,
    #[serde(default)]
    take: Option<Value>,
}

#[derive(Deserialize)]
struct SplitNames {
    splits: Vec<String>,
}

/// The names of the splits of a folder that `DatasetDict.save_to_disk` wrote, each a folder in it; `None` if the folder is
/// no such one.
pub fn dataset_dict_splits(folder: &Path) -> Option<Result<Vec<String>, TableError>> {
    let path = folder.join(SPLITS);
    path.is_file().then(|| {
        let SplitNames { splits } = read_json(&path)?;
        match splits.iter().find(|name| !is_plain_name(name)) {
            None if splits.is_empty() => Err(TableError::file(path, "no splits (hint: save the data set again)")),
            None => Ok(splits),
            Some(name) => Err(outside(&path, "split", name)),
        }
    })
}

fn open(input: Input, _: &ReadOptions) -> Result<Opened, TableError> {
    let folder = input.path();
    if let Some(splits) = dataset_dict_splits(folder) {
        let splits = splits?;
        let (names, first) = (listed(splits.iter().map(String::as_str)), folder.join(&splits[0]));
        let reason =
            format!("a data set with the splits {names} (hint: name one of them, such as {})", first.display());
        return Err(TableError::file(folder, reason));
    }
    let path = folder.join(STATE);
    let state: SavedState = read_json(&path)?;
    if [&state.indices_files, &state.indices_data_files].into_iter().flatten().any(|files| !files.is_empty()) {
        return Err(TableError::file(
            path,
            "its rows are selected by files of indices (hint: `.flatten_indices()` before `.save_to_disk()`)",
        ));
    }
    let info_path = folder.join(INFO);
    let info: Option<Value> = if info_path.exists() { Some(read_json(&info_path)?) } else { None };
    let features = info.as_ref().and_then(|info| info.get("features"));
    let mut shards: VecDeque<ArrowFile> = VecDeque::new();
    let mut columns: Vec<Column> = Vec::new();
    for DataFile { filename, skip, take } in state.data_files {
        if !is_plain_name(&filename) {
            return Err(outside(&path, "file", &filename));
        }
        if skip.is_some() || take.is_some() {
            let reason = format!("a part of {} (hint: load and save the data set again)", quoted(&filename));
            return Err(TableError::file(path, reason));
        }
        let shard_path = folder.join(&filename);
        let shard = ArrowFile::new(&shard_path, open_regular(&shard_path)?)?;
        let found = shard.columns(features);
        match shards.front() {
            None => columns = found,
            Some(_) if found == columns => {}
            Some(first) => return Err(other_columns(shard.path(), &found, first.path(), &columns)),
        }
        shards.push_back(shard);
    }
    if shards.is_empty() {
        return Err(TableError::file(path, "no data files (hint: save the data set again)"));
    }
    Ok(Opened { columns, file: Box::new(SavedDataset { folder: folder.to_owned(), shards }), notes: Vec::new() })
}

/// The files of a data set, in order, with equal columns.
struct SavedDataset {
    folder: PathBuf,
    shards: VecDeque<ArrowFile>,
}

impl OpenFile for SavedDataset {
    fn rows(self: Box<Self>, columns: &[Column], selected: &[usize]) -> Result<RowIter, TableError> {
        let Self { folder, mut shards } = *self;
        let length = shards.iter().map(ArrowFile::length).sum();
        let (positions, selected) = (positions(columns, selected), selected.to_vec());
        let mut batches: Option<NextBatch> = None;
        let next_batch = move || {
            loop {
                if let Some(next) = &mut batches
                    && let Some(batch) = next()?
                {
                    return Ok(Some(batch));
                }
                let Some(shard) = shards.pop_front() else { return Ok(None) };
                batches = Some(Box::new(shard.into_batches(selected.clone())));
            }
        };
        Ok(Box::new(ArrowRows::new(&folder, NAME, length, positions, Box::new(next_batch))))
    }
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, TableError> {
    let length = fs::metadata(path).map_err(|error| TableError::io(path, error))?.len();
    if length > MAX_JSON {
        let reason = format!("{length} bytes; the most that is read is {MAX_JSON} (hint: save the data set again)");
        return Err(TableError::file(path, reason));
    }
    let text = fs::read(path).map_err(|error| TableError::io(path, error))?;
    serde_json::from_slice(&text).map_err(|error| {
        TableError::file(path, format!("not as `save_to_disk` writes it: {error} (hint: save the data set again)"))
    })
}

/// Whether a name is that of a file or folder right inside the data set's.
fn is_plain_name(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!((parts.next(), parts.next()), (Some(std::path::Component::Normal(part)), None) if part == name)
}

fn outside(path: &Path, what: &str, name: &str) -> TableError {
    TableError::file(path, format!("the {what} {} is not in its folder (hint: save the data set again)", quoted(name)))
}

fn other_columns(path: &Path, found: &[Column], first: &Path, expected: &[Column]) -> TableError {
    let shown = |column: Option<&Column>| match column {
        None => "nothing".to_owned(),
        Some(Column { name, declared: None }) => quoted(name),
        Some(Column { name, declared: Some(declared) }) => match &declared.class_names {
            Some(names) => {
                let names = listed(names.iter().map(String::as_str));
                format!("{} of type {} with the classes {names}", quoted(name), declared.type_name)
            }
            None => format!("{} of type {}", quoted(name), declared.type_name),
        },
    };
    let differs = (0..).find(|&at| found.get(at) != expected.get(at)).unwrap_or(0);
    let (expected, found) = (shown(expected.get(differs)), shown(found.get(differs)));
    let column = differs + 1;
    TableError::file(
        path,
        format!(
            "column {column}: expected {expected} as in {}, found {found} (hint: files of one data set have the same \
             columns; save it again)",
            first.display()
        ),
    )
}

#[cfg(test)]
mod tests;
