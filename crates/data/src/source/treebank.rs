//! The Stanford Sentiment Treebank: its sentences in two, three or five classes. Its three files of trees come from the
//! Hub, from Stanford's archive or from a folder.

mod nodes;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use disk::sha256_file;
use table::{ColumnRequest, Lines, ReadOptions, TableError};

use super::choice::Source;
use super::named::{FolderFiles, LoadRequest, NamedDataset};
use super::{FIVE_CLASSES, THREE_CLASSES, TWO_CLASSES, digests, hub, reviews};
use crate::error::DataError;
use crate::labeled_table::{self, LabeledRow, TableRequest};
use crate::load_options::DatasetOptions;
use crate::loaded::Loaded;
use crate::record::Split;
use crate::thousands::{grouped, listed_sizes};
pub use nodes::{TreebankNode, TreebankSplit, treebank_classes, treebank_label_names, treebank_polarity};
use tree::{Classes, MAX_LINE, Tree};

pub(super) static DATASETS: [NamedDataset; 3] = [
    NamedDataset {
        name: "sst2",
        about: "whole sentences of the treebank, neutral ones left out",
        label_names: TWO_CLASSES,
        rows: [6_920, 872, 1_821],
        ..TREEBANK
    },
    NamedDataset {
        name: "sst3",
        about: "whole sentences of the treebank, three classes",
        label_names: THREE_CLASSES,
        ..TREEBANK
    },
    NamedDataset {
        name: "sst5",
        about: "whole sentences of the treebank, five classes",
        label_names: FIVE_CLASSES,
        ..TREEBANK
    },
];

/// What the data sets made of the treebank have in common.
const TREEBANK: NamedDataset = NamedDataset {
    name: "",
    about: "",
    label_names: &[],
    rows: [8_544, 1_101, 2_210],
    license: "not stated by its authors; Socher et al. 2013, cite when used",
    flags: &["--phrases"],
    downloads: &[
        (Source::Hub, |request| from_hub()?.load(request.dataset, request.options)),
        (Source::Stanford, |request| from_stanford()?.load(request.dataset, request.options)),
        (Source::Packaged, packaged_reviews),
    ],
    folder: Some(FolderFiles {
        files: &FILES,
        load: |folder, request| from_folder(folder)?.load(request.dataset, request.options),
    }),
};

pub(super) const FILES: [&str; 3] = ["train.txt", "dev.txt", "test.txt"];
const HUB_REPO: &str = "stanfordnlp/sst@refs/convert/parquet";
const HUB_FILES: [&str; 3] = ["ptb/train/0000.parquet", "ptb/validation/0000.parquet", "ptb/test/0000.parquet"];

fn classes(dataset: &NamedDataset) -> Classes {
    match dataset.label_names.len() {
        2 => Classes::Two,
        3 => Classes::Three,
        _ => Classes::Five,
    }
}

/// The treebank's roots in `classes` classes, with or without the phrases of the training trees.
fn disambiguation(classes: Classes, phrases: bool) -> String {
    let form = match (classes, phrases) {
        (Classes::Two, false) => {
            "This is SST-2 as whole sentences (6,920 to train on; neutral ones left out; test labels public). It is \
             not GLUE's SST-2 (glue-sst2), which trains on 67,349 phrases and hides its test labels, nor SST-5 (sst5), \
             which has 8,544 training sentences in five classes. Scores on them don't compare."
        }
        (Classes::Two, true) => {
            "This is SST-2 with phrases: 6,920 sentences and every other labeled phrase of their trees; validation \
             and test are whole sentences. It is not GLUE's SST-2 (glue-sst2), whose 67,349 phrases are another choice \
             and whose test labels are hidden, nor the 6,920 sentences alone (sst2 without --phrases)."
        }
        (Classes::Three, _) => {
            "This is the treebank with its five classes folded into three (8,544 training sentences, neutral ones \
             kept). Papers report two or five classes: their SST-2 (6,920 sentences, or GLUE's 67,349 phrases) and \
             SST-5 scores don't compare with it."
        }
        (Classes::Five, _) => {
            "This is SST-5, the fine-grained form: 8,544 training sentences in five classes. It is not SST-2, which \
             has two classes and 6,920 sentences (sst2) or 67,349 phrases (glue-sst2); five classes are much the harder \
             task, so an accuracy here is far below an equally good model's there."
        }
    };
    if phrases && classes != Classes::Two {
        format!("{form} The phrases of the training trees are added to train; validation and test are whole sentences.")
    } else {
        form.into()
    }
}

#[derive(Debug)]
struct Trees {
    train: Vec<Tree>,
    validation: Vec<Tree>,
    test: Vec<Tree>,
    source: String,
    source_sha256: BTreeMap<String, String>,
}

impl Trees {
    /// The labeled sentences, with the training phrases if they are requested.
    fn load(self, dataset: &NamedDataset, options: &DatasetOptions) -> Result<Loaded, DataError> {
        let classes = classes(dataset);
        let mut notes = Vec::new();
        let splits = [&self.train, &self.validation, &self.test].map(|trees| tree::sentences(trees, classes));
        let sizes = [splits[0].len(), splits[1].len(), splits[2].len()];
        let seen: BTreeSet<Option<u32>> = splits[0].iter().map(|record| record.label).collect();
        if seen.len() < 2 {
            return Err(DataError::Request(format!(
                "{}: train has {} sentences in {} of {} classes, at least two are needed (hint: is this the whole treebank? \
                 with two classes neutral sentences are left out)",
                self.source,
                grouped(sizes[0]),
                seen.len(),
                dataset.label_names.len()
            )));
        }
        if sizes != dataset.rows {
            notes.push(format!("NOT THE PUBLISHED TREEBANK: it has {} sentences", listed_sizes(dataset.rows)));
        }
        let count = dataset.label_names.len();
        let disambiguation = disambiguation(classes, options.phrases);
        let mut variant = format!("SST-{count} roots: {} sentences", listed_sizes(sizes));
        let [mut train, validation, test] = splits;
        if options.phrases {
            let held_out: Vec<Tree> = self.validation.into_iter().chain(self.test).collect();
            let phrases = tree::phrases(&self.train, classes, &held_out);
            variant.push_str(&format!(", and {} phrases of the training trees", grouped(phrases.records.len())));
            if phrases.held_out > 0 {
                notes.push(format!(
                    "{} training phrases are left out: each is a whole sentence of validation or test",
                    phrases.held_out
                ));
            }
            if phrases.ambiguous > 0 {
                notes.push(format!(
                    "{} phrases carry more than one label; the most common one is used",
                    phrases.ambiguous
                ));
            }
            train.extend(phrases.records);
        } else if classes == Classes::Two {
            variant.push_str(", not the 67,349 phrases of GLUE");
        }
        Ok(Loaded {
            dataset: dataset.name.into(),
            variant,
            disambiguation: Some(disambiguation),
            source: self.source,
            license: dataset.license.into(),
            source_sha256: self.source_sha256,
            label_names: dataset.label_names.iter().map(|name| name.to_string()).collect(),
            train,
            validation,
            test,
            notes,
            ..Loaded::default()
        })
    }
}

fn from_folder(folder: &Path) -> Result<Trees, DataError> {
    if !folder.is_dir() {
        return Err(DataError::content(
            folder,
            "no such folder (hint: --source takes auto, hub, stanford, packaged, or a folder with train.txt, dev.txt and \
             test.txt)",
        ));
    }
    let files = FILES.map(|name| folder.join(name));
    let missing: Vec<&str> =
        FILES.into_iter().zip(&files).filter(|(_, path)| !path.is_file()).map(|(name, _)| name).collect();
    if !missing.is_empty() {
        return Err(DataError::content(
            folder,
            format!(
                "not the treebank: {} missing (hint: --source DIR needs train.txt, dev.txt and test.txt in DIR)",
                missing.join(", ")
            ),
        ));
    }
    let [train, validation, test] = &files;
    Ok(Trees {
        train: trees(train)?,
        validation: trees(validation)?,
        test: trees(test)?,
        source: format!("folder {}", folder.display()),
        source_sha256: digests(&files)?,
    })
}

fn trees(path: &Path) -> Result<Vec<Tree>, DataError> {
    let mut trees = Vec::new();
    for line in Lines::open(path, MAX_LINE)? {
        let (number, line) = line?;
        if line.trim().is_empty() {
            continue;
        }
        trees.push(tree::parse(&line).map_err(|error| TableError::Line {
            path: path.into(),
            line: number,
            reason: error.to_string(),
        })?);
    }
    if trees.is_empty() { Err(DataError::content(path, "only blank lines")) } else { Ok(trees) }
}

fn from_stanford() -> Result<Trees, DataError> {
    let folder = fetch::stanford::treebank().map_err(|source| DataError::Fetch { source_name: "stanford", source })?;
    Ok(Trees { source: "nlp.stanford.edu, trainDevTestTrees_PTB.zip".into(), ..from_folder(&folder)? })
}

fn from_hub() -> Result<Trees, DataError> {
    let (files, commit) = hub::files(HUB_REPO, HUB_FILES)?;
    read_parquet(files, format!("Hugging Face Hub, {HUB_REPO} ({commit})"))
}

/// Reads three Parquet files with one column, `ptb_tree`.
fn read_parquet(files: [PathBuf; 3], source: String) -> Result<Trees, DataError> {
    let columns = ColumnRequest { text: Some("ptb_tree"), label: None, label_optional: true };
    let wanted = TableRequest { columns, separator: "" };
    let mut splits = Vec::new();
    for path in &files {
        let table = labeled_table::read(path, wanted, &ReadOptions::default())?;
        let mut split = Vec::with_capacity(table.rows.len());
        for row in table.rows {
            let tree = tree::parse(row.text.as_deref().unwrap_or("")).map_err(|error| TableError::Value {
                place: table.file.place(&LabeledRow { text: None, ..row }),
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

/// The packaged reviews in place of the treebank, with a note that says so.
fn packaged_reviews(request: &LoadRequest<'_>) -> Result<Loaded, DataError> {
    if request.options.phrases {
        let reasons = match request.unreachable {
            [] => String::new(),
            notes => format!(" ({})", notes.join("; ")),
        };
        return Err(DataError::Request(format!(
            "--phrases needs the treebank's trees, and the packaged reviews have none{reasons} (hint: --source DIR \
             with train.txt, dev.txt and test.txt in it)"
        )));
    }
    let mut loaded = reviews::packaged(reviews::with_labels_of(request.dataset))?;
    let note = format!(
        "NOT THE TREEBANK: the packaged movie reviews with {} classes are used instead. Most are sentences of the \
         treebank in another split, so don't score a model trained on one with the other",
        request.dataset.label_names.len()
    );
    loaded.notes.insert(0, note);
    Ok(loaded)
}

#[cfg(test)]
mod tests;
