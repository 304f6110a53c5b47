//! Matrix products for attention, in fp32, for small matrices that fit into the cache. (Those of linear layers are in
//! `matmul.rs`.)
//!
//! `C = A B` or `C += A B`. `B` and `C` are row-major, their width a multiple of [`LANES`]; `A` may have any strides,
//! since its elements are read one by one. A tile of `C` stays in registers while `k` runs.

use crate::isa::{LANES, Supported, fma};

/// The strides of `A`: element `(i, k)` is at `i * row + k * column`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Strides {
    pub row: usize,
    pub column: usize,
}

/// The sizes of a product: `C` is `[m, n]`, and the sum runs over `k`. The row stride of `B` and `C` is `n`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub m: usize,
    pub n: usize,
    pub k: usize,
}

/// `C = A B`, or `C += A B` where `add`.
///
/// # Panics
/// If a slice is too short for its size, or `n` isn't a multiple of [`LANES`].
#[inline(always)]
pub(crate) fn multiply<const ISA: u8>(
    _: Supported<ISA>,
    size: Size,
    a: &[f32],
    strides: Strides,
    b: &[f32],
    c: &mut [f32],
    add: bool,
) {
    let Size { m, n, k } = size;
    if m == 0 || n == 0 {
        return;
    }
    assert!(n.is_multiple_of(LANES) && b.len() >= k * n && c.len() >= m * n);
    if k == 0 {
        // `A` and `B` have no elements, so there is nothing that a tile could point to.
        return if !add {
            c[..m * n].fill(0.0)
        };
    }
    assert!(a.len() > (m - 1) * strides.row + (k - 1) * strides.column);
    #[cfg(target_arch = "x86_64")]
    if ISA == crate::isa::AVX512 {
        // SAFETY: a `Supported<AVX512>` is there, so the processor has AVX-512; k > 0, and the lengths of the slices
        // and that n is a multiple of `LANES` were just checked.
        return unsafe { avx512::multiply(size, a, strides, b, c, add) };
    }
    for i in 0..m {
        for (block, c) in c[i * n..][..n].as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
            let mut sum = if add { *c } else { [0.0; LANES] };
            for p in 0..k {
                let x = a[i * strides.row + p * strides.column];
                let b = &b[p * n + block * LANES..][..LANES];
                for lane in 0..LANES {
                    sum[lane] = fma::<ISA>(x, b[lane], sum[lane]);
                }
            }
            *c = sum;
        }
    }
}

/// `[rows, columns]` to `[columns, rows]`, both with their width rounded up to a multiple of [`LANES`]. The columns of
/// padding in the output are zeros.
///
/// # Panics
/// If a slice is too short.
#[inline(always)]
pub(crate) fn transpose<const ISA: u8>(
    _: Supported<ISA>,
    from: &[f32],
    (rows, columns): (usize, usize),
    to: &mut [f32],
) {
    let (width, length) = (columns.next_multiple_of(LANES), rows.next_multiple_of(LANES));
    assert!(from.len() >= rows * width && to.len() >= columns * length);
    #[cfg(target_arch = "x86_64")]
    if ISA == crate::isa::AVX512 {
        // SAFETY: a `Supported<AVX512>` is there, so the processor has AVX-512; the lengths were just checked.
        return unsafe { avx512::transpose(from, (rows, columns), to) };
    }
    for (column, to) in to.chunks_exact_mut(length).take(columns).enumerate() {
        to[rows..].fill(0.0);
        for (row, to) in to[..rows].iter_mut().enumerate() {
            *to = from[row * width + column];
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512 {
    use std::arch::x86_64::{
        __m512, _mm512_castpd_ps, _mm512_castps_pd, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps,
        _mm512_setzero_ps, _mm512_shuffle_f32x4, _mm512_storeu_ps, _mm512_unpackhi_pd, _mm512_unpackhi_ps,
        _mm512_unpacklo_pd, _mm512_unpacklo_ps,
    };

    use super::{LANES, Size, Strides};

    /// Rows per tile; with [`TILE_VECTORS`] vectors each they fill half of the 32 registers, which hides the latency of
    /// the sums.
    const TILE_ROWS: usize = 8;
    const TILE_VECTORS: usize = 2;

    /// # Safety
    /// The processor has AVX-512, `size.k > 0`, and the slices are as long as [`super::multiply`] checks.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn multiply(size: Size, a: &[f32], strides: Strides, b: &[f32], c: &mut [f32], add: bool) {
        let Size { m, n, k } = size;
        let mut j = 0;
        while j < n {
            let wide = n - j >= TILE_VECTORS * LANES;
            let mut i = 0;
            while i < m {
                let rows = (m - i).min(TILE_ROWS);
                // SAFETY: i < m and j < n, so with the caller's guarantee all three pointers are to elements of their
                // slices, and the tile of `rows` rows and of two vectors (`wide`) or one is within the matrices.
                unsafe {
                    let operands = Operands {
                        a: a.as_ptr().add(i * strides.row),
                        strides,
                        b: b.as_ptr().add(j),
                        c: c.as_mut_ptr().add(i * n + j),
                        n,
                        k,
                        add,
                    };
                    match (rows, wide) {
                        (8, true) => tile::<8, 2>(operands),
                        (7, true) => tile::<7, 2>(operands),
                        (6, true) => tile::<6, 2>(operands),
                        (5, true) => tile::<5, 2>(operands),
                        (4, true) => tile::<4, 2>(operands),
                        (3, true) => tile::<3, 2>(operands),
                        (2, true) => tile::<2, 2>(operands),
                        (_, true) => tile::<1, 2>(operands),
                        (8, false) => tile::<8, 1>(operands),
                        (7, false) => tile::<7, 1>(operands),
                        (6, false) => tile::<6, 1>(operands),
                        (5, false) => tile::<5, 1>(operands),
                        (4, false) => tile::<4, 1>(operands),
                        (3, false) => tile::<3, 1>(operands),
                        (2, false) => tile::<2, 1>(operands),
                        (_, false) => tile::<1, 1>(operands),
                    }
                }
                i += rows;
            }
            j += if wide { TILE_VECTORS * LANES } else { LANES };
        }
    }

    struct Operands {
        a: *const f32,
        strides: Strides,
        b: *const f32,
        c: *mut f32,
        n: usize,
        k: usize,
        add: bool,
    }

    /// # Safety
    /// The processor has AVX-512, and the operands point to a tile of `M` rows and `N` vectors within the matrices.
    #[target_feature(enable = "avx512f")]
    unsafe fn tile<const M: usize, const N: usize>(operands: Operands) {
        let Operands { a, strides, b, c, n, k, add } = operands;
        // SAFETY: the caller guarantees that `M` rows of `A`, `N` vectors of each row of `B`, and `M` rows of `N` vectors
        // of `C` are within their slices; these loads and stores need no alignment.
        unsafe {
            let mut sums: [[__m512; N]; M] = [[_mm512_setzero_ps(); N]; M];
            if add {
                for (i, row) in sums.iter_mut().enumerate() {
                    for (v, sum) in row.iter_mut().enumerate() {
                        *sum = _mm512_loadu_ps(c.add(i * n + v * LANES));
                    }
                }
            }
            for p in 0..k {
                let mut columns = [_mm512_setzero_ps(); N];
                for (v, column) in columns.iter_mut().enumerate() {
                    *column = _mm512_loadu_ps(b.add(p * n + v * LANES));
                }
                for (i, row) in sums.iter_mut().enumerate() {
                    let x = _mm512_set1_ps(*a.add(i * strides.row + p * strides.column));
                    for (sum, column) in row.iter_mut().zip(columns) {
                        *sum = _mm512_fmadd_ps(x, column, *sum);
                    }
                }
            }
            for (i, row) in sums.iter().enumerate() {
                for (v, sum) in row.iter().enumerate() {
                    _mm512_storeu_ps(c.add(i * n + v * LANES), *sum);
                }
            }
        }
    }

    /// # Safety
    /// The processor has AVX-512, and the slices are as long as [`super::transpose`] checks.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn transpose(from: &[f32], (rows, columns): (usize, usize), to: &mut [f32]) {
        let (width, length) = (columns.next_multiple_of(LANES), rows.next_multiple_of(LANES));
        for row in (0..rows).step_by(LANES) {
            for column in (0..columns).step_by(LANES) {
                let mut block = [_mm512_setzero_ps(); LANES];
                for (i, values) in block.iter_mut().enumerate().take(rows - row) {
                    // SAFETY: row + i < rows, and `LANES` values from this column on are within the row, whose width is
                    // a multiple of `LANES`; the caller guarantees that `from` has all rows.
                    *values = unsafe { _mm512_loadu_ps(from.as_ptr().add((row + i) * width + column)) };
                }
                for (i, values) in transposed(block).iter().enumerate().take(columns - column) {
                    // SAFETY: column + i < columns, and `LANES` values from `row` on are within that row of `to`, whose
                    // length is a multiple of `LANES`; the caller guarantees that `to` has all rows.
                    unsafe { _mm512_storeu_ps(to.as_mut_ptr().add((column + i) * length + row), *values) };
                }
            }
        }
    }

    /// Transposes a 16 x 16 block: swaps elements in pairs, then in fours, then quarters of registers.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(crate) fn transposed(rows: [__m512; LANES]) -> [__m512; LANES] {
        let zero = _mm512_setzero_ps();
        let (mut pairs, mut fours, mut columns) = ([zero; LANES], [zero; LANES], [zero; LANES]);
        for i in 0..LANES / 2 {
            pairs[2 * i] = _mm512_unpacklo_ps(rows[2 * i], rows[2 * i + 1]);
            pairs[2 * i + 1] = _mm512_unpackhi_ps(rows[2 * i], rows[2 * i + 1]);
        }
        for i in (0..LANES).step_by(4) {
            let pair = |index: usize| _mm512_castps_pd(pairs[i + index]);
            fours[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(pair(0), pair(2)));
            fours[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(pair(0), pair(2)));
            fours[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(pair(1), pair(3)));
            fours[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(pair(1), pair(3)));
        }
        // Register 4 g + c now contains columns c, 4 + c, 8 + c and 12 + c of rows 4 g to 4 g + 3.
        for c in 0..4 {
            let (first, second, third, fourth) = (fours[c], fours[4 + c], fours[8 + c], fours[12 + c]);
            let low = (_mm512_shuffle_f32x4::<0x44>(first, second), _mm512_shuffle_f32x4::<0x44>(third, fourth));
            let high = (_mm512_shuffle_f32x4::<0xee>(first, second), _mm512_shuffle_f32x4::<0xee>(third, fourth));
            columns[c] = _mm512_shuffle_f32x4::<0x88>(low.0, low.1);
            columns[4 + c] = _mm512_shuffle_f32x4::<0xdd>(low.0, low.1);
            columns[8 + c] = _mm512_shuffle_f32x4::<0x88>(high.0, high.1);
            columns[12 + c] = _mm512_shuffle_f32x4::<0xdd>(high.0, high.1);
        }
        columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Isa;
    use crate::multiversion;

    struct Job<'a>(Size, &'a [f32], Strides, &'a [f32], &'a mut [f32], bool);

    multiversion!(fn run(Job<'_>) = run_inline);

    #[inline(always)]
    fn run_inline<const ISA: u8>(Job(size, a, strides, b, c, add): Job, supported: Supported<ISA>) {
        multiply(supported, size, a, strides, b, c, add);
    }

    multiversion!(fn run_transpose((&[f32], (usize, usize), &mut [f32])) = transpose_inline);

    #[inline(always)]
    fn transpose_inline<const ISA: u8>(
        (from, size, to): (&[f32], (usize, usize), &mut [f32]),
        supported: Supported<ISA>,
    ) {
        transpose(supported, from, size, to);
    }

    #[test]
    fn transpose_matches_the_definition() {
        for rows in [1, 5, 16, 25, 33] {
            for columns in [1, 8, 16, 20, 64] {
                let (width, length) = (columns_of(columns), columns_of(rows));
                let from: Vec<f32> = (0..rows * width).map(|i| i as f32 + 1.0).collect();
                for isa in Isa::available() {
                    let mut to = vec![f32::NAN; columns * length];
                    run_transpose((&from, (rows, columns), &mut to), isa);
                    for (at, value) in to.iter().enumerate() {
                        let (column, row) = (at / length, at % length);
                        let expected = if row < rows { from[row * width + column] } else { 0.0 };
                        assert_eq!(*value, expected, "{rows} {columns} at {row} {column} on {isa:?}");
                    }
                }
            }
        }
    }

    fn columns_of(width: usize) -> usize {
        width.next_multiple_of(LANES)
    }

    #[test]
    fn multiply_matches_the_definition() {
        for m in [0, 1, 2, 3, 5, 7, 8, 9, 16, 21] {
            for n in [16, 32, 48, 64] {
                for k in [0, 1, 5, 33] {
                    // Small whole numbers: every order of summation gives the same bits.
                    let number = |i: usize| ((i * 7919) % 13) as f32 - 6.0;
                    let a: Vec<f32> = (0..m * k).map(number).collect();
                    let b: Vec<f32> = (0..k * n).map(|i| number(i + 5)).collect();
                    for (strides, add) in [
                        (Strides { row: k, column: 1 }, false),
                        (Strides { row: 1, column: m }, false),
                        (Strides { row: k, column: 1 }, true),
                    ] {
                        let start = if add { 3.0 } else { 0.0 };
                        let mut expected = vec![start; m * n];
                        for (at, expected) in expected.iter_mut().enumerate() {
                            let (i, j) = (at / n, at % n);
                            let terms = (0..k).map(|p| a[i * strides.row + p * strides.column] * b[p * n + j]);
                            *expected += terms.sum::<f32>();
                        }
                        for isa in Isa::available() {
                            let mut c = vec![3.0; m * n];
                            run(Job(Size { m, n, k }, &a, strides, &b, &mut c, add), isa);
                            assert_eq!(c, expected, "{m} {n} {k} {strides:?} {isa:?}");
                        }
                    }
                }
            }
        }
    }
}
