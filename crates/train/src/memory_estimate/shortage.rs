//! The messages about a run that doesn't fit into memory: required and available bytes, and flags that would fit.

use disk::human_bytes;

use super::{AvailableMemory, MemoryEstimate, MemoryPlan};
use crate::options::TrainConfig;

/// What all messages about a run that doesn't fit say.
pub(super) struct ShortageMessage {
    what: String,
    /// Changes that would make the run fit; empty if none is known.
    changes: Vec<String>,
}

impl ShortageMessage {
    /// The warning for a run that fits with swap.
    pub(super) fn in_swap(self) -> String {
        let mut hints = self.changes;
        hints.push("free some memory".to_owned());
        let what = self.what;
        format!("{what}; it fits with swap, which may make it many times slower (hint: {})", hints.join("; or "))
    }

    /// The warning for a run that doesn't fit and isn't refused.
    pub(super) fn skipped(self) -> String {
        let what = self.what;
        format!("{what}; it is trained because of --skip-memory-check, and the system may end it without a message")
    }

    pub(super) fn refusal(self) -> String {
        let mut hints = self.changes;
        if hints.is_empty() {
            hints.push("free some memory, or take a smaller model".to_owned());
        }
        hints.push("--skip-memory-check trains anyway, and the system may end it without a message".to_owned());
        format!("{} (hint: {})", self.what, hints.join("; or "))
    }
}

/// The messages for a run that needs the memory of `estimate`, with limits that include `process`.
pub(super) fn describe(
    plan: &MemoryPlan,
    estimate: &MemoryEstimate,
    process: u64,
    available: AvailableMemory,
) -> ShortageMessage {
    let texts = format!("{} texts of up to {} tokens", estimate.batch.sentences, estimate.batch.longest);
    let parts = [
        ("weights", estimate.weights + estimate.compute),
        ("optimizer", estimate.optimizer),
        ("gradients", estimate.gradients),
        (&format!("the pass over {texts}"), estimate.activations),
        ("the process itself", estimate.process),
    ];
    let parts = parts.map(|(name, bytes)| format!("{name} {}", human_bytes(bytes))).join(", ");
    let evaluation = match estimate.evaluation {
        bytes if bytes > estimate.activations => {
            format!("; the evaluation {}", human_bytes(bytes))
        }
        _ => String::new(),
    };
    let mut changes: Vec<String> = flags_that_fit(plan, process, available.memory).into_iter().collect();
    if estimate.batch.longest > 128 {
        changes.push(format!("prepare the data with a shorter --max-length than {}", estimate.batch.longest));
    }
    let swap = match available.with_swap.saturating_sub(available.memory) {
        0 => String::new(),
        bytes => format!(", and {} of swap", human_bytes(bytes)),
    };
    let (total, memory) = (human_bytes(estimate.total()), human_bytes(available.memory));
    let what = format!("training needs about {total} of memory, and {memory} is available{swap}: {parts}{evaluation}");
    ShortageMessage { what, changes }
}

/// The flags with the largest batches that fit. The number of examples per step stays the same.
pub(super) fn flags_that_fit(plan: &MemoryPlan, process: u64, limit: u64) -> Option<String> {
    let mut config = plan.config.clone();
    let fits = |config: &TrainConfig| MemoryEstimate::of(&MemoryPlan { config, ..*plan }, process).total() <= limit;
    let training_fits = |config: &TrainConfig| {
        let estimate = MemoryEstimate::of(&MemoryPlan { config, ..*plan }, process);
        MemoryEstimate { evaluation: 0, ..estimate }.total() <= limit
    };
    while !training_fits(&config) && config.batch_size > 1 {
        let parts = (2..=config.batch_size).find(|parts| config.batch_size.is_multiple_of(*parts)).unwrap_or(1);
        config.batch_size /= parts;
        config.gradient_accumulation_steps *= parts;
    }
    while !fits(&config) && config.eval_batch_size > 1 {
        config.eval_batch_size /= 2;
    }
    if !fits(&config) {
        return None;
    }
    let mut flags = Vec::new();
    if config.batch_size != plan.config.batch_size {
        let steps = config.gradient_accumulation_steps;
        flags.push(format!("--batch-size {} --gradient-accumulation-steps {steps}", config.batch_size));
    }
    if config.eval_batch_size != plan.config.eval_batch_size {
        flags.push(format!("--eval-batch-size {}", config.eval_batch_size));
    }
    Some(flags.join(" "))
}
