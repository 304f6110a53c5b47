//! What an optimizer remembers between steps, by name: for checkpoints.

use std::collections::HashMap;

use tch::{Kind, Tensor};

use super::{Optimizer, adam};
use crate::error::{Result, TrainError};

impl Optimizer {
    /// The state of every trainable parameter in order, under names like `classifier.weight.exp_avg`.
    pub fn state(&self) -> Vec<(String, &Tensor)> {
        let mut state = Vec::new();
        for slot in &self.slots {
            let named = slot.state_names.iter().zip(&slot.state);
            state.extend(named.map(|(name, tensor)| (format!("{}.{name}", slot.name), tensor)));
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
                    let (dtype, size) = (model::dtype_name(found.kind()), found.size());
                    details +=
                        &format!("\n  misshapen: {name}: expected float32 {:?}, found {dtype} {size:?}", tensor.size());
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
