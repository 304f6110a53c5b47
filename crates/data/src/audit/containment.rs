//! Whether one of many texts is inside another one, word for word.
//!
//! Every run of words gets a polynomial hash that comes from two prefix hashes in constant time (Karp & Rabin 1987), and
//! a hit is confirmed word for word. Runs are tried only in lengths that occur, so a text of `n` words costs at most
//! `n` times [`MAX_WORDS`] look-ups, nearly all of which end at one bit of a filter. A training text takes fourteen to
//! eighteen bytes here, whatever its length.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use rayon::prelude::*;

use crate::record::{Record, normalized};

/// Shorter runs say little: `one of the best films` is in many reviews.
pub(crate) const MIN_WORDS: usize = 5;
/// Longer training texts are compared as whole texts only.
const MAX_WORDS: usize = 64;
const BASE: u64 = 0x9E37_79B9_7F4A_7C15;

/// Normalized texts of [`MIN_WORDS`] to [`MAX_WORDS`] words, by length and hash.
pub(super) struct KnownTexts<'a> {
    records: &'a [Record],
    by_length: BTreeMap<usize, TextsOfLength>,
}

struct TextsOfLength {
    /// Hash and row, in order.
    texts: Vec<(u64, u32)>,
    /// A bit for the highest bits of each hash.
    filter: Vec<u64>,
    /// How far a hash is shifted to give its bit.
    shift: u32,
}

impl<'a> KnownTexts<'a> {
    pub(super) fn new(records: &'a [Record]) -> Self {
        let hash = |row: u32| {
            let text = normalized(&records[row as usize].text);
            let words: Vec<&str> = text.split(' ').collect();
            let fits = (MIN_WORDS..=MAX_WORDS).contains(&words.len());
            fits.then(|| (words.len() as u8, prefixes(&words)[words.len()], row))
        };
        let rows = 0..u32::try_from(records.len()).unwrap_or(u32::MAX);
        let hashed: Vec<(u8, u64, u32)> = rows.into_par_iter().filter_map(hash).collect();
        let mut by_length: BTreeMap<usize, Vec<(u64, u32)>> = BTreeMap::new();
        for (length, hash, row) in hashed {
            by_length.entry(length.into()).or_default().push((hash, row));
        }
        Self {
            records,
            by_length: by_length.into_iter().map(|(length, texts)| (length, TextsOfLength::new(texts))).collect(),
        }
    }

    /// One of the texts, normalized, that is in `text`, which is longer than it.
    pub(super) fn find_inside(&self, text: &str) -> Option<String> {
        let words: Vec<&str> = text.split(' ').collect();
        let prefixes = prefixes(&words);
        let mut power = 1_u64;
        let mut reached = 0;
        for (&length, known) in self.by_length.range(..words.len()) {
            while reached < length {
                power = power.wrapping_mul(BASE);
                reached += 1;
            }
            for start in 0..=words.len() - length {
                let hash = prefixes[start + length].wrapping_sub(prefixes[start].wrapping_mul(power));
                let run = &words[start..start + length];
                let found = known.rows(hash).map(|row| normalized(&self.records[row].text));
                if let Some(found) = found.into_iter().find(|text| text.split(' ').eq(run.iter().copied())) {
                    return Some(found);
                }
            }
        }
        None
    }
}

impl TextsOfLength {
    fn new(mut texts: Vec<(u64, u32)>) -> Self {
        texts.sort_unstable();
        texts.shrink_to_fit();
        // One bit in sixteen is set at most.
        let bits = (16 * texts.len()).next_power_of_two().max(64);
        let shift = u64::BITS - bits.ilog2();
        let mut filter = vec![0; bits / 64];
        for (hash, _) in &texts {
            let bit = (hash >> shift) as usize;
            filter[bit / 64] |= 1_u64 << (bit % 64);
        }
        Self { texts, filter, shift }
    }

    /// The rows of the texts with this hash.
    fn rows(&self, hash: u64) -> impl Iterator<Item = usize> {
        let bit = (hash >> self.shift) as usize;
        let same = match self.filter[bit / 64] >> (bit % 64) & 1 {
            0 => &[],
            _ => &self.texts[self.texts.partition_point(|(known, _)| *known < hash)..],
        };
        same.iter().take_while(move |(known, _)| *known == hash).map(|&(_, row)| row as usize)
    }
}

/// `prefixes[i]` is the hash of the first `i` words.
fn prefixes(words: &[&str]) -> Vec<u64> {
    let mut hashes = Vec::with_capacity(words.len() + 1);
    let mut hash = 0_u64;
    hashes.push(hash);
    for word in words {
        let mut hasher = DefaultHasher::new();
        word.hash(&mut hasher);
        hash = hash.wrapping_mul(BASE).wrapping_add(hasher.finish());
        hashes.push(hash);
    }
    hashes
}
