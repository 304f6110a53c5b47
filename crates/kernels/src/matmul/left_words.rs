//! The left matrix of a product as words.

use super::pack::{Interleaving, WordMatrix};
use super::{Factor, Matrix};
use crate::isa::Isa;
use crate::parallel::{self, SharedSlice};

/// The words of `matrix`: where they are, or in `scratch` if neighbors along `k` are not neighbors in memory.
pub(super) fn words_of_rows<'a, T: Factor>(
    matrix: Matrix<'a, T>,
    scratch: &'a mut Vec<u32>,
    isa: Isa,
) -> WordMatrix<'a> {
    let Matrix { values, rows, columns, row_major } = matrix;
    let words = columns.div_ceil(T::PER_WORD);
    let (row_stride, stride) = if row_major { (words, 1) } else { (1, rows) };
    if T::PER_WORD == 1 || (row_major && columns.is_multiple_of(T::PER_WORD)) {
        // SAFETY: every bit of an fp32 or bf16 is a byte's; the bytes are borrowed as long as the values.
        let bytes = unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) };
        return WordMatrix { bytes, rows, words, row_stride, stride };
    }
    if scratch.len() < rows * words {
        scratch.resize(rows * words, 0);
    }
    let to = &mut scratch[..rows * words];
    if row_major {
        // An odd number of columns, which the sizes of a transformer's layers never are.
        for (from, to) in values.chunks_exact(columns).zip(to.chunks_exact_mut(words)) {
            for (to, from) in to.iter_mut().zip(from.chunks(T::PER_WORD)) {
                *to = T::word(from[0], from.get(1).copied().unwrap_or_default());
            }
        }
    } else {
        let shared = SharedSlice::new(to);
        parallel::for_each_index(words, |word| {
            // SAFETY: no other job has this row of words.
            let to = unsafe { shared.slice(word * rows, rows) };
            let from = &values[word * T::PER_WORD * rows..];
            T::interleave(Interleaving { first: &from[..rows], second: from.get(rows..2 * rows), to }, isa);
        });
    }
    // SAFETY: every bit of a u32 is a byte's; the bytes are borrowed as long as the words.
    let bytes = unsafe { std::slice::from_raw_parts(scratch.as_ptr().cast(), rows * words * size_of::<u32>()) };
    WordMatrix { bytes, rows, words, row_stride, stride }
}
