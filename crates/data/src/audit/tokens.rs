//! What tokenization tells of a split's rows, and how well the vocabulary fits them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tokenize::{IdsHash, Inspection};

use super::lengths::LengthCounts;
use super::texts::Texts;
use super::{MAX_EXAMPLES, cut, rounded, share};
use crate::loaded::Places;
use crate::record::Split;

/// The rows of a data set as a tokenizer sees them.
#[derive(Debug, Clone, Default)]
pub struct TokenizedTexts {
    /// The most tokens of a text, special tokens included.
    pub max_length: usize,
    /// Words of more characters are unknown tokens.
    pub max_word_chars: usize,
    pub splits: BTreeMap<Split, TokenizedRows>,
}

/// A split's rows as a tokenizer sees them; 16 bytes a row.
#[derive(Debug, Clone, Default)]
pub struct TokenizedRows {
    pub(super) ids: Vec<IdsHash>,
    /// As they were before any cut.
    pub(super) lengths: LengthCounts,
    tokens: usize,
    unknown: usize,
    first_unknown: Option<usize>,
    only_unknown: usize,
    /// The first ones.
    only_unknown_rows: Vec<usize>,
    long_words: usize,
    first_long_word: Option<usize>,
}

impl TokenizedRows {
    /// Adds the next row.
    pub fn push(&mut self, row: &Inspection) {
        let at = self.ids.len();
        self.ids.push(row.ids_hash);
        self.lengths.add(row.encoded.untruncated_len);
        self.tokens += row.tokens;
        self.unknown += row.encoded.unknown;
        if row.encoded.unknown > 0 {
            self.first_unknown.get_or_insert(at);
        }
        if row.encoded.unknown == row.tokens {
            self.only_unknown += 1;
            if self.only_unknown_rows.len() < MAX_EXAMPLES {
                self.only_unknown_rows.push(at);
            }
        }
        if row.long_words > 0 {
            self.long_words += 1;
            self.first_long_word.get_or_insert(at);
        }
    }
}

/// How well the model's vocabulary fits a split's texts. Tokens are counted without special ones and before any cut.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VocabularyAudit {
    pub tokens: usize,
    /// Tokens that stand for what the vocabulary doesn't know.
    pub unknown: usize,
    /// `unknown` as a share of `tokens`.
    pub unknown_share: f64,
    /// The first row with one.
    pub unknown_example: Option<PlacedText>,
    /// Rows without any known token.
    pub only_unknown: usize,
    /// The first of them.
    pub only_unknown_examples: Vec<PlacedText>,
    /// Rows that have the tokens of an earlier row of the split, although their texts differ in more than case.
    pub collapsed: usize,
    /// The first of them, and then the row whose tokens it has.
    pub collapsed_example: Vec<PlacedText>,
    /// Most characters of a word that isn't unknown.
    pub max_word_chars: usize,
    /// Rows with a word that is longer.
    pub long_words: usize,
    pub long_words_example: Option<PlacedText>,
}

/// A row's text, cut where it is long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlacedText {
    pub place: String,
    pub text: String,
}

impl VocabularyAudit {
    pub(super) fn new(rows: &TokenizedRows, texts: &Texts<'_>, max_word_chars: usize, places: &Places) -> Self {
        let placed =
            |row: usize| PlacedText { place: places.name(texts.split, row), text: cut(&texts.records[row].text) };
        Self {
            tokens: rows.tokens,
            unknown: rows.unknown,
            unknown_share: rounded(share(rows.unknown, rows.tokens)),
            unknown_example: rows.first_unknown.map(placed),
            only_unknown: rows.only_unknown,
            only_unknown_examples: rows.only_unknown_rows.iter().map(|&row| placed(row)).collect(),
            collapsed: texts.collapsed,
            collapsed_example: texts.first_collapsed.map_or(Vec::new(), |(row, first)| [row, first].map(placed).into()),
            max_word_chars,
            long_words: rows.long_words,
            long_words_example: rows.first_long_word.map(placed),
        }
    }
}
