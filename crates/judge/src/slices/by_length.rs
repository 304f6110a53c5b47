//! Slices by the number of tokens, special ones included: at the quartiles, moved to plain numbers.

use super::partition::{FEWEST_ROWS, Partition};
use crate::scored::ScoredRows;

pub(super) fn partition(rows: &ScoredRows<'_>) -> Partition {
    let lengths: Vec<usize> = rows.facts.iter().map(|facts| facts.tokens).collect();
    let ends = inner_ends(&lengths);
    let slices = lengths.iter().map(|length| ends.partition_point(|end| end < length)).collect();
    Partition::new("length", names(&ends), slices)
}

/// The last length of each bin but the last bin, which has no end.
fn inner_ends(lengths: &[usize]) -> Vec<usize> {
    let mut sorted = lengths.to_vec();
    sorted.sort_unstable();
    // Rounding must not put the longest texts into the bin before theirs: many are as long as the model reads.
    let most = sorted.last().map_or(0, |longest| longest.saturating_sub(1));
    let quartiles = (1..4).filter_map(|quarter| sorted.get((sorted.len() * quarter).div_ceil(4).checked_sub(1)?));
    let mut ends: Vec<usize> = quartiles.map(|end| plain(*end).min(most)).collect();
    ends.dedup();
    // A bin with too few rows is joined with the next one, the last with the one before it.
    let mut kept: Vec<usize> = Vec::new();
    for end in ends {
        let before = kept.last().map_or(0, |last| sorted.partition_point(|length| length <= last));
        let here = sorted.partition_point(|length| *length <= end);
        if (here - before) as u64 >= FEWEST_ROWS {
            kept.push(end);
        }
    }
    while let Some(last) = kept.last() {
        let beyond = sorted.len() - sorted.partition_point(|length| length <= last);
        if beyond as u64 >= FEWEST_ROWS {
            break;
        }
        kept.pop();
    }
    kept
}

/// The nearest number of a kind that is easy to read: by its size a multiple of 1, 5, 10, 50 or 100.
fn plain(length: usize) -> usize {
    let step = match length {
        0..=10 => 1,
        11..=50 => 5,
        51..=200 => 10,
        201..=500 => 50,
        _ => 100,
    };
    (length + step / 2) / step * step
}

fn names(ends: &[usize]) -> Vec<String> {
    let Some(last) = ends.last() else {
        return vec!["any number of tokens".to_owned()];
    };
    let inner = ends.windows(2).map(|pair| format!("{} to {} tokens", pair[0] + 1, pair[1]));
    let first = format!("up to {} tokens", ends[0]);
    [first].into_iter().chain(inner).chain([format!("over {last} tokens")]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_quartiles_as_plain_numbers() {
        let all: Vec<usize> = (0..400).map(|row| 3 + row % 60).collect();
        assert_eq!(inner_ends(&all), [15, 30, 45]);
        assert_eq!(names(&[20, 35, 50]), ["up to 20 tokens", "21 to 35 tokens", "36 to 50 tokens", "over 50 tokens"]);
        assert_eq!([7, 12, 13, 54, 55, 223, 1449].map(plain), [7, 10, 15, 50, 60, 200, 1400]);
    }

    #[test]
    fn a_bin_has_enough_rows_or_is_joined_with_another() {
        assert!(inner_ends(&[]).is_empty());
        assert!(inner_ends(&[8; 1000]).is_empty(), "one length");
        assert_eq!(names(&[]), ["any number of tokens"]);
        assert!(inner_ends(&(0..30).collect::<Vec<usize>>()).is_empty(), "too few rows for two bins");
        let mut skewed = vec![5; 25];
        skewed.extend([128; 100]);
        assert_eq!(inner_ends(&skewed), [127], "texts that are cut off are a bin of their own");
        // Few rows are longer than the last quartile.
        let mut rounded = vec![4; 30];
        rounded.extend([13; 60]);
        rounded.extend([15; 5]);
        assert_eq!(inner_ends(&rounded), [4]);
    }
}
