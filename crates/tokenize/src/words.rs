//! A cache of the ids of words.
//!
//! BERT's normalizer works character by character but for runs of combining marks, and its pre-tokenizer splits at white
//! space. So between two blanks a text's ids depend on nothing outside: a text is its words, and words repeat. Looking
//! one up takes a thousandth of the library's time. A token that is added to the vocabulary is part of a word, unless
//! it may hold white space: texts in which such a token could start go to the library whole.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// The number of words that each thread remembers, and their maximum length in bytes: some megabytes in all.
const MAX_WORDS: usize = 1 << 16;
const MAX_WORD_BYTES: usize = 64;
/// White space that separates words; other white space is left to the library.
const SEPARATORS: [char; 4] = [' ', '\t', '\n', '\r'];

/// Whether anything between two separators has more than `bytes` bytes.
pub(crate) fn may_hold_longer(text: &str, bytes: usize) -> bool {
    text.split(SEPARATORS).any(|word| word.len() > bytes)
}

#[derive(Debug, Default)]
pub(crate) struct WordCache {
    known: HashMap<Box<str>, Range<u32>>,
    ids: Vec<u32>,
}

impl WordCache {
    /// Appends a text's ids. Unknown words go to `library`.
    pub(crate) fn append<E>(
        &mut self,
        text: &str,
        to: &mut Vec<u32>,
        library: impl Fn(&str) -> Result<Vec<u32>, E>,
    ) -> Result<(), E> {
        for word in text.split(SEPARATORS).filter(|word| !word.is_empty()) {
            if let Some(Range { start, end }) = self.known.get(word) {
                to.extend_from_slice(&self.ids[*start as usize..*end as usize]);
                continue;
            }
            let ids = library(word)?;
            to.extend_from_slice(&ids);
            if word.len() <= MAX_WORD_BYTES {
                self.insert(word, &ids);
            }
        }
        Ok(())
    }

    fn insert(&mut self, word: &str, ids: &[u32]) {
        if self.known.len() == MAX_WORDS {
            self.known.clear();
            self.ids.clear();
        }
        // A word has at most as many ids as bytes, so all of them together are far from what 32 bits count.
        let start = self.ids.len() as u32;
        self.ids.extend_from_slice(ids);
        self.known.insert(word.into(), start..start + ids.len() as u32);
    }
}

/// A pool of word caches; each thread takes one while it works.
#[derive(Debug)]
pub(crate) struct WordCachePool {
    idle: Mutex<Vec<WordCache>>,
    /// The first bytes of added tokens that may hold white space.
    starts: Box<[bool; 256]>,
}

impl WordCachePool {
    pub(crate) fn new(starts: Box<[bool; 256]>) -> Self {
        Self { idle: Mutex::default(), starts }
    }

    /// Whether no added token with white space can start in `text`.
    pub(crate) fn can_split(&self, text: &str) -> bool {
        !text.bytes().any(|byte| self.starts[usize::from(byte)])
    }

    pub(crate) fn take(&self) -> WordCache {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    pub(crate) fn put_back(&self, words: WordCache) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(words);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_tokenized_once_and_the_cache_is_bounded() {
        let asked = std::cell::Cell::new(0);
        let library = |word: &str| -> Result<Vec<u32>, ()> {
            asked.set(asked.get() + 1);
            Ok(word.bytes().map(u32::from).collect())
        };
        let (mut words, mut ids) = (WordCache::default(), vec![7]);
        words.append(" ab  c\tab\n", &mut ids, library).unwrap();
        assert_eq!((ids.as_slice(), asked.get()), ([7, 97, 98, 99, 97, 98].as_slice(), 2));
        words.append("c c", &mut ids, library).unwrap();
        assert_eq!((ids.len(), asked.get()), (8, 2));
        for number in 0..2 * MAX_WORDS {
            words.append(&number.to_string(), &mut Vec::new(), library).unwrap();
            assert!(words.known.len() <= MAX_WORDS);
        }
        words.append(&"x".repeat(MAX_WORD_BYTES + 1), &mut ids, library).unwrap();
        assert_eq!(ids.len(), 8 + MAX_WORD_BYTES + 1);
        assert!(!words.known.contains_key("x".repeat(MAX_WORD_BYTES + 1).as_str()));
    }
}
