//! Linear layers with int8 weights, for inference: `y = f(x W^T + b)`, inputs and outputs in fp32.
//!
//! Weights have one scale for each output, chosen once; inputs have one for each row, chosen when they come. So a row's
//! result does not depend on the other rows of its batch. Both are symmetric: `x = scale * q` with `q` from -127 to 127
//! and `scale` the largest magnitude over 127. Products are summed exactly, in 32-bit integers, so every instruction
//! set gives the same bits, but for the activation function.
//!
//! A job takes some rows: it quantizes them, multiplies them with all panels of its weights while both are in the
//! cache, and applies the activation function to what it has just written.

mod product;
#[cfg(test)]
mod tests;

use std::cell::Cell;

use self::product::{PANEL, QuantizedRows, VALUES, WeightPanel, multiply, start};
use crate::activation::{ActivationFunction, apply};
use crate::isa::{Isa, LANES, Supported};
use crate::multiversion;
use crate::parallel::{self, SharedSlice};
use crate::placed_panel::{PlacedPanel, placed_panels};

pub use self::product::instruction;

/// The largest quantized magnitude.
const LARGEST: f32 = 127.0;
/// Rows of a job: what they need, quantized, is in the second-level cache together with a panel of weights.
const ROWS_PER_JOB: usize = 48;
/// Jobs of each thread, at least, so that all threads finish at about the same time.
const JOBS_PER_THREAD: usize = 3;

/// A weight matrix `[N, K]` in int8, in the layout that the products read.
#[derive(Debug)]
pub struct QuantizedWeights {
    outputs: usize,
    inputs: usize,
    /// For each panel of [`PANEL`] outputs, and in it for each [`VALUES`] inputs: `[PANEL, VALUES]`, each value plus
    /// 128. Outputs and inputs that round up to whole panels are zeros.
    panels: Vec<u8>,
    /// One for each output, and zeros for those of padding.
    scales: Vec<f32>,
}

impl QuantizedWeights {
    /// Quantizes `weights`, `[outputs, inputs]` row-major.
    ///
    /// An output with a weight that is not finite gets the scale NaN, and so do its results.
    ///
    /// # Panics
    /// If `weights` has another length.
    pub fn new(weights: &[f32], outputs: usize, inputs: usize) -> Self {
        assert_eq!(weights.len(), outputs * inputs);
        let (padded_outputs, padded_inputs) = (outputs.next_multiple_of(PANEL), inputs.next_multiple_of(VALUES));
        let mut panels = vec![128_u8; padded_outputs * padded_inputs];
        let mut scales = vec![0.0; padded_outputs];
        let isa = Isa::selected();
        let jobs = panels.chunks_mut((PANEL * padded_inputs).max(1)).zip(scales.chunks_mut(PANEL)).enumerate();
        parallel::for_each(jobs.collect(), |(panel, (bytes, scales))| {
            let mut row = vec![0_i8; padded_inputs];
            for (column, scale) in scales.iter_mut().enumerate().take(outputs - panel * PANEL) {
                let weights = &weights[(panel * PANEL + column) * inputs..][..inputs];
                quantize(Quantization { from: weights, to: &mut row, scale }, isa);
                for (k, values) in row.as_chunks::<VALUES>().0.iter().enumerate() {
                    let to = &mut bytes[(k * PANEL + column) * VALUES..][..VALUES];
                    to.iter_mut().zip(values).for_each(|(to, value)| *to = value.cast_unsigned().wrapping_add(128));
                }
            }
        });
        Self { outputs, inputs, panels, scales }
    }

    fn panel(&self, index: usize) -> WeightPanel<'_> {
        let size = PANEL * self.inputs.next_multiple_of(VALUES);
        WeightPanel { weights: &self.panels[index * size..][..size], scales: &self.scales[index * PANEL..][..PANEL] }
    }
}

/// `y = f(x W^T + b)`: `x` is `[R, K]`, `y` `[R, N]`, `b` `[N]`. Several weight matrices are applied to the same rows,
/// with their outputs side by side; `N` is the sum of theirs. Without an activation function, `f(x) = x`.
///
/// A row with a value that is not finite gives NaN.
///
/// # Panics
/// If a length does not fit, or the matrices have different numbers of inputs.
pub fn linear(
    x: &[f32],
    weights: &[QuantizedWeights],
    bias: &[f32],
    activation: Option<ActivationFunction>,
    y: &mut [f32],
) {
    let Some(inputs) = weights.first().map(|weights| weights.inputs).filter(|inputs| *inputs > 0) else { return };
    assert!(weights.iter().all(|weights| weights.inputs == inputs));
    let width: usize = weights.iter().map(|weights| weights.outputs).sum();
    let rows = x.len() / inputs;
    assert!(x.len() == rows * inputs && y.len() == rows * width && bias.len() == width);
    let panels = placed_panels(weights, PANEL, |weights| weights.outputs, QuantizedWeights::panel);
    let row_jobs = rows.div_ceil(ROWS_PER_JOB);
    let wanted = JOBS_PER_THREAD * parallel::thread_count();
    let panels_per_job = panels.len().div_ceil(wanted.div_ceil(row_jobs.max(1)).clamp(1, panels.len().max(1)));
    let column_jobs = panels.len().div_ceil(panels_per_job.max(1));
    let isa = Isa::selected();
    let y = SharedSlice::new(y);
    // Column after column for the same rows: threads that share a cache also share the rows.
    parallel::for_each_index(row_jobs * column_jobs, |index| {
        let (row_job, column_job) = (index / column_jobs, index % column_jobs);
        let first_row = row_job * ROWS_PER_JOB;
        let panels = &panels[column_job * panels_per_job..];
        let job = LinearJob {
            x: &x[first_row * inputs..][..(rows - first_row).min(ROWS_PER_JOB) * inputs],
            inputs,
            panels: &panels[..panels.len().min(panels_per_job)],
            bias,
            activation,
            isa,
            y: &y,
            first_row,
            width,
        };
        run(job, isa);
    });
}

struct LinearJob<'a> {
    /// The rows of this job.
    x: &'a [f32],
    inputs: usize,
    panels: &'a [PlacedPanel<WeightPanel<'a>>],
    bias: &'a [f32],
    activation: Option<ActivationFunction>,
    isa: Isa,
    /// All rows, `[R, width]`; this job writes those from `first_row` on, in the columns of its panels.
    y: &'a SharedSlice<'a, f32>,
    first_row: usize,
    width: usize,
}

thread_local! {
    /// The quantized rows of a job, kept so that jobs do not allocate.
    static SCRATCH: Cell<Vec<i8>> = const { Cell::new(Vec::new()) };
}

multiversion!(fn run(LinearJob<'_>) = run_inline);

#[inline(always)]
fn run_inline<const ISA: u8>(job: LinearJob, supported: Supported<ISA>) {
    let LinearJob { x, inputs, panels, bias, activation, isa, y, first_row, width } = job;
    let (count, padded) = (x.len() / inputs, inputs.next_multiple_of(VALUES));
    // Taken out, because a closure in its place would not be compiled for `ISA`.
    let mut quantized = SCRATCH.take();
    let (mut scales, mut starts) = ([0.0; ROWS_PER_JOB], [0; ROWS_PER_JOB]);
    quantized.resize(count * padded, 0);
    for (row, (from, to)) in x.chunks_exact(inputs).zip(quantized.chunks_exact_mut(padded)).enumerate() {
        quantize_inline(Quantization { from, to, scale: &mut scales[row] }, supported);
        starts[row] = start(to);
    }
    let rows = QuantizedRows { values: &quantized, scales: &scales[..count], starts: &starts[..count], inputs: padded };
    let mut tile = [0.0; ROWS_PER_JOB * PANEL];
    for placed in panels {
        let columns = placed.first_column..placed.first_column + placed.columns;
        multiply(supported, rows, placed.panel, &mut tile);
        let tile = &mut tile[..count * PANEL];
        for row in tile.chunks_exact_mut(PANEL) {
            row.iter_mut().zip(&bias[columns.clone()]).for_each(|(product, bias)| *product += bias);
        }
        if let Some(activation) = activation {
            apply((activation, tile), isa);
        }
        for (row, from) in tile.chunks_exact(PANEL).enumerate() {
            // SAFETY: no other job has this row and this panel, and this job has no other slice of its outputs.
            let out = unsafe { y.slice((first_row + row) * width + columns.start, columns.len()) };
            out.copy_from_slice(&from[..columns.len()]);
        }
    }
    SCRATCH.set(quantized);
}

struct Quantization<'a> {
    from: &'a [f32],
    /// As long as `from`, or longer; the rest becomes zeros.
    to: &'a mut [i8],
    scale: &'a mut f32,
}

multiversion!(fn quantize(Quantization<'_>) = quantize_inline);

#[inline(always)]
fn quantize_inline<const ISA: u8>(Quantization { from, to, scale }: Quantization, _: Supported<ISA>) {
    /// Adding this leaves the nearest whole number, ties to even, in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let (blocks, rest) = from.as_chunks::<LANES>();
    let mut largest = [0.0_f32; LANES];
    // Zero for finite values, NaN otherwise.
    let mut invalid = [0.0_f32; LANES];
    for block in blocks {
        for lane in 0..LANES {
            largest[lane] = largest[lane].max(block[lane].abs());
            invalid[lane] += block[lane] * 0.0;
        }
    }
    for (lane, value) in rest.iter().enumerate() {
        largest[lane] = largest[lane].max(value.abs());
        invalid[lane] += value * 0.0;
    }
    let largest = largest.into_iter().fold(0.0, f32::max);
    *scale = largest / LARGEST + invalid.iter().sum::<f32>();
    // Values of a row of zeros, or so small that the factor is infinite, are zeros.
    let factor = LARGEST / largest;
    let factor = if factor.is_finite() { factor } else { 0.0 };
    let (to, padding) = to.split_at_mut(from.len());
    for (to, from) in to.iter_mut().zip(from) {
        *to = (from * factor + ROUND).to_bits() as i8;
    }
    padding.fill(0);
}
