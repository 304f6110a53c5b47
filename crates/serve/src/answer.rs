//! The answer with labels: sorted by score, and what they took in its headers.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;

use crate::classifier::TextScores;

/// A label and its score.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct LabelScore<'a> {
    pub score: f32,
    pub label: &'a str,
}

/// Every label of a text, or the best `top_k`, by descending score; equal scores in the order of the classes.
pub(crate) fn ranked<'a>(
    scores: &TextScores,
    label_names: &'a [String],
    raw_scores: bool,
    top_k: Option<usize>,
) -> Vec<LabelScore<'a>> {
    let scores = if raw_scores { &scores.logits } else { &scores.probabilities };
    let mut labels: Vec<LabelScore<'_>> =
        scores.iter().zip(label_names).map(|(&score, label)| LabelScore { score, label }).collect();
    labels.sort_by(|one, other| other.score.total_cmp(&one.score));
    labels.truncate(top_k.unwrap_or(usize::MAX));
    labels
}

/// What a request took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ComputeCost {
    pub total: Duration,
    pub tokenization: Duration,
    pub queue: Duration,
    pub inference: Duration,
    pub characters: usize,
    pub tokens: usize,
    /// Texts of which an end was cut off.
    pub truncated_texts: usize,
    /// Words that the vocabulary has no pieces for.
    pub unknown_words: usize,
}

/// The headers of text-embeddings-inference, with times in milliseconds, and two that say how much of the texts the model
/// has not read.
pub(crate) fn set_compute_headers(headers: &mut HeaderMap, device: &str, cost: &ComputeCost) {
    let milliseconds = |time: Duration| time.as_millis().to_string();
    let values = [
        ("x-compute-type", device.to_owned()),
        ("x-compute-time", milliseconds(cost.total)),
        ("x-compute-characters", cost.characters.to_string()),
        ("x-compute-tokens", cost.tokens.to_string()),
        ("x-total-time", milliseconds(cost.total)),
        ("x-tokenization-time", milliseconds(cost.tokenization)),
        ("x-queue-time", milliseconds(cost.queue)),
        ("x-inference-time", milliseconds(cost.inference)),
        ("x-truncated-texts", cost.truncated_texts.to_string()),
        ("x-unknown-words", cost.unknown_words.to_string()),
    ];
    for (name, value) in values {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_sorted_by_score_and_equal_ones_keep_their_order() {
        let names = ["a", "b", "c", "d"].map(str::to_owned);
        let scores = TextScores { logits: vec![-2.0, 3.0, 3.0, -1e30], probabilities: vec![0.1, 0.45, 0.45, 0.0] };
        let order = |raw, top| ranked(&scores, &names, raw, top).iter().map(|label| label.label).collect::<String>();
        assert_eq!(
            (order(false, None), order(true, None), order(true, Some(1))),
            ("bcad".into(), "bcad".into(), "b".into())
        );
        assert_eq!(ranked(&scores, &names, true, None)[3].score, -1e30);
    }
}
