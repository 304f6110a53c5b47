//! The fused CPU kernels of Adam and AdamW: one pass over memory, and the steps that rows of a table have missed.

use kernels::element::{Bf16, Element};
use kernels::isa::{LANES, Supported};
use kernels::multiversion;

/// `exp_avg` values below this are set to zero. After its last gradient, the average of an embedding row decays for
/// hundreds of steps and would become a subnormal number, on which some processors are a hundred times slower. An
/// average this small changes its weight by less than 1e-22 of the learning rate.
const NEGLIGIBLE: f32 = 1e-30;

/// The coefficients of a step, which are the same for all weights of a span.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fp32Coefficients {
    pub gradient_scale: f32,
    /// Weight decay added to the gradient (Adam); 0 for none.
    pub coupled_decay: f32,
    /// `1 - learning_rate * weight_decay` (AdamW); 1 for no decay.
    pub weight_factor: f32,
    pub one_minus_beta1: f32,
    pub beta2: f32,
    pub one_minus_beta2: f32,
    /// `1 / sqrt(1 - beta2^step)`
    pub rsqrt_bias_correction2: f32,
    /// Added to the denominator.
    pub epsilon: f32,
    /// `learning_rate / (1 - beta1^step)`
    pub step_size: f32,
}

/// Consecutive weights of a span, their averages and, if any, the bf16 weights to write. All have the same
/// length.
#[derive(Debug)]
pub(super) struct WeightChunk<'a> {
    pub master: &'a mut [f32],
    pub exp_avg: &'a mut [f32],
    pub exp_avg_sq: &'a mut [f32],
    pub compute: Option<&'a mut [Bf16]>,
}

/// The gradient of a [`WeightChunk`].
#[derive(Debug, Clone, Copy)]
pub(super) enum GradientChunk<'a> {
    Fp32(&'a [f32]),
    Bf16(&'a [Bf16]),
}

/// The update of one chunk.
#[derive(Debug)]
pub(super) struct AdamJob<'a> {
    pub coefficients: Fp32Coefficients,
    pub chunk: WeightChunk<'a>,
    pub gradient: GradientChunk<'a>,
}

/// The steps that some of the rows in a chunk have missed, and one with a gradient.
#[derive(Debug)]
pub(super) struct RowsJob<'a> {
    /// Whole rows of a table.
    pub chunk: WeightChunk<'a>,
    /// Index in the table of the chunk's first row.
    pub first: usize,
    /// Values per row.
    pub width: usize,
    /// Indices in the table of the rows to update, ascending.
    pub ids: &'a [i64],
    /// The gradients of these rows in the last step of the history, concatenated; `None` if they have none there.
    pub values: Option<&'a [f32]>,
    /// For each row of the chunk, whether its averages may differ from zero.
    pub seen: &'a mut [bool],
    /// For each row of the chunk, the steps of the history that it has had.
    pub steps_done: &'a mut [u32],
    /// The coefficients of the last steps.
    pub history: &'a [Fp32Coefficients],
}

impl<'a> WeightChunk<'a> {
    /// Splits off the first `len` weights.
    pub(super) fn split_off(&mut self, len: usize) -> WeightChunk<'a> {
        let first =
            |slice: &mut &'a mut [f32]| slice.split_off_mut(..len).expect("the chunk has at least `len` weights");
        WeightChunk {
            master: first(&mut self.master),
            exp_avg: first(&mut self.exp_avg),
            exp_avg_sq: first(&mut self.exp_avg_sq),
            compute: self.compute.as_mut().map(|compute| compute.split_off_mut(..len).expect("as long as `master`")),
        }
    }

    /// One of its rows of that width.
    #[inline(always)]
    fn row(&mut self, row: usize, width: usize) -> WeightChunk<'_> {
        let range = row * width..(row + 1) * width;
        WeightChunk {
            master: &mut self.master[range.clone()],
            exp_avg: &mut self.exp_avg[range.clone()],
            exp_avg_sq: &mut self.exp_avg_sq[range.clone()],
            compute: self.compute.as_mut().map(|compute| &mut compute[range]),
        }
    }
}

multiversion!(
    /// Updates one chunk.
    pub(super) fn run(AdamJob<'_>) = run_inline
);

#[inline(always)]
fn run_inline<const ISA: u8>(job: AdamJob, _: Supported<ISA>) {
    match job.gradient {
        GradientChunk::Fp32(gradient) => update(&job.coefficients, job.chunk, gradient),
        GradientChunk::Bf16(gradient) => update(&job.coefficients, job.chunk, gradient),
    }
}

multiversion!(
    /// Updates some rows of one chunk.
    pub(super) fn run_rows(RowsJob<'_>) = run_rows_inline
);

#[inline(always)]
fn run_rows_inline<const ISA: u8>(mut job: RowsJob, _: Supported<ISA>) {
    let (without_gradient, last) = match job.values {
        Some(_) => (job.history.len() - 1, job.history.last()),
        None => (job.history.len(), None),
    };
    for (index, id) in job.ids.iter().enumerate() {
        let row = *id as usize - job.first;
        let mut chunk = job.chunk.row(row, job.width);
        let missed = &job.history[(job.steps_done[row] as usize).min(without_gradient)..without_gradient];
        replay(missed, &mut chunk, job.seen[row]);
        if let (Some(values), Some(coefficients)) = (job.values, last) {
            job.seen[row] = true;
            update(coefficients, chunk, &values[index * job.width..][..job.width]);
        }
        job.steps_done[row] = job.history.len() as u32;
    }
}

/// Does the same as [`update`] with a zero gradient and each step's coefficients in order, but keeps each block of weights
/// in registers meanwhile. `seen` is whether the averages may differ from zero.
#[inline(always)]
fn replay(steps: &[Fp32Coefficients], chunk: &mut WeightChunk, seen: bool) {
    if steps.is_empty() {
        return;
    }
    // Without coupled decay, the averages of a row that has not had a gradient stay zero.
    let decays_only = !seen && steps.iter().all(|coefficients| coefficients.coupled_decay == 0.0);
    let (master, master_rest) = chunk.master.as_chunks_mut::<LANES>();
    let (exp_avg, exp_avg_rest) = chunk.exp_avg.as_chunks_mut::<LANES>();
    let (exp_avg_sq, exp_avg_sq_rest) = chunk.exp_avg_sq.as_chunks_mut::<LANES>();
    for ((weight, exp_avg), exp_avg_sq) in master.iter_mut().zip(exp_avg).zip(exp_avg_sq) {
        let mut new_weight = *weight;
        if decays_only {
            for coefficients in steps {
                for weight in &mut new_weight {
                    *weight *= coefficients.weight_factor;
                }
            }
        } else {
            let (mut new_exp_avg, mut new_exp_avg_sq) = (*exp_avg, *exp_avg_sq);
            for coefficients in steps {
                for lane in 0..LANES {
                    update_weight(
                        coefficients,
                        &mut new_weight[lane],
                        &mut new_exp_avg[lane],
                        &mut new_exp_avg_sq[lane],
                        0.0,
                    );
                }
            }
            (*exp_avg, *exp_avg_sq) = (new_exp_avg, new_exp_avg_sq);
        }
        *weight = new_weight;
    }
    for ((weight, exp_avg), exp_avg_sq) in master_rest.iter_mut().zip(exp_avg_rest).zip(exp_avg_sq_rest) {
        for coefficients in steps {
            if decays_only {
                *weight *= coefficients.weight_factor;
            } else {
                update_weight(coefficients, weight, exp_avg, exp_avg_sq, 0.0);
            }
        }
    }
    if let Some(compute) = &mut chunk.compute {
        for (rounded, weight) in compute.iter_mut().zip(chunk.master.iter()) {
            *rounded = Bf16::from_f32(*weight);
        }
    }
}

#[inline(always)]
fn update<G: Element>(coefficients: &Fp32Coefficients, chunk: WeightChunk, gradient: &[G]) {
    let (master, master_rest) = chunk.master.as_chunks_mut::<LANES>();
    let (exp_avg, exp_avg_rest) = chunk.exp_avg.as_chunks_mut::<LANES>();
    let (exp_avg_sq, exp_avg_sq_rest) = chunk.exp_avg_sq.as_chunks_mut::<LANES>();
    let (gradient, gradient_rest) = gradient.as_chunks::<LANES>();
    let averages = exp_avg.iter_mut().zip(exp_avg_sq);
    let blocks = master.iter_mut().zip(averages).zip(gradient);
    let averages = exp_avg_rest.iter_mut().zip(exp_avg_sq_rest);
    let rest = master_rest.iter_mut().zip(averages).zip(gradient_rest);
    if let Some(compute) = chunk.compute {
        let (compute, compute_rest) = compute.as_chunks_mut::<LANES>();
        for (((weight, (exp_avg, exp_avg_sq)), gradient), rounded) in blocks.zip(compute) {
            update_block(coefficients, weight, exp_avg, exp_avg_sq, gradient);
            write_bf16_block(weight, rounded);
        }
        for (((weight, (exp_avg, exp_avg_sq)), gradient), rounded) in rest.zip(compute_rest) {
            update_weight(coefficients, weight, exp_avg, exp_avg_sq, gradient.to_f32());
            *rounded = Bf16::from_f32(*weight);
        }
    } else {
        for ((weight, (exp_avg, exp_avg_sq)), gradient) in blocks {
            update_block(coefficients, weight, exp_avg, exp_avg_sq, gradient);
        }
        for ((weight, (exp_avg, exp_avg_sq)), gradient) in rest {
            update_weight(coefficients, weight, exp_avg, exp_avg_sq, gradient.to_f32());
        }
    }
}

#[inline(always)]
fn update_block<G: Element>(
    coefficients: &Fp32Coefficients,
    weight: &mut [f32; LANES],
    exp_avg: &mut [f32; LANES],
    exp_avg_sq: &mut [f32; LANES],
    gradient: &[G; LANES],
) {
    // Local copies, so that the compiler knows that the arrays don't overlap.
    let (mut new_weight, mut new_exp_avg, mut new_exp_avg_sq) = (*weight, *exp_avg, *exp_avg_sq);
    for lane in 0..LANES {
        update_weight(
            coefficients,
            &mut new_weight[lane],
            &mut new_exp_avg[lane],
            &mut new_exp_avg_sq[lane],
            gradient[lane].to_f32(),
        );
    }
    (*weight, *exp_avg, *exp_avg_sq) = (new_weight, new_exp_avg, new_exp_avg_sq);
}

#[inline(always)]
fn write_bf16_block(weight: &[f32; LANES], rounded: &mut [Bf16; LANES]) {
    let mut new_rounded = [Bf16::default(); LANES];
    for lane in 0..LANES {
        new_rounded[lane] = Bf16::from_f32(weight[lane]);
    }
    *rounded = new_rounded;
}

/// Updates one weight, with the operations in the same order as `torch.optim`.
#[inline(always)]
fn update_weight(
    coefficients: &Fp32Coefficients,
    weight: &mut f32,
    exp_avg: &mut f32,
    exp_avg_sq: &mut f32,
    gradient: f32,
) {
    let gradient = gradient * coefficients.gradient_scale + coefficients.coupled_decay * *weight;
    let average = *exp_avg + coefficients.one_minus_beta1 * (gradient - *exp_avg);
    *exp_avg = if average.abs() < NEGLIGIBLE { 0.0 } else { average };
    *exp_avg_sq = *exp_avg_sq * coefficients.beta2 + coefficients.one_minus_beta2 * gradient * gradient;
    let denominator = exp_avg_sq.sqrt() * coefficients.rsqrt_bias_correction2 + coefficients.epsilon;
    *weight = *weight * coefficients.weight_factor - coefficients.step_size * *exp_avg / denominator;
}
