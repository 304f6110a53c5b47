//! Splits micro-batches where memory is too small for them.

/// Splits each micro-batch into `parts` consecutive parts of about equal size, so that the rows of a step and their
/// order are unchanged. A micro-batch with fewer rows is split into single rows.
///
/// # Panics
/// If `parts` is 0.
pub(crate) fn split(micro_batches: &[Vec<usize>], parts: usize) -> Vec<Vec<usize>> {
    assert!(parts > 0, "a micro-batch can't be cut into no parts");
    let cut = |rows: &Vec<usize>| -> Vec<Vec<usize>> {
        let parts = parts.min(rows.len());
        let bound = |part: usize| part * rows.len() / parts;
        (0..parts).map(|part| rows[bound(part)..bound(part + 1)].to_vec()).collect()
    };
    micro_batches.iter().flat_map(cut).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_an_example() {
        let step = [vec![5, 1, 9, 6, 7], vec![2, 4]];
        assert_eq!(split(&step, 1), step);
        assert_eq!(split(&step, 2), [vec![5, 1], vec![9, 6, 7], vec![2], vec![4]]);
        assert_eq!(split(&step, 100), [[5], [1], [9], [6], [7], [2], [4]]);
        assert!(split(&[], 2).is_empty() && split(&[Vec::new()], 2).is_empty());
    }

    #[test]
    fn rows_and_order_are_preserved_and_sizes_are_balanced() {
        for (sizes, parts) in (0..40).flat_map(|size| (1..50).map(move |parts| ([size, 16, 3], parts))) {
            let step = sizes.map(|size| (0..size).map(|row| row * 7 % 41).collect::<Vec<usize>>());
            let split = split(&step, parts);
            assert_eq!(split.concat(), step.concat());
            let most = step.iter().map(|rows| rows.len().div_ceil(parts)).max().unwrap_or(0);
            assert!(split.iter().all(|part| !part.is_empty() && part.len() <= most), "{sizes:?} in {parts}: {split:?}");
            assert_eq!(split.len(), sizes.map(|size| size.min(parts)).iter().sum::<usize>());
        }
    }
}
