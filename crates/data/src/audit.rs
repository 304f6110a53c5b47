//! What would spoil an evaluation, counted: duplicates, conflicting labels, training text inside evaluation text.
//!
//! Texts are compared as they stand and [`normalised`]. The counts are shown and recorded in
//! the manifest; [`Audit::check`] refuses where a share passes its threshold.

mod runs;

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::dataset::Loaded;
use crate::error::DataError;
use crate::record::{Record, Split, normalised};
pub use runs::MIN_WORDS;

/// Most of an evaluation split's rows that may also be training rows. The treebank's own share is 0.2 %.
pub const MAX_LEAKED: f64 = 0.05;
/// Most of an evaluation split's rows that may hold a whole training text of [`MIN_WORDS`] words or more. With
/// `--phrases` the treebank's own share is 3 %.
pub const MAX_CONTAINING: f64 = 0.2;
/// Most of the training rows that may share their text with a row of another label.
pub const MAX_CONFLICTING: f64 = 0.05;

/// What was found in a data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Audit {
    /// The training split's own rows.
    pub train: SplitAudit,
    /// The validation split against the training split.
    pub validation: SplitAudit,
    /// The test split against the training split.
    pub test: SplitAudit,
}

/// What was found in a split. All counts are rows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SplitAudit {
    /// All rows.
    pub rows: usize,
    /// Rows of each class, in the order of the label names.
    pub label_counts: Vec<usize>,
    /// Rows without a label.
    pub unlabelled: usize,
    /// Rows whose normalised text an earlier row of the same split has.
    pub duplicates: usize,
    /// Rows whose normalised text another row of the same split has under another label.
    pub conflicting: usize,
    /// Rows that are training rows too, character by character. 0 for the training split.
    pub leaked_exact: usize,
    /// Rows that are training rows too, once normalised; includes the exact ones.
    pub leaked: usize,
    /// Rows that are training rows too, once normalised, and have another label there.
    pub leaked_conflicting: usize,
    /// Rows in which a whole training text of at least [`MIN_WORDS`] words stands as part of a longer text.
    pub containing: usize,
    /// The first leaked text, as an example.
    pub example: Option<String>,
}

/// Counts a data set's duplicates, conflicts and leakage. A few passes over the text, none of them quadratic.
pub fn audit(loaded: &Loaded) -> Audit {
    let classes = loaded.label_names.len();
    let train = Texts::new(&loaded.train);
    let exact: HashSet<&str> = loaded.train.iter().map(|record| record.text.as_str()).collect();
    let runs = runs::Runs::new(train.labels.keys().map(String::as_str));
    let against_train = |records: &[Record]| {
        let mut found = within(records, &Texts::new(records), classes);
        for record in records {
            let text = normalised(&record.text);
            found.leaked_exact += usize::from(exact.contains(record.text.as_str()));
            found.containing += usize::from(runs.part_of(&text));
            if let Some(labels) = train.labels.get(&text) {
                found.leaked += 1;
                found.leaked_conflicting +=
                    usize::from(record.label.is_some_and(|label| !labels.contains(&Some(label))));
                found.example.get_or_insert_with(|| record.text.clone());
            }
        }
        found
    };
    Audit {
        validation: against_train(&loaded.validation),
        test: against_train(&loaded.test),
        train: within(&loaded.train, &train, classes),
    }
}

/// The labels under which each normalised text occurs.
struct Texts {
    labels: HashMap<String, Vec<Option<u32>>>,
}

impl Texts {
    fn new(records: &[Record]) -> Self {
        let mut labels: HashMap<String, Vec<Option<u32>>> = HashMap::with_capacity(records.len());
        for record in records {
            let known = labels.entry(normalised(&record.text)).or_default();
            if !known.contains(&record.label) {
                known.push(record.label);
            }
        }
        Self { labels }
    }
}

fn within(records: &[Record], texts: &Texts, classes: usize) -> SplitAudit {
    let mut found = SplitAudit { rows: records.len(), label_counts: vec![0; classes], ..SplitAudit::default() };
    found.duplicates = records.len() - texts.labels.len();
    for record in records {
        match record.label.and_then(|label| found.label_counts.get_mut(label as usize)) {
            Some(count) => *count += 1,
            None => found.unlabelled += 1,
        }
        let labels = texts.labels.get(&normalised(&record.text));
        found.conflicting += usize::from(labels.is_some_and(|labels| labels.len() > 1));
    }
    found
}

impl Audit {
    /// The three splits with their findings.
    pub fn splits(&self) -> [(Split, &SplitAudit); 3] {
        [(Split::Train, &self.train), (Split::Validation, &self.validation), (Split::Test, &self.test)]
    }

    /// What a person should be told, a line each; nothing where nothing was found.
    pub fn findings(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (split, found) in self.splits() {
            let mut say = |count: usize, what: &str| {
                if count > 0 {
                    let share = percent(share(count, found.rows));
                    let name = split.name();
                    lines.push(format!("{name}: {count} of {} rows ({share}) {what}", found.rows));
                }
            };
            say(found.duplicates, "repeat an earlier row");
            say(found.conflicting, "share their text with a row of another label");
            say(found.leaked, "are training rows too");
            say(found.leaked_conflicting, "are training rows too, with another label");
            say(found.containing, &format!("hold a training text of {MIN_WORDS} words or more"));
        }
        lines
    }

    /// Refuses a data set that a threshold says can't be judged fairly, unless `allow` is set.
    pub fn check(&self, allow: bool) -> Result<(), DataError> {
        if allow {
            return Ok(());
        }
        for (split, found) in self.splits() {
            let limits = [
                (found.leaked, MAX_LEAKED, "are training rows too, so the score would flatter", &found.example),
                (found.containing, MAX_CONTAINING, "hold a whole training text, so the score would flatter", &None),
                (found.conflicting, MAX_CONFLICTING, "share their text with a row of another label", &None),
            ];
            for (count, limit, what, example) in limits {
                if share(count, found.rows) > limit {
                    let example = example.as_deref().map(|text| format!(", such as {}", crate::source::shown(text)));
                    return Err(DataError::Request(format!(
                        "{}: {count} of {} rows ({}) {what}{}; up to {} is accepted (hint: remove them, or \
                         --allow-leakage)",
                        split.name(),
                        found.rows,
                        percent(share(count, found.rows)),
                        example.unwrap_or_default(),
                        percent(limit),
                    )));
                }
            }
        }
        Ok(())
    }
}

fn share(count: usize, rows: usize) -> f64 {
    if rows == 0 { 0.0 } else { count as f64 / rows as f64 }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

#[cfg(test)]
mod tests;
