//! The product of a tile of rows with a packed panel, whose sums stay in registers.

use super::pack::WordMatrix;
use super::word_format::WordFormat;
use crate::isa::{LANES, Supported, fma, has_avx512_bf16};

/// Words of [`LANES`] neighboring columns of one row of a panel. Aligned, because a vector across two cache lines takes twice as
/// long to read.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C, align(64))]
pub(super) struct Block([u32; LANES]);

impl Block {
    pub(super) fn words_mut(blocks: &mut [Block]) -> &mut [u32] {
        // SAFETY: a block is an array of `LANES` words without padding (64 bytes, aligned to 64), so that the blocks are
        // that many times as many words, which are borrowed as long as they.
        unsafe { std::slice::from_raw_parts_mut(blocks.as_mut_ptr().cast(), blocks.len() * LANES) }
    }
}

/// Where a tile's words are: of row `i` and `k`, at `rows[i] + k * stride`, without alignment.
#[derive(Clone, Copy)]
struct TileRows<const ROWS: usize> {
    rows: [*const u32; ROWS],
    stride: usize,
}

/// `[ROWS, BLOCKS * LANES]`: the sums over `k` of a tile of `a` times a panel, `[k, BLOCKS * LANES]`. The tile's first word is
/// at `first`, a row and a word of it. Rows beyond the matrix are sums of other values, which mean nothing.
///
/// # Panics
/// If the tile is not within the matrix.
#[inline(always)]
pub(super) fn product_of_tile<T: WordFormat, const ISA: u8, const ROWS: usize, const BLOCKS: usize>(
    _: Supported<ISA>,
    a: WordMatrix,
    first: (usize, usize),
    panel: &[Block],
) -> [[[f32; LANES]; BLOCKS]; ROWS] {
    let (panel, _) = panel.as_chunks::<BLOCKS>();
    let WordMatrix { bytes, rows, words, row_stride, stride } = a;
    assert!(first.0 < rows && first.1 + panel.len() <= words);
    // The last row of the matrix takes the place of rows beyond it.
    let word = |row: usize| row.min(rows - 1) * row_stride + first.1 * stride;
    let start = bytes.as_ptr().cast::<u32>();
    let tile = TileRows { rows: std::array::from_fn(|row| start.wrapping_add(word(first.0 + row))), stride };
    #[cfg(target_arch = "x86_64")]
    {
        if T::PER_WORD == 1 && ISA == crate::isa::AVX512 {
            // SAFETY: a `Supported<AVX512>` is there, so the processor has AVX-512; the tile is within the matrix, as was
            // just checked, for as many `k` as the panel has.
            return unsafe { avx512::product(tile, panel) };
        }
        if T::PER_WORD == 1 && ISA == crate::isa::AVX2 {
            // SAFETY: as above, with a `Supported<AVX2>`.
            return unsafe { avx2::product(tile, panel) };
        }
        if T::PER_WORD == 2 && ISA == crate::isa::AVX512 && has_avx512_bf16() {
            // SAFETY: as above, and the processor has the instruction for bf16.
            return unsafe { avx512_bf16::product(tile, panel) };
        }
    }
    let mut sums = [[[0.0; LANES]; BLOCKS]; ROWS];
    for (k, b) in panel.iter().enumerate() {
        for (row, sums) in tile.rows.iter().zip(&mut sums) {
            // SAFETY: this is a word of the matrix, as was just checked.
            let a = T::values(unsafe { row.wrapping_add(k * stride).read_unaligned() });
            for (sum, b) in sums.as_flattened_mut().iter_mut().zip(b.iter().flat_map(|block| &block.0)) {
                let b = T::values(*b);
                *sum = fma::<ISA>(a[0], b[0], *sum);
                if T::PER_WORD == 2 {
                    *sum = fma::<ISA>(a[1], b[1], *sum);
                }
            }
        }
    }
    sums
}

/// Defines a module with `product` for one width of vectors and one format. With intrinsics, because the compiler keeps the
/// sums of plain loops in registers or in memory, which is thirty times slower, depending on how the loops are written.
macro_rules! vector_module {
    // The names of 512-bit and of 256-bit vectors.
    ($name:ident, $features:literal, 512, $($multiply_add:tt)+) => {
        vector_module!(
            $name, $features, [16, __m512, __m512i, _mm512_setzero_ps, _mm512_loadu_si512, _mm512_set1_epi32],
            $($multiply_add)+
        );
    };
    ($name:ident, $features:literal, 256, $($multiply_add:tt)+) => {
        vector_module!(
            $name, $features, [8, __m256, __m256i, _mm256_setzero_ps, _mm256_loadu_si256, _mm256_set1_epi32],
            $($multiply_add)+
        );
    };
    ($name:ident, $features:literal,
     [$width:literal, $vector:ident, $words:ident, $zero:ident, $load:ident, $splat:ident],
     |$a:ident, $b:ident, $sum:ident| $multiply_add:expr, $($function:ident),+) => {
        #[cfg(target_arch = "x86_64")]
        mod $name {
            use std::arch::x86_64::{$load, $splat, $vector, $words, $zero, $($function),+};

            use super::{Block, LANES, TileRows};

            /// Vectors of a block.
            const PARTS: usize = LANES / $width;

            /// The sums over `k` of a tile times a panel.
            ///
            /// # Safety
            /// The processor has these features, and the tile has words for as many `k` as the panel.
            // Alone, so that the registers are for its loop.
            #[inline(never)]
            #[target_feature(enable = $features)]
            pub(super) unsafe fn product<const ROWS: usize, const BLOCKS: usize>(
                tile: TileRows<ROWS>,
                panel: &[[Block; BLOCKS]],
            ) -> [[[f32; LANES]; BLOCKS]; ROWS] {
                let TileRows { rows, stride } = tile;
                let mut sums: [[[$vector; PARTS]; BLOCKS]; ROWS] = [[[$zero(); PARTS]; BLOCKS]; ROWS];
                for (k, b) in panel.iter().enumerate() {
                    let mut vectors: [[$words; PARTS]; BLOCKS] = [[$splat(0); PARTS]; BLOCKS];
                    for (vectors, block) in vectors.iter_mut().zip(b) {
                        for (part, vector) in vectors.iter_mut().enumerate() {
                            // SAFETY: a block has `PARTS` vectors.
                            *vector = unsafe { $load(block.0.as_ptr().add(part * $width).cast()) };
                        }
                    }
                    for (row, sums) in rows.iter().zip(&mut sums) {
                        // SAFETY: the caller guarantees this word.
                        let word = unsafe { row.wrapping_add(k * stride).read_unaligned() };
                        let $a = $splat(word.cast_signed());
                        for (sums, vectors) in sums.iter_mut().zip(vectors) {
                            for (sum, vector) in sums.iter_mut().zip(vectors) {
                                let ($b, $sum) = (vector, *sum);
                                *sum = $multiply_add;
                            }
                        }
                    }
                }
                // SAFETY: `PARTS` vectors are `LANES` values.
                unsafe { std::mem::transmute_copy(&sums) }
            }
        }
    };
}

vector_module!(
    avx512,
    "avx512f",
    512,
    |a, b, sum| _mm512_fmadd_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b), sum),
    _mm512_fmadd_ps,
    _mm512_castsi512_ps
);
vector_module!(
    avx2,
    "avx2,fma",
    256,
    |a, b, sum| _mm256_fmadd_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b), sum),
    _mm256_fmadd_ps,
    _mm256_castsi256_ps
);
vector_module!(
    avx512_bf16,
    "avx512f,avx512bf16",
    512,
    |a, b, sum| {
        // SAFETY: vectors of 16 words are ones of 32 bf16.
        let [a, b] = unsafe { std::mem::transmute::<[__m512i; 2], [__m512bh; 2]>([a, b]) };
        _mm512_dpbf16_ps(sum, a, b)
    },
    _mm512_dpbf16_ps,
    __m512bh
);
