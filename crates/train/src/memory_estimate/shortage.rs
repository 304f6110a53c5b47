//! A run that doesn't fit: what it would need, what there is, and flags under which it would fit.

use std::fmt;

use super::{Need, Plan};
use crate::options::TrainConfig;
use disk::human_bytes;

/// Why a run can't start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortage {
    /// The run's peak.
    pub need: Need,
    /// Bytes that can be had in all.
    pub room: u64,
    /// What to do, the best first.
    pub hints: Vec<String>,
}

impl Shortage {
    pub(super) fn new(plan: &Plan, need: Need, process: u64, room: u64) -> Self {
        let mut hints: Vec<String> = flags_that_fit(plan, process, room).into_iter().collect();
        if need.batch.longest > 128 {
            hints.push(format!("prepare the data with a shorter --max-length than {}", need.batch.longest));
        }
        if hints.is_empty() {
            hints.push("free some memory, or take a smaller model".to_owned());
        }
        Self { need, room, hints }
    }
}

/// The flags with the largest batches under which the run would fit. As many examples make up a step as before.
fn flags_that_fit(plan: &Plan, process: u64, room: u64) -> Option<String> {
    let mut config = plan.config.clone();
    let fits = |config: &TrainConfig| Need::of(&Plan { config, ..*plan }, process).total() <= room;
    let evaluation_fits = |config: &TrainConfig| {
        let need = Need::of(&Plan { config, ..*plan }, process);
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

impl fmt::Display for Shortage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (need, room) = (&self.need, human_bytes(self.room));
        write!(formatter, "training needs about {} of memory, and {room} can be had: ", human_bytes(need.total()))?;
        let texts = format!("{} texts of up to {} tokens", need.batch.sentences, need.batch.longest);
        let parts = [
            ("weights", need.weights + need.compute),
            ("optimizer", need.optimizer),
            ("gradients", need.gradients),
            (&format!("the pass over {texts}"), need.activations),
            ("the process itself", need.process),
        ];
        let parts: Vec<String> = parts.iter().map(|(name, bytes)| format!("{name} {}", human_bytes(*bytes))).collect();
        write!(formatter, "{}", parts.join(", "))?;
        if need.evaluation > need.gradients + need.activations {
            write!(formatter, "; the evaluation {}", human_bytes(need.evaluation))?;
        }
        write!(formatter, " (hint: {})", self.hints.join("; or "))
    }
}
