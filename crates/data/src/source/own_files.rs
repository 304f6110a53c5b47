//! The user's own files: a table, several, or a folder with the files of each split.

use std::path::{Path, PathBuf};

use disk::{Sha256Hasher, sha256_file};
use table::{FileFormat, READ_FLAGS, ReadOptions, Table, dataset_dict_splits, ending, expand};

use super::split_files::{FLAGS, LoadedFiles, SplitFiles, split_names};
use super::{digests, treebank};
use crate::audit::AUDIT;
use crate::error::DataError;
use crate::load_options::DatasetOptions;
use crate::loaded::Loaded;
use crate::manifest::MANIFEST;
use crate::record::Split;

/// The flags of files of the user alone, beside those of reading any file.
const OWN_FLAGS: &[&str] = &["--validation-file", "--test-file"];

pub(super) fn takes(flag: &str) -> bool {
    [FLAGS, OWN_FLAGS, &READ_FLAGS].iter().any(|flags| flags.contains(&flag))
}

/// Reads the user's own file, those of a pattern, or a folder with the files of each split.
pub(super) fn read(path: &Path, options: &DatasetOptions) -> Result<Loaded, DataError> {
    let Found { files, note } = find(path, options)?;
    let LoadedFiles { mut loaded, splits } = files.load(options, Some("--validation-file and --test-file"))?;
    loaded.notes.splice(0..0, note);
    Ok(Loaded {
        dataset: path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
        variant: format!("{}: {splits}", path.display()),
        source: path.display().to_string(),
        license: crate::loaded::OWN_LICENSE.into(),
        source_sha256: digests(&files.paths())?,
        ..loaded
    })
}

struct Found {
    files: SplitFiles,
    /// What of a folder is not read.
    note: Option<String>,
}

/// The files at a path, and the split that each is.
fn find(path: &Path, options: &DatasetOptions) -> Result<Found, DataError> {
    refuse_prepared(path)?;
    let given = [(Split::Validation, &options.validation_file), (Split::Test, &options.test_file)];
    let is_pattern = !path.exists() && path.to_str().is_some_and(|path| path.contains(['*', '?', '[']));
    if !path.is_dir() || is_table(path, &options.read) {
        let mut files: Vec<(Split, PathBuf)> = match is_pattern {
            true => expanded(&[path.to_path_buf()])?.into_iter().map(|path| (Split::Train, path)).collect(),
            false => vec![(Split::Train, path.to_path_buf())],
        };
        for (split, patterns) in given {
            files.extend(expanded(patterns)?.into_iter().map(|path| (split, path)));
        }
        refuse_twice(&files)?;
        return Ok(Found { files: SplitFiles(files), note: None });
    }
    if given.iter().any(|(_, files)| !files.is_empty()) {
        return Err(DataError::Request(format!(
            "--validation-file and --test-file go with a training file, and {} is a folder (hint: leave them out, \
             or name the file)",
            path.display()
        )));
    }
    if treebank::FILES.iter().all(|name| path.join(name).is_file()) {
        return Err(DataError::content(path, "this folder is the treebank (hint: --dataset sst2 --source DIR)"));
    }
    in_folder(path, options)
}

/// Prepared data has its labels as numbers, and their names elsewhere.
fn refuse_prepared(path: &Path) -> Result<(), DataError> {
    let folder = match path.parent() {
        Some(folder) if ending(path) == "arrow" => folder,
        _ => path,
    };
    if [MANIFEST, AUDIT].iter().all(|name| folder.join(name).is_file()) {
        let reason = format!("this data is prepared already (hint: train with --data {})", folder.display());
        return Err(DataError::content(path, reason));
    }
    Ok(())
}

/// The paths that patterns stand for.
fn expanded(patterns: &[PathBuf]) -> Result<Vec<PathBuf>, DataError> {
    let text = |pattern: &PathBuf| {
        let not_text = || DataError::content(pattern, "its name is not UTF-8 (hint: rename the file)");
        pattern.to_str().map(str::to_owned).ok_or_else(not_text)
    };
    let mut found = Vec::new();
    for pattern in patterns {
        match pattern.exists() || !pattern.to_string_lossy().contains(['*', '?', '[']) {
            // A path that isn't there is an error where it is read.
            true => found.push(pattern.clone()),
            false => found.extend(expand(&[text(pattern)?])?),
        }
    }
    Ok(found)
}

/// A file in two splits would be tested on what was learned.
fn refuse_twice(files: &[(Split, PathBuf)]) -> Result<(), DataError> {
    let identity = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    for (at, (split, path)) in files.iter().enumerate() {
        let earlier = files[..at].iter().find(|(_, other)| identity(other) == identity(path));
        if let Some((other, _)) = earlier.filter(|(other, _)| other == split) {
            let name = other.name();
            return Err(DataError::content(path, format!("named twice as {name} (hint: name it once)")));
        }
    }
    Ok(())
}

/// Whether a folder is one table: texts in a folder for each class, or what `Dataset.save_to_disk` wrote.
fn is_table(folder: &Path, options: &ReadOptions) -> bool {
    dataset_dict_splits(folder).is_none() && Table::open(folder, options).is_ok()
}

/// The files of each split in a folder: `train.csv`, several shards, or a folder `train`.
fn in_folder(path: &Path, options: &DatasetOptions) -> Result<Found, DataError> {
    let named = match dataset_dict_splits(path) {
        Some(names) => names?.into_iter().map(|name| path.join(name)).collect(),
        None => entries(path)?,
    };
    let (mut files, mut unused) = (Vec::new(), Vec::new());
    for entry in named {
        let Some(split) = split_of(&entry) else {
            unused.extend(entry.is_dir().then(|| entry.file_name().unwrap_or_default().to_string_lossy().into_owned()));
            continue;
        };
        if entry.is_file() {
            files.push((split, entry));
            continue;
        }
        let tables: Vec<PathBuf> = entries(&entry)?
            .into_iter()
            .filter(|file| file.is_file() && FileFormat::of(file).is_some() && !is_list(file))
            .collect();
        match tables.is_empty() || is_table(&entry, &options.read) {
            true => files.push((split, entry)),
            false => files.extend(tables.into_iter().map(|file| (split, file))),
        }
    }
    files.sort_by(|a, b| (a.0 as usize, &a.1).cmp(&(b.0 as usize, &b.1)));
    for split in Split::ALL {
        let form = |file: &Path| if file.is_dir() { "a folder".to_owned() } else { format!(".{}", ending(file)) };
        let mut forms: Vec<String> = files.iter().filter(|(of, _)| *of == split).map(|(_, file)| form(file)).collect();
        forms.sort();
        forms.dedup();
        if forms.len() > 1 {
            return Err(DataError::content(
                path,
                format!("{} is here as {} (hint: keep one)", split.name(), forms.join(" and ")),
            ));
        }
    }
    if files.first().is_none_or(|(split, _)| *split != Split::Train) {
        return Err(DataError::content(
            path,
            format!("no training file in this folder (hint: name it {})", FileFormat::file_names("train")),
        ));
    }
    unused.sort();
    let note = (!unused.is_empty())
        .then(|| format!("{}: {} not used, not being train, validation or test", path.display(), unused.join(", ")));
    Ok(Found { files: SplitFiles(files), note })
}

/// What is in a folder, hidden files left out.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| DataError::io(folder, error))? {
        let path = entry.map_err(|error| DataError::io(folder, error))?.path();
        let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        found.extend((!hidden).then_some(path));
    }
    found.sort();
    Ok(found)
}

/// A text file, which beside folders of texts is a list of addresses or a word list rather than data.
fn is_list(file: &Path) -> bool {
    ending(file) == "txt"
}

/// The split that a name says a file or folder is: `train.csv`, `validation-00000-of-00002.parquet`, `dev.jsonl`, `test`.
fn split_of(path: &Path) -> Option<Split> {
    if !path.is_dir() {
        FileFormat::of(path)?;
    }
    let name = path.file_name()?.to_str()?.to_lowercase();
    let first = name.split(['-', '_', '.']).next().filter(|first| !path.is_dir() || *first == name)?;
    Split::ALL.into_iter().find(|split| split_names(*split).contains(&first))
}

/// Lower-case hex sha256 of a file, or over the names and contents of all files in a folder.
pub(super) fn digest(path: &Path) -> Result<String, DataError> {
    if !path.is_dir() {
        return Ok(sha256_file(path)?);
    }
    let mut hasher = Sha256Hasher::default();
    let mut folders = vec![path.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in entries(&folder)? {
            if entry.is_file() {
                let name = entry.strip_prefix(path).unwrap_or(&entry).as_os_str().as_encoded_bytes().to_vec();
                hasher.update((name.len() as u64).to_le_bytes());
                hasher.update(name);
                hasher.update(sha256_file(&entry)?);
            } else if entry.is_dir() && !entry.is_symlink() {
                folders.push(entry);
            }
        }
    }
    Ok(hasher.finish())
}

#[cfg(test)]
mod tests;
