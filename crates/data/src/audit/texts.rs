//! Which texts a split has, as the model sees them: by the hash of their token ids.
//!
//! A row takes 56 bytes here however long its text is.

use std::collections::HashMap;

use disk::sha256_bytes;
use rayon::prelude::*;
use tokenize::IdsHash;

use crate::record::{Record, Split, normalized};

/// A split's texts.
pub(super) struct Texts<'a> {
    pub(super) split: Split,
    pub(super) records: &'a [Record],
    ids: &'a [IdsHash],
    /// The ids of each text and the first row that has them, by hash.
    distinct: Vec<(IdsHash, u32)>,
    /// The labels of ids that have several, in the order of their rows.
    mixed: HashMap<IdsHash, Vec<Option<u32>>>,
    /// The names of the texts as they stand, in order.
    exact: Vec<TextHash>,
    /// How many rows have the ids of an earlier row and another text.
    pub(super) collapsed: usize,
    /// The first of them, and the row whose ids it has.
    pub(super) first_collapsed: Option<(usize, usize)>,
}

/// A text's name: the start of its sha256, which no two texts share.
type TextHash = [u64; 2];

impl<'a> Texts<'a> {
    pub(super) fn new(split: Split, records: &'a [Record], ids: &'a [IdsHash]) -> Self {
        let mut distinct: Vec<(IdsHash, u32)> = ids.iter().copied().zip(0..u32::MAX).collect();
        distinct.par_sort_unstable();
        let repeated = |same: &&[(IdsHash, u32)]| same.len() > 1;
        let mut mixed = HashMap::new();
        for same in distinct.chunk_by(|a, b| a.0 == b.0).filter(repeated) {
            let mut labels: Vec<Option<u32>> = Vec::new();
            for label in same.iter().map(|&(_, row)| records[row as usize].label) {
                if !labels.contains(&label) {
                    labels.push(label);
                }
            }
            if labels.len() > 1 {
                mixed.insert(same[0].0, labels);
            }
        }
        let groups: Vec<&[(IdsHash, u32)]> = distinct.chunk_by(|a, b| a.0 == b.0).filter(repeated).collect();
        let (collapsed, first_collapsed) = groups
            .into_par_iter()
            .map(|same| collapsed(records, same))
            .reduce(|| (0, None), |a, b| (a.0 + b.0, a.1.into_iter().chain(b.1).min()));
        distinct.dedup_by_key(|(name, _)| *name);
        distinct.shrink_to_fit();
        let mut exact: Vec<TextHash> = records.par_iter().map(|record| name(&record.text)).collect();
        exact.par_sort_unstable();
        Self { split, records, ids, distinct, mixed, exact, collapsed, first_collapsed }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.distinct.is_empty()
    }

    pub(super) fn count(&self) -> usize {
        self.distinct.len()
    }

    /// The rows whose ids have several labels, with those ids, in order.
    pub(super) fn conflicting(&self) -> Vec<(usize, IdsHash)> {
        let rows = self.ids.iter().copied().enumerate();
        rows.filter(|(_, ids)| self.mixed.contains_key(ids)).collect()
    }

    /// The rows of `other` whose ids are here too, with what is here, in order.
    pub(super) fn shared(&self, other: &Texts<'_>) -> Vec<(usize, Seen<'_>)> {
        let find = |ids: &IdsHash, record: &Record| {
            let at = self.distinct.binary_search_by_key(ids, |(known, _)| *known).ok()?;
            let first = self.distinct[at].1 as usize;
            let exact = self.exact.binary_search(&name(&record.text)).is_ok();
            let labels = match self.mixed.get(ids) {
                Some(labels) => labels.as_slice(),
                None => std::slice::from_ref(&self.records[first].label),
            };
            Some(Seen { first, exact, labels })
        };
        let rows = other.ids.par_iter().zip(other.records).enumerate();
        rows.filter_map(|(row, (ids, record))| Some((row, find(ids, record)?))).collect()
    }
}

pub(super) struct Seen<'a> {
    pub(super) first: usize,
    /// Whether it is the same character by character.
    pub(super) exact: bool,
    /// Every label that it has there.
    pub(super) labels: &'a [Option<u32>],
}

/// Of rows with the same ids, those whose text isn't the first one's: how many, and the first with the row before it.
fn collapsed(records: &[Record], same: &[(IdsHash, u32)]) -> (usize, Option<(usize, usize)>) {
    let first = same[0].1 as usize;
    let text = &records[first].text;
    let plain = normalized(text);
    let others = same[1..].iter().map(|&(_, row)| row as usize);
    let differs = |row: &usize| records[*row].text != *text && normalized(&records[*row].text) != plain;
    let mut rows = others.filter(differs).peekable();
    let example = rows.peek().map(|row| (*row, first));
    (rows.count(), example)
}

fn name(text: &str) -> TextHash {
    let digest = sha256_bytes(text);
    let word = |at: usize| u64::from_be_bytes(std::array::from_fn(|byte| digest[8 * at + byte]));
    [word(0), word(1)]
}
