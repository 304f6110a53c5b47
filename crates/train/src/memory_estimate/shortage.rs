//! A run that doesn't fit: what it would need, what there is, and flags under which it would fit.

use disk::human_bytes;

use super::{MemoryPlan, Need};
use crate::options::TrainConfig;

/// Why a run of which the peak is `need` can't start where `room` bytes are available in all.
pub(super) fn describe(plan: &MemoryPlan, need: &Need, process: u64, room: u64) -> String {
    let texts = format!("{} texts of up to {} tokens", need.batch.sentences, need.batch.longest);
    let parts = [
        ("weights", need.weights + need.compute),
        ("optimizer", need.optimizer),
        ("gradients", need.gradients),
        (&format!("the pass over {texts}"), need.activations),
        ("the process itself", need.process),
    ];
    let parts = parts.map(|(name, bytes)| format!("{name} {}", human_bytes(bytes))).join(", ");
    let evaluation = match need.evaluation {
        bytes if bytes > need.gradients + need.activations => format!("; the evaluation {}", human_bytes(bytes)),
        _ => String::new(),
    };
    let mut hints: Vec<String> = flags_that_fit(plan, process, room).into_iter().collect();
    if need.batch.longest > 128 {
        hints.push(format!("prepare the data with a shorter --max-length than {}", need.batch.longest));
    }
    if hints.is_empty() {
        hints.push("free some memory, or take a smaller model".to_owned());
    }
    let (total, room, hints) = (human_bytes(need.total()), human_bytes(room), hints.join("; or "));
    format!("training needs about {total} of memory, and {room} is available: {parts}{evaluation} (hint: {hints})")
}

/// The flags with the largest batches under which the run would fit. As many examples make up a step as before.
pub(super) fn flags_that_fit(plan: &MemoryPlan, process: u64, room: u64) -> Option<String> {
    let mut config = plan.config.clone();
    let fits = |config: &TrainConfig| Need::of(&MemoryPlan { config, ..*plan }, process).total() <= room;
    let evaluation_fits = |config: &TrainConfig| {
        let need = Need::of(&MemoryPlan { config, ..*plan }, process);
        Need { gradients: 0, activations: 0, ..need }.total() <= room
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
