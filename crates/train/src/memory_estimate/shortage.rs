//! The error message of a run that doesn't fit into memory: required and available bytes, and flags that would fit.

use disk::human_bytes;

use super::{MemoryEstimate, MemoryPlan};
use crate::options::TrainConfig;

/// The message for a run that needs the memory of `estimate` if only `limit` bytes are available in total.
pub(super) fn describe(plan: &MemoryPlan, estimate: &MemoryEstimate, process: u64, limit: u64) -> String {
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
        bytes if bytes > estimate.gradients + estimate.activations => {
            format!("; the evaluation {}", human_bytes(bytes))
        }
        _ => String::new(),
    };
    let mut hints: Vec<String> = flags_that_fit(plan, process, limit).into_iter().collect();
    if estimate.batch.longest > 128 {
        hints.push(format!("prepare the data with a shorter --max-length than {}", estimate.batch.longest));
    }
    if hints.is_empty() {
        hints.push("free some memory, or take a smaller model".to_owned());
    }
    let (total, limit, hints) = (human_bytes(estimate.total()), human_bytes(limit), hints.join("; or "));
    format!("training needs about {total} of memory, and {limit} is available: {parts}{evaluation} (hint: {hints})")
}

/// The flags with the largest batches that fit. The number of examples per step stays the same.
pub(super) fn flags_that_fit(plan: &MemoryPlan, process: u64, limit: u64) -> Option<String> {
    let mut config = plan.config.clone();
    let fits = |config: &TrainConfig| MemoryEstimate::of(&MemoryPlan { config, ..*plan }, process).total() <= limit;
    let evaluation_fits = |config: &TrainConfig| {
        let estimate = MemoryEstimate::of(&MemoryPlan { config, ..*plan }, process);
        MemoryEstimate { gradients: 0, activations: 0, ..estimate }.total() <= limit
    };
    while !evaluation_fits(&config) && config.eval_batch_size > 1 {
        config.eval_batch_size /= 2;
    }
    while !fits(&config) && config.batch_size > 1 {
        let parts = (2..=config.batch_size).find(|parts| config.batch_size.is_multiple_of(*parts)).unwrap_or(1);
        config.batch_size /= parts;
        config.gradient_accumulation_steps *= parts;
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
