//! Copies some rows of a matrix into the order in which a product reads them.

use super::Matrix;
use crate::isa::{AVX512, LANES, Supported};
use crate::multiversion;

/// Rows `first` to `first + width` in the columns `columns.0..columns.1`, as `to`: `[columns, width]`. Rows beyond the
/// matrix are zeros.
pub(super) struct PackJob<'a> {
    pub(super) matrix: Matrix<'a>,
    pub(super) first: usize,
    pub(super) width: usize,
    pub(super) columns: (usize, usize),
    pub(super) to: &'a mut [f32],
}

multiversion!(pub(super) fn pack(PackJob<'_>) = pack_inline);

#[inline(always)]
pub(super) fn pack_inline<const ISA: u8>(job: PackJob, supported: Supported<ISA>) {
    // The widths of panels as constants, so that copying a row is a few instructions.
    match job.width {
        16 => pack_of_width::<ISA, 16>(job, supported),
        64 => pack_of_width::<ISA, 64>(job, supported),
        width => panic!("no panel is {width} wide"),
    }
}

#[inline(always)]
fn pack_of_width<const ISA: u8, const WIDTH: usize>(job: PackJob, _: Supported<ISA>) {
    let PackJob { matrix, first, columns: (start, end), to, .. } = job;
    let rows = matrix.rows.saturating_sub(first).min(WIDTH);
    let to = &mut to.as_chunks_mut::<WIDTH>().0[..end - start];
    if !matrix.row_major {
        for (k, to) in to.iter_mut().enumerate() {
            let from = &matrix.values[(start + k) * matrix.rows + first..];
            match from.first_chunk::<WIDTH>() {
                Some(from) if rows == WIDTH => *to = *from,
                _ => {
                    to[..rows].copy_from_slice(&from[..rows]);
                    to[rows..].fill(0.0);
                }
            }
        }
        return;
    }
    let (from, stride) = (&matrix.values[first * matrix.columns..][..rows * matrix.columns], matrix.columns);
    #[cfg(target_arch = "x86_64")]
    if ISA == AVX512 {
        // SAFETY: a `Supported<AVX512>` is there, so the processor has AVX-512; `from` has `rows` rows of `stride`
        // values, and `to` has `end - start` rows of `WIDTH`, with `rows <= WIDTH`.
        return unsafe { avx512::transpose(from, (rows, stride), (start, end), to.as_flattened_mut(), WIDTH) };
    }
    for (k, to) in to.iter_mut().enumerate() {
        for (row, to) in to[..rows].iter_mut().enumerate() {
            *to = from[row * stride + start + k];
        }
        to[rows..].fill(0.0);
    }
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::{_mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_setzero_ps};

    use super::LANES;
    use crate::product::avx512::transposed;

    /// Columns `start` to `end` of `[rows, stride]`, to `[end - start, width]`; the columns beyond `rows` become zeros.
    ///
    /// # Safety
    /// The processor has AVX-512, and the slices have at least these lengths.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn transpose(
        from: &[f32],
        (rows, stride): (usize, usize),
        (start, end): (usize, usize),
        to: &mut [f32],
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
                    // SAFETY: row + i < rows, and the mask leaves out the columns from `end` on.
                    *values = unsafe { _mm512_maskz_loadu_ps(loaded, from.as_ptr().add((row + i) * stride + k)) };
                }
                for (i, values) in transposed(block).iter().enumerate().take(end - k) {
                    let at = (k - start + i) * width + row;
                    // SAFETY: k + i < end, and the mask leaves out what is not of this row of `to`.
                    unsafe { _mm512_mask_storeu_ps(to.as_mut_ptr().add(at), stored, *values) };
                }
            }
        }
    }
}
