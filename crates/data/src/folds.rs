//! Folds of a training split, for cross-validation: each row is held out in one fold, and trains in all others.
//!
//! Folds are stratified: the texts of each class are put in an order that depends on the seed and on nothing else, and are
//! dealt one by one to the folds, each class beginning where the one before it ended. The numbers of a class's texts in two
//! folds therefore differ by at most one. Rows with the same text (the form that splits of files are dealt by) lie in one
//! fold, because a model that was trained on a text says nothing about itself with its label of that text.
//!
//! Each fold is a prepared directory of its own: its `validation` are the rows held out, its `train` all other rows, and
//! `test` is the file of the original. The original's validation split takes no part.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use disk::{StagedFolder, link_atomic, sha256_hex, write_atomic};
use serde::{Deserialize, Serialize};

use crate::audit::AUDIT;
use crate::error::DataError;
use crate::manifest::{MANIFEST, Manifest, Prepared, SplitManifest, file_name};
use crate::record::{Split, SplitHash};
use crate::store::{Examples, Writer};

/// The file that says which row lies in which fold; it is written last, when the data of all folds is there.
pub const FOLDS: &str = "folds.json";

/// Which fold each row of a training split lies in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Folds {
    /// The fingerprint of the prepared data.
    pub fingerprint: String,
    pub seed: u64,
    /// The number of folds.
    pub count: u32,
    /// The fold of each row of the training split, from 1.
    pub fold_of_row: Vec<u32>,
}

impl Folds {
    /// Deals the rows of the training split to `count` folds.
    ///
    /// # Errors
    /// Rows without a label; a class with fewer texts than there are folds; a text that can't be read.
    pub fn deal(prepared: &Prepared, count: u32, seed: u64) -> Result<Self, DataError> {
        let train = prepared.split(Split::Train.name())?;
        let mut labels = Vec::with_capacity(train.len());
        let mut texts = Vec::with_capacity(train.len());
        for row in 0..train.len() {
            let Some(label) = train.label(row) else {
                let message =
                    format!("train: row {row} has no label, so it can't be in a fold (hint: prepare labeled data)");
                return Err(DataError::content(&prepared.dir, message));
            };
            labels.push(label);
            texts.push(SplitHash::new(train.text(row)?, seed));
        }
        let fold_of_text = deal_texts(&texts, &labels, count);
        check_classes(prepared, &fold_of_text, count)?;
        let fold_of_row = texts.iter().map(|text| fold_of_text[text].1).collect();
        Ok(Self { fingerprint: prepared.manifest.fingerprint.clone(), seed, count, fold_of_row })
    }

    /// The rows of the training split that a fold holds out, in order.
    pub fn held_out(&self, fold: u32) -> Vec<usize> {
        (0..self.fold_of_row.len()).filter(|&row| self.fold_of_row[row] == fold).collect()
    }

    /// The prepared data of a fold, from 1, below the folder that all folds were written into.
    pub fn data(folder: &Path, fold: u32) -> PathBuf {
        folder.join(format!("fold-{fold}"))
    }

    /// Writes the prepared data of every fold below `folder`, and `folds.json` into it. What a killed process left there is
    /// completed.
    ///
    /// # Errors
    /// Rows that can't be read; a folder that can't be written to.
    pub fn write(&self, prepared: &Prepared, folder: &Path) -> Result<(), DataError> {
        let train = prepared.split(Split::Train.name())?;
        for fold in 1..=self.count {
            let place = Self::data(folder, fold);
            let manifest = self.manifest(&prepared.manifest, fold);
            let found = Prepared::open(&place).ok().map(|found| found.manifest.fingerprint);
            if found.as_deref() != Some(&manifest.fingerprint) {
                self.write_fold(prepared, &train, manifest, fold, &place)?;
            }
        }
        let path = folder.join(FOLDS);
        let json = serde_json::to_string(self).map_err(|error| DataError::io(&path, error.into()))?;
        Ok(write_atomic(&path, json + "\n")?)
    }

    /// Reads `folds.json` of the folder that folds were written into; `None` if it isn't there, because they were never
    /// finished.
    ///
    /// # Errors
    /// A file that isn't as it was written.
    pub fn read(folder: &Path) -> Result<Option<Self>, DataError> {
        let path = folder.join(FOLDS);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(DataError::io(path, error)),
        };
        let folds: Self = serde_json::from_slice(&bytes)
            .map_err(|error| DataError::content(&path, format!("is not a list of folds: {error}")))?;
        match folds.fold_of_row.iter().find(|&&fold| fold == 0 || fold > folds.count) {
            Some(fold) => {
                Err(DataError::content(path, format!("expected folds from 1 to {}, found {fold}", folds.count)))
            }
            None => Ok(Some(folds)),
        }
    }

    /// The manifest of a fold, whose splits are written later.
    fn manifest(&self, of: &Manifest, fold: u32) -> Manifest {
        let Self { count, seed, .. } = self;
        let held_out = self.fold_of_row.iter().filter(|&&other| other == fold).count();
        let trained = self.fold_of_row.len() - held_out;
        let apart = match of.splits.contains_key(Split::Validation.name()) {
            true => "; the validation split that was prepared takes no part",
            false => "",
        };
        let mut manifest = of.clone();
        manifest.fingerprint = sha256_hex(format!("{}\nfold {fold} of {count}, seed {seed}\n", of.fingerprint));
        manifest.variant = format!("{}, fold {fold} of {count} (seed {seed})", of.variant);
        manifest.notes.push(format!(
            "fold {fold} of {count}: {held_out} rows of the training split are held out as validation, the other {trained} \
             train{apart}"
        ));
        manifest
    }

    fn write_fold(
        &self,
        prepared: &Prepared,
        train: &Examples,
        mut manifest: Manifest,
        fold: u32,
        place: &Path,
    ) -> Result<(), DataError> {
        let staging = StagedFolder::create(place, MANIFEST)?;
        let whole = &prepared.manifest.splits[Split::Train.name()];
        manifest.splits.retain(|split, _| split == Split::Test.name());
        for (split, held_out) in [(Split::Train, false), (Split::Validation, true)] {
            let rows = (0..train.len()).filter(|&row| (self.fold_of_row[row] == fold) == held_out);
            let path = staging.path().join(file_name(split.name()));
            let written = write_rows(&path, train, rows, whole, manifest.max_length)?;
            manifest.splits.insert(split.name().to_owned(), written);
        }
        let mut kept = vec![AUDIT.to_owned()];
        kept.extend(manifest.splits.contains_key(Split::Test.name()).then(|| file_name(Split::Test.name())));
        for name in kept {
            link_atomic(&prepared.dir.join(&name), &staging.path().join(&name))?;
        }
        manifest.write(staging.path())?;
        Ok(staging.publish()?)
    }
}

/// The class and the fold of each text. A text with several labels counts for the first of them.
fn deal_texts(texts: &[SplitHash], labels: &[u32], count: u32) -> BTreeMap<SplitHash, (u32, u32)> {
    let mut class_of: BTreeMap<SplitHash, u32> = BTreeMap::new();
    for (text, label) in texts.iter().zip(labels) {
        let class = class_of.entry(*text).or_insert(*label);
        *class = (*class).min(*label);
    }
    // Hashes are in an order that the seed decides.
    let mut of_class: BTreeMap<u32, Vec<SplitHash>> = BTreeMap::new();
    class_of.into_iter().for_each(|(text, class)| of_class.entry(class).or_default().push(text));
    let dealt = of_class.into_iter().flat_map(|(class, texts)| texts.into_iter().map(move |text| (text, class)));
    (0..).zip(dealt).map(|(at, (text, class)): (u64, _)| (text, (class, (at % u64::from(count)) as u32 + 1))).collect()
}

/// Refuses more folds than a class has texts: a fold without a class says nothing about it.
fn check_classes(
    prepared: &Prepared,
    fold_of_text: &BTreeMap<SplitHash, (u32, u32)>,
    count: u32,
) -> Result<(), DataError> {
    let manifest = &prepared.manifest;
    let mut texts = vec![0_u32; manifest.label_names.len()];
    fold_of_text.values().for_each(|(class, _)| texts[*class as usize] += 1);
    let rows = &manifest.splits[Split::Train.name()].label_counts;
    let rarest = (0..texts.len()).filter(|&class| rows[class] > 0).min_by_key(|&class| texts[class]);
    let Some(class) = rarest.filter(|&class| texts[class] < count) else { return Ok(()) };
    let (name, texts) = (&manifest.label_names[class], texts[class]);
    let hint = match texts {
        0 | 1 => "more rows of it, or --seeds 5, which holds nothing out of the training split".to_owned(),
        _ => format!("--folds {texts}"),
    };
    let texts = if texts == 1 { "1 text".to_owned() } else { format!("{texts} different texts") };
    Err(DataError::Request(format!(
        "--folds {count}: the class {name:?} has {texts} in the training split of {}, so folds would be without it (hint: {hint})",
        prepared.dir.display()
    )))
}

/// Writes some rows of a split, and says what they are.
fn write_rows(
    path: &Path,
    examples: &Examples,
    rows: impl Iterator<Item = usize>,
    whole: &SplitManifest,
    max_length: usize,
) -> Result<SplitManifest, DataError> {
    let mut split = SplitManifest::empty(whole.label_counts.len());
    let mut writer = Writer::create(path)?;
    for row in rows {
        let (label, ids) = (examples.label(row), examples.input_ids(row)?);
        writer.push(examples.text(row)?, label, ids)?;
        split.rows += 1;
        if let Some(label) = label {
            split.labeled += 1;
            split.label_counts[label as usize] += 1;
        }
        split.tokens += ids.len() as u64;
        split.longest = split.longest.max(ids.len());
        // Which rows were cut is not stored: those that are as long as a text can be.
        split.truncated += usize::from(whole.truncated > 0 && ids.len() == max_length);
    }
    split.truncated_share = split.truncated as f64 / split.rows.max(1) as f64;
    let written = writer.finish()?;
    Ok(SplitManifest { bytes: written.bytes, sha256: written.sha256, ..split })
}

#[cfg(test)]
mod tests;
