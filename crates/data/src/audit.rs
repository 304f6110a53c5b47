//! Counts what users should know about a data set before training on it: labels and their balance, repeated and
//! conflicting texts, texts of one split inside another, lengths and truncation.
//!
//! Texts are compared as the model sees them, by all their token ids: texts that differ only in what the tokenizer drops
//! (case, accents, forms of Unicode, whatever is unknown) are one text. Only whether a text is part of another one is
//! decided by words ([`normalized`]), because a number of tokens says little about how much of a text it is, and unknown
//! tokens would make unrelated texts parts of each other. What exceeds its limit is listed in [`Audit::exceeded`], and [`Audit::check`]
//! refuses it unless it was allowed. Every prepared directory has its audit as `audit.json`.

mod containment;
mod file;
mod lengths;
mod limits;
mod texts;
mod tokens;

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::loaded::{Loaded, Places};
use crate::record::{Record, Split, normalized};
use containment::KnownTexts;
pub(crate) use containment::MIN_WORDS;
pub use file::AUDIT;
pub(crate) use file::verify;
pub use lengths::{Bin, Lengths};
pub use limits::{AuditLimits, Exceeded, Unit};
pub(crate) use limits::{UNKNOWN, UNKNOWN_ROWS};
use texts::Texts;
use tokenize::IdsHash;
pub use tokens::{PlacedText, TokenizedRows, TokenizedTexts, VocabularyAudit};

/// Examples of each kind per split.
const MAX_EXAMPLES: usize = 5;
/// Rows that are listed per conflicting text.
const MAX_CONFLICT_ROWS: usize = 8;
/// Maximum characters of an example's text.
const EXAMPLE_CHARS: usize = 200;

/// What was found in a data set, and the limits that were applied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    pub dataset: String,
    /// Which form of the data set this is, spelled out with its sizes.
    pub variant: String,
    /// What sets it apart from data sets that go by the same name.
    #[serde(rename = "told_apart")]
    pub disambiguation: Option<String>,
    /// Most tokens of a text, special tokens included.
    pub max_length: usize,
    /// Rows dropped for their null or empty text.
    pub empty_dropped: usize,
    pub splits: BTreeMap<Split, SplitAudit>,
    /// The limits, as shares from 0 to 1.
    pub limits: AuditLimits,
    pub exceeded: Vec<Exceeded>,
    /// Whether `--allow-leakage` was given.
    pub allowed: bool,
}

/// What was found in a split. All counts are rows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitAudit {
    pub rows: usize,
    /// Rows of each class, in the order of the label indices.
    pub labels: Vec<LabelCount>,
    /// Rows of the commonest class over rows of the rarest; `None` where a class has no rows.
    pub largest_to_smallest: Option<f64>,
    #[serde(rename = "unlabelled")]
    pub unlabeled: usize,
    /// Rows whose tokens an earlier row of the same split has.
    pub duplicates: usize,
    /// Rows whose tokens another row of the same split has under another label.
    pub conflicting: usize,
    /// The first texts with two labels.
    pub conflicts: Vec<Conflict>,
    /// Rows that are rows of another split too: of train, and for test of validation as well.
    pub leaked: BTreeMap<Split, Leak>,
    /// Rows in which a whole training text of at least [`MIN_WORDS`] words is part of a longer text.
    pub containing: usize,
    pub containing_example: Option<ContainingRow>,
    /// Rows cut to the maximum length.
    pub truncated: usize,
    /// `truncated` as a share of `rows`.
    pub truncated_share: f64,
    pub vocabulary: VocabularyAudit,
    /// Token ids a text before any cut, special tokens included.
    pub tokens: Lengths,
    /// Words a text, as white space separates them.
    pub words: Lengths,
    /// Characters a text.
    pub characters: Lengths,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelCount {
    pub label: String,
    pub rows: usize,
    pub share: f64,
}

/// A text that one split has under several labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conflict {
    /// The text as its first row has it, cut where it is long.
    pub text: String,
    pub rows: Vec<LabeledPlace>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabeledPlace {
    /// `reviews.csv row 17`; where the source's rows are not known, `train row 17`. Both count from 1.
    pub place: String,
    pub label: Option<String>,
}

/// Rows that another split has too.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leak {
    /// Character by character.
    pub exact: usize,
    /// With the same tokens; includes the exact ones.
    pub same_tokens: usize,
    /// With the same tokens, and under another label there.
    pub other_label: usize,
    pub examples: Vec<SharedText>,
}

/// A text that two splits have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharedText {
    /// The text, cut where it is long.
    pub text: String,
    /// Its row in this split.
    pub here: String,
    /// Its first row in the other one.
    pub there: String,
}

/// A text with a whole training text inside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContainingRow {
    /// The row that holds it.
    pub place: String,
    /// That row's text, cut where it is long.
    pub text: String,
    /// The training text, normalized.
    pub training_text: String,
}

/// Counts what the texts, their tokens and the labels of a data set tell. A few passes over the text, none of them
/// quadratic.
///
/// # Panics
/// If a split has not as many tokenized rows as rows.
pub fn audit(loaded: &Loaded, tokenized: &TokenizedTexts, limits: AuditLimits, allowed: bool) -> Audit {
    let none = TokenizedRows::default();
    let rows = |split| tokenized.splits.get(&split).unwrap_or(&none);
    let texts = loaded.splits().map(|(split, records)| {
        assert_eq!(rows(split).ids.len(), records.len(), "tokenized rows of {}", split.name());
        Texts::new(split, records, &rows(split).ids)
    });
    let [train, validation, _] = &texts;
    let known = KnownTexts::new(train.records);
    let mut splits = BTreeMap::new();
    for ((split, records), own) in loaded.splits().into_iter().zip(&texts) {
        if records.is_empty() {
            continue;
        }
        let mut found = within(own, &loaded.label_names, &loaded.places);
        found.vocabulary = VocabularyAudit::new(rows(split), own, tokenized.max_word_chars, &loaded.places);
        found.truncated = rows(split).lengths.above(tokenized.max_length);
        found.truncated_share = rounded(share(found.truncated, found.rows));
        found.tokens = Lengths::new(&rows(split).lengths);
        let others: &[&Texts] = match split {
            Split::Train => &[],
            Split::Validation => &[train],
            Split::Test => &[train, validation],
        };
        for other in others.iter().filter(|other| !other.is_empty()) {
            found.leaked.insert(other.split, against(own, other, &loaded.places));
        }
        if split != Split::Train {
            contain(&mut found, split, records, &known, &loaded.places);
        }
        splits.insert(split, found);
    }
    let mut audit = Audit {
        dataset: loaded.dataset.clone(),
        variant: loaded.variant.clone(),
        disambiguation: loaded.disambiguation.clone(),
        max_length: tokenized.max_length,
        empty_dropped: loaded.empty_dropped,
        splits,
        limits,
        exceeded: Vec::new(),
        allowed,
    };
    audit.exceeded = limits.exceeded(&audit);
    audit
}

/// What a split shows by itself.
fn within(own: &Texts, names: &[String], places: &Places) -> SplitAudit {
    let records = own.records;
    let mut counts = vec![0; names.len()];
    let mut found =
        SplitAudit { rows: records.len(), duplicates: records.len() - own.count(), ..SplitAudit::default() };
    for record in records {
        match record.label.and_then(|label| counts.get_mut(label as usize)) {
            Some(count) => *count += 1,
            None => found.unlabeled += 1,
        }
    }
    // The first texts with two labels, in the order of their first rows, and the places of their rows.
    let mut conflicts: Vec<(IdsHash, Conflict)> = Vec::new();
    for (row, ids) in own.conflicting() {
        found.conflicting += 1;
        let label = records[row].label.and_then(|label| names.get(label as usize)).cloned();
        let labeled_place = || LabeledPlace { place: places.name(own.split, row), label };
        let known = conflicts.iter().position(|(known, _)| *known == ids);
        match known {
            Some(at) if conflicts[at].1.rows.len() < MAX_CONFLICT_ROWS => conflicts[at].1.rows.push(labeled_place()),
            None if conflicts.len() < MAX_EXAMPLES => {
                conflicts.push((ids, Conflict { text: cut(&records[row].text), rows: vec![labeled_place()] }));
            }
            Some(_) | None => {}
        }
    }
    found.conflicts = conflicts.into_iter().map(|(_, conflict)| conflict).collect();
    if found.unlabeled < found.rows {
        let (least, most) = (counts.iter().min().copied(), counts.iter().max().copied());
        found.largest_to_smallest =
            least.zip(most).filter(|(least, _)| *least > 0).map(|(l, m)| rounded(m as f64 / l as f64));
        let of_rows = |rows: &usize| rounded(share(*rows, records.len()));
        let label =
            |(name, rows): (&String, &usize)| LabelCount { label: name.clone(), rows: *rows, share: of_rows(rows) };
        found.labels = names.iter().zip(&counts).map(label).collect();
    }
    found.words = Lengths::new(&records.iter().map(|record| record.text.split_whitespace().count()).collect());
    found.characters = Lengths::new(&records.iter().map(|record| record.text.chars().count()).collect());
    found
}

/// The rows of `own` that `other` has too.
fn against(own: &Texts, other: &Texts, places: &Places) -> Leak {
    let mut leak = Leak::default();
    for (row, seen) in other.shared(own) {
        let record = &own.records[row];
        leak.same_tokens += 1;
        leak.exact += usize::from(seen.exact);
        // A split without labels has no conflicts.
        let labeled = seen.labels.iter().any(Option::is_some);
        leak.other_label += usize::from(labeled && record.label.is_some() && !seen.labels.contains(&record.label));
        if leak.examples.len() < MAX_EXAMPLES {
            let (here, there) = (places.name(own.split, row), places.name(other.split, seen.first));
            leak.examples.push(SharedText { text: cut(&record.text), here, there });
        }
    }
    leak
}

/// Counts the rows that hold a training text as a part.
fn contain(found: &mut SplitAudit, split: Split, records: &[Record], known: &KnownTexts, places: &Places) {
    let part = |record: &Record| known.find_inside(&normalized(&record.text));
    let rows: Vec<usize> =
        records.par_iter().enumerate().filter_map(|(row, record)| part(record).map(|_| row)).collect();
    found.containing = rows.len();
    found.containing_example = rows.first().and_then(|&row| {
        Some(ContainingRow {
            place: places.name(split, row),
            text: cut(&records[row].text),
            training_text: cut(&part(&records[row])?),
        })
    });
}

fn cut(text: &str) -> String {
    let mut short: String = text.chars().take(EXAMPLE_CHARS).collect();
    if short.len() < text.len() {
        short.push_str("...");
    }
    short
}

fn share(count: usize, rows: usize) -> f64 {
    if rows == 0 { 0.0 } else { count as f64 / rows as f64 }
}

/// Six decimals: enough for a share, and read back from JSON as it was written.
fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

/// `5.0 %`; a share that this would show as nothing gets a second decimal.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent > 0.0 && percent < 0.01 {
        "<0.01 %".into()
    } else if percent > 0.0 && percent < 0.1 {
        format!("{percent:.2} %")
    } else {
        format!("{percent:.1} %")
    }
}

#[cfg(test)]
mod tests;
