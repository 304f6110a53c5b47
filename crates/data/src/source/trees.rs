//! The treebank's three files of trees, from a folder, Stanford's archive or the Hub, and the data sets that they make.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use table::{Lines, TableError};

use super::{digests, disambiguation};
use crate::dataset::{Loaded, Places};
use crate::error::DataError;
use crate::load_options::DatasetOptions;
use crate::thousands::{grouped, listed_sizes};
use crate::treebank::{self, Classes, MAX_LINE, Tree};

pub(super) const TREEBANK_FILES: [&str; 3] = ["train.txt", "dev.txt", "test.txt"];
/// Sentences in the three splits as published: all of them, and the ones that aren't neutral.
const PUBLISHED: [usize; 3] = [8544, 1101, 2210];
const PUBLISHED_BINARY: [usize; 3] = [6920, 872, 1821];

#[derive(Debug)]
pub(super) struct Trees {
    pub(super) train: Vec<Tree>,
    pub(super) validation: Vec<Tree>,
    pub(super) test: Vec<Tree>,
    pub(super) source: String,
    pub(super) source_sha256: BTreeMap<String, String>,
}

impl Trees {
    /// The data set of the trees' roots, with the training phrases where they are asked for.
    pub(super) fn load(
        self,
        classes: Classes,
        options: &DatasetOptions,
        notes: Vec<String>,
    ) -> Result<Loaded, DataError> {
        let mut notes = notes;
        let splits = [&self.train, &self.validation, &self.test].map(|trees| treebank::sentences(trees, classes));
        let sizes = [splits[0].len(), splits[1].len(), splits[2].len()];
        let seen: BTreeSet<Option<u32>> = splits[0].iter().map(|record| record.label).collect();
        if seen.len() < 2 {
            return Err(DataError::Request(format!(
                "{}: train has {} sentences in {} of {} classes, and two are needed (hint: is this the whole treebank? \
                 with two classes neutral sentences are left out)",
                self.source,
                grouped(sizes[0]),
                seen.len(),
                classes.names().len()
            )));
        }
        let published = if classes == Classes::Two { PUBLISHED_BINARY } else { PUBLISHED };
        if sizes != published {
            notes.push(format!("NOT THE PUBLISHED TREEBANK: it has {} sentences", listed_sizes(published)));
        }
        let count = classes.names().len();
        let disambiguation = disambiguation::treebank(classes, options.phrases);
        let mut variant = format!("SST-{count} roots: {} sentences", listed_sizes(sizes));
        let [mut train, validation, test] = splits;
        if options.phrases {
            let held_out: Vec<Tree> = self.validation.into_iter().chain(self.test).collect();
            let phrases = treebank::phrases(&self.train, classes, &held_out);
            variant.push_str(&format!(", and {} phrases of the training trees", grouped(phrases.records.len())));
            if phrases.held_out > 0 {
                notes.push(format!(
                    "{} training phrases are left out: each is a whole sentence of validation or test",
                    phrases.held_out
                ));
            }
            if phrases.ambiguous > 0 {
                notes.push(format!("{} phrases carry more than one label; the commonest is taken", phrases.ambiguous));
            }
            train.extend(phrases.records);
        } else if classes == Classes::Two {
            variant.push_str(", not the 67,349 phrases of GLUE");
        }
        Ok(Loaded {
            dataset: format!("sst{count}"),
            variant,
            disambiguation: Some(disambiguation),
            source: self.source,
            licence: "not stated by its authors; Socher et al. 2013, cite when used".into(),
            source_sha256: self.source_sha256,
            label_names: classes.names().iter().map(|name| name.to_string()).collect(),
            train,
            validation,
            test,
            places: Places::default(),
            empty_dropped: 0,
            notes,
        })
    }
}

pub(super) fn from_folder(folder: &Path) -> Result<Trees, DataError> {
    if !folder.is_dir() {
        return Err(DataError::content(
            folder,
            "there is no such folder (hint: --source wants auto, hub, stanford, packaged, or a folder with train.txt, \
             dev.txt and test.txt)",
        ));
    }
    let files = TREEBANK_FILES.map(|name| folder.join(name));
    let missing: Vec<&str> =
        TREEBANK_FILES.into_iter().zip(&files).filter(|(_, path)| !path.is_file()).map(|(name, _)| name).collect();
    if !missing.is_empty() {
        return Err(DataError::content(
            folder,
            format!(
                "not the treebank: {} missing (hint: --source DIR wants train.txt, dev.txt, test.txt in DIR)",
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
        trees.push(treebank::parse(&line).map_err(|error| TableError::Line {
            path: path.into(),
            line: number,
            reason: error.to_string(),
        })?);
    }
    if trees.is_empty() { Err(DataError::content(path, "nothing but blank lines")) } else { Ok(trees) }
}

pub(super) fn from_stanford() -> Result<Trees, DataError> {
    let folder = fetch::stanford::treebank().map_err(|source| DataError::Fetch { source_name: "stanford", source })?;
    Ok(Trees { source: "nlp.stanford.edu, trainDevTestTrees_PTB.zip".into(), ..from_folder(&folder)? })
}
