//! Products of int8 rows with a panel of int8 weights: exact sums in 32-bit integers, scaled to fp32.
//!
//! The weights are stored as `w + 128`, because the instructions multiply unsigned with signed bytes: `VPDPBUSD` adds
//! the products of four neighboring bytes to each 32-bit sum. With `a` a row, `sum (w + 128) a = sum w a + 128 sum a`,
//! so the sums start at `-128 sum a`.

use crate::isa::Supported;

/// Outputs of a panel.
pub(super) const PANEL: usize = 64;
/// Neighboring inputs that one instruction multiplies.
pub(super) const VALUES: usize = 4;

/// Weights of [`PANEL`] outputs: `[inputs / VALUES, PANEL, VALUES]`, each plus 128, and their scales.
#[derive(Debug, Clone, Copy)]
pub(super) struct WeightPanel<'a> {
    pub(super) weights: &'a [u8],
    pub(super) scales: &'a [f32],
}

/// Quantized rows, `[count, inputs]`; `inputs` is a multiple of [`VALUES`].
#[derive(Debug, Clone, Copy)]
pub(super) struct QuantizedRows<'a> {
    pub(super) values: &'a [i8],
    /// One for each row, as the following.
    pub(super) scales: &'a [f32],
    /// What the sums start with: see [`start`].
    pub(super) starts: &'a [i32],
    pub(super) inputs: usize,
}

/// `to = rows * panel^T`, `[count, PANEL]`.
///
/// # Panics
/// If a slice is too short.
#[inline(always)]
pub(super) fn multiply<const ISA: u8>(_: Supported<ISA>, rows: QuantizedRows, panel: WeightPanel, to: &mut [f32]) {
    let (count, inputs) = (rows.scales.len(), rows.inputs);
    assert!(rows.starts.len() == count && inputs.is_multiple_of(VALUES));
    assert!(rows.values.len() >= count * inputs && to.len() >= count * PANEL);
    assert!(panel.weights.len() >= inputs * PANEL && panel.scales.len() >= PANEL);
    #[cfg(target_arch = "x86_64")]
    {
        if ISA == crate::isa::AVX512 && has_avx512_vnni() {
            // SAFETY: a `Supported<AVX512>` is there and the processor has AVX512-VNNI, so it has all features of this
            // function; the lengths were just checked.
            return unsafe { avx512::multiply(rows, panel, to) };
        }
        if ISA != crate::isa::BASELINE && has_avx_vnni() {
            // SAFETY: a `Supported<AVX2>` or wider is there and the processor has AVX-VNNI; the lengths were just
            // checked.
            return unsafe { avx2::multiply(rows, panel, to) };
        }
    }
    for (row, to) in to.chunks_exact_mut(PANEL).enumerate().take(count) {
        let values = &rows.values[row * inputs..][..inputs];
        let mut sums = [rows.starts[row]; PANEL];
        for (a, weights) in values.as_chunks::<VALUES>().0.iter().zip(panel.weights.chunks_exact(PANEL * VALUES)) {
            for (sum, w) in sums.iter_mut().zip(weights.as_chunks::<VALUES>().0) {
                for value in 0..VALUES {
                    *sum += i32::from(w[value]) * i32::from(a[value]);
                }
            }
        }
        for ((to, sum), scale) in to.iter_mut().zip(sums).zip(panel.scales) {
            *to = sum as f32 * (rows.scales[row] * scale);
        }
    }
}

/// The instructions that multiply on this processor, in words; `None` if it has none for int8.
pub fn instruction() -> Option<&'static str> {
    #[cfg(target_arch = "x86_64")]
    {
        let isa = crate::isa::Isa::selected();
        if isa.supported::<{ crate::isa::AVX512 }>().is_some() && has_avx512_vnni() {
            return Some("AVX512-VNNI");
        }
        if isa != crate::isa::Isa::BASELINE && has_avx_vnni() {
            return Some("AVX-VNNI");
        }
    }
    None
}

#[cfg(target_arch = "x86_64")]
fn has_avx512_vnni() -> bool {
    std::arch::is_x86_feature_detected!("avx512vnni")
}

#[cfg(target_arch = "x86_64")]
fn has_avx_vnni() -> bool {
    std::arch::is_x86_feature_detected!("avxvnni")
}

/// What the sums of a row start with, because the weights are stored plus 128.
#[inline(always)]
pub(super) fn start(values: &[i8]) -> i32 {
    // Wrapping, so that a dev build adds without checks; the sum of a row can't overflow.
    values.iter().fold(0_i32, |sum, value| sum.wrapping_add(i32::from(*value))).wrapping_mul(-128)
}

/// Defines a module with `multiply` for one width of vectors: the tiles' loops are the same, the instructions differ.
macro_rules! vector_module {
    ($name:ident, $features:literal, $tile_rows:literal, $tile_vectors:literal, $lanes:literal, $int:ident,
     $load:ident, $loadps:ident, $store:ident, $splat:ident, $dot:ident, $splatps:ident, $convert:ident, $mul:ident) => {
        #[cfg(target_arch = "x86_64")]
        mod $name {
            use std::arch::x86_64::{$convert, $dot, $int, $load, $loadps, $mul, $splat, $splatps, $store};

            use super::{PANEL, QuantizedRows, VALUES, WeightPanel};

            /// Rows and vectors of a tile, whose sums stay in registers.
            const TILE_ROWS: usize = $tile_rows;
            const TILE_VECTORS: usize = $tile_vectors;
            const LANES: usize = $lanes;

            /// # Safety
            /// The processor has these features, and the slices are as long as [`super::multiply`] checks.
            #[target_feature(enable = $features)]
            pub(super) unsafe fn multiply(rows: QuantizedRows, panel: WeightPanel, to: &mut [f32]) {
                let count = rows.scales.len();
                for column in (0..PANEL).step_by(TILE_VECTORS * LANES) {
                    let mut row = 0;
                    while row < count {
                        let tile_rows = (count - row).min(TILE_ROWS);
                        // SAFETY: the tile's rows are below `count`, its columns below `PANEL`; the caller guarantees
                        // the features and the lengths.
                        unsafe {
                            match tile_rows {
                                1 => tile::<1>(rows, row, panel, column, to),
                                2 => tile::<2>(rows, row, panel, column, to),
                                3 => tile::<3>(rows, row, panel, column, to),
                                4 => tile::<4>(rows, row, panel, column, to),
                                5 => tile::<5>(rows, row, panel, column, to),
                                _ => tile::<TILE_ROWS>(rows, row, panel, column, to),
                            }
                        }
                        row += tile_rows;
                    }
                }
            }

            /// # Safety
            /// The processor has these features, and the tile of `M` rows and [`TILE_VECTORS`] vectors is within the
            /// slices.
            #[target_feature(enable = $features)]
            unsafe fn tile<const M: usize>(
                rows: QuantizedRows,
                row: usize,
                panel: WeightPanel,
                column: usize,
                to: &mut [f32],
            ) {
                let inputs = rows.inputs;
                // Pointers, advanced by wrapping additions: a check of each index in a dev build would cost more than the
                // products.
                let mut values = [std::ptr::null::<i32>(); M];
                let mut sums = [[$splat(0); TILE_VECTORS]; M];
                for m in 0..M {
                    values[m] = rows.values[(row + m) * inputs..][..inputs].as_ptr().cast();
                    sums[m] = [$splat(rows.starts[row + m]); TILE_VECTORS];
                }
                let mut panel_values = panel.weights[column * VALUES..].as_ptr();
                for _ in 0..inputs / VALUES {
                    let mut weights = [$splat(0); TILE_VECTORS];
                    for (v, weights) in weights.iter_mut().enumerate() {
                        // SAFETY: the caller guarantees a panel with as many groups as the rows have, and that the tile's
                        // vectors are within its columns; the load needs no alignment.
                        *weights = unsafe { $load(panel_values.wrapping_add(v * LANES * VALUES).cast::<$int>()) };
                    }
                    for (values, sums) in values.iter_mut().zip(&mut sums) {
                        // SAFETY: a row has `inputs / VALUES` groups of four bytes, and this is one of them.
                        let a = $splat(unsafe { values.read_unaligned() });
                        *values = values.wrapping_add(1);
                        for (sum, weights) in sums.iter_mut().zip(weights) {
                            *sum = $dot(*sum, weights, a);
                        }
                    }
                    panel_values = panel_values.wrapping_add(PANEL * VALUES);
                }
                for (m, sums) in sums.into_iter().enumerate() {
                    let row_scale = $splatps(rows.scales[row + m]);
                    for (v, sum) in sums.into_iter().enumerate() {
                        // SAFETY: the caller guarantees that the tile is within the panel's scales and within `to`.
                        unsafe {
                            let scale = $mul(row_scale, $loadps(panel.scales.as_ptr().add(column + v * LANES)));
                            let at = to.as_mut_ptr().add((row + m) * PANEL + column + v * LANES);
                            $store(at, $mul($convert(sum), scale));
                        }
                    }
                }
            }
        }
    };
}

vector_module!(
    avx512,
    "avx512f,avx512bw,avx512vnni",
    6,
    4,
    16,
    __m512i,
    _mm512_loadu_si512,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_set1_epi32,
    _mm512_dpbusd_epi32,
    _mm512_set1_ps,
    _mm512_cvtepi32_ps,
    _mm512_mul_ps
);
vector_module!(
    avx2,
    "avx2,avxvnni",
    6,
    2,
    8,
    __m256i,
    _mm256_loadu_si256,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_set1_epi32,
    _mm256_dpbusd_avx_epi32,
    _mm256_set1_ps,
    _mm256_cvtepi32_ps,
    _mm256_mul_ps
);
