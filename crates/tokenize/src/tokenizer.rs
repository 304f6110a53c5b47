//! A WordPiece tokenizer, as a model folder describes it.
//!
//! A model folder has its tokenizer as `tokenizer.json` or, in older ones, as `vocab.txt`. Both become one
//! description, which is checked before the `tokenizers` library sees it, and both obey `tokenizer_config.json` where
//! that states a normalization. The library normalizes, splits and looks words up. Special tokens and truncation
//! are added here, and nothing is padded: what a `tokenizer.json` says about the latter two is left out. (The packaged MiniLM cuts
//! at 128 tokens and pads to 128; none of that may reach the data.)

mod pieces;

use std::path::{Path, PathBuf};

use disk::sha256_bytes;
use rayon::prelude::*;
use tokenizers::{
    NormalizedString, Normalizer as _, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer as _,
};

use crate::casing::Casing;
use crate::description::Description;
use crate::error::TokenizeError;
use crate::words::{WordCache, WordCachePool, may_hold_longer};
pub use pieces::TokenPiece;

/// A WordPiece tokenizer with its special tokens and a maximum length.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    path: PathBuf,
    sha256: String,
    /// Special token ids before and after a text: `[CLS]` and `[SEP]`.
    before: Vec<u32>,
    after: Vec<u32>,
    /// The id of what the vocabulary doesn't know.
    unknown: u32,
    /// The id of what fills up shorter texts.
    padding: Option<u32>,
    max_word_chars: usize,
    model_max_length: Option<usize>,
    notes: Vec<String>,
    vocab_size: usize,
    max_length: usize,
    /// Ids of known words, if a text's ids are those of its words.
    words: Option<WordCachePool>,
}

/// Which end of a text is cut off where it is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TruncationSide {
    /// Its beginning.
    Left,
    /// Its end, as in training.
    #[default]
    Right,
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
    /// How many of them, without the cut, are the id of what the vocabulary doesn't know.
    pub unknown: usize,
}

/// One text as token ids, and what an audit wants to know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    pub encoded: Encoded,
    /// The text's own tokens, without special ones and without any cut.
    pub tokens: usize,
    /// The same for texts with the same ids, those beyond the cut too, and different for all others.
    pub ids_hash: IdsHash,
    /// Words that are unknown because they are too long: of more than [`Tokenizer::max_word_chars`] characters.
    pub long_words: usize,
}

/// The first 128 bits of the sha256 of token ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdsHash([u64; 2]);

impl IdsHash {
    pub fn new(ids: &[u32]) -> Self {
        let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
        let digest = sha256_bytes(bytes);
        let half = |at: usize| u64::from_be_bytes(std::array::from_fn(|byte| digest[8 * at + byte]));
        Self([half(0), half(1)])
    }
}

impl Tokenizer {
    /// Reads the tokenizer of a model folder in Hugging Face layout. Texts are cut to `max_length` ids, special tokens
    /// included.
    ///
    /// # Errors
    /// A folder without a tokenizer, a file that isn't a BERT tokenizer, and a `max_length` that leaves no room for a
    /// word are refused.
    pub fn from_folder(folder: &Path, max_length: usize) -> Result<Self, TokenizeError> {
        Self::with_casing(folder, max_length, Casing::AsConfigured)
    }

    /// [`from_folder`](Self::from_folder), but with case kept or lower-cased whatever the folder says.
    pub fn with_casing(folder: &Path, max_length: usize, casing: Casing) -> Result<Self, TokenizeError> {
        let description = Description::read(folder, casing)?;
        let path = description.path.clone();
        let inner = tokenizers::Tokenizer::from_bytes(description.to_json())
            .map_err(|source| TokenizeError::Library { path: path.clone(), source })?;

        check_added_tokens(&inner).map_err(|message| TokenizeError::content(&path, message))?;
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
            before: description.before,
            after: description.after,
            unknown: description.unknown,
            padding: description.padding,
            max_word_chars: description.max_word_chars,
            model_max_length: description.model_max_length,
            notes: description.notes,
            path,
            vocab_size: highest_id as usize + 1,
            max_length,
        })
    }

    pub fn encode(&self, text: &str) -> Result<Encoded, TokenizeError> {
        self.encode_truncated(text, TruncationSide::Right)
    }

    /// [`encode`](Self::encode), with the side on which a long text is cut.
    ///
    /// # Errors
    /// A text that the tokenizer rejects.
    pub fn encode_truncated(&self, text: &str, side: TruncationSide) -> Result<Encoded, TokenizeError> {
        let mut known = self.words.as_ref().map(WordCachePool::take);
        let encoded = self.encode_with(text, side, known.as_mut(), &mut Vec::new());
        if let (Some(pool), Some(known)) = (&self.words, known) {
            pool.put_back(known);
        }
        encoded
    }

    pub fn encode_batch(&self, texts: &[&str]) -> Result<Vec<Encoded>, TokenizeError> {
        self.batch(texts, |_, encoded, _| Ok(encoded))
    }

    /// [`encode_batch`](Self::encode_batch), and what else an audit wants to know of the texts.
    pub fn inspect_batch(&self, texts: &[&str]) -> Result<Vec<Inspection>, TokenizeError> {
        self.batch(texts, |text, encoded, own| {
            let long_words = self.long_words(text)?;
            Ok(Inspection { encoded, tokens: own.len(), ids_hash: IdsHash::new(own), long_words })
        })
    }

    /// Encodes on all threads; `finish` gets each text, its ids with special tokens, and all of its own ids.
    fn batch<T: Send>(
        &self,
        texts: &[&str],
        finish: impl Fn(&str, Encoded, &[u32]) -> Result<T, TokenizeError> + Sync,
    ) -> Result<Vec<T>, TokenizeError> {
        let task = |texts: &[&str]| -> Result<Vec<T>, TokenizeError> {
            let mut known = self.words.as_ref().map(WordCachePool::take);
            let mut own = Vec::new();
            let encode = |text: &&str| {
                let encoded = self.encode_with(text, TruncationSide::Right, known.as_mut(), &mut own)?;
                finish(text, encoded, &own)
            };
            let done = texts.iter().map(encode).collect();
            if let (Some(pool), Some(known)) = (&self.words, known) {
                pool.put_back(known);
            }
            done
        };
        let parts: Vec<_> = texts.par_chunks(TEXTS_PER_TASK).map(task).collect();
        let mut all = Vec::with_capacity(texts.len());
        for part in parts {
            all.append(&mut part?);
        }
        Ok(all)
    }

    /// A text's ids; all of its own are left in `own`.
    fn encode_with(
        &self,
        text: &str,
        side: TruncationSide,
        known: Option<&mut WordCache>,
        own: &mut Vec<u32>,
    ) -> Result<Encoded, TokenizeError> {
        own.clear();
        match known.filter(|_| self.words.as_ref().is_some_and(|pool| pool.can_split(text))) {
            Some(known) => known.append(text, own, |word| self.library(word))?,
            None => own.extend(self.library(text)?),
        }
        let special_tokens = self.special_tokens();
        let kept = own.len().min(self.max_length - special_tokens);
        let mut ids = Vec::with_capacity(kept + special_tokens);
        ids.extend_from_slice(&self.before);
        ids.extend_from_slice(match side {
            TruncationSide::Left => &own[own.len() - kept..],
            TruncationSide::Right => &own[..kept],
        });
        ids.extend_from_slice(&self.after);
        Ok(Encoded {
            ids,
            truncated: kept < own.len(),
            untruncated_len: own.len() + special_tokens,
            unknown: own.iter().filter(|id| **id == self.unknown).count(),
        })
    }

    /// How many words of a text are too long for the vocabulary to be asked, so that they are unknown.
    fn long_words(&self, text: &str) -> Result<usize, TokenizeError> {
        // Normalization makes at most two characters of a byte.
        if !may_hold_longer(text, self.max_word_chars / 2) {
            return Ok(0);
        }
        let fail = |source| TokenizeError::Library { path: self.path.clone(), source };
        let mut words = PreTokenizedString::from(text);
        if let Some(normalizer) = self.inner.get_normalizer() {
            words.normalize(|part| normalizer.normalize(part)).map_err(fail)?;
        }
        if let Some(pre_tokenizer) = self.inner.get_pre_tokenizer() {
            pre_tokenizer.pre_tokenize(&mut words).map_err(fail)?;
        }
        let words = words.get_splits(OffsetReferential::Normalized, OffsetType::None);
        Ok(words.into_iter().filter(|(word, ..)| word.chars().count() > self.max_word_chars).count())
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

    /// The id of what the vocabulary doesn't know.
    pub fn unknown_id(&self) -> u32 {
        self.unknown
    }

    /// The id of `[PAD]`, which fills up shorter texts in other programs and never stands in one; `None` without one.
    pub fn padding(&self) -> Option<u32> {
        self.padding
    }

    /// The most characters of a word that the vocabulary is asked for.
    pub fn max_word_chars(&self) -> usize {
        self.max_word_chars
    }

    /// The most tokens of a text that the model's own configuration states, special ones included.
    pub fn model_max_length(&self) -> Option<usize> {
        self.model_max_length
    }

    /// What users should know of how the folder was read, such as capital letters that are lost.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The most ids that a text gets, special tokens included.
    pub fn max_length(&self) -> usize {
        self.max_length
    }
}

/// Refuses added tokens of which normalization leaves nothing: the library would find them everywhere, and fail.
fn check_added_tokens(inner: &tokenizers::Tokenizer) -> Result<(), String> {
    let Some(normalizer) = inner.get_normalizer() else { return Ok(()) };
    for token in inner.get_added_tokens_decoder().into_values().filter(|token| token.normalized) {
        let mut content = NormalizedString::from(token.content.as_str());
        normalizer.normalize(&mut content).map_err(|error| error.to_string())?;
        if content.is_empty() {
            return Err(format!(
                "the added token {:?} has no visible character (hint: remove it from added_tokens.json, \
                 tokenizer_config.json and tokenizer.json)",
                token.content
            ));
        }
    }
    Ok(())
}

/// [`Tokenizer::sha256`] of a model folder, without making the tokenizer.
///
/// # Errors
/// A folder without a tokenizer, and a file that isn't a BERT tokenizer.
pub fn sha256(folder: &Path, casing: Casing) -> Result<String, TokenizeError> {
    Ok(Description::read(folder, casing)?.sha256())
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
