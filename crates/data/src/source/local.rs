//! Folders and files on this machine: the treebank's three files, and a person's own tables.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{digests, grouped, variant};
use crate::dataset::{LoadOptions, Loaded, Places, SPLIT_RATIO, SPLIT_SEED};
use crate::error::DataError;
use crate::labels::{self, Sheet, listed};
use crate::record::{Split, is_blank};
use crate::table::text::{self, Lines};
use crate::table::{self, ENDINGS, Row, Table, Wanted};
use crate::treebank::{self, Classes, MAX_LINE, Tree};

/// The treebank's files, by split.
const TREEBANK_FILES: [&str; 3] = ["train.txt", "dev.txt", "test.txt"];
/// Sentences in the three splits as published: all of them, and the ones that aren't neutral.
const PUBLISHED: [usize; 3] = [8544, 1101, 2210];
const PUBLISHED_BINARY: [usize; 3] = [6920, 872, 1821];

/// The treebank, read.
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
    pub(super) fn load(self, classes: Classes, options: &LoadOptions, notes: Vec<String>) -> Result<Loaded, DataError> {
        let mut notes = notes;
        let splits = [&self.train, &self.validation, &self.test].map(|trees| treebank::sentences(trees, classes));
        let sizes = [splits[0].len(), splits[1].len(), splits[2].len()];
        let seen: std::collections::BTreeSet<Option<u32>> = splits[0].iter().map(|record| record.label).collect();
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
        let told_apart = variant::treebank(classes, options.phrases);
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
            told_apart: Some(told_apart),
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

fn listed_sizes(sizes: [usize; 3]) -> String {
    sizes.map(grouped).join("/")
}

/// Reads `train.txt`, `dev.txt` and `test.txt` of a folder.
pub(super) fn treebank_folder(folder: &Path) -> Result<Trees, DataError> {
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
    for line in Lines::new(path, text::open(path)?, MAX_LINE) {
        let (number, line) = line?;
        if line.trim().is_empty() {
            continue;
        }
        trees.push(treebank::parse(&line).map_err(|error| DataError::Line {
            path: path.into(),
            line: number,
            reason: error.to_string(),
        })?);
    }
    if trees.is_empty() { Err(DataError::content(path, "nothing but blank lines")) } else { Ok(trees) }
}

/// Reads a person's own file, or a folder with one file (or several shards) a split.
pub(super) fn read(path: &Path, options: &LoadOptions) -> Result<Loaded, DataError> {
    if !path.exists() && path.extension().is_none() {
        return Err(DataError::Request(format!(
            "--dataset {}: no data set has this name, and there is no such file or folder (hint: sst2, sst3, sst5, \
             glue-sst2, reviews, or the path of a CSV, TSV, JSONL or Parquet file)",
            path.display()
        )));
    }
    let files = Files::find(path, options)?;
    files.refuse_splitting(options)?;
    let mut notes = Vec::new();
    let mut empty_dropped = 0;
    let mut sheet = Sheet::default();
    for (split, path) in &files.0 {
        let wanted = Wanted {
            text: options.text_column.as_deref(),
            label: options.label_column.as_deref(),
            label_optional: *split == Split::Test,
        };
        let mut table = table::read(path, wanted)?;
        empty_dropped += refuse_blank(&mut table, options.drop_empty, &mut notes)?;
        sheet.add(*split, table);
    }
    let how = files.deal(&mut sheet, options)?;
    let labelled = labels::resolve(sheet, options.label_map.as_deref(), None)?;
    notes.extend(labelled.notes);
    let sizes = listed_sizes([labelled.train.len(), labelled.validation.len(), labelled.test.len()]);
    let paths: Vec<PathBuf> = files.0.into_iter().map(|(_, path)| path).collect();
    Ok(Loaded {
        dataset: path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
        variant: format!("{}: {sizes} rows, {how}", path.display()),
        told_apart: None,
        source: path.display().to_string(),
        licence: "your own".into(),
        source_sha256: digests(&paths)?,
        label_names: labelled.names,
        train: labelled.train,
        validation: labelled.validation,
        test: labelled.test,
        places: labelled.places,
        empty_dropped,
        notes,
    })
}

/// Rows whose text is null or blank: refused with their list, or dropped; how many were.
pub(super) fn refuse_blank(table: &mut Table, drop: bool, notes: &mut Vec<String>) -> Result<usize, DataError> {
    let blank = |row: &Row| row.text.as_deref().is_none_or(is_blank);
    let found: Vec<&Row> = table.rows.iter().filter(|row| blank(row)).collect();
    let dropped = found.len();
    let Some(first) = found.first() else {
        return Ok(0);
    };
    if !drop {
        return Err(DataError::Value {
            place: table.origin.place(first),
            column: table.origin.text_column.clone(),
            reason: format!(
                "null or empty text in {} of {} rows: {} (hint: --drop-empty)",
                found.len(),
                table.rows.len(),
                listed(&found)
            ),
        });
    }
    notes.push(format!(
        "{}: {} of {} rows dropped, their text is null or empty: {}",
        table.origin.path.display(),
        found.len(),
        table.rows.len(),
        listed(&found)
    ));
    table.rows.retain(|row| !blank(row));
    if table.rows.is_empty() {
        return Err(DataError::content(&table.origin.path, "no row has a text (hint: --text-column)"));
    }
    Ok(dropped)
}

/// The files of a data set and the split that each is.
struct Files(Vec<(Split, PathBuf)>);

impl Files {
    fn find(path: &Path, options: &LoadOptions) -> Result<Self, DataError> {
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
        if TREEBANK_FILES.iter().all(|name| path.join(name).is_file()) {
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
                files.iter().filter(|(of, _)| *of == split).map(|(_, file)| table::ending(file)).collect();
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
                format!(
                    "no train.{} in this folder (hint: --dataset wants train, validation and test files in it)",
                    ENDINGS.join("|")
                ),
            ));
        }
        Ok(Self(files))
    }

    fn has(&self, split: Split) -> bool {
        self.0.iter().any(|(of, _)| *of == split)
    }

    /// Flags about how to split files that are split are a misunderstanding, and are said to be one.
    fn refuse_splitting(&self, options: &LoadOptions) -> Result<(), DataError> {
        let given = [("--split-ratio", options.split_ratio.is_some()), ("--seed", options.seed.is_some())];
        match given.into_iter().find(|(_, given)| *given && self.has(Split::Validation)) {
            Some((flag, _)) => Err(DataError::Request(format!(
                "{flag} is for a file that is to be split, and this data has a validation file (hint: leave it out)"
            ))),
            None => Ok(()),
        }
    }

    /// Makes the splits that have no file of their own, by hash; says how the splits came about.
    fn deal(&self, sheet: &mut Sheet, options: &LoadOptions) -> Result<String, DataError> {
        let (ratio, seed) = (options.split_ratio.unwrap_or(SPLIT_RATIO), options.seed.unwrap_or(SPLIT_SEED));
        if !(ratio > 0.0 && ratio < 0.5) {
            return Err(DataError::Request(format!("--split-ratio {ratio}: a share above 0 and below 0.5 is wanted")));
        }
        let test = if self.has(Split::Validation) || self.has(Split::Test) { 0.0 } else { ratio };
        if self.has(Split::Validation) {
            return Ok("split by file".into());
        }
        for row in std::mem::take(&mut sheet.train) {
            let split = Split::of(row.text.as_deref().unwrap_or(""), seed, ratio, test);
            sheet.push(split, row);
        }
        let parts = if test > 0.0 { "validation and test" } else { "validation" };
        if sheet.validation.is_empty() || sheet.test.is_empty() {
            return Err(DataError::content(
                &self.0[0].1,
                format!(
                    "{} rows are too few to take {parts} from at --split-ratio {ratio} (hint: more rows, a larger \
                     ratio, another seed, or --validation-file and --test-file)",
                    sheet.train.len() + sheet.validation.len() + if test > 0.0 { sheet.test.len() } else { 0 }
                ),
            ));
        }
        Ok(format!("{parts} taken from train by hash of the text, a share of {ratio} each, seed {seed}"))
    }
}

/// The split that a file's name says it is: `train.csv`, `validation-00000-of-00002.parquet`, `dev.jsonl`.
fn split_of(path: &Path) -> Option<Split> {
    if !ENDINGS.contains(&table::ending(path).as_str()) {
        return None;
    }
    let stem = path.file_stem()?.to_str()?.to_lowercase();
    match stem.split(['-', '_', '.']).next()? {
        "train" | "training" => Some(Split::Train),
        "validation" | "valid" | "val" | "dev" => Some(Split::Validation),
        "test" => Some(Split::Test),
        _ => None,
    }
}
