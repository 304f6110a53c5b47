//! Saves optimizer state to a checkpoint and restores it, like `state_dict` and `load_state_dict`.

use std::collections::HashMap;

use tch::{Kind, Tensor};

use super::Optimizer;
use super::table_rows::TableRows;
use crate::error::{Result, TrainError};

impl Optimizer {
    /// The state tensors of all trainable parameters in order, with names like `classifier.weight.exp_avg`.
    ///
    /// # Panics
    /// If rows of a table have missed steps: see [`catch_up`](Self::catch_up).
    pub fn state(&self) -> Vec<(String, &Tensor)> {
        assert!(self.states.iter().all(|state| state.rows.are_up_to_date()), "rows of a table have missed steps");
        self.named.iter().map(|(name, tensor)| (name.clone(), tensor)).collect()
    }

    /// Restores the step count and [`state`](Self::state) of an optimizer of the same kind for the same parameters, in
    /// any order. After an error, nothing has changed.
    pub fn load_state(&mut self, steps: u64, saved: &[(String, Tensor)]) -> Result<()> {
        let mut saved: HashMap<&str, &Tensor> = saved.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        let mut details = String::new();
        let mut copies = Vec::new();
        let current = self.state();
        for (name, tensor) in &current {
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
        self.states.iter_mut().try_for_each(|state| {
            state.rows = TableRows::from_averages(&state.tensors)?;
            Ok(())
        })
    }
}
