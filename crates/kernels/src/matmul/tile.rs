//! The product of a tile of rows with a packed panel, whose sums stay in registers.

use super::Matrix;
use crate::isa::{LANES, Supported, fma};

/// [`LANES`] neighboring columns of one row of a panel. Aligned, because a vector across two cache lines takes twice as
/// long to read.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C, align(64))]
pub(super) struct Block(pub(super) [f32; LANES]);

impl Block {
    pub(super) fn values_mut(blocks: &mut [Block]) -> &mut [f32] {
        // SAFETY: a block is an array of `LANES` floats without padding (64 bytes, aligned to 64), so that the blocks are
        // that many times as many floats, which are borrowed as long as they.
        unsafe { std::slice::from_raw_parts_mut(blocks.as_mut_ptr().cast(), blocks.len() * LANES) }
    }
}

/// Where a tile's values are: of row `i` and `k`, at `rows[i] + k * stride`.
#[derive(Clone, Copy)]
struct TileRows<const ROWS: usize> {
    rows: [*const f32; ROWS],
    stride: usize,
}

/// `[ROWS, BLOCKS * LANES]`: the sums over `k` of a tile of `a` times a panel, `[k, BLOCKS * LANES]`. The tile's first element
/// is at `first`, a row and a column of `a`. Rows beyond the matrix are sums of other values, which mean nothing.
///
/// # Panics
/// If the tile is not within the matrix.
#[inline(always)]
pub(super) fn product_of_tile<const ISA: u8, const ROWS: usize, const BLOCKS: usize>(
    _: Supported<ISA>,
    a: Matrix,
    first: (usize, usize),
    panel: &[Block],
) -> [[[f32; LANES]; BLOCKS]; ROWS] {
    let (panel, _) = panel.as_chunks::<BLOCKS>();
    assert!(first.0 < a.rows && first.1 + panel.len() <= a.columns);
    let (row_stride, stride) = if a.row_major { (a.columns, 1) } else { (1, a.rows) };
    // The last row of the matrix takes the place of rows beyond it.
    let pointer = |row: usize| a.values.as_ptr().wrapping_add(row.min(a.rows - 1) * row_stride + first.1 * stride);
    let tile = TileRows { rows: std::array::from_fn(|row| pointer(first.0 + row)), stride };
    let mut sums = [[[0.0; LANES]; BLOCKS]; ROWS];
    #[cfg(target_arch = "x86_64")]
    {
        if ISA == crate::isa::AVX512 {
            // SAFETY: a `Supported<AVX512>` is there, so the processor has AVX-512; the tile is within the matrix, as was
            // just checked, for as many `k` as the panel has.
            unsafe { avx512::add_product(tile, panel, &mut sums) };
            return sums;
        }
        if ISA == crate::isa::AVX2 {
            // SAFETY: as above, with a `Supported<AVX2>`.
            unsafe { avx2::add_product(tile, panel, &mut sums) };
            return sums;
        }
    }
    for (k, b) in panel.iter().enumerate() {
        for (row, sums) in tile.rows.iter().zip(&mut sums) {
            // SAFETY: this is an element of the matrix, as was just checked.
            let a = unsafe { *row.wrapping_add(k * stride) };
            for (sum, b) in sums.as_flattened_mut().iter_mut().zip(b.iter().flat_map(|block| &block.0)) {
                *sum = fma::<ISA>(a, *b, *sum);
            }
        }
    }
    sums
}

/// Defines a module with `add_product` for one width of vectors. With intrinsics, because the compiler keeps the sums of plain
/// loops in registers or in memory, which is thirty times slower, depending on how the loops are written.
macro_rules! vector_module {
    ($name:ident, $features:literal, $width:literal, $vector:ident, $zero:ident, $load:ident, $splat:ident, $fma:ident,
     $store:ident) => {
        #[cfg(target_arch = "x86_64")]
        mod $name {
            use std::arch::x86_64::{$fma, $load, $splat, $store, $vector, $zero};

            use super::{Block, LANES, TileRows};

            /// Vectors of a block.
            const PARTS: usize = LANES / $width;

            /// Adds the sums over `k` of a tile times a panel to `sums`, which are zeros.
            ///
            /// # Safety
            /// The processor has these features, and the tile has values for as many `k` as the panel.
            #[inline]
            #[target_feature(enable = $features)]
            pub(super) unsafe fn add_product<const ROWS: usize, const BLOCKS: usize>(
                tile: TileRows<ROWS>,
                panel: &[[Block; BLOCKS]],
                to: &mut [[[f32; LANES]; BLOCKS]; ROWS],
            ) {
                let TileRows { rows, stride } = tile;
                let mut sums: [[[$vector; PARTS]; BLOCKS]; ROWS] = [[[$zero(); PARTS]; BLOCKS]; ROWS];
                for (k, b) in panel.iter().enumerate() {
                    let mut vectors = [[$zero(); PARTS]; BLOCKS];
                    for (vectors, block) in vectors.iter_mut().zip(b) {
                        for (part, vector) in vectors.iter_mut().enumerate() {
                            // SAFETY: a block has `PARTS` vectors.
                            *vector = unsafe { $load(block.0.as_ptr().add(part * $width)) };
                        }
                    }
                    for (row, sums) in rows.iter().zip(&mut sums) {
                        // SAFETY: the caller guarantees this element.
                        let a = $splat(unsafe { *row.wrapping_add(k * stride) });
                        for (sums, vectors) in sums.iter_mut().zip(vectors) {
                            for (sum, vector) in sums.iter_mut().zip(vectors) {
                                *sum = $fma(a, vector, *sum);
                            }
                        }
                    }
                }
                for (to, sums) in to.as_flattened_mut().iter_mut().zip(sums.as_flattened()) {
                    for (part, sum) in sums.iter().enumerate() {
                        // SAFETY: `to` has `PARTS` vectors.
                        unsafe { $store(to.as_mut_ptr().add(part * $width), *sum) };
                    }
                }
            }
        }
    };
}

vector_module!(
    avx512,
    "avx512f",
    16,
    __m512,
    _mm512_setzero_ps,
    _mm512_loadu_ps,
    _mm512_set1_ps,
    _mm512_fmadd_ps,
    _mm512_storeu_ps
);
vector_module!(
    avx2,
    "avx2,fma",
    8,
    __m256,
    _mm256_setzero_ps,
    _mm256_loadu_ps,
    _mm256_set1_ps,
    _mm256_fmadd_ps,
    _mm256_storeu_ps
);
