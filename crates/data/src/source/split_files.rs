//! Files with a text and a label in each row, each a split or a part of one: the user's own, or the Hub's.

use std::path::{Path, PathBuf};

use table::{Cell, ColumnRequest, TEXT_SEPARATOR};

use super::split_tables::refuse_blank;
use crate::deal::Deal;
use crate::error::DataError;
use crate::labeled_table::{self, LabeledTable, SourceFile, TableRequest};
use crate::labels::{self, Classes, LabelOptions, SplitRows};
use crate::load_options::{DatasetOptions, SPLIT_RATIO, SPLIT_SEED};
use crate::loaded::Loaded;
use crate::record::Split;
use crate::thousands::listed_sizes;

/// The flags that files of the user and data sets of the Hub take, of those that not all data sets take.
pub(super) const FLAGS: &[&str] = &[
    "--text-column",
    "--text-separator",
    "--label-column",
    "--label-map",
    "--labels-from",
    "--split-ratio",
    "--seed",
    "--stratify",
    "--drop-empty",
];

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
}

impl SplitFiles {
    /// Reads the files, makes the splits that have none by hash, and maps the labels to classes. `more_splits` names flags
    /// that add splits to this data set, for messages: `--test-file`.
    pub(super) fn load(&self, options: &DatasetOptions, more_splits: Option<&str>) -> Result<LoadedFiles, DataError> {
        self.refuse_splitting(options)?;
        let (mut split_rows, mut notes, mut empty_dropped) = (SplitRows::default(), Vec::new(), 0);
        let separator = options.text_separator.as_deref().unwrap_or(TEXT_SEPARATOR);
        for (split, path) in &self.0 {
            let columns = ColumnRequest {
                text: options.text_column.as_deref(),
                label: options.label_column.as_deref(),
                label_optional: *split == Split::Test,
            };
            let wanted = TableRequest { columns, separator };
            let mut table = labeled_table::read(path, wanted, &options.read)?;
            notes.append(&mut table.notes);
            if is_class_folders(path) && *split != Split::Test {
                notes.extend(drop_unlabeled(&mut table));
            }
            empty_dropped += refuse_blank(&mut table, options.drop_empty, &mut notes)?;
            split_rows.add(*split, table);
        }
        notes.extend(columns_note(&split_rows.files, options, separator));
        let labels =
            LabelOptions { map: options.label_map.as_ref(), first: options.labels_from.map(i64::from), declared: None };
        let classes = Classes::of(&split_rows, labels)?;
        let (how, note) = self.make_missing_splits(&mut split_rows, &classes, options, more_splits)?;
        notes.extend(note);
        let labeled = Loaded::from(labels::resolve(split_rows, classes)?);
        notes.extend(labeled.notes);
        let sizes = listed_sizes([labeled.train.len(), labeled.validation.len(), labeled.test.len()]);
        let loaded = Loaded { empty_dropped, notes, ..labeled };
        Ok(LoadedFiles { loaded, splits: format!("{sizes} rows, {how}") })
    }

    pub(super) fn paths(&self) -> Vec<PathBuf> {
        self.0.iter().map(|(_, path)| path.clone()).collect()
    }

    fn has(&self, split: Split) -> bool {
        self.0.iter().any(|(of, _)| *of == split)
    }

    /// Flags about splitting are an error if the data has its splits already.
    fn refuse_splitting(&self, options: &DatasetOptions) -> Result<(), DataError> {
        let given = [
            ("--split-ratio", options.split_ratio.is_some()),
            ("--seed", options.seed.is_some()),
            ("--stratify", options.stratify),
        ];
        match given.into_iter().find(|(_, given)| *given && self.has(Split::Validation)) {
            Some((flag, _)) => Err(DataError::Request(format!(
                "{flag} is for data without a validation split, and this data has one (hint: leave it out)"
            ))),
            None => Ok(()),
        }
    }

    /// Makes the splits that have no file of their own, by hash; returns a description of the splits, and a note.
    fn make_missing_splits(
        &self,
        split_rows: &mut SplitRows,
        classes: &Classes,
        options: &DatasetOptions,
        more_splits: Option<&str>,
    ) -> Result<(String, Option<String>), DataError> {
        let (ratio, seed) = (options.split_ratio.unwrap_or(SPLIT_RATIO), options.seed.unwrap_or(SPLIT_SEED));
        if !(ratio > 0.0 && ratio < 0.5) {
            return Err(DataError::Request(format!(
                "--split-ratio: expected a fraction above 0 and below 0.5, found {ratio}"
            )));
        }
        let test = if self.has(Split::Validation) || self.has(Split::Test) { 0.0 } else { ratio };
        if self.has(Split::Validation) {
            return Ok(("split by file".into(), None));
        }
        let deal = Deal { seed, validation: ratio, test, stratify: options.stratify };
        let note = deal.run(split_rows, classes);
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
        let each = if options.stratify { " of every label, stratified" } else { " each" };
        Ok((format!("{parts} taken from train by hash of the text, a share of {ratio}{each}, seed {seed}"), note))
    }
}

/// A folder of texts by class, rather than one that `save_to_disk` wrote.
fn is_class_folders(path: &Path) -> bool {
    path.is_dir() && !path.join("state.json").exists()
}

/// Leaves out the texts of a folder that is no class, such as IMDb's `unsup`; a note counts them.
fn drop_unlabeled(table: &mut LabeledTable) -> Option<String> {
    let rows = table.rows.len();
    table.rows.retain(|row| row.label != Cell::Missing);
    let dropped = rows - table.rows.len();
    (dropped > 0).then(|| {
        let texts = if dropped == 1 { "text" } else { "texts" };
        format!("{}: {dropped} {texts} without a label left out", table.file.path.display())
    })
}

/// What was found rather than named: which columns are the text and the label; and how several are joined.
fn columns_note(files: &[SourceFile], options: &DatasetOptions, separator: &str) -> Option<String> {
    let (guessed_text, guessed_label) = (options.text_column.is_none(), options.label_column.is_none());
    let columns = |file: &SourceFile| (file.text_column.clone(), file.label_column.clone());
    let first = files.first()?;
    let others: Vec<&SourceFile> = files[1..].iter().filter(|file| columns(file) != columns(first)).collect();
    let described = |file: &SourceFile| {
        let text = guessed_text.then(|| format!("the text is column {:?}", file.text_column));
        let label = file.label_column.as_ref().filter(|_| guessed_label);
        let label = label.map(|label| format!("the label is column {label:?}"));
        text.into_iter().chain(label).collect::<Vec<_>>().join(", ")
    };
    let mut parts = vec![described(first)];
    parts.extend(others.iter().map(|file| described(file)).zip(&others).map(|(found, file)| {
        let found = if found.is_empty() { "no label".to_owned() } else { found };
        format!("in {} {found}", file.name())
    }));
    let mut note = String::new();
    if guessed_text || guessed_label {
        let flags = [("--text-column", guessed_text), ("--label-column", guessed_label)];
        let flags: Vec<&str> = flags.into_iter().filter(|(_, guessed)| *guessed).map(|(flag, _)| flag).collect();
        parts.retain(|part| !part.is_empty());
        note = format!("found by name: {} (hint: {})", parts.join("; "), flags.join(", "));
    }
    if first.several_text_columns {
        let joined = format!("columns {} are joined with {separator:?} to one text", first.text_column);
        note = if note.is_empty() { joined } else { format!("{joined}; {note}") };
    }
    (!note.is_empty()).then_some(note)
}
