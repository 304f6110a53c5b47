//! The manifest of a prepared directory, and opening one.
//!
//! A prepared directory holds one Arrow file a split ([`crate::store`]), `audit.json` ([`mod@crate::audit`]), and
//! `manifest.json`, which is written last: a directory without it was never finished. The manifest says where the data
//! came from and which tokenizer made the ids, so that a run can be checked against it without the
//! sources.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use disk::{sha256_file, write_atomic};
use serde::{Deserialize, Serialize};

use crate::audit::{self, AUDIT, Audit};
use crate::error::DataError;
use crate::store::Examples;

/// The form of the directory; one of another form is refused.
pub(crate) const FORMAT: u32 = 2;
pub const MANIFEST: &str = "manifest.json";
/// The folder of prepared directories without `--output`.
pub(crate) const PREPARED: &str = "data/prepared";
/// The splits that a prepared directory may have, in reading order.
pub(crate) const SPLITS: [&str; 3] = ["train", "validation", "test"];

const MAX_MANIFEST_BYTES: u64 = 16 << 20;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`] of the program that wrote it.
    pub format: u32,
    /// sha256 over all inputs: records, labels, origin, tokenizer and options. The same inputs have the same one.
    pub fingerprint: String,
    pub dataset: String,
    /// Which form of the data set this is.
    pub variant: String,
    pub source: String,
    /// Its license, or what is known of it.
    #[serde(rename = "licence")]
    pub license: String,
    /// Lower-case hex sha256 of each source file, by name.
    pub source_sha256: BTreeMap<String, String>,
    /// The model whose tokenizer made the ids.
    pub model: ModelSource,
    /// [`tokenize::Tokenizer::sha256`].
    pub tokenizer_sha256: String,
    /// Whether texts were lower-cased, where that was asked for; `None`: as the model's files say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lower_case: Option<bool>,
    /// One more than the highest id the tokenizer gives.
    pub vocab_size: usize,
    /// The most ids a text may have.
    pub max_length: usize,
    pub label_names: Vec<String>,
    /// What the source's label column held for each class: a value, and the name of its class. Files to be scored are read so.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub label_values: BTreeMap<String, String>,
    /// The splits that have rows, by name.
    pub splits: BTreeMap<String, SplitManifest>,
    /// Lower-case hex sha256 of `audit.json`.
    pub audit_sha256: String,
    /// Notes for the user: fallbacks, dropped rows, mapped values.
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSource {
    /// A Hub id or a folder.
    pub name: String,
    /// Where its files came from.
    pub origin: fetch::ModelOrigin,
    /// Why it is not the requested model, if it isn't.
    pub note: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitManifest {
    pub rows: usize,
    /// How many of them have a label.
    #[serde(rename = "labelled")]
    pub labeled: usize,
    /// How many rows each label has, in the order of `label_names`.
    pub label_counts: Vec<usize>,
    /// Token ids of all rows together.
    pub tokens: u64,
    /// The most token ids of a row.
    pub longest: usize,
    /// How many rows were cut to `max_length`.
    pub truncated: usize,
    /// `truncated` as a share of `rows`, 0 to 1.
    pub truncated_share: f64,
    pub bytes: u64,
    /// Lower-case hex sha256 of the Arrow file.
    pub sha256: String,
}

impl SplitManifest {
    /// Of a split without rows yet, of so many labels.
    pub(crate) fn empty(labels: usize) -> Self {
        Self {
            rows: 0,
            labeled: 0,
            label_counts: vec![0; labels],
            tokens: 0,
            longest: 0,
            truncated: 0,
            truncated_share: 0.0,
            bytes: 0,
            sha256: String::new(),
        }
    }
}

impl Manifest {
    pub(crate) fn write(&self, dir: &Path) -> Result<(), DataError> {
        let path = dir.join(MANIFEST);
        let text = serde_json::to_string_pretty(self).map_err(|error| DataError::io(&path, error.into()))?;
        Ok(write_atomic(&path, text + "\n")?)
    }

    fn read(path: &Path) -> Result<Self, DataError> {
        let dir = path.parent().unwrap_or(path).display();
        let hint = format!("(hint: cargo xtask prepare-data --dataset NAME --output {dir})");
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(MAX_MANIFEST_BYTES).read_to_end(&mut bytes))
            .map_err(|error| DataError::io(path, error))?;
        let Ok(text) = String::from_utf8(bytes) else {
            return Err(DataError::content(path, format!("is not UTF-8, so it is not a manifest {hint}")));
        };
        Self::from_json(&text).map_err(|what| DataError::content(path, format!("{what} {hint}")))
    }

    /// Reads a manifest, such as the copy that a run carries; the error says what the text is instead.
    pub fn from_json(text: &str) -> Result<Self, String> {
        // The format first: another one may have any fields.
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let damaged = |error| format!("is not a manifest: {error}");
        match serde_json::from_str(text).map_err(damaged)? {
            Format { format: FORMAT } => serde_json::from_str(text).map_err(damaged),
            Format { format } => Err(format!("has format {format}, but this program reads format {FORMAT}")),
        }
    }
}

#[derive(Debug, Clone)]
pub struct Prepared {
    pub dir: PathBuf,
    pub manifest: Manifest,
}

impl Prepared {
    /// Opens a prepared directory; checks that each split's file is there in its full size, and reads none of them.
    pub fn open(dir: &Path) -> Result<Self, DataError> {
        let path = dir.join(MANIFEST);
        if !path.is_file() {
            let is_empty = || dir.read_dir().is_ok_and(|mut entries| entries.next().is_none());
            let place = dir.display();
            let (what, flags) = match () {
                () if !dir.exists() => ("doesn't exist", format!(" --output {place}")),
                () if !dir.is_dir() => {
                    ("is a file, and training reads a folder of prepared data", format!(" --dataset {place}"))
                }
                () if is_empty() => ("is empty", format!(" --output {place}")),
                () => ("has no manifest.json, so it is not prepared data", String::new()),
            };
            return Err(DataError::content(dir, format!("{what} (hint: cargo xtask prepare-data{flags})")));
        }
        let prepared = Self { dir: dir.to_owned(), manifest: Manifest::read(&path)? };
        for (name, split) in &prepared.manifest.splits {
            if !SPLITS.contains(&name.as_str()) {
                return Err(DataError::content(
                    &path,
                    format!("expected the splits {}, found {name:?}", SPLITS.join(", ")),
                ));
            }
            let file = prepared.file(name);
            let bytes = match file.metadata() {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    return Err(DataError::content(file, "is missing (hint: prepare the data again)"));
                }
                metadata => metadata.map_err(|error| DataError::io(&file, error))?.len(),
            };
            let (counts, names) = (split.label_counts.len(), prepared.manifest.label_names.len());
            if counts != names {
                let message =
                    format!("{name}: counts {counts} labels and names {names} (hint: prepare the data again)");
                return Err(DataError::content(path, message));
            }
            if bytes != split.bytes {
                let message = format!("has {bytes} bytes, not {} (hint: prepare the data again)", split.bytes);
                return Err(DataError::content(file, message));
            }
        }
        if !dir.join(AUDIT).is_file() {
            return Err(DataError::content(dir, "has no audit.json (hint: prepare the data again)"));
        }
        Ok(prepared)
    }

    /// Reads what was found in the data.
    ///
    /// # Errors
    /// An audit that isn't as it was written.
    pub fn audit(&self) -> Result<Audit, DataError> {
        Audit::read(&self.dir, &self.manifest.audit_sha256)
    }

    /// Opens a split: `train`, `validation` or `test`.
    ///
    /// # Errors
    /// A split that is not there, and a file that doesn't hold what the manifest says. Token ids are checked against
    /// the vocabulary when their row is read.
    pub fn split(&self, name: &str) -> Result<Examples, DataError> {
        let Some(split) = self.manifest.splits.get(name) else {
            let have: Vec<&str> = self.manifest.splits.keys().map(String::as_str).collect();
            let others = if have.is_empty() { "and no other".to_owned() } else { format!("only {}", have.join(", ")) };
            return Err(DataError::content(&self.dir, format!("has no split {name:?}, {others}")));
        };
        let path = self.file(name);
        let examples = Examples::open(&path)?;
        let fail =
            |message: String| Err(DataError::content(&path, format!("{message} (hint: prepare the data again)")));
        if examples.len() != split.rows {
            return fail(format!("has {} rows, not the manifest's {}", examples.len(), split.rows));
        }
        let (most, labels) = (self.manifest.max_length, self.manifest.label_names.len());
        for row in 0..examples.len() {
            let tokens = examples.token_count(row);
            if tokens == 0 || tokens > most {
                return fail(format!("row {row}: expected 1 to {most} tokens, found {tokens}"));
            }
            if let Some(label) = examples.label(row).filter(|&label| label as usize >= labels) {
                return fail(format!("row {row}: label {label} is not below the number of labels {labels}"));
            }
        }
        Ok(examples.with_vocab_size(self.manifest.vocab_size))
    }

    /// Holds each split's file and the audit against their sha256, reading all of them.
    pub fn verify(&self) -> Result<(), DataError> {
        audit::verify(&self.dir, &self.manifest.audit_sha256)?;
        for (name, split) in &self.manifest.splits {
            let path = self.file(name);
            let found = sha256_file(&path)?;
            if found != split.sha256 {
                let message = format!("expected sha256 {}, found {found} (hint: prepare the data again)", split.sha256);
                return Err(DataError::content(path, message));
            }
        }
        Ok(())
    }

    /// Marks this as the directory that was prepared last, which training uses by default.
    pub(crate) fn touch(&self) -> Result<(), DataError> {
        let path = self.dir.join(MANIFEST);
        let touched = File::options().append(true).open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        touched.map_err(|error| DataError::io(path, error))
    }

    fn file(&self, split: &str) -> PathBuf {
        self.dir.join(file_name(split))
    }
}

/// The name of a split's Arrow file.
pub(crate) fn file_name(split: &str) -> String {
    format!("{split}.arrow")
}

/// The prepared directory that a run was trained on: where it was `recorded`, or, if the run has been moved together with
/// its data, at the end of that path in one of the folders around the run. `fingerprint` is that of the run's manifest.
pub fn locate(recorded: &Path, run: &Path, fingerprint: &str) -> PathBuf {
    let is_it = |dir: &Path| Manifest::read(&dir.join(MANIFEST)).is_ok_and(|found| found.fingerprint == fingerprint);
    if is_it(recorded) {
        return recorded.to_owned();
    }
    let parts: Vec<_> = recorded.components().filter(|part| !matches!(part, Component::RootDir)).collect();
    let run = std::path::absolute(run).unwrap_or_else(|_| run.to_owned());
    let ends = (0..parts.len()).map(|skipped| parts[skipped..].iter().collect::<PathBuf>());
    let found = ends.flat_map(|end| run.ancestors().map(move |around| around.join(&end)).collect::<Vec<_>>());
    found.into_iter().find(|dir| is_it(dir)).unwrap_or_else(|| recorded.to_owned())
}

/// The prepared directory that was finished last, of those under [`PREPARED`].
pub fn newest_prepared() -> Result<PathBuf, DataError> {
    newest_under(Path::new(PREPARED))
}

fn newest_under(root: &Path) -> Result<PathBuf, DataError> {
    let finished = |dir: &Path| -> Option<SystemTime> { dir.join(MANIFEST).metadata().ok()?.modified().ok() };
    let hidden = |dir: &Path| dir.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    let entries = match std::fs::read_dir(root) {
        Ok(entries) => entries.collect::<Result<Vec<_>, _>>().map_err(|error| DataError::io(root, error))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(DataError::io(root, error)),
    };
    entries
        .into_iter()
        .map(|entry| entry.path())
        .filter(|dir| !hidden(dir))
        .filter_map(|dir| Some((finished(&dir)?, dir)))
        .max()
        .map(|(_, dir)| dir)
        .ok_or_else(|| DataError::content(root, "has no prepared data (hint: cargo xtask prepare-data)"))
}

#[cfg(test)]
mod tests;
