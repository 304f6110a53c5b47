//! The simplest model: the most frequent label of the training data, whatever the text.

/// The most frequent label, of several the first; `None` of no labels.
pub(super) fn most_frequent(labels: &[u32]) -> Option<u32> {
    let mut counts: Vec<usize> = Vec::new();
    for &label in labels {
        let label = label as usize;
        if counts.len() <= label {
            counts.resize(label + 1, 0);
        }
        counts[label] += 1;
    }
    let most = counts.iter().copied().max()?;
    counts.iter().position(|count| *count == most).map(|label| label as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_the_most_frequent_labels_is_taken() {
        assert_eq!(most_frequent(&[]), None);
        assert_eq!(most_frequent(&[4]), Some(4));
        assert_eq!(most_frequent(&[2, 1, 1, 2, 0]), Some(1));
    }
}
