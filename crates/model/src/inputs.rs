//! A token-packed batch on its device: sentences one after another, no padding.
//!
//! The CPU kernels read the packed batch directly. On other devices attention needs padded sentences: the packed rows
//! are copied to `[B, S]` slots and back, by index tensors that are created here on first use.

use std::cell::OnceCell;

use kernels::rows::Groups;
use tch::{Device, Tensor};

/// On a CPU the number of packed rows is rounded up to a multiple of this. Matrix products with an odd number of rows
/// are a tenth slower, and for a size that occurred before oneDNN doesn't have to generate code again.
pub(crate) const ROW_BLOCK: usize = 16;

/// One batch of single sentences.
#[derive(Debug)]
pub struct Inputs {
    device: Device,
    /// `[R]`, of which the first `T` are tokens and the rest is padding for faster products ([`ROW_BLOCK`]): id 0 at
    /// position 0. The padding belongs to no sentence: its attention output and its gradients are zero.
    pub(crate) input_ids: Vec<i64>,
    /// `[R]`: 0, 1, 2, … in each sentence.
    pub(crate) position_ids: Vec<i64>,
    /// `[B]` int64: the row of each sentence's `[CLS]` among the packed tokens.
    pub(crate) cls_rows: Tensor,
    /// `[U]` int64: the distinct token ids, ascending.
    pub(crate) unique_ids: Tensor,
    /// `[T]`: position of each token's id in `unique_ids`.
    unique_inverse: Vec<usize>,
    cu_seqlens: Vec<usize>,
    /// `0, 1, …, B`: the `cu_seqlens` of sentences with one row each.
    cu_cls: Vec<usize>,
    max_seqlen: usize,
    indices: OnceCell<Indices>,
    padding: OnceCell<Padding>,
}

/// Which rows a layer computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowSelection {
    /// All `T` tokens.
    All,
    /// The `B` rows of `[CLS]`.
    Cls,
}

/// Indices as tensors, for devices that the kernels don't support.
#[derive(Debug)]
pub(crate) struct Indices {
    /// `[T]` int64 each.
    pub(crate) input_ids: Tensor,
    pub(crate) position_ids: Tensor,
    pub(crate) unique_inverse: Tensor,
}

/// How packed rows map to `[B, S]` slots and back.
#[derive(Debug)]
pub(crate) struct Padding {
    pub(crate) batch: i64,
    pub(crate) max_seqlen: i64,
    /// `None` if all sentences have the same length, so that the slots are the rows.
    ragged: Option<Ragged>,
}

#[derive(Debug)]
struct Ragged {
    /// `[B * S]` int64: the packed row of each slot; slots past a sentence's end refer to its last token.
    row_of_slot: Tensor,
    /// `[T]` int64: the slot of each packed row.
    slot_of_row: Tensor,
    /// `[B, 1, 1, S]` bool: true where a slot holds a token.
    is_token: Tensor,
}

impl Inputs {
    /// A packed batch for a model on `device`.
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
            "cu_seqlens {cu_seqlens:?} does not divide {} tokens into sentences",
            input_ids.len()
        );
        let mut unique_ids = input_ids.to_vec();
        unique_ids.sort_unstable();
        unique_ids.dedup();
        // Every id is in the list, so `partition_point` finds its index; unlike `binary_search` it needs no branch.
        let position = |id: &i64| unique_ids.partition_point(|other| other < id);
        let to_device = |list: &[i64]| Tensor::from_slice(list).to_device(device);
        let rows = if device == Device::Cpu { input_ids.len().next_multiple_of(ROW_BLOCK) } else { input_ids.len() };
        let pad_to_rows = |list: &mut Vec<i64>| list.resize(rows, 0);
        let (mut padded_ids, mut position_ids) = (input_ids.to_vec(), Vec::with_capacity(rows));
        position_ids.extend(cu_seqlens.windows(2).flat_map(|pair| 0..pair[1] - pair[0]));
        pad_to_rows(&mut padded_ids);
        pad_to_rows(&mut position_ids);
        Self {
            device,
            input_ids: padded_ids,
            position_ids,
            cls_rows: to_device(&cu_seqlens[..cu_seqlens.len() - 1]),
            unique_inverse: input_ids.iter().map(position).collect(),
            unique_ids: to_device(&unique_ids),
            cu_seqlens: cu_seqlens.iter().map(|&start| start as usize).collect(),
            cu_cls: (0..cu_seqlens.len()).collect(),
            max_seqlen: cu_seqlens.windows(2).map(|pair| (pair[1] - pair[0]) as usize).max().unwrap_or(0),
            indices: OnceCell::new(),
            padding: OnceCell::new(),
        }
    }

    /// `B`: number of sentences.
    pub fn batch_size(&self) -> i64 {
        self.cu_seqlens.len() as i64 - 1
    }

    /// `T`: number of tokens.
    pub fn token_count(&self) -> i64 {
        self.unique_inverse.len() as i64
    }

    /// `R`: number of rows, including padding.
    pub(crate) fn row_count(&self) -> i64 {
        self.input_ids.len() as i64
    }

    /// `S`: tokens in the longest sentence.
    pub fn max_seqlen(&self) -> i64 {
        self.max_seqlen as i64
    }

    /// The first row of each sentence among the selected rows, and the end of the last one.
    pub(crate) fn cu_seqlens_of(&self, rows: RowSelection) -> &[usize] {
        match rows {
            RowSelection::All => &self.cu_seqlens,
            RowSelection::Cls => &self.cu_cls,
        }
    }

    /// The tokens of each of `unique_ids`.
    pub(crate) fn tokens_by_id(&self) -> Groups {
        Groups::new(&self.unique_inverse, self.unique_ids.numel())
    }

    /// The tokens at each position, of `positions` in the embedding table.
    pub(crate) fn tokens_by_position(&self, positions: usize) -> Groups {
        let tokens = &self.position_ids[..self.unique_inverse.len()];
        let group_of: Vec<usize> = tokens.iter().map(|&position| position as usize).collect();
        Groups::new(&group_of, positions)
    }

    pub(crate) fn indices(&self) -> &Indices {
        self.indices.get_or_init(|| {
            let to_device = |list: &[i64]| Tensor::from_slice(list).to_device(self.device);
            let inverse: Vec<i64> = self.unique_inverse.iter().map(|&index| index as i64).collect();
            Indices {
                input_ids: to_device(&self.input_ids[..inverse.len()]),
                position_ids: to_device(&self.position_ids[..inverse.len()]),
                unique_inverse: to_device(&inverse),
            }
        })
    }

    pub(crate) fn padding(&self) -> &Padding {
        self.padding.get_or_init(|| {
            let cu_seqlens: Vec<i64> = self.cu_seqlens.iter().map(|&start| start as i64).collect();
            Padding::new(&cu_seqlens, self.device)
        })
    }
}

impl Padding {
    fn new(cu_seqlens: &[i64], device: Device) -> Self {
        let lengths = || cu_seqlens.windows(2).map(|pair| pair[1] - pair[0]);
        let batch = cu_seqlens.len() as i64 - 1;
        let max_seqlen = lengths().max().unwrap_or(0);
        if lengths().all(|length| length == max_seqlen) {
            return Self { batch, max_seqlen, ragged: None };
        }
        let slots = || (0..batch).flat_map(|sentence| (0..max_seqlen).map(move |slot| (sentence as usize, slot)));
        let row_of_slot: Vec<i64> =
            slots().map(|(b, slot)| (cu_seqlens[b] + slot).min(cu_seqlens[b + 1] - 1)).collect();
        let is_token: Vec<bool> = slots().map(|(b, slot)| slot < cu_seqlens[b + 1] - cu_seqlens[b]).collect();
        let slot_of_row: Vec<i64> = (0..batch)
            .zip(lengths())
            .flat_map(|(sentence, length)| (0..length).map(move |slot| sentence * max_seqlen + slot))
            .collect();
        let ragged = Ragged {
            row_of_slot: Tensor::from_slice(&row_of_slot).to_device(device),
            slot_of_row: Tensor::from_slice(&slot_of_row).to_device(device),
            is_token: Tensor::from_slice(&is_token).view([batch, 1, 1, max_seqlen]).to_device(device),
        };
        Self { batch, max_seqlen, ragged: Some(ragged) }
    }

    /// `[T, W]` to `[B * S, W]`. Slots past a sentence's end repeat its last row: finite, and masked by the caller.
    pub(crate) fn pad(&self, packed: &Tensor) -> Tensor {
        match &self.ragged {
            None => packed.narrow(0, 0, self.batch * self.max_seqlen),
            Some(ragged) => packed.index_select(0, &ragged.row_of_slot),
        }
    }

    /// `[T, W]` to `[B * S, W]` with zeros past each sentence's end: the adjoint of [`unpad`](Self::unpad).
    pub(crate) fn pad_with_zeros(&self, packed: &Tensor) -> Tensor {
        match &self.ragged {
            None => packed.shallow_clone(),
            Some(ragged) => packed
                .new_zeros([self.batch * self.max_seqlen, packed.size()[1]], (packed.kind(), packed.device()))
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
        assert_eq!(inputs.row_count(), 16);
        assert_eq!(inputs.position_ids, [0, 0, 1, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(list(&inputs.indices().position_ids), [0, 0, 1, 2, 0, 1]);
        assert_eq!(
            (inputs.cu_seqlens_of(RowSelection::All), inputs.cu_seqlens_of(RowSelection::Cls)),
            (&[0, 1, 4, 6][..], &[0, 1, 2, 3][..])
        );
        assert_eq!(list(&inputs.cls_rows), [0, 1, 4]);
        assert_eq!(list(&inputs.unique_ids), [5, 7, 9]);
        assert_eq!(list(&inputs.indices().unique_inverse), [1, 0, 2, 1, 2, 2]);
        assert_eq!(inputs.tokens_by_id(), Groups::new(&[1, 0, 2, 1, 2, 2], 3));
        assert_eq!(inputs.tokens_by_position(4), Groups::new(&[0, 0, 1, 2, 0, 1], 4));

        let packed = Tensor::from_slice(&[10i64, 20, 21, 22, 30, 31]).view([6, 1]);
        let padded = inputs.padding().pad(&packed);
        assert_eq!(list(&padded), [10, 10, 10, 20, 21, 22, 30, 31, 31]);
        assert_eq!(list(&inputs.padding().pad_with_zeros(&packed)), [10, 0, 0, 20, 21, 22, 30, 31, 0]);
        assert_eq!(list(&inputs.padding().unpad(&padded)), list(&packed));
        let mask: Vec<bool> = Vec::try_from(inputs.padding().key_mask().expect("ragged").flatten(0, -1)).expect("bool");
        assert_eq!(mask, [true, false, false, true, true, true, true, true, false]);
    }

    #[test]
    fn equally_long_sentences_need_no_mask() {
        let inputs = Inputs::new(&[1, 2, 3, 4], &[0, 2, 4], Device::Cpu);
        assert!(inputs.padding().key_mask().is_none());
    }

    #[test]
    #[should_panic(expected = "does not divide 2 tokens into sentences")]
    fn invalid_cu_seqlens_panic() {
        let _ = Inputs::new(&[1, 2], &[0, 2, 2], Device::Cpu);
    }
}
