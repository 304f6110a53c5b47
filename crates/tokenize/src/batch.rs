//! Sequences packed for the model: token ids end to end, with no padding between them.

/// Sequences laid end to end. `B` sequences hold `T` tokens together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Token ids of all sequences, one after the other. `[T]`
    pub input_ids: Vec<i64>,
    /// Where each sequence starts, and at last `T`: sequence `i` is `input_ids[cu_seqlens[i]..cu_seqlens[i + 1]]`. `[B + 1]`
    pub cu_seqlens: Vec<i64>,
    /// Label of each sequence, -1 where it has none. `[B]`
    pub labels: Vec<i64>,
}

impl Batch {
    pub fn from_ids(sequences: &[&[u32]]) -> Self {
        let tokens = sequences.iter().map(|ids| ids.len()).sum();
        let mut input_ids = Vec::with_capacity(tokens);
        let mut cu_seqlens = Vec::with_capacity(sequences.len() + 1);
        cu_seqlens.push(0);
        for ids in sequences {
            input_ids.extend(ids.iter().map(|&id| i64::from(id)));
            cu_seqlens.push(input_ids.len() as i64);
        }
        Self { input_ids, cu_seqlens, labels: vec![-1; sequences.len()] }
    }

    pub fn len(&self) -> usize {
        self.labels.len()
    }

    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    pub fn tokens(&self) -> usize {
        self.input_ids.len()
    }
}

/// Batches for evaluation and prediction: all rows, longest first, rows of one length in their order.
///
/// # Panics
/// If `batch_size` is 0.
pub fn sequential_batches(token_counts: &[u32], batch_size: usize) -> Vec<Vec<usize>> {
    assert!(batch_size > 0, "batch_size must be at least 1");
    let mut rows: Vec<usize> = (0..token_counts.len()).collect();
    rows.sort_by_key(|&row| std::cmp::Reverse(token_counts[row]));
    rows.chunks(batch_size).map(<[usize]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn evaluation_goes_from_long_to_short(counts in prop::collection::vec(1u32..50, 0..200), batch_size in 1usize..20) {
            let order = sequential_batches(&counts, batch_size).concat();
            prop_assert_eq!(order.len(), counts.len());
            let descending = order.windows(2).all(|pair| (counts[pair[1]], pair[0]) <= (counts[pair[0]], pair[1])
                || counts[pair[0]] > counts[pair[1]]);
            prop_assert!(descending);
        }
    }

    #[test]
    fn sequences_are_concatenated() {
        let batch = Batch::from_ids(&[&[101, 2023, 102], &[101, 102], &[101, 7, 8, 9, 102]]);
        assert_eq!(batch.input_ids, [101, 2023, 102, 101, 102, 101, 7, 8, 9, 102]);
        assert_eq!(batch.cu_seqlens, [0, 3, 5, 10]);
        assert_eq!(batch.labels, [-1, -1, -1]);
        assert_eq!((batch.len(), batch.tokens()), (3, 10));
    }

    #[test]
    fn an_empty_batch_is_allowed() {
        let batch = Batch::from_ids(&[]);
        assert!(batch.is_empty());
        assert_eq!(batch.cu_seqlens, [0]);
    }
}
