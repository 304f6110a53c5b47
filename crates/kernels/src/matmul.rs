//! Products of large fp32 matrices: those of linear layers and their gradients.
//!
//! `B` is first copied ("packed") into the order in which it is read: panels of columns, each with `k` as its outermost
//! dimension. A tile of `C` then stays in registers while `k` runs, as in Goto & van de Geijn, "Anatomy of High-Performance
//! Matrix Multiplication" (2008). `A` is read where it is: a tile reads one value of each of its rows for each `k`.
//!
//! A sum over `k` is cut into blocks, by `k` alone. So an element of `C` depends only on its row of `A` and its column of
//! `B`, bit for bit: not on the other rows, the number of threads, or the width of the vectors.

mod pack;
#[cfg(test)]
mod tests;
mod tile;

use std::cell::Cell;

use self::pack::{PackJob, pack, pack_inline};
use self::tile::{Block, product_of_tile};
use crate::activation::{ActivationFunction, apply};
use crate::isa::{AVX512, Isa, LANES, Supported};
use crate::multiversion;
use crate::parallel::{self, SharedSlice};

/// Terms of a sum that are added before that sum is added to `C`: a block of a panel stays in the second-level cache.
const LONGEST_BLOCK: usize = 512;
/// Panels of `B` that a job multiplies with each of its tiles, at most.
const MOST_PANELS: usize = 2;
/// Tiles of a job, at least, so that packing its panels is worth it.
const FEWEST_TILES: usize = 8;
/// Jobs of each thread, if there are as many panels, so that all threads finish at about the same time.
const JOBS_PER_THREAD: usize = 6;

/// A matrix, row-major or the transpose of a row-major one.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    /// Whether `values` is row-major; otherwise it is column-major.
    row_major: bool,
}

impl<'a> Matrix<'a> {
    /// `[rows, columns]`, row-major.
    ///
    /// # Panics
    /// If `values` has another length.
    pub fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(values.len(), rows * columns, "the values of a [{rows}, {columns}] matrix");
        Self { values, rows, columns, row_major: true }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The transpose, without moving anything.
    pub fn transposed(self) -> Self {
        Self { rows: self.columns, columns: self.rows, row_major: !self.row_major, ..self }
    }
}

/// The right matrix of many products, packed once.
#[derive(Debug)]
pub struct PackedMatrix {
    /// For each panel of columns, and in it for each row: a row of the panel. Columns of padding are zeros.
    panels: Vec<Block>,
    rows: usize,
    columns: usize,
    isa: Isa,
}

impl PackedMatrix {
    /// Packs `matrix` for the instruction set that is selected now.
    pub fn new(matrix: Matrix) -> Self {
        let isa = Isa::selected();
        let TileShape { blocks, .. } = TileShape::of(isa);
        let mut panels = vec![Block::default(); matrix.columns.div_ceil(blocks * LANES) * blocks * matrix.rows];
        pack_rows(matrix.transposed(), 0, blocks * LANES, Block::values_mut(&mut panels), isa);
        Self { panels, rows: matrix.rows, columns: matrix.columns, isa }
    }
}

/// A panel of a packed matrix, and where its columns are among those of all.
struct PlacedPanel<'a> {
    blocks: &'a [Block],
    first_column: usize,
    columns: usize,
}

fn placed_panels(matrices: &[PackedMatrix]) -> Vec<PlacedPanel<'_>> {
    let (mut placed, mut start) = (Vec::new(), 0);
    for matrix in matrices {
        let TileShape { blocks, .. } = TileShape::of(matrix.isa);
        let width = blocks * LANES;
        let panels = matrix.panels.chunks_exact((matrix.rows * blocks).max(1)).enumerate();
        placed.extend(panels.map(|(index, blocks)| PlacedPanel {
            blocks,
            first_column: start + index * width,
            columns: (matrix.columns - index * width).min(width),
        }));
        start += matrix.columns;
    }
    placed
}

thread_local! {
    /// A block of a job's panels, kept so that jobs do not allocate.
    static PANELS: Cell<Vec<Block>> = const { Cell::new(Vec::new()) };
}

/// `C = A B`, with `bias` (`[columns of B]`) added to each row; `C` is row-major.
///
/// # Panics
/// If sizes do not fit.
pub fn multiply(a: Matrix, b: Matrix, bias: Option<&[f32]>, c: &mut [f32]) {
    assert_eq!(a.columns, b.rows, "the sum's length");
    multiply_with(a, Right::Matrix(b), (b.columns, Isa::selected()), Finish { bias, activation: None }, c);
}

/// `y = f(x W^T + b)`: `x` is `[R, K]`, `y` `[R, N]`, `b` `[N]`. Several matrices `W^T`, all packed for one instruction set,
/// are applied to the same rows, with their outputs side by side; `N` is the sum of theirs. Without an activation function,
/// `f(x) = x`.
///
/// # Panics
/// If sizes do not fit, or there is no matrix.
pub fn linear(
    x: &[f32],
    weights: &[PackedMatrix],
    bias: &[f32],
    activation: Option<ActivationFunction>,
    y: &mut [f32],
) {
    let PackedMatrix { rows: inputs, isa, .. } = weights[0];
    assert!(weights.iter().all(|weights| weights.rows == inputs && weights.isa == isa), "matrices of one kind");
    let x = Matrix::new(x, x.len() / inputs.max(1), inputs);
    let panels = placed_panels(weights);
    let columns = weights.iter().map(|weights| weights.columns).sum();
    multiply_with(x, Right::Packed(&panels), (columns, isa), Finish { bias: Some(bias), activation }, y);
}

/// What is done with sums: first the bias is added, then the function applied.
#[derive(Clone, Copy)]
struct Finish<'a> {
    bias: Option<&'a [f32]>,
    activation: Option<ActivationFunction>,
}

/// Whether the selected instruction set has what fast products need: fused multiply-add.
pub fn is_supported() -> bool {
    Isa::selected() != Isa::BASELINE
}

/// The rows of a tile, and the blocks of [`LANES`] columns in a panel.
#[derive(Clone, Copy)]
struct TileShape {
    rows: usize,
    blocks: usize,
}

impl TileShape {
    /// The sums of a tile and a row of a panel fit into the registers, and there are enough sums to hide the latency of an
    /// addition.
    fn of(isa: Isa) -> Self {
        let (rows, blocks) = if isa.supported::<AVX512>().is_some() { (6, 4) } else { (6, 1) };
        Self { rows, blocks }
    }

    fn columns(self) -> usize {
        self.blocks * LANES
    }
}

/// The right matrix of a product.
#[derive(Clone, Copy)]
enum Right<'a> {
    /// Each job packs the panels that it needs.
    Matrix(Matrix<'a>),
    Packed(&'a [PlacedPanel<'a>]),
}

/// Packs the rows of `matrix` from `first` on, in groups of `width`: `[columns, width]` for each group.
fn pack_rows(matrix: Matrix, first: usize, width: usize, to: &mut [f32], isa: Isa) {
    let size = width * matrix.columns;
    if size == 0 {
        return;
    }
    let groups = to.len() / size;
    let to = SharedSlice::new(to);
    parallel::for_each_index(groups, |group| {
        // SAFETY: no other job has this group.
        let to = unsafe { to.slice(group * size, size) };
        pack(PackJob { matrix, first: first + group * width, width, columns: (0, matrix.columns), to }, isa);
    });
}

/// [`multiply`], where `b` has this number of columns and is packed, if at all, for this instruction set.
fn multiply_with(a: Matrix, b: Right, (columns, isa): (usize, Isa), finish: Finish, c: &mut [f32]) {
    assert_eq!(c.len(), a.rows * columns, "the length of C");
    assert!(finish.bias.is_none_or(|bias| bias.len() == columns), "the bias's length");
    let shape = TileShape::of(isa);
    if c.is_empty() {
        return;
    }
    let panels = match b {
        Right::Matrix(_) => columns.div_ceil(shape.columns()),
        Right::Packed(panels) => panels.len(),
    };
    let wanted = JOBS_PER_THREAD * parallel::thread_count();
    let panels_per_job = (panels / wanted).clamp(1, MOST_PANELS);
    let column_jobs = panels.div_ceil(panels_per_job);
    let tiles = a.rows.div_ceil(shape.rows);
    let row_jobs = wanted.div_ceil(column_jobs).min(tiles / FEWEST_TILES).max(1);
    let c = SharedSlice::new(c);
    // Row after row for the same panels, which threads that share a cache therefore read together.
    parallel::for_each_index(row_jobs * column_jobs, |index| {
        let (column_job, row_job) = (index / row_jobs, index % row_jobs);
        let first_panel = column_job * panels_per_job;
        let job = TileJob {
            a,
            b,
            tile_range: (row_job * tiles / row_jobs, (row_job + 1) * tiles / row_jobs),
            panel_range: (first_panel, panels.min(first_panel + panels_per_job)),
            finish,
            isa,
            c: &c,
            columns,
        };
        multiply_tiles(job, isa);
    });
}

struct TileJob<'a> {
    a: Matrix<'a>,
    b: Right<'a>,
    tile_range: (usize, usize),
    panel_range: (usize, usize),
    finish: Finish<'a>,
    isa: Isa,
    /// All of `C`; this job writes its tiles' rows in its panels' columns.
    c: &'a SharedSlice<'a, f32>,
    columns: usize,
}

multiversion!(fn multiply_tiles(TileJob<'_>) = multiply_tiles_inline);

#[inline(always)]
fn multiply_tiles_inline<const ISA: u8>(job: TileJob, supported: Supported<ISA>) {
    // `TileShape::of`, as constants.
    if ISA == AVX512 {
        multiply_tiles_of_shape::<ISA, 6, 4>(job, supported);
    } else {
        multiply_tiles_of_shape::<ISA, 6, 1>(job, supported);
    }
}

#[inline(always)]
fn multiply_tiles_of_shape<const ISA: u8, const ROWS: usize, const BLOCKS: usize>(
    job: TileJob,
    supported: Supported<ISA>,
) {
    let TileJob { a, b, tile_range, panel_range, finish, isa, c, columns } = job;
    let (panel_columns, inner) = (BLOCKS * LANES, a.columns);
    // At least one, so that a sum of nothing is written too.
    let block_count = inner.div_ceil(LONGEST_BLOCK).max(1);
    let mut scratch = PANELS.take();
    for block in 0..block_count {
        let (start, end) = (block * inner / block_count, (block + 1) * inner / block_count);
        let stride = (end - start) * BLOCKS;
        if let Right::Matrix(matrix) = b {
            let count = panel_range.1 - panel_range.0;
            if scratch.len() < count * stride {
                scratch.resize(count * stride, Block::default());
            }
            let matrix = matrix.transposed();
            for (index, to) in scratch.chunks_exact_mut(stride.max(1)).enumerate().take(count) {
                let (first, to) = ((panel_range.0 + index) * panel_columns, Block::values_mut(to));
                pack_inline(PackJob { matrix, first, width: panel_columns, columns: (start, end), to }, supported);
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
                        let PlacedPanel { blocks, first_column, columns } = panels[panel];
                        (&blocks[start * BLOCKS..][..stride], first_column, columns)
                    }
                };
                let sums = product_of_tile::<ISA, ROWS, BLOCKS>(supported, a, (row, start), blocks);
                for (m, sums) in sums.iter().enumerate().take(a.rows - row) {
                    // SAFETY: no other job has this tile and this panel, and this job has no other slice of them.
                    let c = unsafe { c.slice((row + m) * columns + column, width) };
                    let (sums, bias) = (sums.as_flattened(), finish.bias.map(|bias| &bias[column..]));
                    // A loop of its own for whole panels, whose length is known.
                    if width == panel_columns {
                        add_to(&mut c[..panel_columns], &sums[..panel_columns], block, bias);
                    } else {
                        add_to(c, &sums[..width], block, bias);
                    }
                    if let Some(activation) = finish.activation.filter(|_| block + 1 == block_count) {
                        apply((activation, c), isa);
                    }
                }
            }
        }
    }
    PANELS.set(scratch);
}

/// Adds the sums of a block to `c`; the first block's to the bias, or to nothing.
#[inline(always)]
fn add_to(c: &mut [f32], sums: &[f32], block: usize, bias: Option<&[f32]>) {
    match (block, bias) {
        (0, None) => c.copy_from_slice(sums),
        (0, Some(bias)) => {
            for ((c, sum), bias) in c.iter_mut().zip(sums).zip(bias) {
                *c = sum + bias;
            }
        }
        _ => {
            for (c, sum) in c.iter_mut().zip(sums) {
                *c += sum;
            }
        }
    }
}
