//! What is said about a text and its label.

use serde::{Deserialize, Serialize};

/// How attributions are computed, for whoever shows them.
pub const METHOD: &str = "integrated gradients of the label's logit over the outputs of bert.embeddings, from [PAD] in place \
                          of every word, in fp32";

/// Why a model gives a text a label: what each of its words adds to the label's logit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// The text.
    pub text: String,
    /// The label whose logit is explained.
    pub label: String,
    /// The label that the model gives, in fp32.
    pub predicted: String,
    /// The probability of `label`, 0 to 1, in fp32.
    pub probability: f64,
    /// The words that the model reads, in their order.
    pub words: Vec<WordAttribution>,
    /// Whether the attributions are all that there is to explain.
    pub completeness: Completeness,
    /// Spearman's rank correlation of the attributions with the differences by leaving words out, -1 to 1; `None` without
    /// the latter, with fewer than three words, or where one of the two is the same for all words.
    pub leave_one_out_correlation: Option<f64>,
    /// Whether the end of the text was cut off: its words have no attribution.
    pub truncated: bool,
    /// How many words the vocabulary has no pieces for. The model reads the same sign in place of each of them.
    pub unknown_words: usize,
}

/// A word, and what it does to the logit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WordAttribution {
    /// As it stands in the text.
    pub text: String,
    /// Its first character in the text, from 0.
    pub start: usize,
    /// The character after its last one.
    pub end: usize,
    /// What it adds to the label's logit; negative if it speaks against the label.
    pub attribution: f64,
    /// The logit less that of the text without the word, if that was asked for.
    pub leave_one_out: Option<f64>,
}

/// The attributions' sum against what they should sum to (Sundararajan et al. 2017, proposition 1).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Completeness {
    /// The label's logit.
    pub logit: f64,
    /// The same of the baseline, in which every word is `[PAD]`.
    pub baseline_logit: f64,
    /// The sum of the attributions of all words.
    pub sum: f64,
    /// How far the sum is from `logit - baseline_logit`, relative to that, or to 0.001 where it is smaller: fp32 logits are not
    /// more exact.
    pub relative_error: f64,
    /// The points of the path at which gradients were computed.
    pub steps: usize,
}

impl Completeness {
    /// The relative error up to which attributions count as complete.
    pub const TOLERANCE: f64 = 0.01;
    /// A smaller difference of logits is not told from none.
    pub const SMALLEST_DIFFERENCE: f64 = 1e-3;

    /// Whether the sum is within 1 % of what it should be.
    pub fn is_complete(&self) -> bool {
        self.relative_error <= Self::TOLERANCE
    }
}
