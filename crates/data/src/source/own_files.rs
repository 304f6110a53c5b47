//! The user's own files: a table, or a folder with the files of each split.

use std::path::Path;

use table::{FileFormat, READ_FLAGS, ending};

use super::split_files::{LoadedFiles, SplitFiles, split_names};
use super::{digests, treebank};
use crate::error::DataError;
use crate::load_options::DatasetOptions;
use crate::loaded::Loaded;
use crate::record::Split;

/// The flags that files of the user take, of those that not all data sets take, beside those of reading any file.
const FLAGS: &[&str] = &[
    "--text-column",
    "--label-column",
    "--label-map",
    "--validation-file",
    "--test-file",
    "--split-ratio",
    "--seed",
    "--drop-empty",
];

pub(super) fn takes(flag: &str) -> bool {
    FLAGS.contains(&flag) || READ_FLAGS.contains(&flag)
}

/// Reads the user's own file, or a folder with one file (or several shards) a split.
pub(super) fn read(path: &Path, options: &DatasetOptions) -> Result<Loaded, DataError> {
    let files = find(path, options)?;
    let LoadedFiles { loaded, splits, .. } = files.load(options, Some("--validation-file and --test-file"))?;
    Ok(Loaded {
        dataset: path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
        variant: format!("{}: {splits}", path.display()),
        source: path.display().to_string(),
        license: "your own".into(),
        source_sha256: digests(&files.paths())?,
        ..loaded
    })
}

/// The files at a path, and the split that each is.
fn find(path: &Path, options: &DatasetOptions) -> Result<SplitFiles, DataError> {
    if !path.is_dir() {
        let own = [(Split::Validation, &options.validation_file), (Split::Test, &options.test_file)];
        let own = own.into_iter().filter_map(|(split, file)| Some((split, file.clone()?)));
        return Ok(SplitFiles(std::iter::once((Split::Train, path.to_path_buf())).chain(own).collect()));
    }
    if options.validation_file.is_some() || options.test_file.is_some() {
        return Err(DataError::Request(format!(
            "--validation-file and --test-file go with a training file, and {} is a folder (hint: leave them out, \
             or name the file)",
            path.display()
        )));
    }
    if treebank::FILES.iter().all(|name| path.join(name).is_file()) {
        return Err(DataError::content(path, "this folder is the treebank (hint: --dataset sst2 --source DIR)"));
    }
    let entries = std::fs::read_dir(path).map_err(|error| DataError::io(path, error))?;
    let mut files = Vec::new();
    for entry in entries {
        let file = entry.map_err(|error| DataError::io(path, error))?.path();
        if let Some(split) = split_of(&file).filter(|_| file.is_file()) {
            files.push((split, file));
        }
    }
    files.sort_by(|a, b| (a.0 as usize, &a.1).cmp(&(b.0 as usize, &b.1)));
    for split in Split::ALL {
        let mut endings: Vec<String> =
            files.iter().filter(|(of, _)| *of == split).map(|(_, file)| ending(file)).collect();
        endings.sort();
        endings.dedup();
        if endings.len() > 1 {
            return Err(DataError::content(
                path,
                format!("{} is here as .{} (hint: keep one)", split.name(), endings.join(" and .")),
            ));
        }
    }
    if files.first().is_none_or(|(split, _)| *split != Split::Train) {
        return Err(DataError::content(
            path,
            format!("no training file in this folder (hint: name it {})", FileFormat::file_names("train")),
        ));
    }
    Ok(SplitFiles(files))
}

/// The split that a file's name says it is: `train.csv`, `validation-00000-of-00002.parquet`, `dev.jsonl`.
fn split_of(path: &Path) -> Option<Split> {
    FileFormat::of(path)?;
    let stem = path.file_stem()?.to_str()?.to_lowercase();
    let first = stem.split(['-', '_', '.']).next()?;
    Split::ALL.into_iter().find(|split| split_names(*split).contains(&first))
}

#[cfg(test)]
mod tests;
