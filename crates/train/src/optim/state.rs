//! What an optimizer remembers between steps, by name: for checkpoints.

use std::collections::HashMap;

use tch::{Kind, Tensor};

use super::{Optimizer, adafactor, adam};
use crate::error::{Result, TrainError};
use crate::options::OptimizerKind;

impl Optimizer {
    /// The state of every trainable parameter in order, under names like `classifier.weight.exp_avg`.
    pub fn state(&self) -> Vec<(String, &Tensor)> {
        let mut state = Vec::new();
        for slot in &self.slots {
            let names = names(self.options.kind, slot.state.len());
            state.extend(names.iter().zip(&slot.state).map(|(name, tensor)| (format!("{}.{name}", slot.name), tensor)));
        }
        state
    }

    /// Takes over the step count and [`state`](Self::state) of an optimizer with the same rule over the same
    /// parameters; the order of `saved` doesn't matter. On an error nothing has changed.
    pub fn load_state(&mut self, steps: u64, saved: &[(String, Tensor)]) -> Result<()> {
        let mut saved: HashMap<&str, &Tensor> = saved.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        let mut details = String::new();
        let mut copies = Vec::new();
        let own = self.state();
        for (name, tensor) in &own {
            match saved.remove(name.as_str()) {
                None => details += &format!("\n  missing: {name}"),
                Some(found) if found.size() != tensor.size() || found.kind() != Kind::Float => {
                    let (kind, size) = (found.kind(), found.size());
                    details += &format!("\n  misshapen: {name} is {kind:?} {size:?}, needed Float {:?}", tensor.size());
                }
                Some(found) => copies.push((tensor.shallow_clone(), found)),
            }
        }
        let mut unexpected: Vec<_> = saved.into_keys().collect();
        unexpected.sort_unstable();
        unexpected.iter().for_each(|name| details += &format!("\n  unexpected: {name}"));
        if !details.is_empty() {
            return Err(TrainError::optimizer_state(&details));
        }
        for (mut tensor, found) in copies {
            tensor.f_copy_(found)?;
        }
        self.steps = steps;
        self.slots.iter_mut().try_for_each(|slot| {
            slot.seen = adam::SeenRows::of(&slot.state)?;
            Ok(())
        })
    }
}

/// The names of a parameter's state tensors, of which there are `count`.
pub(super) fn names(kind: OptimizerKind, count: usize) -> &'static [&'static str] {
    match kind {
        OptimizerKind::AdamW | OptimizerKind::Adam => &["exp_avg", "exp_avg_sq"],
        OptimizerKind::Sgd => &["momentum_buffer"],
        OptimizerKind::Lion => &["exp_avg"],
        OptimizerKind::Adafactor if count == 1 => &["exp_avg_sq"],
        OptimizerKind::Adafactor => &["exp_avg_sq_row", "exp_avg_sq_col"],
    }
}

/// The shapes of a parameter's state tensors.
pub(crate) fn shapes(kind: OptimizerKind, shape: &[i64]) -> Vec<Vec<i64>> {
    match kind {
        OptimizerKind::AdamW | OptimizerKind::Adam => vec![shape.to_vec(); 2],
        OptimizerKind::Sgd | OptimizerKind::Lion => vec![shape.to_vec()],
        OptimizerKind::Adafactor => adafactor::state_shapes(shape),
    }
}
