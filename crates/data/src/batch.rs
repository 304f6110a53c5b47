//! Rows packed for the model: token ids end to end, with no padding between them.

use crate::error::DataError;
use crate::store::Examples;

/// Sequences laid end to end. `B` sequences hold `T` tokens together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Token ids of all sequences, one after the other. `[T]`
    pub input_ids: Vec<i64>,
    /// Where each sequence starts, and at last `T`: sequence `i` is `input_ids[cu_seqlens[i]..cu_seqlens[i + 1]]`. `[B + 1]`
    pub cu_seqlens: Vec<i64>,
    /// Label of each sequence, -1 where it has none. `[B]`
    pub labels: Vec<i64>,
    /// Row of each sequence in its split. `[B]`
    pub rows: Vec<usize>,
}

impl Batch {
    /// Packs `rows` of a split, in this order.
    ///
    /// # Errors
    /// A row that was damaged since it was written.
    ///
    /// # Panics
    /// If a row is not below `examples.len()`.
    pub fn gather(examples: &Examples, rows: &[usize]) -> Result<Self, DataError> {
        let sequences = rows.iter().map(|&row| examples.input_ids(row)).collect::<Result<Vec<_>, _>>()?;
        let labels = rows.iter().map(|&row| examples.label(row).map_or(-1, i64::from)).collect();
        Ok(Self { labels, rows: rows.to_vec(), ..Self::from_ids(&sequences) })
    }

    /// Packs unlabelled sequences; `rows` counts them from 0.
    pub fn from_ids(sequences: &[&[u32]]) -> Self {
        let tokens = sequences.iter().map(|ids| ids.len()).sum();
        let mut input_ids = Vec::with_capacity(tokens);
        let mut cu_seqlens = Vec::with_capacity(sequences.len() + 1);
        cu_seqlens.push(0);
        for ids in sequences {
            input_ids.extend(ids.iter().map(|&id| i64::from(id)));
            cu_seqlens.push(input_ids.len() as i64);
        }
        Self { input_ids, cu_seqlens, labels: vec![-1; sequences.len()], rows: (0..sequences.len()).collect() }
    }

    /// How many sequences there are: `B`.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no sequence.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many tokens there are: `T`.
    pub fn tokens(&self) -> usize {
        self.input_ids.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_lie_end_to_end() {
        let batch = Batch::from_ids(&[&[101, 2023, 102], &[101, 102], &[101, 7, 8, 9, 102]]);
        assert_eq!(batch.input_ids, [101, 2023, 102, 101, 102, 101, 7, 8, 9, 102]);
        assert_eq!(batch.cu_seqlens, [0, 3, 5, 10]);
        assert_eq!(batch.labels, [-1, -1, -1]);
        assert_eq!((batch.rows.as_slice(), batch.len(), batch.tokens()), ([0, 1, 2].as_slice(), 3, 10));
    }

    #[test]
    fn no_sequences_are_a_batch_too() {
        let batch = Batch::from_ids(&[]);
        assert!(batch.is_empty());
        assert_eq!(batch.cu_seqlens, [0]);
    }
}
