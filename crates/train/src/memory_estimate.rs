//! How much memory a run on the CPU will take at most, before anything of it is loaded, and whether there is as much.
//!
//! What a pass keeps is the model's to know ([`model::Config::training_pass`]); here it is put together with weights,
//! optimizer and gradients, for the heaviest of the batches that the run
//! will see. A system that runs out of memory ends the process without a message, often hours later.
//!
//! Freed memory of one size isn't at hand for another at once, so the gradients, which come while the tape goes, are
//! counted on top of the whole tape.
//!
//! Predicted over measured (`VmHWM` at the end of a run of up to four steps, longest texts first, one thread; texts of up to 78 and of up to 252 tokens; batches of 8, 16 and 64):
//!
//! | | MiniLM, fp32 | MiniLM, bf16 | BERT-base, fp32 | BERT-base, bf16 |
//! | --- | --- | --- | --- | --- |
//! | 78 tokens | 1.05, 1.05, 1.05 | 1.01, 1.05, 1.07 | 1.08, 1.07, 1.07 | 1.01, 1.02, 1.01 |
//! | 252 tokens | 1.04, 1.03, 1.06 | 1.04, 1.02, 1.05 | 1.07, 1.06, 1.06 | 1.00, 1.02, 1.04 |
//! | 78 tokens, 2 micro-batches of 8 | 1.08 | 1.00 | - | 1.11 |
//! | 78 tokens, 4 micro-batches of 8 | 1.09 | 0.91 | - | 1.03 |
//!
//! With 252 tokens, batches of 16 and MiniLM: sgd 1.05 in fp32, adafactor 1.04 and lion 1.04 in bf16. With frozen
//! embeddings and three frozen layers, 78 tokens and batches of 16: 1.04. With an evaluation as the heaviest part, 53
//! texts in one batch: 0.99.

mod limits;
mod shortage;

use data::sampler::BatchSampler;
use model::{BatchShape, ParameterSpec};

use crate::error::{Result, TrainError};
use crate::options::TrainConfig;

pub(crate) use limits::{available, peak};

/// Code and buffers of libtorch that are first touched by a pass, in bytes: measured, as is what oneDNN adds for bf16
/// with the kernels that it makes at run time and its own order of the weights.
const LIBRARIES: u64 = 50_000_000;
const LIBRARIES_BF16: u64 = 110_000_000;

/// The allocator's holes: a share of what comes and goes in a pass.
const HOLES: f64 = 0.05;

/// How many rows are dealt into batches to find the heaviest one, in whole epochs and at least one: the epochs after them
/// are like those before, and a run is not to begin later for having more data.
const ROWS_LOOKED_AT: usize = 1_000_000;

/// A run, as far as its memory goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MemoryPlan<'a> {
    pub config: &'a TrainConfig,
    /// The model's, with the labels and dropout of the run.
    pub model: &'a model::Config,
    pub precision: model::Precision,
    /// Tokens of each training row.
    pub train: &'a [u32],
    /// Tokens of each row that is evaluated; empty where none is.
    pub validation: &'a [u32],
}

/// The bytes of a run at its peak, by what they are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Need {
    /// What the process had when it was asked, and code that it has yet to touch.
    pub process: u64,
    /// fp32 masters.
    pub weights: u64,
    /// bf16 copies of them.
    pub compute: u64,
    /// What the optimizer keeps from step to step.
    pub optimizer: u64,
    /// Gradients, sums over micro-batches included.
    pub gradients: u64,
    /// Tape and working memory of the heaviest batch, or of the update where that is more.
    pub activations: u64,
    /// Working memory of the heaviest batch of an evaluation, which has no gradients beside it.
    pub evaluation: u64,
    /// The heaviest training batch.
    pub batch: BatchShape,
}

impl Need {
    /// The peak of a run in a process that has `process` bytes by now.
    pub(crate) fn of(plan: &MemoryPlan, process: u64) -> Self {
        let parameters = plan.model.parameters();
        let trainable = || parameters.iter().filter(|parameter| !plan.config.regularization.freezes(parameter.role));
        let kind = plan.config.optimizer.kind;
        let optimizer = trainable().map(|parameter| kind.state_bytes(&parameter.shape)).sum();
        let weights = parameters.iter().map(ParameterSpec::master_bytes).sum();
        let libraries = match plan.precision {
            model::Precision::Fp32 => LIBRARIES,
            model::Precision::Bf16 => LIBRARIES_BF16,
        };
        let batch = heaviest(plan);
        let pass = plan.model.training_pass(plan.precision, batch);

        let gradient = |parameter: &ParameterSpec| parameter.gradient_bytes(plan.precision);
        let own: u64 = trainable()
            .map(|one| if one.has_row_gradient() { gradient(one) * distinct(batch, one) } else { gradient(one) })
            .sum();
        // Sums over micro-batches are dense and in fp32: new tensors for all that isn't so as it comes from a pass. Rows
        // are spread into a whole table each time.
        let added = || trainable().filter(|one| one.has_row_gradient() || gradient(one) < one.master_bytes());
        let table: u64 = trainable().filter(|one| one.has_row_gradient()).map(ParameterSpec::master_bytes).sum();
        let gradients = match micro_batches(plan) {
            1 => own,
            _ => 2 * own + added().map(ParameterSpec::master_bytes).sum::<u64>() + table,
        };
        let largest = trainable().map(ParameterSpec::master_bytes).max().unwrap_or(0);
        let updating = largest * kind.update_copies();
        let evaluation = match longest(plan.validation, plan.config.eval_batch_size) {
            none if none.is_empty() => 0,
            counts => plan.model.forward_pass(plan.precision, BatchShape::of(counts)),
        };
        Self {
            process: process + libraries,
            weights,
            compute: parameters.iter().map(|parameter| parameter.compute_bytes(plan.precision)).sum(),
            optimizer,
            gradients,
            activations: (pass.tape + pass.working).max(updating),
            evaluation,
            batch,
        }
    }

    pub(crate) fn total(&self) -> u64 {
        let steady = self.weights + self.compute + self.optimizer;
        let passing = (self.gradients + self.activations).max(self.evaluation);
        let passing = passing + (passing as f64 * HOLES) as u64;
        self.process + steady + passing
    }
}

/// Refuses a run that the memory of this machine, or of this process's control group, can't hold. Says nothing where
/// the system doesn't tell how much there is. To be asked before the model is loaded: weights that are there already would
/// count twice.
///
/// # Errors
/// Too little memory, with a batch size that would do where there is one.
pub(crate) fn check(plan: &MemoryPlan) -> Result<Need> {
    let process = limits::resident().unwrap_or(0);
    let need = Need::of(plan, process);
    match available() {
        Some(more) => check_against(plan, need, process, process + more),
        None => Ok(need),
    }
}

/// The same with the memory that is available in all, `process` included.
fn check_against(plan: &MemoryPlan, need: Need, process: u64, room: u64) -> Result<Need> {
    if need.total() <= room {
        return Ok(need);
    }
    Err(TrainError::Refused(shortage::describe(plan, &need, process, room)))
}

/// The heaviest batch of those that training will take.
fn heaviest(plan: &MemoryPlan) -> BatchShape {
    let TrainConfig { batch_size, gradient_accumulation_steps, seed, group_by_length, .. } = *plan.config;
    if plan.train.is_empty() {
        return BatchShape::default();
    }
    let sampler = BatchSampler::new(plan.train.to_vec(), batch_size, seed, group_by_length);
    let steps_per_epoch = sampler.batches_per_epoch().div_ceil(gradient_accumulation_steps) as u64;
    let epochs = plan.config.epochs.min((ROWS_LOOKED_AT / plan.train.len()).max(1) as u64);
    let mut heaviest = (0, BatchShape::default());
    for epoch in 0..epochs {
        let steps = plan.config.max_steps.map_or(u64::MAX, |most| most.saturating_sub(epoch * steps_per_epoch));
        let batches = steps.saturating_mul(gradient_accumulation_steps as u64);
        if batches == 0 {
            break;
        }
        for rows in sampler.epoch(epoch).iter().take(usize::try_from(batches).unwrap_or(usize::MAX)) {
            let shape = BatchShape::of(rows.iter().map(|&row| plan.train[row as usize]));
            let pass = plan.model.training_pass(plan.precision, shape);
            heaviest = std::cmp::max_by_key(heaviest, (pass.tape + pass.working, shape), |(bytes, _)| *bytes);
        }
    }
    heaviest.1
}

/// The first batch of an evaluation, which goes from long texts to short ones.
fn longest(counts: &[u32], batch_size: usize) -> Vec<u32> {
    let mut counts = counts.to_vec();
    if batch_size < counts.len() {
        counts.select_nth_unstable_by(batch_size, |a, b| b.cmp(a));
        counts.truncate(batch_size);
    }
    counts
}

/// How many micro-batches an optimizer step has at most.
fn micro_batches(plan: &MemoryPlan) -> usize {
    let batches = plan.train.len().div_ceil(plan.config.batch_size);
    plan.config.gradient_accumulation_steps.min(batches.max(1))
}

/// How many rows of a table a batch can touch.
fn distinct(batch: BatchShape, table: &ParameterSpec) -> u64 {
    batch.tokens.min(table.shape[0] as u64)
}

#[cfg(test)]
mod tests;
