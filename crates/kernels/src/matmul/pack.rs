//! Copies rows of a matrix into the order in which a product reads them, in words.

use super::Matrix;
use super::word_format::WordFormat;
use crate::isa::{AVX512, LANES, Supported};
use crate::multiversion;

/// A left matrix in words: word `k` of row `i` is the 32 bits at word `i * row_stride + k * stride`.
#[derive(Debug, Clone, Copy)]
pub(super) struct WordMatrix<'a> {
    /// All words, which need no alignment.
    pub(super) bytes: &'a [u8],
    pub(super) rows: usize,
    /// The words of a row.
    pub(super) words: usize,
    pub(super) row_stride: usize,
    pub(super) stride: usize,
}

/// Two rows of neighbors along `k`, the second one zeros if there is none, and their words.
pub struct Interleaving<'a, T> {
    pub(super) first: &'a [T],
    pub(super) second: Option<&'a [T]>,
    pub(super) to: &'a mut [u32],
}

multiversion!(pub(super) fn interleave<T: WordFormat>(Interleaving<'_, T>) = interleave_inline);

#[inline(always)]
fn interleave_inline<T: WordFormat, const ISA: u8>(job: Interleaving<T>, _: Supported<ISA>) {
    let Interleaving { first, second, to } = job;
    match second {
        Some(second) => {
            for ((to, first), second) in to.iter_mut().zip(first).zip(second) {
                *to = T::word(*first, *second);
            }
        }
        None => {
            for (to, first) in to.iter_mut().zip(first) {
                *to = T::word(*first, T::default());
            }
        }
    }
}

/// Rows `first` to `first + width` in the words `words.0..words.1`, as `to`: `[words, width]`. Rows beyond the matrix are
/// zeros.
pub struct PackJob<'a, T> {
    pub(super) matrix: Matrix<'a, T>,
    pub(super) first: usize,
    pub(super) width: usize,
    pub(super) words: (usize, usize),
    pub(super) to: &'a mut [u32],
}

multiversion!(pub(super) fn pack<T: WordFormat>(PackJob<'_, T>) = pack_inline);

#[inline(always)]
pub(super) fn pack_inline<T: WordFormat, const ISA: u8>(job: PackJob<T>, supported: Supported<ISA>) {
    // The widths of panels as constants, so that copying a row is a few instructions.
    match job.width {
        16 => pack_of_width::<T, ISA, 16>(job, supported),
        64 => pack_of_width::<T, ISA, 64>(job, supported),
        width => panic!("no panel is {width} wide"),
    }
}

#[inline(always)]
fn pack_of_width<T: WordFormat, const ISA: u8, const WIDTH: usize>(job: PackJob<T>, supported: Supported<ISA>) {
    let PackJob { matrix, first, words: (start, end), to, .. } = job;
    let rows = matrix.rows.saturating_sub(first).min(WIDTH);
    let to = &mut to.as_chunks_mut::<WIDTH>().0[..end - start];
    if !matrix.row_major {
        for (word, to) in (start..end).zip(to) {
            let from = &matrix.values[word * T::PER_WORD * matrix.rows + first..];
            // The next row along `k`, if a word has two and it is not beyond the matrix.
            let has_second = T::PER_WORD == 2 && 2 * word + 1 < matrix.columns;
            let second = has_second.then(|| &from[matrix.rows..]);
            match (from.first_chunk::<WIDTH>(), second.map(|second| second.first_chunk::<WIDTH>())) {
                (Some(first), None) if rows == WIDTH => {
                    interleave_inline(Interleaving { first, second: None, to }, supported);
                }
                (Some(first), Some(Some(second))) if rows == WIDTH => {
                    interleave_inline(Interleaving { first, second: Some(second), to }, supported);
                }
                _ => {
                    let second = second.map(|second| &second[..rows]);
                    interleave_inline(Interleaving { first: &from[..rows], second, to: &mut to[..rows] }, supported);
                    to[rows..].fill(0);
                }
            }
        }
        return;
    }
    let from = &matrix.values[first * matrix.columns..][..rows * matrix.columns];
    #[cfg(target_arch = "x86_64")]
    if ISA == AVX512 && matrix.columns.is_multiple_of(T::PER_WORD) {
        let stride = matrix.columns / T::PER_WORD;
        // SAFETY: a `Supported<AVX512>` is there, so the processor has AVX-512; `from` has `rows` rows of `stride` words,
        // and `to` has `end - start` rows of `WIDTH`, with `rows <= WIDTH`.
        return unsafe {
            avx512::transpose(from.as_ptr().cast(), (rows, stride), (start, end), to.as_flattened_mut(), WIDTH)
        };
    }
    for (word, to) in (start..end).zip(to) {
        for (row, to) in to[..rows].iter_mut().enumerate() {
            let from = &from[row * matrix.columns..][..matrix.columns];
            let second = (T::PER_WORD == 2).then(|| from.get(2 * word + 1).copied()).flatten();
            *to = T::word(from[word * T::PER_WORD], second.unwrap_or_default());
        }
        to[rows..].fill(0);
    }
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::{
        _MM_HINT_T0, _mm_prefetch, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_setzero_ps,
    };

    use super::LANES;
    use crate::product::avx512::transposed;

    /// Columns `start` to `end` of `[rows, stride]`, to `[end - start, width]`; the columns beyond `rows` become zeros.
    ///
    /// # Safety
    /// The processor has AVX-512, `from` points to `rows` rows of `stride` words, of any alignment, with `end <= stride`, and
    /// `to` has at least its size.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn transpose(
        from: *const f32,
        (rows, stride): (usize, usize),
        (start, end): (usize, usize),
        to: &mut [u32],
        width: usize,
    ) {
        let lanes = |count: usize| ((1_u32 << count.min(LANES)) - 1) as u16;
        // A few rows at a time, so that the processor fetches what comes next of each.
        for row in (0..width).step_by(LANES) {
            let stored = lanes(width - row);
            for k in (start..end).step_by(LANES) {
                let loaded = lanes(end - k);
                let mut block = [_mm512_setzero_ps(); LANES];
                for (i, values) in block.iter_mut().enumerate().take(rows.saturating_sub(row)) {
                    // The same place of the rows after these, which are read when these are done.
                    _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add((row + LANES + i) * stride + k).cast());
                    // SAFETY: row + i < rows, and the mask leaves out the columns from `end` on.
                    *values = unsafe { _mm512_maskz_loadu_ps(loaded, from.add((row + i) * stride + k)) };
                }
                for (i, values) in transposed(block).iter().enumerate().take(end - k) {
                    let at = (k - start + i) * width + row;
                    // SAFETY: k + i < end, and the mask leaves out what is not of this row of `to`.
                    unsafe { _mm512_mask_storeu_ps(to.as_mut_ptr().add(at).cast(), stored, *values) };
                }
            }
        }
    }
}
