//! Estimates the peak memory of a run on the CPU before anything is loaded, and checks that it is available.
//!
//! The model provides the memory of a forward and backward pass ([`model::Config::training_pass`]); this module adds
//! weights, optimizer state and gradients, for the largest batch of the run. A system that runs out of memory kills the
//! process without a message, often hours later.
//!
//! Gradients have memory of their own from the first step on, so they are added to the whole tape and to an evaluation.
//!
//! Predicted over measured (`VmHWM` at the end of a run of up to four steps, longest texts first, one thread; texts of
//! up to 78 and of up to 252 tokens; batches of 8, 16 and 64; in fp32 without the 25 MB that only long runs need):
//!
//! | | MiniLM, fp32 | MiniLM, bf16 | BERT-base, fp32 | BERT-base, bf16 |
//! | --- | --- | --- | --- | --- |
//! | 78 tokens | 1.05, 1.05, 1.05 | 1.01, 1.05, 1.07 | 1.08, 1.07, 1.07 | 1.01, 1.02, 1.01 |
//! | 252 tokens | 1.04, 1.03, 1.06 | 1.04, 1.02, 1.05 | 1.07, 1.06, 1.06 | 1.00, 1.02, 1.04 |
//! | 66 tokens, 2 micro-batches of 8 | 1.04 | 1.10 | - | 1.04 |
//! | 66 tokens, 4 micro-batches of 8 | 1.03 | 1.07 | - | 1.03 |
//!
//! With 252 tokens, batches of 16 and MiniLM: sgd 1.05 in fp32, adafactor 1.04 and lion 1.04 in bf16. With frozen
//! embeddings and three frozen layers, 78 tokens and batches of 16: 1.04. With evaluation as the peak, 53
//! texts in one batch: 0.99.

mod limits;
mod shortage;

use data::sampler::BatchSampler;
use model::{BatchShape, ParameterSpec};

use crate::error::{Result, TrainError};
use crate::options::TrainConfig;

use limits::AvailableMemory;
pub(crate) use limits::{peak, resident};

/// Code and buffers of libtorch that the first pass loads, and what the allocator holds beside the blocks in use after
/// thousands of steps of varied sizes (about 25 MB), in bytes (measured).
const LIBRARIES: u64 = 75_000_000;
/// The same where libtorch multiplies bf16: with the code that oneDNN generates, as much of it as
/// `model::limit_kernel_caches` lets it keep, and its reordered weights.
const LIBRARIES_BF16: u64 = 200_000_000;

/// Allocator fragmentation, as a share of the temporary memory of a pass.
const FRAGMENTATION: f64 = 0.05;

/// How many rows are batched to find the largest batch, in whole epochs and at least one. Later epochs are
/// statistically alike, and the limit keeps startup fast for large data.
const MAX_SAMPLED_ROWS: usize = 1_000_000;

/// What determines the memory of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MemoryPlan<'a> {
    pub config: &'a TrainConfig,
    /// The configuration of the model, with the labels and dropout of the run.
    pub model: &'a model::Config,
    pub precision: model::ChosenPrecision,
    /// Tokens of each training row.
    pub train: &'a [u32],
    /// Tokens of each validation row; empty without evaluation.
    pub validation: &'a [u32],
}

/// Peak memory of a run in bytes, by purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct MemoryEstimate {
    /// Memory of the process before loading, and library code that is loaded later.
    pub process: u64,
    /// fp32 master weights.
    pub weights: u64,
    /// bf16 copies of the weights.
    pub compute: u64,
    /// Optimizer state.
    pub optimizer: u64,
    /// Gradients, including the sums over micro-batches.
    pub gradients: u64,
    /// Tape and working memory of the largest batch, or of the optimizer update if that is more.
    pub activations: u64,
    /// Working memory of the largest evaluation batch.
    pub evaluation: u64,
    /// The training batch with the largest memory use.
    pub batch: BatchShape,
}

impl MemoryEstimate {
    /// The peak of a run in a process that currently uses `process` bytes.
    pub(crate) fn of(plan: &MemoryPlan, process: u64) -> Self {
        let parameters = plan.model.parameters();
        let trainable = || parameters.iter().filter(|parameter| !plan.config.regularization.freezes(parameter.role));
        let kind = plan.config.optimizer.kind;
        let optimizer = trainable().map(|parameter| kind.state_bytes(&parameter.shape)).sum();
        let weights = parameters.iter().map(ParameterSpec::master_bytes).sum();
        let libraries = match (plan.precision.format, plan.precision.multiplier()) {
            (model::Precision::Bf16, model::Backend::Libtorch) => LIBRARIES_BF16,
            _ => LIBRARIES,
        };
        let batch = largest_batch(plan);
        let pass = plan.model.training_pass(plan.precision.format, batch);

        let gradient = |parameter: &ParameterSpec| parameter.gradient_bytes(plan.precision.format);
        let per_pass: u64 = trainable()
            .map(|one| if one.has_row_gradient() { gradient(one) * distinct_rows(batch, one) } else { gradient(one) })
            .sum();
        // Sums over micro-batches are dense and in fp32.
        let gradients = match micro_batches(plan) {
            1 => per_pass,
            _ => per_pass + trainable().map(ParameterSpec::master_bytes).sum::<u64>(),
        };
        let updating = kind.update_bytes(trainable());
        let evaluation = match longest_batch(plan.validation, plan.config.eval_batch_size) {
            counts if counts.is_empty() => 0,
            counts => plan.model.forward_pass(plan.precision.format, BatchShape::of(counts)),
        };
        Self {
            process: process + libraries,
            weights,
            compute: parameters.iter().map(|parameter| parameter.compute_bytes(plan.precision.format)).sum(),
            optimizer,
            gradients,
            activations: (pass.tape + pass.working).max(updating),
            evaluation,
            batch,
        }
    }

    pub(crate) fn total(&self) -> u64 {
        let persistent = self.weights + self.compute + self.optimizer + self.gradients;
        let temporary = self.activations.max(self.evaluation);
        let temporary = temporary + (temporary as f64 * FRAGMENTATION) as u64;
        self.process + persistent + temporary
    }
}

/// Refuses a run that needs more memory and swap than this machine or this process's control groups have, and warns of
/// one that needs swap: its pages are moved to the disk and back in every step, which is many times slower, but the run
/// ends. `--skip-memory-check` turns a refusal into a warning. Does nothing if the system doesn't report available
/// memory. Each of `processes` on this machine is taken to need the same. Must run before the model is loaded, or its weights would be counted twice.
///
/// # Errors
/// Too little memory, with a batch size that would fit if one exists.
pub(crate) fn check(plan: &MemoryPlan, processes: u64) -> Result<MemoryEstimate> {
    let process = limits::resident().unwrap_or(0);
    let estimate = MemoryEstimate::of(plan, process);
    let Some(AvailableMemory { memory, with_swap }) = limits::available() else { return Ok(estimate) };
    let available = AvailableMemory {
        memory: process + memory / processes,
        with_swap: process.saturating_add(with_swap / processes),
    };
    if let Some(warning) = check_against(plan, &estimate, process, available)? {
        tracing::warn!("{warning}");
    }
    Ok(estimate)
}

/// The same check against limits that include `process`. Returns the warning, if there is one.
fn check_against(
    plan: &MemoryPlan,
    estimate: &MemoryEstimate,
    process: u64,
    available: AvailableMemory,
) -> Result<Option<String>> {
    let shortage = || shortage::describe(plan, estimate, process, available);
    match estimate.total() {
        needed if needed <= available.memory => Ok(None),
        needed if needed <= available.with_swap => Ok(Some(shortage().in_swap())),
        _ if plan.config.skip_memory_check => Ok(Some(shortage().skipped())),
        _ => Err(TrainError::Refused(shortage().refusal())),
    }
}

/// The training batch with the largest memory use.
fn largest_batch(plan: &MemoryPlan) -> BatchShape {
    let TrainConfig { batch_size, gradient_accumulation_steps, seed, group_by_length, .. } = *plan.config;
    if plan.train.is_empty() {
        return BatchShape::default();
    }
    let sampler = BatchSampler::new(plan.train.to_vec(), batch_size, seed, group_by_length);
    let steps_per_epoch = sampler.batches_per_epoch().div_ceil(gradient_accumulation_steps) as u64;
    let epochs = plan.config.epochs.min((MAX_SAMPLED_ROWS / plan.train.len()).max(1) as u64);
    let mut largest = (0, BatchShape::default());
    for epoch in 0..epochs {
        let steps =
            plan.config.max_steps.map_or(u64::MAX, |max_steps| max_steps.saturating_sub(epoch * steps_per_epoch));
        let batches = steps.saturating_mul(gradient_accumulation_steps as u64);
        if batches == 0 {
            break;
        }
        for rows in sampler.epoch(epoch).iter().take(usize::try_from(batches).unwrap_or(usize::MAX)) {
            let shape = BatchShape::of(rows.iter().map(|&row| plan.train[row as usize]));
            let pass = plan.model.training_pass(plan.precision.format, shape);
            largest = std::cmp::max_by_key(largest, (pass.tape + pass.working, shape), |(bytes, _)| *bytes);
        }
    }
    largest.1
}

/// The token counts of the first evaluation batch, which has the longest texts.
fn longest_batch(counts: &[u32], batch_size: usize) -> Vec<u32> {
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

/// How many rows of an embedding table a batch can use.
fn distinct_rows(batch: BatchShape, table: &ParameterSpec) -> u64 {
    batch.tokens.min(table.shape[0] as u64)
}

#[cfg(test)]
mod tests;
