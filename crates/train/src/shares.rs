//! Which part of a batch each process computes.
//!
//! A batch is what one process would compute. Each rank has a share of it: sentences that follow each other, so that the
//! ranks' sums are sums of parts of it, with about the same number of tokens, so that none waits for long. The shares are a
//! function of the batch alone; with fewer sentences than ranks some are empty.

use std::ops::Range;

use model::FirstRows;
use tokenize::Batch;

/// A part of a batch, and where it begins there.
#[derive(Debug)]
pub(crate) struct BatchShare {
    pub(crate) batch: Batch,
    pub(crate) first: FirstRows,
}

impl BatchShare {
    /// The share of `rank` of `world`.
    pub(crate) fn of(batch: &Batch, rank: usize, world: usize) -> Self {
        let sentences = range(&batch.cu_seqlens, rank, world);
        let start = batch.cu_seqlens[sentences.start];
        let tokens = start as usize..batch.cu_seqlens[sentences.end] as usize;
        let first = FirstRows { token: start as u64, sentence: sentences.start as u64 };
        let cu_seqlens = batch.cu_seqlens[sentences.start..=sentences.end].iter().map(|end| end - start).collect();
        let (input_ids, labels) = (batch.input_ids[tokens].to_vec(), batch.labels[sentences].to_vec());
        Self { batch: Batch { input_ids, cu_seqlens, labels }, first }
    }
}

/// The sentences of `rank`: each boundary between two ranks is the end of a sentence that is nearest to an equal share of
/// the tokens.
fn range(cu_seqlens: &[i64], rank: usize, world: usize) -> Range<usize> {
    let total = cu_seqlens[cu_seqlens.len() - 1];
    let boundary = |part: usize| -> usize {
        let target = total * part as i64 / world as i64;
        let after = cu_seqlens.partition_point(|&end| end < target);
        match after.checked_sub(1) {
            Some(before) if target - cu_seqlens[before] <= cu_seqlens[after] - target => before,
            _ => after,
        }
    };
    let end = if rank + 1 == world { cu_seqlens.len() - 1 } else { boundary(rank + 1) };
    boundary(rank)..end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(lengths: &[usize]) -> Batch {
        let sentences: Vec<Vec<u32>> =
            lengths.iter().enumerate().map(|(row, length)| vec![row as u32; *length]).collect();
        let sentences: Vec<&[u32]> = sentences.iter().map(Vec::as_slice).collect();
        let mut batch = Batch::from_ids(&sentences);
        batch.labels = (0..lengths.len() as i64).collect();
        batch
    }

    #[test]
    fn shares_of_an_example() {
        let shares: Vec<BatchShare> = (0..2).map(|rank| BatchShare::of(&batch(&[3, 5, 1, 9]), rank, 2)).collect();
        assert_eq!(shares[0].batch.labels, [0, 1, 2]);
        assert_eq!(shares[0].first, FirstRows::default());
        assert_eq!(shares[1].batch.cu_seqlens, [0, 9]);
        assert_eq!(shares[1].batch.input_ids, [3; 9]);
        assert_eq!(shares[1].first, FirstRows { token: 9, sentence: 3 });
    }

    #[test]
    fn one_process_has_all_and_more_processes_than_sentences_have_nothing() {
        let whole = batch(&[4, 1]);
        assert_eq!(BatchShare::of(&whole, 0, 1).batch, whole);
        let sizes: Vec<usize> = (0..5).map(|rank| BatchShare::of(&whole, rank, 5).batch.len()).collect();
        assert_eq!(sizes.iter().sum::<usize>(), 2);
        assert!(sizes.contains(&0));
    }

    #[test]
    fn the_shares_make_up_the_batch() {
        for (sentences, world) in (1..40).flat_map(|sentences| (1..9).map(move |world| (sentences, world))) {
            let lengths: Vec<usize> = (0..sentences).map(|row| 1 + (row * 7919 + world) % 59).collect();
            let whole = batch(&lengths);
            let shares: Vec<BatchShare> = (0..world).map(|rank| BatchShare::of(&whole, rank, world)).collect();
            let ids: Vec<i64> = shares.iter().flat_map(|share| share.batch.input_ids.clone()).collect();
            let labels: Vec<i64> = shares.iter().flat_map(|share| share.batch.labels.clone()).collect();
            assert_eq!((&ids, &labels), (&whole.input_ids, &whole.labels));
            let longest = lengths.iter().max().copied().unwrap_or(0);
            for share in &shares {
                assert_eq!(share.batch.tokens() as i64, share.batch.cu_seqlens[share.batch.len()]);
                assert!(share.batch.tokens() <= whole.tokens() / world + longest + 1, "{lengths:?} on {world}");
            }
        }
    }
}
