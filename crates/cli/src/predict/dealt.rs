//! Predictions of a chunk of texts by several processes.
//!
//! Rank 0 reads the rows and writes the results, as a single process does. It sends the token ids of each chunk to the others;
//! each process computes its share of the chunk's batches, and the sum over all processes is the chunk. So the other processes
//! need neither the input nor the output, memory does not depend on the number of rows, and whatever is written is written in
//! order, by one process. The batches are those that one process would make, so that no digit differs from its result.

use ::predict::{Prediction, Predictor};
use anyhow::{Context, Result};
use collective::{Collective, FIRST};

/// Labels texts together with the other processes, which [`compute_shares`]. Called by rank 0 alone.
///
/// # Errors
/// A text that the tokenizer rejects; a process that is lost; a text that was not labeled by exactly one process.
pub(super) fn predict(predictor: &Predictor, texts: &[&str], ranks: &dyn Collective) -> Result<Vec<Prediction>> {
    if ranks.world() == 1 {
        return Ok(predictor.predict(texts)?);
    }
    predictor.predict_by(texts, |ids| {
        // An empty message would be the end.
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        ranks.broadcast_message(&message_of(ids))?;
        probabilities(predictor, ids, ranks)
    })
}

/// Computes this process's shares of what rank 0 labels, until that has all it wants. Called by all other processes.
///
/// # Errors
/// A process that is lost; scores that can't be read from the device.
pub(super) fn compute_shares(predictor: &Predictor, ranks: &dyn Collective) -> Result<()> {
    loop {
        let message = ranks.broadcast_message(&[])?;
        if message.is_empty() {
            return Ok(());
        }
        let texts = texts_of(&message).with_context(|| format!("damaged texts from {}", ranks.describe(FIRST)))?;
        probabilities(predictor, &texts.iter().map(Vec::as_slice).collect::<Vec<_>>(), ranks)?;
    }
}

/// Tells the other processes that there is nothing more to label. Called by rank 0, when its results are complete: a process
/// that is lost now is missed by no one.
pub(super) fn end(ranks: &dyn Collective) {
    let _ = ranks.broadcast_message(&[]);
}

/// The probabilities of all texts, of which each process computes every `world`th batch. They come long texts first, so that
/// the shares are alike.
fn probabilities(predictor: &Predictor, ids: &[&[u32]], ranks: &dyn Collective) -> Result<Vec<Vec<f32>>> {
    let own = predictor.probabilities(ids, |batch| batch % ranks.world() == ranks.rank())?;
    Ok(ranks.complete_rows(own, predictor.label_names().len())?)
}

/// How many texts there are, the number of ids of each, and all ids; as little-endian numbers of 32 bits.
fn message_of(texts: &[&[u32]]) -> Vec<u8> {
    let lengths = texts.iter().map(|ids| ids.len() as u32);
    let numbers =
        std::iter::once(texts.len() as u32).chain(lengths).chain(texts.iter().flat_map(|ids| ids.iter().copied()));
    numbers.flat_map(u32::to_le_bytes).collect()
}

fn texts_of(message: &[u8]) -> Option<Vec<Vec<u32>>> {
    let mut numbers = message.chunks_exact(4).map(|bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
    let texts = numbers.next()? as usize;
    let lengths: Vec<usize> = numbers.by_ref().take(texts).map(|length| length as usize).collect();
    let whole = lengths.len() == texts && message.len() == 4 * (1 + texts + lengths.iter().sum::<usize>());
    whole.then(|| lengths.iter().map(|length| numbers.by_ref().take(*length).collect()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_sent_as_they_are() {
        for texts in [vec![], vec![vec![101, 102]], vec![vec![101, 7, u32::MAX, 102], vec![], vec![101, 102]]] {
            let message = message_of(&texts.iter().map(Vec::as_slice).collect::<Vec<_>>());
            assert_eq!(texts_of(&message), Some(texts));
            assert_eq!(texts_of(&message[..message.len() - 1]), None);
            assert_eq!(texts_of(&[&message[..], &[0; 4]].concat()), None);
        }
    }
}
