//! The tokens of a text with their places in it, for people who look at them.

use std::ops::Range;

use super::Tokenizer;
use crate::error::TokenizeError;

/// A token of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenPiece {
    pub id: u32,
    /// The token as it is in the vocabulary, such as `##ing`.
    pub text: String,
    /// The characters of the text that it stands for; `None` for `[CLS]` and `[SEP]`, which stand for none.
    pub place: Option<Range<usize>>,
}

impl Tokenizer {
    /// Every token of a text, without any cut; `special` says whether `[CLS]` and `[SEP]` are among them.
    ///
    /// # Errors
    /// A text that the tokenizer rejects.
    pub fn pieces(&self, text: &str, special: bool) -> Result<Vec<TokenPiece>, TokenizeError> {
        let encoding = self
            .inner
            .encode_char_offsets(text, false)
            .map_err(|source| TokenizeError::Library { path: self.path.clone(), source })?;
        let own = encoding.get_ids().iter().zip(encoding.get_tokens()).zip(encoding.get_offsets());
        let own =
            own.map(|((&id, text), &(start, end))| TokenPiece { id, text: text.clone(), place: Some(start..end) });
        let around = |ids: &[u32]| -> Vec<TokenPiece> {
            let piece =
                |&id: &u32| TokenPiece { id, text: self.inner.id_to_token(id).unwrap_or_default(), place: None };
            ids.iter().filter(|_| special).map(piece).collect()
        };
        Ok(around(&self.before).into_iter().chain(own).chain(around(&self.after)).collect())
    }
}
