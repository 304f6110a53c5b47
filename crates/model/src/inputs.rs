//! A token-packed batch on its device: sentences one after another, no padding.
//!
//! Only attention needs sentences apart. For it, the packed rows are spread to `[B, S]` slots and gathered back; both
//! directions are index lists made here once a batch.

use tch::{Device, Tensor};

/// One batch of single sentences.
#[derive(Debug)]
pub struct Inputs {
    /// `[T]` int64.
    pub(crate) input_ids: Tensor,
    /// `[T]` int64: 0, 1, 2, … in each sentence.
    pub(crate) position_ids: Tensor,
    /// `[B]` int64: where each sentence's `[CLS]` lies among the packed tokens.
    pub(crate) cls_rows: Tensor,
    /// `[U]` int64: the distinct token ids, ascending.
    pub(crate) unique_ids: Tensor,
    /// `[T]` int64: position of each token's id in `unique_ids`.
    pub(crate) unique_inverse: Tensor,
    pub(crate) padding: Padding,
}

/// How packed rows map to `[B, S]` slots and back.
#[derive(Debug)]
pub(crate) struct Padding {
    pub(crate) batch: i64,
    pub(crate) longest: i64,
    /// `None` where every sentence is equally long and the slots are the rows.
    ragged: Option<Ragged>,
}

#[derive(Debug)]
struct Ragged {
    /// `[B * S]` int64: the packed row of each slot; slots past a sentence's end name its last token.
    row_of_slot: Tensor,
    /// `[T]` int64: the slot of each packed row.
    slot_of_row: Tensor,
    /// `[B, 1, 1, S]` bool: true where a slot holds a token.
    is_token: Tensor,
}

impl Inputs {
    /// Moves a packed batch to `device`.
    ///
    /// `input_ids` holds the `T` tokens of all sentences; sentence `b` is `cu_seqlens[b]..cu_seqlens[b + 1]`.
    ///
    /// # Panics
    /// If `cu_seqlens` does not start at 0, rise strictly and end at `input_ids.len()`: the batch was built wrongly.
    pub fn new(input_ids: &[i64], cu_seqlens: &[i64], device: Device) -> Self {
        assert!(
            cu_seqlens.first() == Some(&0)
                && cu_seqlens.last() == Some(&(input_ids.len() as i64))
                && cu_seqlens.windows(2).all(|pair| pair[0] < pair[1]),
            "cu_seqlens {cu_seqlens:?} does not cut {} tokens into sentences",
            input_ids.len()
        );
        let position_ids: Vec<i64> = cu_seqlens.windows(2).flat_map(|pair| 0..pair[1] - pair[0]).collect();
        let mut unique_ids = input_ids.to_vec();
        unique_ids.sort_unstable();
        unique_ids.dedup();
        // Every id is in the list, so the search always succeeds; `partition_point` says the same without a branch.
        let inverse: Vec<i64> =
            input_ids.iter().map(|id| unique_ids.partition_point(|other| other < id) as i64).collect();
        let to_device = |list: &[i64]| Tensor::from_slice(list).to_device(device);
        Self {
            input_ids: to_device(input_ids),
            position_ids: to_device(&position_ids),
            cls_rows: to_device(&cu_seqlens[..cu_seqlens.len() - 1]),
            unique_ids: to_device(&unique_ids),
            unique_inverse: to_device(&inverse),
            padding: Padding::new(cu_seqlens, device),
        }
    }

    /// `B`: number of sentences.
    pub fn batch_size(&self) -> i64 {
        self.padding.batch
    }

    /// `T`: number of tokens.
    pub fn token_count(&self) -> i64 {
        self.input_ids.size()[0]
    }

    /// `S`: tokens in the longest sentence.
    pub fn max_seqlen(&self) -> i64 {
        self.padding.longest
    }
}

impl Padding {
    fn new(cu_seqlens: &[i64], device: Device) -> Self {
        let lengths = || cu_seqlens.windows(2).map(|pair| pair[1] - pair[0]);
        let batch = cu_seqlens.len() as i64 - 1;
        let longest = lengths().max().unwrap_or(0);
        if lengths().all(|length| length == longest) {
            return Self { batch, longest, ragged: None };
        }
        let slots = || (0..batch).flat_map(|sentence| (0..longest).map(move |slot| (sentence as usize, slot)));
        let row_of_slot: Vec<i64> =
            slots().map(|(b, slot)| (cu_seqlens[b] + slot).min(cu_seqlens[b + 1] - 1)).collect();
        let is_token: Vec<bool> = slots().map(|(b, slot)| slot < cu_seqlens[b + 1] - cu_seqlens[b]).collect();
        let slot_of_row: Vec<i64> = (0..batch)
            .zip(lengths())
            .flat_map(|(sentence, length)| (0..length).map(move |slot| sentence * longest + slot))
            .collect();
        let ragged = Ragged {
            row_of_slot: Tensor::from_slice(&row_of_slot).to_device(device),
            slot_of_row: Tensor::from_slice(&slot_of_row).to_device(device),
            is_token: Tensor::from_slice(&is_token).view([batch, 1, 1, longest]).to_device(device),
        };
        Self { batch, longest, ragged: Some(ragged) }
    }

    /// `[T, W]` to `[B * S, W]`. Slots past a sentence's end repeat its last row: finite, and masked by the caller.
    pub(crate) fn pad(&self, packed: &Tensor) -> Tensor {
        match &self.ragged {
            None => packed.shallow_clone(),
            Some(ragged) => packed.index_select(0, &ragged.row_of_slot),
        }
    }

    /// `[T, W]` to `[B * S, W]` with zeros past each sentence's end: the adjoint of [`unpad`](Self::unpad).
    pub(crate) fn pad_with_zeros(&self, packed: &Tensor) -> Tensor {
        match &self.ragged {
            None => packed.shallow_clone(),
            Some(ragged) => packed
                .new_zeros([self.batch * self.longest, packed.size()[1]], (packed.kind(), packed.device()))
                .index_copy_(0, &ragged.slot_of_row, packed),
        }
    }

    /// `[B * S, W]` to `[T, W]`.
    pub(crate) fn unpad(&self, padded: &Tensor) -> Tensor {
        match &self.ragged {
            None => padded.shallow_clone(),
            Some(ragged) => padded.index_select(0, &ragged.slot_of_row),
        }
    }

    /// `[B, 1, 1, S]`, true where a slot holds a token; `None` where all do.
    pub(crate) fn key_mask(&self) -> Option<&Tensor> {
        self.ragged.as_ref().map(|ragged| &ragged.is_token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(tensor: &Tensor) -> Vec<i64> {
        Vec::try_from(tensor.flatten(0, -1)).expect("int64")
    }

    #[test]
    fn literal_batch() {
        let inputs = Inputs::new(&[7, 5, 9, 7, 9, 9], &[0, 1, 4, 6], Device::Cpu);
        assert_eq!((inputs.batch_size(), inputs.token_count(), inputs.max_seqlen()), (3, 6, 3));
        assert_eq!(list(&inputs.position_ids), [0, 0, 1, 2, 0, 1]);
        assert_eq!(list(&inputs.cls_rows), [0, 1, 4]);
        assert_eq!(list(&inputs.unique_ids), [5, 7, 9]);
        assert_eq!(list(&inputs.unique_inverse), [1, 0, 2, 1, 2, 2]);

        let packed = Tensor::from_slice(&[10i64, 20, 21, 22, 30, 31]).view([6, 1]);
        let padded = inputs.padding.pad(&packed);
        assert_eq!(list(&padded), [10, 10, 10, 20, 21, 22, 30, 31, 31]);
        assert_eq!(list(&inputs.padding.pad_with_zeros(&packed)), [10, 0, 0, 20, 21, 22, 30, 31, 0]);
        assert_eq!(list(&inputs.padding.unpad(&padded)), list(&packed));
        let mask: Vec<bool> = Vec::try_from(inputs.padding.key_mask().expect("ragged").flatten(0, -1)).expect("bool");
        assert_eq!(mask, [true, false, false, true, true, true, true, true, false]);
    }

    #[test]
    fn equally_long_sentences_need_no_mask() {
        let inputs = Inputs::new(&[1, 2, 3, 4], &[0, 2, 4], Device::Cpu);
        assert!(inputs.padding.key_mask().is_none());
    }

    #[test]
    #[should_panic(expected = "does not cut 2 tokens into sentences")]
    fn a_wrongly_cut_batch_is_a_bug() {
        let _ = Inputs::new(&[1, 2], &[0, 2, 2], Device::Cpu);
    }
}
