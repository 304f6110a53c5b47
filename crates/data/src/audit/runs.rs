//! Whether one of many texts stands inside another one, word for word.
//!
//! Every run of words gets a polynomial hash that comes from two prefix hashes in constant time (Karp & Rabin 1987), and
//! a hit is confirmed word for word. Runs are tried only in lengths that occur, so a text of `n` words costs at most
//! `n` times [`MAX_WORDS`] look-ups.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Shorter runs say little: `one of the best films` stands in many reviews.
pub const MIN_WORDS: usize = 5;
/// Longer training texts are compared as whole texts only.
const MAX_WORDS: usize = 64;
const BASE: u64 = 0x9E37_79B9_7F4A_7C15;

/// Normalised texts of [`MIN_WORDS`] to [`MAX_WORDS`] words, by length and hash.
pub(super) struct Runs<'a> {
    by_length: BTreeMap<usize, HashMap<u64, Vec<&'a str>>>,
}

impl<'a> Runs<'a> {
    pub(super) fn new(texts: impl Iterator<Item = &'a str>) -> Self {
        let mut by_length: BTreeMap<usize, HashMap<u64, Vec<&'a str>>> = BTreeMap::new();
        for text in texts {
            let words: Vec<&str> = text.split(' ').collect();
            if (MIN_WORDS..=MAX_WORDS).contains(&words.len()) {
                let hash = prefixes(&words)[words.len()];
                by_length.entry(words.len()).or_default().entry(hash).or_default().push(text);
            }
        }
        Self { by_length }
    }

    /// One of the texts that stands in `text`, which is longer than it.
    pub(super) fn part_of(&self, text: &str) -> Option<&'a str> {
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
                let Some(texts) = known.get(&hash) else {
                    continue;
                };
                let run = &words[start..start + length];
                if let Some(found) = texts.iter().find(|text| text.split(' ').eq(run.iter().copied())) {
                    return Some(found);
                }
            }
        }
        None
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
