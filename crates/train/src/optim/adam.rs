//! Adam (Kingma & Ba 2015) and AdamW (Loshchilov & Hutter 2019), as `torch.optim.Adam` and `torch.optim.AdamW`.
//!
//! ```text
//! g = gradient * gradient_scale (+ weight_decay * w for Adam)
//! w = w * (1 - learning_rate * weight_decay)       for AdamW
//! m = m + (1 - beta1) * (g - m)
//! v = beta2 * v + (1 - beta2) * g^2
//! w = w - learning_rate / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)
//! ```
//!
//! On a CPU, a step is limited by memory bandwidth. The kernel therefore scales the bf16 or fp32 gradient, updates averages and
//! weights, and writes the bf16 compute weights in a single vectorized pass on all threads. Row gradients of an
//! embedding table aren't converted to dense ones. The averages of rows that have not had a gradient yet are zero and
//! aren't read; only weight decay changes these rows. The result is bit for bit that of the dense gradient.

use kernels::isa::Isa;
use kernels::parallel;
use model::tensor_slice::{checked_slice, checked_slice_mut};
use model::{Backend, Gradient, ModelError};
use tch::{Device, Kind, Tensor};

use super::adam_kernel::{self, AdamJob, Fp32Coefficients, GradientChunk, RowGradient, WeightChunk};
use super::{OptimizerSettings, OptimizerSpec, Update, Weight, update_each_in_pieces};
use crate::error::{Result, TrainError};

pub(super) const ADAMW: OptimizerSpec = OptimizerSpec {
    name: "adamw",
    aliases: &["adam-w", "adam_w"],
    summary: "Adam with decoupled weight decay (Loshchilov & Hutter 2019)",
    reads: &["beta1", "beta2", "epsilon"],
    defaults: &[],
    state: |shape| vec![("exp_avg", shape.to_vec()), ("exp_avg_sq", shape.to_vec())],
    is_elementwise: true,
    update_copies: 0,
    step: |updates, settings, steps| step(updates, settings, steps, Decay::Decoupled),
};

pub(super) const ADAM: OptimizerSpec = OptimizerSpec {
    name: "adam",
    aliases: &[],
    summary: "Adam with weight decay inside the gradient (Kingma & Ba 2015)",
    step: |updates, settings, steps| step(updates, settings, steps, Decay::Coupled),
    ..ADAMW
};

/// How weight decay is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decay {
    /// To the weight, as in AdamW.
    Decoupled,
    /// Added to the gradient, as in Adam.
    Coupled,
}

/// Weights per job: about ten microseconds of work, so that all threads finish at about the same time.
const JOB_SIZE: usize = 1 << 16;

/// For each row of a table, whether it has had a gradient, so that its averages may differ from zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SeenRows(Vec<bool>);

impl SeenRows {
    /// No row of a table with this shape has had a gradient. Other shapes have no rows.
    pub(super) fn new(shape: &[i64]) -> Self {
        Self(vec![false; if let [rows, _] = shape { usize::try_from(*rows).unwrap_or(0) } else { 0 }])
    }

    /// The rows in which an average differs from zero.
    pub(super) fn from_averages(averages: &[Tensor]) -> Result<Self> {
        let mut seen = Vec::new();
        for average in averages.iter().filter(|average| average.dim() == 2) {
            let nonzero: Vec<bool> = average.f_ne(0.0)?.f_any_dim(1, false)?.f_to_device(Device::Cpu)?.try_into()?;
            seen.resize(nonzero.len(), false);
            seen.iter_mut().zip(nonzero).for_each(|(seen, nonzero)| *seen |= nonzero);
        }
        Ok(Self(seen))
    }

    fn mark_all(&mut self) {
        self.0.fill(true);
    }

    fn mark(&mut self, ids: &[i64]) {
        ids.iter().for_each(|id| self.0[*id as usize] = true);
    }
}

fn step(updates: &mut [Update], settings: &OptimizerSettings, steps: u64, decay: Decay) -> Result<()> {
    if updates.iter().any(|update| update.backend == Backend::Libtorch) {
        return update_each_in_pieces(updates, |update| {
            step_with_tensor_ops(update, &Coefficients::new(update, settings, steps, decay))
        });
    }
    let mut jobs = Vec::new();
    for update in updates {
        let coefficients = Coefficients::new(update, settings, steps, decay);
        push_jobs(update, coefficients.to_fp32(), &mut jobs)?;
    }
    let isa = Isa::selected();
    parallel::for_each(jobs, |job| adam_kernel::run(job, isa));
    Ok(())
}

/// The coefficients of a span's update in fp64. They are rounded to fp32 when applied to tensors.
#[derive(Debug, Clone, Copy)]
struct Coefficients {
    gradient_scale: f64,
    coupled_decay: f64,
    weight_factor: f64,
    beta1: f64,
    beta2: f64,
    epsilon: f64,
    rsqrt_bias_correction2: f64,
    step_size: f64,
}

impl Coefficients {
    fn new(update: &Update, settings: &OptimizerSettings, steps: u64, decay: Decay) -> Self {
        let &OptimizerSettings { beta1, beta2, epsilon, .. } = settings;
        let weight_decay = update.state.weight_decay;
        let (coupled_decay, decoupled_decay) = match decay {
            Decay::Coupled => (weight_decay, 0.0),
            Decay::Decoupled => (0.0, weight_decay),
        };
        Self {
            gradient_scale: update.gradient_scale,
            coupled_decay,
            weight_factor: 1.0 - update.learning_rate * decoupled_decay,
            beta1,
            beta2,
            epsilon,
            rsqrt_bias_correction2: 1.0 / (1.0 - beta2.powf(steps as f64)).sqrt(),
            step_size: update.learning_rate / (1.0 - beta1.powf(steps as f64)),
        }
    }

    fn to_fp32(self) -> Fp32Coefficients {
        Fp32Coefficients {
            gradient_scale: self.gradient_scale as f32,
            coupled_decay: self.coupled_decay as f32,
            weight_factor: self.weight_factor as f32,
            one_minus_beta1: (1.0 - self.beta1) as f32,
            beta2: self.beta2 as f32,
            one_minus_beta2: (1.0 - self.beta2) as f32,
            rsqrt_bias_correction2: self.rsqrt_bias_correction2 as f32,
            epsilon: self.epsilon as f32,
            step_size: self.step_size as f32,
        }
    }
}

/// Splits the update of a span into jobs of the kernel.
fn push_jobs<'a>(update: &'a mut Update, coefficients: Fp32Coefficients, jobs: &mut Vec<AdamJob<'a>>) -> Result<()> {
    let Weight { name, master, compute, .. } = update.weight;
    let [exp_avg, exp_avg_sq] = update.state.tensors.as_slice() else {
        return Err(TrainError::optimizer_state(&format!("\n  missing: exp_avg and exp_avg_sq of {name}")));
    };
    // SAFETY: the caller of `Optimizer::step` holds the parameters and the optimizer exclusively, no two spans of
    // weights or state share memory, and no libtorch operation runs until the jobs are done and dropped.
    let mut chunk = unsafe {
        WeightChunk {
            master: checked_slice_mut(master, name)?,
            exp_avg: checked_slice_mut(exp_avg, name)?,
            exp_avg_sq: checked_slice_mut(exp_avg_sq, name)?,
            compute: compute.map(|compute| checked_slice_mut(compute, name)).transpose()?,
        }
    };
    match update.gradient {
        Gradient::Dense(gradient) if gradient.kind() == Kind::BFloat16 => {
            // SAFETY: gradients are borrowed for the step and nothing writes to them.
            let gradient = unsafe { checked_slice(gradient, name)? };
            update.state.seen_rows.mark_all();
            for gradient in gradient.chunks(JOB_SIZE) {
                jobs.push(AdamJob {
                    coefficients,
                    chunk: chunk.split_off(gradient.len()),
                    gradient: GradientChunk::Bf16(gradient),
                });
            }
        }
        Gradient::Dense(gradient) => {
            // SAFETY: gradients are borrowed for the step and nothing writes to them.
            let gradient = unsafe { checked_slice(gradient, name)? };
            update.state.seen_rows.mark_all();
            for gradient in gradient.chunks(JOB_SIZE) {
                jobs.push(AdamJob {
                    coefficients,
                    chunk: chunk.split_off(gradient.len()),
                    gradient: GradientChunk::Fp32(gradient),
                });
            }
        }
        Gradient::Rows { ids, values } => {
            // SAFETY: row numbers and gradients are borrowed for the step and nothing writes to them.
            let (ids, values) = unsafe { (checked_slice(ids, name)?, checked_slice(values, name)?) };
            check_ids(ids, update.state.seen_rows.0.len(), name)?;
            update.state.seen_rows.mark(ids);
            push_row_jobs(&update.state.seen_rows.0, ids, values, (chunk, coefficients), jobs);
        }
    }
    Ok(())
}

/// Splits the update of a table with `seen.len()` rows into jobs of whole rows, each with its part of the gradient.
fn push_row_jobs<'a>(
    seen: &'a [bool],
    ids: &'a [i64],
    values: &'a [f32],
    (mut chunk, coefficients): (WeightChunk<'a>, Fp32Coefficients),
    jobs: &mut Vec<AdamJob<'a>>,
) {
    let width = chunk.master.len() / seen.len().max(1);
    if width == 0 {
        return;
    }
    let rows_per_job = (JOB_SIZE / width).max(1);
    let mut start = 0;
    for (index, seen) in seen.chunks(rows_per_job).enumerate() {
        let first = index * rows_per_job;
        let end = ids.partition_point(|id| *id < (first + seen.len()) as i64);
        let rows =
            RowGradient { first, width, ids: &ids[start..end], values: &values[start * width..end * width], seen };
        jobs.push(AdamJob {
            coefficients,
            chunk: chunk.split_off(seen.len() * width),
            gradient: GradientChunk::Rows(rows),
        });
        start = end;
    }
}

/// Checks that row numbers are strictly ascending and below `rows`.
fn check_ids(ids: &[i64], rows: usize, name: &str) -> Result<()> {
    let ascending = ids.windows(2).all(|pair| pair[0] < pair[1]);
    let in_range = ids.first().is_none_or(|id| *id >= 0) && ids.last().is_none_or(|id| *id < rows as i64);
    if ascending && in_range {
        return Ok(());
    }
    Err(TrainError::Model(ModelError::UnfitTensor {
        name: name.to_owned(),
        found: "row numbers that repeat, decrease or are outside the table".to_owned(),
        needed: format!("ascending, distinct row numbers from 0 to {}", rows.saturating_sub(1)),
    }))
}

/// The same step with libtorch operations.
fn step_with_tensor_ops(update: &mut Update, coefficients: &Coefficients) -> Result<()> {
    let mut gradient = update.dense_gradient()?;
    let mut master = update.weight.master.shallow_clone();
    if coefficients.coupled_decay != 0.0 {
        let _ = gradient.f_add_(&master.f_mul_scalar(coefficients.coupled_decay)?)?;
    }
    let [exp_avg, exp_avg_sq] = update.state.tensors.as_mut_slice() else {
        return Err(TrainError::optimizer_state(&format!(
            "\n  missing: exp_avg and exp_avg_sq of {}",
            update.weight.name
        )));
    };
    let mut square = gradient.f_square()?;
    // From here on nothing is allocated: the gradient and its square are overwritten.
    let _ = square.f_mul_scalar_(1.0 - coefficients.beta2)?;
    let _ = exp_avg.f_lerp_(&gradient, 1.0 - coefficients.beta1)?;
    let _ = exp_avg_sq.f_mul_scalar_(coefficients.beta2)?.f_add_(&square)?;
    let (mut change, mut denominator) = (gradient, square);
    denominator.f_copy_(exp_avg_sq)?;
    let _ = denominator
        .f_sqrt_()?
        .f_mul_scalar_(coefficients.rsqrt_bias_correction2)?
        .f_add_scalar_(coefficients.epsilon)?;
    change.f_copy_(exp_avg)?;
    let _ = change.f_mul_scalar_(coefficients.step_size)?.f_div_(&denominator)?;
    let _ = master.f_mul_scalar_(coefficients.weight_factor)?.f_sub_(&change)?;
    update.write_compute()
}

#[cfg(test)]
mod tests {
    use super::super::tests::assert_twenty_steps_equal_the_reference;

    #[test]
    fn twenty_steps_of_adamw_equal_the_reference() {
        assert_twenty_steps_equal_the_reference("adamw");
    }

    #[test]
    fn twenty_steps_of_adam_equal_the_reference() {
        assert_twenty_steps_equal_the_reference("adam");
    }
}
