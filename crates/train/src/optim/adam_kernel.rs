//! The one pass over memory of Adam and AdamW on the CPU.

use kernels::element::{Bf16, Element};
use kernels::isa::LANES;
use kernels::multiversion;

/// Averages of gradients below this are set to zero. Rows of an embedding table that were seen once decay for hundreds
/// of steps; without this they would end as subnormal numbers, on which some processors are a hundred times slower. Such
/// an average moves its weight by less than 1e-22 of the learning rate.
const NEGLIGIBLE: f32 = 1e-30;

/// The gradient of a row that has none. It takes no memory, so a slice of any length of it costs nothing.
#[derive(Debug, Clone, Copy, Default)]
struct NoGradient;

impl Element for NoGradient {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        0.0
    }
    #[inline(always)]
    fn from_f32(_: f32) -> Self {
        NoGradient
    }
}

/// The numbers of a step that are the same for all weights of a parameter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Constants {
    /// Factor of the gradient.
    pub gradient_scale: f32,
    /// Weight decay inside the gradient (Adam), 0 for none.
    pub coupled_decay: f32,
    /// Factor of the weight (AdamW), 1 for no decay.
    pub keep: f32,
    /// `1 - beta1`
    pub exp_avg_share: f32,
    /// `beta2`
    pub exp_avg_sq_keep: f32,
    /// `1 - beta2`
    pub exp_avg_sq_share: f32,
    /// `1 / sqrt(1 - beta2^step)`
    pub root_correction: f32,
    /// Added to the denominator.
    pub epsilon: f32,
    /// `learning_rate / (1 - beta1^step)`
    pub step_size: f32,
}

/// A stretch of one parameter, its averages, and the bf16 weights to write, if any. All of the same length.
#[derive(Debug)]
pub(super) struct UpdateSpan<'a> {
    pub master: &'a mut [f32],
    pub exp_avg: &'a mut [f32],
    pub exp_avg_sq: &'a mut [f32],
    pub compute: Option<&'a mut [Bf16]>,
}

/// The gradient of a stretch.
#[derive(Debug)]
pub(super) enum Piece<'a> {
    Fp32(&'a [f32]),
    Bf16(&'a [Bf16]),
    Rows(RowGradient<'a>),
}

/// The gradient of whole rows of a table, of which most are absent.
#[derive(Debug)]
pub(super) struct RowGradient<'a> {
    /// Number of the stretch's first row in the table.
    pub first: usize,
    /// Values in a row.
    pub width: usize,
    /// The rows of the stretch that have a gradient, ascending, numbered as in the table.
    pub ids: &'a [i64],
    /// Their gradients, one after another.
    pub values: &'a [f32],
    /// For each row of the stretch whether its averages may differ from zero.
    pub seen: &'a [bool],
}

/// A stretch to be updated.
#[derive(Debug)]
pub(super) struct AdamJob<'a> {
    pub constants: Constants,
    pub span: UpdateSpan<'a>,
    pub gradient: Piece<'a>,
}

impl<'a> UpdateSpan<'a> {
    /// Splits off the first `len` weights.
    pub(super) fn take(&mut self, len: usize) -> UpdateSpan<'a> {
        let front = |slice: &mut &'a mut [f32]| slice.split_off_mut(..len).expect("the span is at least this long");
        UpdateSpan {
            master: front(&mut self.master),
            exp_avg: front(&mut self.exp_avg),
            exp_avg_sq: front(&mut self.exp_avg_sq),
            compute: self.compute.as_mut().map(|compute| compute.split_off_mut(..len).expect("as long as the master")),
        }
    }
}

multiversion!(
    /// Updates one stretch.
    pub(super) fn run(AdamJob<'_>) = run_inline
);

#[inline(always)]
fn run_inline<const ISA: u8>(job: AdamJob) {
    match job.gradient {
        Piece::Fp32(gradient) => update(&job.constants, job.span, gradient),
        Piece::Bf16(gradient) => update(&job.constants, job.span, gradient),
        Piece::Rows(rows) => update_rows(&job.constants, job.span, rows),
    }
}

#[inline(always)]
fn update_rows(constants: &Constants, mut span: UpdateSpan, rows: RowGradient) {
    let absent = vec![NoGradient; rows.width];
    let untouched = constants.coupled_decay == 0.0;
    let mut present = rows.ids.iter().zip(rows.values.chunks_exact(rows.width)).peekable();
    for (row, seen) in rows.seen.iter().enumerate() {
        let span = span.take(rows.width);
        if let Some((_, gradient)) = present.next_if(|(id, _)| **id == (rows.first + row) as i64) {
            update(constants, span, gradient);
        } else if *seen || !untouched {
            update(constants, span, &absent);
        } else if constants.keep != 1.0 {
            decay(constants.keep, span);
        }
    }
}

/// What [`update`] does to weights whose gradient and averages are zero, to the bit, without reading the averages.
#[inline(always)]
fn decay(keep: f32, span: UpdateSpan) {
    for weight in span.master.iter_mut() {
        *weight *= keep;
    }
    if let Some(compute) = span.compute {
        for (rounded, weight) in compute.iter_mut().zip(span.master) {
            *rounded = Bf16::from_f32(*weight);
        }
    }
}

#[inline(always)]
fn update<G: Element>(constants: &Constants, span: UpdateSpan, gradient: &[G]) {
    let (master, master_rest) = span.master.as_chunks_mut::<LANES>();
    let (exp_avg, exp_avg_rest) = span.exp_avg.as_chunks_mut::<LANES>();
    let (exp_avg_sq, exp_avg_sq_rest) = span.exp_avg_sq.as_chunks_mut::<LANES>();
    let (gradient, gradient_rest) = gradient.as_chunks::<LANES>();
    let averages = exp_avg.iter_mut().zip(exp_avg_sq);
    let blocks = master.iter_mut().zip(averages).zip(gradient);
    let averages = exp_avg_rest.iter_mut().zip(exp_avg_sq_rest);
    let rest = master_rest.iter_mut().zip(averages).zip(gradient_rest);
    if let Some(compute) = span.compute {
        let (compute, compute_rest) = compute.as_chunks_mut::<LANES>();
        for (((weight, (exp_avg, exp_avg_sq)), gradient), rounded) in blocks.zip(compute) {
            update_block(constants, weight, exp_avg, exp_avg_sq, gradient);
            write_bf16_block(weight, rounded);
        }
        for (((weight, (exp_avg, exp_avg_sq)), gradient), rounded) in rest.zip(compute_rest) {
            update_one(constants, weight, exp_avg, exp_avg_sq, gradient.to_f32());
            *rounded = Bf16::from_f32(*weight);
        }
    } else {
        for ((weight, (exp_avg, exp_avg_sq)), gradient) in blocks {
            update_block(constants, weight, exp_avg, exp_avg_sq, gradient);
        }
        for ((weight, (exp_avg, exp_avg_sq)), gradient) in rest {
            update_one(constants, weight, exp_avg, exp_avg_sq, gradient.to_f32());
        }
    }
}

#[inline(always)]
fn update_block<G: Element>(
    constants: &Constants,
    weight: &mut [f32; LANES],
    exp_avg: &mut [f32; LANES],
    exp_avg_sq: &mut [f32; LANES],
    gradient: &[G; LANES],
) {
    // Values of their own, so that the compiler needn't ask whether the four overlap.
    let (mut new_weight, mut new_exp_avg, mut new_exp_avg_sq) = (*weight, *exp_avg, *exp_avg_sq);
    for lane in 0..LANES {
        update_one(
            constants,
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

/// The formula, in the order of operations of `torch.optim`.
#[inline(always)]
fn update_one(constants: &Constants, weight: &mut f32, exp_avg: &mut f32, exp_avg_sq: &mut f32, gradient: f32) {
    let gradient = gradient * constants.gradient_scale + constants.coupled_decay * *weight;
    let average = *exp_avg + constants.exp_avg_share * (gradient - *exp_avg);
    *exp_avg = if average.abs() < NEGLIGIBLE { 0.0 } else { average };
    *exp_avg_sq = *exp_avg_sq * constants.exp_avg_sq_keep + constants.exp_avg_sq_share * gradient * gradient;
    let denominator = exp_avg_sq.sqrt() * constants.root_correction + constants.epsilon;
    *weight = *weight * constants.keep - constants.step_size * *exp_avg / denominator;
}
