//! The user's own files: a table, or a folder with the files of each split.

use std::path::{Path, PathBuf};

use table::{ColumnRequest, FileFormat, READ_FLAGS, ending};

use super::split_tables::refuse_blank;
use super::{digests, treebank};
use crate::audit::AUDIT;
use crate::error::DataError;
use crate::labeled_table;
use crate::labels::{self, SplitRows};
use crate::load_options::{DatasetOptions, SPLIT_RATIO, SPLIT_SEED};
use crate::loaded::Loaded;
use crate::manifest::MANIFEST;
use crate::record::Split;
use crate::thousands::listed_sizes;

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
    let files = Files::find(path, options)?;
    files.refuse_splitting(options)?;
    let mut notes = Vec::new();
    let mut empty_dropped = 0;
    let mut split_rows = SplitRows::default();
    for (split, path) in &files.0 {
        let wanted = ColumnRequest {
            text: options.text_column.as_deref(),
            label: options.label_column.as_deref(),
            label_optional: *split == Split::Test,
        };
        let mut table = labeled_table::read(path, wanted, &options.read)?;
        notes.append(&mut table.notes);
        empty_dropped += refuse_blank(&mut table, options.drop_empty, &mut notes)?;
        split_rows.add(*split, table);
    }
    let how = files.make_missing_splits(&mut split_rows, options)?;
    let labeled = Loaded::from(labels::resolve(split_rows, options.label_map.as_deref(), None)?);
    notes.extend(labeled.notes);
    let sizes = listed_sizes([labeled.train.len(), labeled.validation.len(), labeled.test.len()]);
    let paths: Vec<PathBuf> = files.0.into_iter().map(|(_, path)| path).collect();
    Ok(Loaded {
        dataset: path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
        variant: format!("{}: {sizes} rows, {how}", path.display()),
        source: path.display().to_string(),
        license: "your own".into(),
        source_sha256: digests(&paths)?,
        empty_dropped,
        notes,
        ..labeled
    })
}

/// The files of a data set and the split that each is.
struct Files(Vec<(Split, PathBuf)>);

impl Files {
    fn find(path: &Path, options: &DatasetOptions) -> Result<Self, DataError> {
        refuse_prepared(path)?;
        if !path.is_dir() {
            let own = [(Split::Validation, &options.validation_file), (Split::Test, &options.test_file)];
            let own = own.into_iter().filter_map(|(split, file)| Some((split, file.clone()?)));
            return Ok(Self(std::iter::once((Split::Train, path.to_path_buf())).chain(own).collect()));
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
        Ok(Self(files))
    }

    fn has(&self, split: Split) -> bool {
        self.0.iter().any(|(of, _)| *of == split)
    }

    /// Flags about splitting are an error if the data has its splits already.
    fn refuse_splitting(&self, options: &DatasetOptions) -> Result<(), DataError> {
        let given = [("--split-ratio", options.split_ratio.is_some()), ("--seed", options.seed.is_some())];
        match given.into_iter().find(|(_, given)| *given && self.has(Split::Validation)) {
            Some((flag, _)) => Err(DataError::Request(format!(
                "{flag} is for a file without a validation split, and this data has a validation file (hint: leave it out)"
            ))),
            None => Ok(()),
        }
    }

    /// Makes the splits that have no file of their own, by hash; returns a description of the splits.
    fn make_missing_splits(&self, split_rows: &mut SplitRows, options: &DatasetOptions) -> Result<String, DataError> {
        let (ratio, seed) = (options.split_ratio.unwrap_or(SPLIT_RATIO), options.seed.unwrap_or(SPLIT_SEED));
        if !(ratio > 0.0 && ratio < 0.5) {
            return Err(DataError::Request(format!(
                "--split-ratio: expected a fraction above 0 and below 0.5, found {ratio}"
            )));
        }
        let test = if self.has(Split::Validation) || self.has(Split::Test) { 0.0 } else { ratio };
        if self.has(Split::Validation) {
            return Ok("split by file".into());
        }
        split_rows.resplit_train(|row| Split::of(row.text.as_deref().unwrap_or(""), seed, ratio, test));
        let [train, validation, held_out] = Split::ALL.map(|split| split_rows.split(split).len());
        let parts = if test > 0.0 { "validation and test" } else { "validation" };
        if validation == 0 || held_out == 0 {
            return Err(DataError::content(
                &self.0[0].1,
                format!(
                    "{} rows are too few to take {parts} from at --split-ratio {ratio} (hint: more rows, a larger \
                     ratio, another seed, or --validation-file and --test-file)",
                    train + validation + if test > 0.0 { held_out } else { 0 }
                ),
            ));
        }
        Ok(format!("{parts} taken from train by hash of the text, a share of {ratio} each, seed {seed}"))
    }
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

/// The split that a file's name says it is: `train.csv`, `validation-00000-of-00002.parquet`, `dev.jsonl`.
fn split_of(path: &Path) -> Option<Split> {
    FileFormat::of(path)?;
    let stem = table::stem(path)?.to_lowercase();
    match stem.split(['-', '_', '.']).next()? {
        "train" | "training" => Some(Split::Train),
        "validation" | "valid" | "val" | "dev" => Some(Split::Validation),
        "test" => Some(Split::Test),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
