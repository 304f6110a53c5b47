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
//! embedding table aren't converted to dense ones: the other rows are updated later (`table_rows.rs`). The result is bit
//! for bit that of the dense gradient.

use kernels::isa::Isa;
use kernels::parallel;
use model::tensor_slice::{checked_slice, checked_slice_mut};
use model::{Backend, Gradient};
use tch::{Kind, Tensor};

use super::adam_kernel::{self, AdamJob, Fp32Coefficients, GradientChunk, WeightChunk};
use super::{OptimizerSettings, OptimizerSpec, SpanState, Update, Weight, update_each_in_pieces};
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

/// The memory of a span.
///
/// # Safety
/// The caller holds the weights and the state exclusively, and until the result is dropped no libtorch operation uses them.
unsafe fn memory<'a>(weight: Weight<'a>, tensors: &'a [Tensor]) -> Result<WeightChunk<'a>> {
    let Weight { name, master, compute } = weight;
    let [exp_avg, exp_avg_sq] = tensors else {
        return Err(TrainError::optimizer_state(&format!("\n  missing: exp_avg and exp_avg_sq of {name}")));
    };
    // SAFETY: passed on to the caller; masters, compute weights and averages don't share memory.
    unsafe {
        Ok(WeightChunk {
            master: checked_slice_mut(master, name)?,
            exp_avg: checked_slice_mut(exp_avg, name)?,
            exp_avg_sq: checked_slice_mut(exp_avg_sq, name)?,
            compute: compute.map(|compute| checked_slice_mut(compute, name)).transpose()?,
        })
    }
}

/// Updates rows of a table by the steps that they have missed; all of them without `ids`.
pub(super) fn catch_up(weight: Weight, state: &mut SpanState, ids: Option<&[i64]>) -> Result<()> {
    if state.rows.are_up_to_date() {
        return Ok(());
    }
    // SAFETY: the caller of `Optimizer::catch_up` holds the parameters and the optimizer exclusively, and no libtorch
    // operation runs here.
    let table = unsafe { memory(weight, &state.tensors)? };
    match ids {
        Some(ids) => state.rows.catch_up(table, ids, weight.name),
        None => {
            state.rows.catch_up_all(table);
            Ok(())
        }
    }
}

/// Splits the update of a span into jobs of the kernel. Rows of a table are updated at once.
fn push_jobs<'a>(update: &'a mut Update, coefficients: Fp32Coefficients, jobs: &mut Vec<AdamJob<'a>>) -> Result<()> {
    let name = update.weight.name;
    if matches!(update.gradient, Gradient::Dense(_)) || update.state.rows.are_far_behind() {
        catch_up(update.weight, update.state, None)?;
    }
    let SpanState { tensors, rows, .. } = &mut *update.state;
    // SAFETY: the caller of `Optimizer::step` holds the parameters and the optimizer exclusively, no two spans of
    // weights or state share memory, and no libtorch operation runs until the jobs are done and dropped.
    let mut chunk = unsafe { memory(update.weight, tensors)? };
    match update.gradient {
        Gradient::Dense(gradient) if gradient.kind() == Kind::BFloat16 => {
            // SAFETY: gradients are borrowed for the step and nothing writes to them.
            let gradient = unsafe { checked_slice(gradient, name)? };
            rows.mark_all();
            for gradient in gradient.chunks(JOB_SIZE) {
                let (chunk, gradient) = (chunk.split_off(gradient.len()), GradientChunk::Bf16(gradient));
                jobs.push(AdamJob { coefficients, chunk, gradient });
            }
        }
        Gradient::Dense(gradient) => {
            // SAFETY: gradients are borrowed for the step and nothing writes to them.
            let gradient = unsafe { checked_slice(gradient, name)? };
            rows.mark_all();
            for gradient in gradient.chunks(JOB_SIZE) {
                let (chunk, gradient) = (chunk.split_off(gradient.len()), GradientChunk::Fp32(gradient));
                jobs.push(AdamJob { coefficients, chunk, gradient });
            }
        }
        Gradient::Rows { ids, values } => {
            // SAFETY: row numbers and gradients are borrowed for the step and nothing writes to them.
            let (ids, values) = unsafe { (checked_slice(ids, name)?, checked_slice(values, name)?) };
            rows.step(chunk, ids, values, coefficients, name)?;
        }
    }
    Ok(())
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
