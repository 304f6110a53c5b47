//! A WordPiece tokenizer, as a model folder describes it.
//!
//! A model folder has its tokenizer as `tokenizer.json` or, in older ones, as `vocab.txt`. Both become one
//! description, which is checked before the `tokenizers` library sees it, and both obey `tokenizer_config.json` where
//! that states a normalization. The library normalizes, splits and looks words up. Special tokens and truncation
//! are added here, and nothing is padded: what a `tokenizer.json` says about the latter two is left out. (The packaged MiniLM cuts
//! at 128 tokens and pads to 128; none of that may reach the data.)

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::description::Description;
use crate::error::TokenizeError;
use crate::words::{WordCache, WordCachePool};

/// A WordPiece tokenizer with its special tokens and a maximum length.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    path: PathBuf,
    sha256: String,
    /// Special token ids before and after a text: `[CLS]` and `[SEP]`.
    before: Vec<u32>,
    after: Vec<u32>,
    /// The id of a word that the vocabulary has no pieces for.
    unknown_id: Option<u32>,
    vocab_size: usize,
    max_length: usize,
    /// Ids of known words, if a text's ids are those of its words.
    words: Option<WordCachePool>,
}

/// Texts that a thread tokenizes at a time.
const TEXTS_PER_TASK: usize = 64;

/// One text as token ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// Token ids with `[CLS]` and `[SEP]`; at most the tokenizer's `max_length` of them.
    pub ids: Vec<u32>,
    pub truncated: bool,
    /// How many ids there would have been without the cut.
    pub untruncated_len: usize,
    /// How many of the ids are that of an unknown word, of which the model learns nothing but that it is there.
    pub unknown: usize,
}

impl Tokenizer {
    /// Reads the tokenizer of a model folder in Hugging Face layout. Texts are cut to `max_length` ids, special tokens
    /// included.
    ///
    /// # Errors
    /// A folder without a tokenizer, a file that isn't a BERT tokenizer, and a `max_length` that leaves no room for a
    /// word are refused.
    pub fn from_folder(folder: &Path, max_length: usize) -> Result<Self, TokenizeError> {
        let description = Description::read(folder)?;
        let path = description.path.clone();
        let inner = tokenizers::Tokenizer::from_bytes(description.to_json())
            .map_err(|source| TokenizeError::Library { path: path.clone(), source })?;

        let special_tokens = description.before.len() + description.after.len();
        if max_length <= special_tokens {
            return Err(TokenizeError::MaxLength { max_length, special_tokens });
        }
        if let Some(id) = description.special_ids().find(|&id| inner.id_to_token(id).is_none()) {
            return Err(TokenizeError::content(path, format!("special token id {id} is not in the vocabulary")));
        }
        let highest_id = inner.get_vocab(true).into_values().max().unwrap_or(0);
        Ok(Self {
            inner,
            sha256: description.sha256(),
            words: description.added_token_starts().map(WordCachePool::new),
            unknown_id: description.unknown_id(),
            before: description.before,
            after: description.after,
            path,
            vocab_size: highest_id as usize + 1,
            max_length,
        })
    }

    pub fn encode(&self, text: &str) -> Result<Encoded, TokenizeError> {
        Ok(self.encode_all(&[text])?.remove(0))
    }

    pub fn encode_batch(&self, texts: &[&str]) -> Result<Vec<Encoded>, TokenizeError> {
        let parts: Vec<_> = texts.par_chunks(TEXTS_PER_TASK).map(|texts| self.encode_all(texts)).collect();
        let mut encoded = Vec::with_capacity(texts.len());
        for part in parts {
            encoded.append(&mut part?);
        }
        Ok(encoded)
    }

    fn encode_all(&self, texts: &[&str]) -> Result<Vec<Encoded>, TokenizeError> {
        let mut known = self.words.as_ref().map(WordCachePool::take);
        let encoded = texts.iter().map(|text| self.encode_with(text, known.as_mut())).collect();
        if let (Some(pool), Some(known)) = (&self.words, known) {
            pool.put_back(known);
        }
        encoded
    }

    fn encode_with(&self, text: &str, known: Option<&mut WordCache>) -> Result<Encoded, TokenizeError> {
        let most = self.max_length - self.before.len() - self.after.len();
        let mut ids = self.before.clone();
        let full = match known.filter(|_| self.words.as_ref().is_some_and(|pool| pool.can_split(text))) {
            Some(known) => known.append(text, most, &mut ids, |word| self.library(word))?,
            None => {
                let found = self.library(text)?;
                ids.extend_from_slice(&found[..found.len().min(most)]);
                found.len()
            }
        };
        ids.extend_from_slice(&self.after);
        let special_tokens = self.special_tokens();
        let unknown = ids.iter().filter(|id| Some(**id) == self.unknown_id).count();
        Ok(Encoded { ids, truncated: full > most, untruncated_len: full + special_tokens, unknown })
    }

    /// The ids of a text as the library finds them.
    fn library(&self, text: &str) -> Result<Vec<u32>, TokenizeError> {
        let encoding = self
            .inner
            .encode_fast(text, false)
            .map_err(|source| TokenizeError::Library { path: self.path.clone(), source })?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Lower-case hex sha256 of what decides about ids: vocabulary, normalization, splitting and special tokens. Two
    /// folders whose files differ in nothing but truncation, padding or layout have the same one.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// One more than the highest id: the least `vocab_size` a model needs for it.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// How many ids of each text are not its own: `[CLS]` and `[SEP]`.
    pub fn special_tokens(&self) -> usize {
        self.before.len() + self.after.len()
    }

    /// The most ids that a text gets, special tokens included.
    pub fn max_length(&self) -> usize {
        self.max_length
    }
}

/// [`Tokenizer::sha256`] of a model folder, without making the tokenizer.
///
/// # Errors
/// A folder without a tokenizer, and a file that isn't a BERT tokenizer.
pub fn sha256(folder: &Path) -> Result<String, TokenizeError> {
    Ok(Description::read(folder)?.sha256())
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Tokenizer")
            .field("path", &self.path)
            .field("vocab_size", &self.vocab_size)
            .field("max_length", &self.max_length)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
