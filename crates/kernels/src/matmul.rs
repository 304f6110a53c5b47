//! Products of large matrices in fp32 and bf16: those of linear layers and their gradients.
//!
//! `B` is first copied ("packed") into the order in which it is read: panels of columns, each with `k` as its outermost
//! dimension. A tile of `C` then stays in registers while `k` runs, as in Goto & van de Geijn, "Anatomy of High-Performance
//! Matrix Multiplication" (2008). `A` is read where it is: a tile reads one word of each of its rows for each `k`.
//!
//! Words have 32 bits: one fp32 value, or two bf16 values that are neighbors along `k`, as the instruction for bf16 reads
//! them. Sums are in fp32 for both formats.
//!
//! A sum over `k` is cut into blocks, by `k` alone. So an element of `C` depends only on its row of `A` and its column of
//! `B`, bit for bit: not on the other rows or the number of threads, and in fp32 not on the width of the vectors.

mod factor;
mod left_words;
mod pack;
#[cfg(test)]
mod tests;
mod tile;
mod tile_job;
mod word_format;

use std::cell::Cell;
use std::marker::PhantomData;

pub use self::factor::Factor;
use self::left_words::words_of_rows;
use self::pack::PackJob;
use self::tile::Block;
use self::tile_job::TileJob;
pub use self::word_format::WordFormat;
use crate::activation::ActivationFunction;
use crate::isa::{AVX512, Isa, LANES};
use crate::parallel::{self, SharedSlice};
use crate::placed_panel::{PlacedPanel, placed_panels};

/// Panels of `B` that a job multiplies with each of its tiles, at most.
const MOST_PANELS: usize = 2;
/// Words of a job's packed panels, at most, if it has several: half of a second-level cache.
const MOST_PACKED_WORDS: usize = 1 << 17;
/// Tiles of a job, at least, so that packing its panels is worth it.
const FEWEST_TILES: usize = 8;
/// Jobs of each thread, if there are as many panels, so that all threads finish at about the same time.
const JOBS_PER_THREAD: usize = 6;

/// A matrix, row-major or the transpose of a row-major one.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a, T = f32> {
    values: &'a [T],
    rows: usize,
    columns: usize,
    /// Whether `values` is row-major; otherwise it is column-major.
    row_major: bool,
}

impl<'a, T: WordFormat> Matrix<'a, T> {
    /// `[rows, columns]`, row-major.
    ///
    /// # Panics
    /// If `values` has another length.
    pub fn new(values: &'a [T], rows: usize, columns: usize) -> Self {
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
pub struct PackedMatrix<T = f32> {
    /// For each panel of columns, and in it for each word of `k`: a row of the panel. Columns of padding are zeros.
    panels: Vec<Block>,
    rows: usize,
    columns: usize,
    isa: Isa,
    format: PhantomData<T>,
}

impl<T: Factor> PackedMatrix<T> {
    /// Packs `matrix` for the instruction set that is selected now.
    pub fn new(matrix: Matrix<T>) -> Self {
        let isa = Isa::selected();
        let TileShape { blocks, .. } = TileShape::of(isa);
        let words = matrix.rows.div_ceil(T::PER_WORD);
        let mut panels = vec![Block::default(); matrix.columns.div_ceil(blocks * LANES) * blocks * words];
        let jobs = panels.chunks_exact_mut((words * blocks).max(1)).enumerate();
        parallel::for_each(jobs.collect(), |(panel, blocks_of_panel)| {
            let (first, to) = (panel * blocks * LANES, Block::words_mut(blocks_of_panel));
            let matrix = matrix.transposed();
            T::pack(PackJob { matrix, first, width: blocks * LANES, words: (0, words), to }, isa);
        });
        Self { panels, rows: matrix.rows, columns: matrix.columns, isa, format: PhantomData }
    }

    fn panel(&self, index: usize) -> &[Block] {
        let size = self.rows.div_ceil(T::PER_WORD) * TileShape::of(self.isa).blocks;
        &self.panels[index * size..][..size]
    }
}

thread_local! {
    /// The words of a left matrix whose neighbors along `k` are not neighbors in memory, kept so that products do not allocate.
    static LEFT_WORDS: Cell<Vec<u32>> = const { Cell::new(Vec::new()) };
}

/// `C = A B`, with `bias` (`[columns of B]`) added to each row; `C` is row-major.
///
/// # Panics
/// If sizes do not fit.
pub fn multiply<T: Factor>(a: Matrix<T>, b: Matrix<T>, bias: Option<&[T]>, c: &mut [T]) {
    assert_eq!(a.columns, b.rows, "the sum's length");
    multiply_with(a, Right::Matrix(b), (b.columns, Isa::selected()), Finish { bias, activation: None }, c);
}

/// `y = f(x W^T + b)`: `x` is `[R, K]`, `y` `[R, N]`, `b` `[N]`. Several matrices `W^T`, all packed for one instruction set,
/// are applied to the same rows, with their outputs side by side; `N` is the sum of theirs. Without an activation function,
/// `f(x) = x`. The result is that of [`multiply`] and then the function.
///
/// # Panics
/// If sizes do not fit, or there is no matrix.
pub fn linear<T: Factor>(
    x: &[T],
    weights: &[PackedMatrix<T>],
    bias: &[T],
    activation: Option<ActivationFunction>,
    y: &mut [T],
) {
    let PackedMatrix { rows: inputs, isa, .. } = weights[0];
    assert!(weights.iter().all(|weights| weights.rows == inputs && weights.isa == isa), "matrices of one kind");
    let x = Matrix::new(x, x.len() / inputs.max(1), inputs);
    let width = TileShape::of(isa).columns();
    let panels = placed_panels(weights, width, |weights| weights.columns, PackedMatrix::panel);
    let columns = weights.iter().map(|weights| weights.columns).sum();
    multiply_with(x, Right::Packed(&panels), (columns, isa), Finish { bias: Some(bias), activation }, y);
}

/// What is done with sums: the bias is added, the result rounded, and the function applied.
#[derive(Clone, Copy)]
struct Finish<'a, T> {
    bias: Option<&'a [T]>,
    activation: Option<ActivationFunction>,
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
enum Right<'a, T> {
    /// Each job packs the panels that it needs.
    Matrix(Matrix<'a, T>),
    Packed(&'a [PlacedPanel<&'a [Block]>]),
}

/// [`multiply`], where `b` has this number of columns and is packed, if at all, for this instruction set.
fn multiply_with<T: Factor>(a: Matrix<T>, b: Right<T>, (columns, isa): (usize, Isa), finish: Finish<T>, c: &mut [T]) {
    assert_eq!(c.len(), a.rows * columns, "the length of C");
    assert!(finish.bias.is_none_or(|bias| bias.len() == columns), "the bias's length");
    if c.is_empty() {
        return;
    }
    let mut scratch = LEFT_WORDS.take();
    let words = words_of_rows(a, &mut scratch, isa);
    let shape = TileShape::of(isa);
    let panels = match b {
        Right::Matrix(_) => columns.div_ceil(shape.columns()),
        Right::Packed(panels) => panels.len(),
    };
    let wanted = JOBS_PER_THREAD * parallel::thread_count();
    let in_cache = MOST_PACKED_WORDS / (words.words * shape.columns()).max(1);
    let panels_per_job = (panels / wanted).min(in_cache).clamp(1, MOST_PANELS);
    let column_jobs = panels.div_ceil(panels_per_job);
    let tiles = a.rows.div_ceil(shape.rows);
    let row_jobs = wanted.div_ceil(column_jobs).min(tiles / FEWEST_TILES).max(1);
    let c = SharedSlice::new(c);
    // Row after row for the same panels, which threads that share a cache therefore read together.
    parallel::for_each_index(row_jobs * column_jobs, |index| {
        let (column_job, row_job) = (index / row_jobs, index % row_jobs);
        let first_panel = column_job * panels_per_job;
        let job = TileJob {
            a: words,
            b,
            tile_range: (row_job * tiles / row_jobs, (row_job + 1) * tiles / row_jobs),
            panel_range: (first_panel, panels.min(first_panel + panels_per_job)),
            finish,
            isa,
            c: &c,
            columns,
        };
        T::multiply_tiles(job, isa);
    });
    LEFT_WORDS.set(scratch);
}
