//! Which texts a split has, without holding them: by the first 128 bits of sha256, which no two texts share.
//!
//! A row takes 32 bytes here however long its text is.

use std::collections::HashMap;

use disk::sha256_bytes;
use rayon::prelude::*;

use crate::record::{Record, Split, normalized};

/// A text's name: the start of its sha256.
pub(super) type TextHash = [u64; 2];

/// A split's texts, normalized.
pub(super) struct Texts<'a> {
    pub(super) split: Split,
    pub(super) records: &'a [Record],
    /// Each text and the first row that has it, by name.
    distinct: Vec<(TextHash, u32)>,
    /// The labels of texts that have several, in the order of their rows.
    mixed: HashMap<TextHash, Vec<Option<u32>>>,
    /// The names of the texts as they stand, in order.
    exact: Vec<TextHash>,
}

impl<'a> Texts<'a> {
    pub(super) fn new(split: Split, records: &'a [Record]) -> Self {
        let mut distinct: Vec<(TextHash, u32)> =
            records.par_iter().zip(0..u32::MAX).map(|(record, row)| (name(&normalized(&record.text)), row)).collect();
        distinct.par_sort_unstable();
        let mut mixed = HashMap::new();
        for same in distinct.chunk_by(|a, b| a.0 == b.0).filter(|same| same.len() > 1) {
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
        distinct.dedup_by_key(|(name, _)| *name);
        distinct.shrink_to_fit();
        let mut exact: Vec<TextHash> = records.par_iter().map(|record| name(&record.text)).collect();
        exact.par_sort_unstable();
        Self { split, records, distinct, mixed, exact }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.distinct.is_empty()
    }

    pub(super) fn count(&self) -> usize {
        self.distinct.len()
    }

    pub(super) fn first_rows(&self) -> impl Iterator<Item = usize> {
        self.distinct.iter().map(|&(_, row)| row as usize)
    }

    /// The rows whose text has several labels, with its name, in order.
    pub(super) fn conflicting(&self) -> Vec<(usize, TextHash)> {
        if self.mixed.is_empty() {
            return Vec::new();
        }
        let name = |record: &Record| Some(name(&normalized(&record.text))).filter(|name| self.mixed.contains_key(name));
        let rows = self.records.par_iter().enumerate();
        rows.filter_map(|(row, record)| Some((row, name(record)?))).collect()
    }

    /// The rows of `records` whose texts are here too, with what is here, in order.
    pub(super) fn shared(&self, records: &[Record]) -> Vec<(usize, Seen<'_>)> {
        let find = |record: &Record| {
            let name = name(&normalized(&record.text));
            let at = self.distinct.binary_search_by_key(&name, |(name, _)| *name).ok()?;
            let first = self.distinct[at].1 as usize;
            let exact = self.exact.binary_search(&self::name(&record.text)).is_ok();
            let labels = match self.mixed.get(&name) {
                Some(labels) => labels.as_slice(),
                None => std::slice::from_ref(&self.records[first].label),
            };
            Some(Seen { first, exact, labels })
        };
        records.par_iter().enumerate().filter_map(|(row, record)| Some((row, find(record)?))).collect()
    }
}

pub(super) struct Seen<'a> {
    pub(super) first: usize,
    /// Whether it is the same character by character.
    pub(super) exact: bool,
    /// Every label that it has there.
    pub(super) labels: &'a [Option<u32>],
}

fn name(text: &str) -> TextHash {
    let digest = sha256_bytes(text);
    let word = |at: usize| u64::from_be_bytes(std::array::from_fn(|byte| digest[8 * at + byte]));
    [word(0), word(1)]
}
