//! A part of a product: some tiles of rows times some panels of columns.

use std::cell::Cell;

use super::pack::{PackJob, WordMatrix, pack_inline};
use super::tile::{Block, product_of_tile};
use super::word_format::WordFormat;
use super::{Finish, Right};
use crate::activation::{ActivationFunction, apply};
use crate::isa::{AVX512, Isa, LANES, Supported};
use crate::multiversion;
use crate::parallel::SharedSlice;
use crate::placed_panel::PlacedPanel;

/// Columns of the widest panel.
const WIDEST_PANEL: usize = 4 * LANES;

thread_local! {
    /// A block of a job's panels, kept so that jobs do not allocate.
    static PANELS: Cell<Vec<Block>> = const { Cell::new(Vec::new()) };
}

pub struct TileJob<'a, T> {
    pub(super) a: WordMatrix<'a>,
    pub(super) b: Right<'a, T>,
    pub(super) tile_range: (usize, usize),
    pub(super) panel_range: (usize, usize),
    pub(super) finish: Finish<'a, T>,
    pub(super) isa: Isa,
    /// All of `C`; this job writes its tiles' rows in its panels' columns.
    pub(super) c: &'a SharedSlice<'a, T>,
    pub(super) columns: usize,
}

multiversion!(pub(super) fn multiply_tiles<T: WordFormat>(TileJob<'_, T>) = multiply_tiles_inline);

#[inline(always)]
fn multiply_tiles_inline<T: WordFormat, const ISA: u8>(job: TileJob<T>, supported: Supported<ISA>) {
    // `TileShape::of`, as constants.
    if ISA == AVX512 {
        multiply_tiles_of_shape::<T, ISA, 6, 4>(job, supported);
    } else {
        multiply_tiles_of_shape::<T, ISA, 6, 1>(job, supported);
    }
}

#[inline(always)]
fn multiply_tiles_of_shape<T: WordFormat, const ISA: u8, const ROWS: usize, const BLOCKS: usize>(
    job: TileJob<T>,
    supported: Supported<ISA>,
) {
    let TileJob { a, b, tile_range, panel_range, finish, isa, c, columns } = job;
    let (panel_columns, words) = (BLOCKS * LANES, a.words);
    // At least one, so that a sum of nothing is written too.
    let block_count = words.div_ceil(T::LONGEST_BLOCK).max(1);
    let mut scratch = PANELS.take();
    for block in 0..block_count {
        let (start, end) = (block * words / block_count, (block + 1) * words / block_count);
        let stride = (end - start) * BLOCKS;
        if let Right::Matrix(matrix) = b {
            let count = panel_range.1 - panel_range.0;
            if scratch.len() < count * stride {
                scratch.resize(count * stride, Block::default());
            }
            let matrix = matrix.transposed();
            for (index, to) in scratch.chunks_exact_mut(stride.max(1)).enumerate().take(count) {
                let (first, to) = ((panel_range.0 + index) * panel_columns, Block::words_mut(to));
                pack_inline(PackJob { matrix, first, width: panel_columns, words: (start, end), to }, supported);
            }
        }
        for tile in tile_range.0..tile_range.1 {
            let row = tile * ROWS;
            for panel in panel_range.0..panel_range.1 {
                let (blocks, column, width) = match b {
                    Right::Matrix(_) => {
                        let (index, column) = (panel - panel_range.0, panel * panel_columns);
                        (&scratch[index * stride..][..stride], column, (columns - column).min(panel_columns))
                    }
                    Right::Packed(panels) => {
                        let PlacedPanel { panel: blocks, first_column, columns } = panels[panel];
                        (&blocks[start * BLOCKS..][..stride], first_column, columns)
                    }
                };
                let sums = product_of_tile::<T, ISA, ROWS, BLOCKS>(supported, a, (row, start), blocks);
                for (m, sums) in sums.iter().enumerate().take(a.rows - row) {
                    // SAFETY: no other job has this tile and this panel, and this job has no other slice of them.
                    let c = unsafe { c.slice((row + m) * columns + column, width) };
                    let bias = finish.bias.filter(|_| block == 0).map(|bias| &bias[column..]);
                    let activation = finish.activation.filter(|_| block + 1 == block_count);
                    let result = RowResult { sums: sums.as_flattened(), add: block > 0, bias, activation, isa };
                    // A copy for whole panels, whose length is known.
                    if width == panel_columns {
                        write(result, &mut c[..panel_columns]);
                    } else {
                        write(result, c);
                    }
                }
            }
        }
    }
    PANELS.set(scratch);
}

/// The sums of a block for one row of a panel.
struct RowResult<'a, T> {
    sums: &'a [f32],
    /// Whether the sums of the blocks before are there already.
    add: bool,
    bias: Option<&'a [T]>,
    activation: Option<ActivationFunction>,
    isa: Isa,
}

#[inline(always)]
fn write<T: WordFormat>(result: RowResult<T>, c: &mut [T]) {
    let RowResult { sums, add, bias, activation, isa } = result;
    match bias {
        _ if add => {
            for (c, sum) in c.iter_mut().zip(sums) {
                *c = T::from_f32(c.to_f32() + sum);
            }
        }
        Some(bias) => {
            for ((c, sum), bias) in c.iter_mut().zip(sums).zip(bias) {
                *c = T::from_f32(sum + bias.to_f32());
            }
        }
        None => {
            for (c, sum) in c.iter_mut().zip(sums) {
                *c = T::from_f32(*sum);
            }
        }
    }
    if let Some(activation) = activation {
        let mut values = [0.0; WIDEST_PANEL];
        let values = &mut values[..c.len()];
        values.iter_mut().zip(&*c).for_each(|(value, c)| *value = c.to_f32());
        apply((activation, values), isa);
        c.iter_mut().zip(values).for_each(|(c, value)| *c = T::from_f32(*value));
    }
}
