//! The Hugging Face Hub: the treebank's trees, and GLUE's form of them.

use std::path::PathBuf;

use disk::sha256_file;
use fetch::{FetchError, Hub, RepoRef};
use table::TableError;

use super::own_files::refuse_blank;
use super::trees::Trees;
use super::{digests, disambiguation};
use crate::dataset::Loaded;
use crate::error::DataError;
use crate::labelled_table::{self, LabelledRow, WantedColumns};
use crate::labels::{self, Sheet};
use crate::record::Split;
use crate::thousands::grouped;

const TREEBANK: &str = "stanfordnlp/sst@refs/convert/parquet";
const TREEBANK_FILES: [&str; 3] = ["ptb/train/0000.parquet", "ptb/validation/0000.parquet", "ptb/test/0000.parquet"];
const GLUE: &str = "stanfordnlp/sst2";
const GLUE_FILES: [&str; 3] =
    ["data/train-00000-of-00001.parquet", "data/validation-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"];

pub(super) fn treebank() -> Result<Trees, DataError> {
    let (files, commit) = files(TREEBANK, TREEBANK_FILES)?;
    trees(files, format!("Hugging Face Hub, {TREEBANK} ({commit})"))
}

/// Reads three files of the Hub's schema: one column, `ptb_tree`.
pub(super) fn trees(files: [PathBuf; 3], source: String) -> Result<Trees, DataError> {
    let wanted = WantedColumns { text: Some("ptb_tree"), label: None, label_optional: true };
    let mut splits = Vec::new();
    for path in &files {
        let table = labelled_table::read(path, wanted)?;
        let mut split = Vec::with_capacity(table.rows.len());
        for row in table.rows {
            let tree =
                crate::treebank::parse(row.text.as_deref().unwrap_or("")).map_err(|error| TableError::Value {
                    place: table.file.place(&LabelledRow { text: None, ..row }),
                    column: table.file.text_column.clone(),
                    reason: error.to_string(),
                })?;
            split.push(tree);
        }
        splits.push(split);
    }
    let mut splits = splits.into_iter();
    let mut next = || splits.next().unwrap_or_default();
    // Split by split the shards have different folders and the same name.
    let source_sha256 = Split::ALL
        .iter()
        .zip(&files)
        .map(|(split, path)| Ok((format!("{}/0000.parquet", split.name()), sha256_file(path)?)))
        .collect::<Result<_, DataError>>()?;
    Ok(Trees { train: next(), validation: next(), test: next(), source, source_sha256 })
}

pub(super) fn glue(drop_empty: bool) -> Result<Loaded, DataError> {
    let (files, commit) = files(GLUE, GLUE_FILES)?;
    glue_files(files, format!("Hugging Face Hub, {GLUE} ({commit})"), drop_empty)
}

/// Reads three files of GLUE's schema: `idx`, `sentence`, `label`, the test split's labels all -1.
pub(super) fn glue_files(files: [PathBuf; 3], source: String, drop_empty: bool) -> Result<Loaded, DataError> {
    let wanted = WantedColumns { text: Some("sentence"), label: Some("label"), label_optional: false };
    let (mut sheet, mut notes, mut empty_dropped) = (Sheet::default(), Vec::new(), 0);
    for (split, path) in Split::ALL.into_iter().zip(&files) {
        let mut table = labelled_table::read(path, wanted)?;
        empty_dropped += refuse_blank(&mut table, drop_empty, &mut notes)?;
        sheet.add(split, table);
    }
    let mut labelled = labels::resolve(sheet, None, Some(&["negative", "positive"]))?;
    notes.append(&mut labelled.notes);
    let [train, validation, test] = [&labelled.train, &labelled.validation, &labelled.test].map(|s| grouped(s.len()));
    Ok(Loaded {
        dataset: "glue-sst2".into(),
        variant: format!(
            "GLUE SST-2: {train} training phrases, {validation} validation sentences, {test} unlabelled test sentences; \
             not the treebank's own 6,920/872/1,821 sentences"
        ),
        disambiguation: Some(disambiguation::GLUE.into()),
        source,
        licence: "not stated by its publisher; GLUE, Wang et al. 2019, after Socher et al. 2013".into(),
        source_sha256: digests(&files)?,
        label_names: labelled.names,
        train: labelled.train,
        validation: labelled.validation,
        test: labelled.test,
        places: labelled.places,
        empty_dropped,
        notes,
    })
}

/// The files in the Hub's cache, and the commit they are of.
fn files(repo: &str, paths: [&str; 3]) -> Result<([PathBuf; 3], String), DataError> {
    let fetched = || -> Result<_, FetchError> {
        let hub = Hub::from_env()?;
        let repo = RepoRef::dataset(repo)?;
        let [train, validation, test] = paths;
        let files = [hub.file(&repo, train)?, hub.file(&repo, validation)?, hub.file(&repo, test)?];
        Ok((files, hub.commit(&repo)?))
    };
    fetched().map_err(|source| DataError::Fetch { source_name: "hub", source })
}
