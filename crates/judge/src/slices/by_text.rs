//! Slices by what a text has in it, by whether the model read all of it, and by its label.

use super::partition::Partition;
use crate::cue_words::{has_contrast, has_negation};
use crate::scored::{RowFacts, ScoredRows};

/// The groups in the order in which they are shown.
pub(super) fn partitions(rows: &ScoredRows<'_>) -> Vec<Partition> {
    let two = |group: &str, with: &str, without: &str, has: fn(&RowFacts<'_>) -> bool| {
        let slices = rows.facts.iter().map(|facts| usize::from(!has(facts))).collect();
        Partition::new(group, vec![with.to_owned(), without.to_owned()], slices)
    };
    vec![
        two("negation", "with a negation", "without a negation", |facts| has_negation(facts.text)),
        two("contrast", "with a contrast", "without a contrast", |facts| has_contrast(facts.text)),
        two("unknown words", "with unknown words", "all words known", |facts| facts.unknown_tokens > 0),
        two("truncated", "cut off", "read to the end", |facts| facts.truncated),
        Partition::new("label", rows.label_names.to_vec(), rows.truth.iter().map(|class| *class as usize).collect()),
    ]
}
