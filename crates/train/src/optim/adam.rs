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
//! On the CPU a step is bound by memory, so it reads and writes everything once: the bf16 or fp32 gradient is scaled,
//! averages and weight are updated and the bf16 compute weight is written in the same pass, in vectors, on all threads.
//! Gradients that come as rows of an embedding table need no dense copy, and rows that no batch has seen yet have zero
//! averages, which needn't be read: only decay moves them. The result is that of the dense gradient, to the bit.

use kernels::isa::Isa;
use kernels::parallel;
use model::tensor_slice::{checked_slice, checked_slice_mut};
use model::{Gradient, ModelError};
use tch::{Device, Kind, Tensor};

use super::adam_kernel::{self, AdamJob, Constants, Piece, RowGradient, UpdateSpan};
use super::{OptimizerSettings, OptimizerSpec, Update, Weight};
use crate::error::{Result, TrainError};

pub(super) const ADAMW: OptimizerSpec = OptimizerSpec {
    name: "adamw",
    aliases: &["adam-w", "adam_w"],
    summary: "Adam with decoupled weight decay (Loshchilov & Hutter 2019)",
    reads: &["beta1", "beta2", "epsilon"],
    defaults: &[],
    state: |shape| vec![("exp_avg", shape.to_vec()), ("exp_avg_sq", shape.to_vec())],
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

/// Where weight decay acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decay {
    /// On the weight, as in AdamW.
    Decoupled,
    /// In the gradient, as in Adam.
    Coupled,
}

/// Weights in a job: some ten microseconds of work, so that threads end at about the same time.
const JOB_SIZE: usize = 1 << 16;

/// Which rows of a table have received a gradient, so that their averages may differ from zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SeenRows(Vec<bool>);

impl SeenRows {
    /// No row yet of a parameter of that shape.
    pub(super) fn none(shape: &[i64]) -> Self {
        Self(vec![false; shape.first().map_or(1, |rows| usize::try_from(*rows).unwrap_or(0))])
    }

    /// The rows where one of the averages isn't zero.
    pub(super) fn of(state: &[Tensor]) -> Result<Self> {
        let mut seen = Vec::new();
        for average in state {
            let rows = average.f_view([average.size().first().copied().unwrap_or(1), -1])?;
            let differ: Vec<bool> = rows.f_ne(0.0)?.f_any_dim(1, false)?.f_to_device(Device::Cpu)?.try_into()?;
            seen.resize(differ.len(), false);
            seen.iter_mut().zip(differ).for_each(|(seen, differs)| *seen |= differs);
        }
        Ok(Self(seen))
    }

    fn add(&mut self, gradient: Option<&[i64]>) {
        match gradient {
            None => self.0.fill(true),
            Some(ids) => ids.iter().for_each(|id| self.0[*id as usize] = true),
        }
    }
}

fn step(updates: &mut [Update], settings: &OptimizerSettings, steps: u64, decay: Decay) -> Result<()> {
    let mut jobs = Vec::new();
    for update in updates {
        let numbers = Numbers::new(update, settings, steps, decay);
        if update.weight.master.device() == Device::Cpu {
            push_jobs(update, numbers.constants(), &mut jobs)?;
        } else {
            step_by_operations(update, &numbers)?;
        }
    }
    let isa = Isa::best();
    parallel::for_each(jobs, |job| adam_kernel::run(job, isa));
    Ok(())
}

/// The numbers of one parameter's step in full precision; they are rounded to fp32 where they meet tensors.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbers {
    gradient_scale: f64,
    coupled_decay: f64,
    keep: f64,
    beta1: f64,
    beta2: f64,
    epsilon: f64,
    root_correction: f64,
    step_size: f64,
}

impl Numbers {
    pub(super) fn new(update: &Update, settings: &OptimizerSettings, steps: u64, decay: Decay) -> Self {
        let &OptimizerSettings { beta1, beta2, epsilon, .. } = settings;
        let weight_decay = update.slot.weight_decay;
        let (coupled_decay, decoupled_decay) = match decay {
            Decay::Coupled => (weight_decay, 0.0),
            Decay::Decoupled => (0.0, weight_decay),
        };
        Self {
            gradient_scale: update.gradient_scale,
            coupled_decay,
            keep: 1.0 - update.learning_rate * decoupled_decay,
            beta1,
            beta2,
            epsilon,
            root_correction: 1.0 / (1.0 - beta2.powf(steps as f64)).sqrt(),
            step_size: update.learning_rate / (1.0 - beta1.powf(steps as f64)),
        }
    }

    fn constants(&self) -> Constants {
        Constants {
            gradient_scale: self.gradient_scale as f32,
            coupled_decay: self.coupled_decay as f32,
            keep: self.keep as f32,
            exp_avg_share: (1.0 - self.beta1) as f32,
            exp_avg_sq_keep: self.beta2 as f32,
            exp_avg_sq_share: (1.0 - self.beta2) as f32,
            root_correction: self.root_correction as f32,
            epsilon: self.epsilon as f32,
            step_size: self.step_size as f32,
        }
    }
}

/// Cuts one parameter of the CPU into jobs.
fn push_jobs<'a>(update: &'a mut Update, constants: Constants, jobs: &mut Vec<AdamJob<'a>>) -> Result<()> {
    let Weight { name, master, compute, .. } = update.weight;
    let [exp_avg, exp_avg_sq] = update.slot.state.as_slice() else {
        return Err(TrainError::optimizer_state(&format!("\n  missing: exp_avg and exp_avg_sq of {name}")));
    };
    // SAFETY: the caller of `Optimizer::step` holds the parameters and the optimizer exclusively, every parameter and every
    // state tensor has memory of its own, and no libtorch operation runs until the jobs are done and dropped.
    let mut span = unsafe {
        UpdateSpan {
            master: checked_slice_mut(master, name)?,
            exp_avg: checked_slice_mut(exp_avg, name)?,
            exp_avg_sq: checked_slice_mut(exp_avg_sq, name)?,
            compute: compute.map(|compute| checked_slice_mut(compute, name)).transpose()?,
        }
    };
    match update.gradient {
        Gradient::Dense(gradient) if gradient.kind() == Kind::BFloat16 => {
            // SAFETY: gradients are lent for the step and nothing writes to them.
            let gradient = unsafe { checked_slice(gradient, name)? };
            update.slot.seen.add(None);
            for gradient in gradient.chunks(JOB_SIZE) {
                jobs.push(AdamJob { constants, span: span.take(gradient.len()), gradient: Piece::Bf16(gradient) });
            }
        }
        Gradient::Dense(gradient) => {
            // SAFETY: as above.
            let gradient = unsafe { checked_slice(gradient, name)? };
            update.slot.seen.add(None);
            for gradient in gradient.chunks(JOB_SIZE) {
                jobs.push(AdamJob { constants, span: span.take(gradient.len()), gradient: Piece::Fp32(gradient) });
            }
        }
        Gradient::Rows { ids, values } => {
            // SAFETY: as above.
            let (ids, values) = unsafe { (checked_slice(ids, name)?, checked_slice(values, name)?) };
            check_ids(ids, update.slot.seen.0.len(), name)?;
            update.slot.seen.add(Some(ids));
            push_row_jobs(&update.slot.seen.0, ids, values, (span, constants), jobs);
        }
    }
    Ok(())
}

/// Cuts a table of `seen.len()` rows into jobs of whole rows, each with its part of the gradient.
fn push_row_jobs<'a>(
    seen: &'a [bool],
    ids: &'a [i64],
    values: &'a [f32],
    (mut span, constants): (UpdateSpan<'a>, Constants),
    jobs: &mut Vec<AdamJob<'a>>,
) {
    let width = span.master.len() / seen.len().max(1);
    if width == 0 {
        return;
    }
    let rows_of_a_job = (JOB_SIZE / width).max(1);
    let mut done = 0;
    for (index, seen) in seen.chunks(rows_of_a_job).enumerate() {
        let first = index * rows_of_a_job;
        let end = ids.partition_point(|id| *id < (first + seen.len()) as i64);
        let rows = RowGradient { first, width, ids: &ids[done..end], values: &values[done * width..end * width], seen };
        jobs.push(AdamJob { constants, span: span.take(seen.len() * width), gradient: Piece::Rows(rows) });
        done = end;
    }
}

/// Row numbers are ascending, distinct and below `rows`.
fn check_ids(ids: &[i64], rows: usize, name: &str) -> Result<()> {
    let ascend = ids.windows(2).all(|pair| pair[0] < pair[1]);
    let inside = ids.first().is_none_or(|id| *id >= 0) && ids.last().is_none_or(|id| *id < rows as i64);
    if ascend && inside {
        return Ok(());
    }
    Err(TrainError::Model(ModelError::UnfitTensor {
        name: name.to_owned(),
        found: "row numbers that repeat, decrease or lie outside the table".to_owned(),
        needed: format!("ascending, distinct row numbers from 0 to {}", rows.saturating_sub(1)),
    }))
}

/// The same step as plain libtorch operations, for devices whose memory isn't ours to walk through.
pub(super) fn step_by_operations(update: &mut Update, numbers: &Numbers) -> Result<()> {
    let mut gradient = update.dense_gradient()?;
    let mut master = update.weight.master.shallow_clone();
    if numbers.coupled_decay != 0.0 {
        let _ = gradient.f_add_(&master.f_mul_scalar(numbers.coupled_decay)?)?;
    }
    let [exp_avg, exp_avg_sq] = update.slot.state.as_mut_slice() else {
        return Err(TrainError::optimizer_state(&format!(
            "\n  missing: exp_avg and exp_avg_sq of {}",
            update.weight.name
        )));
    };
    let _ = exp_avg.f_lerp_(&gradient, 1.0 - numbers.beta1)?;
    let square = gradient.f_square()?.f_mul_scalar_(1.0 - numbers.beta2)?;
    let _ = exp_avg_sq.f_mul_scalar_(numbers.beta2)?.f_add_(&square)?;
    let denominator = exp_avg_sq.f_sqrt()?.f_mul_scalar_(numbers.root_correction)?.f_add_scalar_(numbers.epsilon)?;
    let change = exp_avg.f_mul_scalar(numbers.step_size)?.f_div_(&denominator)?;
    let _ = master.f_mul_scalar_(numbers.keep)?.f_sub_(&change)?;
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
