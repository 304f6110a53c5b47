//! Files with a text and a label in each row, each a split or a part of one: the user's own, or the Hub's.

use std::path::PathBuf;

use table::ColumnRequest;

use super::split_tables::refuse_blank;
use crate::error::DataError;
use crate::labeled_table;
use crate::labels::{self, SplitRows};
use crate::load_options::{DatasetOptions, SPLIT_RATIO, SPLIT_SEED};
use crate::loaded::Loaded;
use crate::record::Split;
use crate::thousands::listed_sizes;

/// The names under which the files of a split are found, the usual one first.
pub(super) fn split_names(split: Split) -> &'static [&'static str] {
    match split {
        Split::Train => &["train", "training"],
        Split::Validation => &["validation", "valid", "val", "dev"],
        Split::Test => &["test"],
    }
}

/// The files of a data set and the split that each is, in the order of the splits. There is one of train at least.
pub(super) struct SplitFiles(pub(super) Vec<(Split, PathBuf)>);

/// What [`SplitFiles::load`] read.
pub(super) struct LoadedFiles {
    /// The records, their labels and their places; what names the data set is left to the caller.
    pub(super) loaded: Loaded,
    /// The sizes of the splits and how they were made.
    pub(super) splits: String,
    /// The columns of the first file.
    pub(super) text_column: String,
    pub(super) label_column: Option<String>,
}

impl SplitFiles {
    /// Reads the files, makes the splits that have none by hash, and maps the labels to classes. `more_splits` names flags
    /// that add splits to this data set, for messages: `--test-file`.
    pub(super) fn load(&self, options: &DatasetOptions, more_splits: Option<&str>) -> Result<LoadedFiles, DataError> {
        self.refuse_splitting(options)?;
        let (mut split_rows, mut notes, mut empty_dropped) = (SplitRows::default(), Vec::new(), 0);
        for (split, path) in &self.0 {
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
        let how = self.make_missing_splits(&mut split_rows, options, more_splits)?;
        let (text_column, label_column) = match split_rows.files.first() {
            Some(file) => (file.text_column.clone(), file.label_column.clone()),
            None => (String::new(), None),
        };
        let labeled = Loaded::from(labels::resolve(split_rows, options.label_map.as_deref(), None)?);
        notes.extend(labeled.notes);
        let sizes = listed_sizes([labeled.train.len(), labeled.validation.len(), labeled.test.len()]);
        let loaded = Loaded { empty_dropped, notes, ..labeled };
        Ok(LoadedFiles { loaded, splits: format!("{sizes} rows, {how}"), text_column, label_column })
    }

    pub(super) fn paths(&self) -> Vec<PathBuf> {
        self.0.iter().map(|(_, path)| path.clone()).collect()
    }

    fn has(&self, split: Split) -> bool {
        self.0.iter().any(|(of, _)| *of == split)
    }

    /// Flags about splitting are an error if the data has its splits already.
    fn refuse_splitting(&self, options: &DatasetOptions) -> Result<(), DataError> {
        let given = [("--split-ratio", options.split_ratio.is_some()), ("--seed", options.seed.is_some())];
        match given.into_iter().find(|(_, given)| *given && self.has(Split::Validation)) {
            Some((flag, _)) => Err(DataError::Request(format!(
                "{flag} is for data without a validation split, and this data has one (hint: leave it out)"
            ))),
            None => Ok(()),
        }
    }

    /// Makes the splits that have no file of their own, by hash; returns a description of the splits.
    fn make_missing_splits(
        &self,
        split_rows: &mut SplitRows,
        options: &DatasetOptions,
        more_splits: Option<&str>,
    ) -> Result<String, DataError> {
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
            let hint = match more_splits {
                Some(flags) => format!("more rows, a larger ratio, another seed, or {flags}"),
                None => "a larger --split-ratio or another --seed".into(),
            };
            return Err(DataError::content(
                &self.0[0].1,
                format!(
                    "{} rows are too few to take {parts} from at --split-ratio {ratio} (hint: {hint})",
                    train + validation + if test > 0.0 { held_out } else { 0 }
                ),
            ));
        }
        Ok(format!("{parts} taken from train by hash of the text, a share of {ratio} each, seed {seed}"))
    }
}
