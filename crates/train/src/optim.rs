//! Optimizers, which update the weights in place.
//!
//! [`Optimizer::step`] scales the gradients (clipping and accumulation in one factor, see [`StepScale`]), updates the
//! fp32 master weights and the optimizer's fp32 state, and writes the compute weights, so that the model is
//! ready for its next forward pass. Formulas and defaults are those of `torch.optim` (AdamW, Adam, SGD), of
//! transformers' `Adafactor` with `scale_parameter=False, relative_step=False`, and of the Lion paper; fixtures made by
//! `tests/fixtures/optimizers/make_optimizers.py` compare each with its reference.
//!
//! Each optimizer is one file, which defines an `OptimizerSpec` (`spec.rs`) with its help text, its options and their
//! defaults, its state and its step, and contains its tests. It is registered by a line in `OPTIMIZERS` below.
//!
//! With the CPU kernels, Adam and AdamW update the weights in one fused pass over memory (`adam.rs`). Everything else uses
//! libtorch operations.
//!
//! An update with libtorch's operations allocates everything that it needs before it changes anything. So one that runs
//! out of memory has changed nothing and can be tried again. The largest parameter is the first: if memory is too small
//! for any update it is for this one, and then the whole state is still that of the step before.
//!
//! Invariant: the complete state of an optimizer is its step count and the tensors of [`Optimizer::state`]. A run that
//! restores both continues with identical results.

mod adafactor;
mod adam;
mod adam_kernel;
pub mod clip;
pub mod layer_decay;
mod lion;
mod sgd;
mod spec;
mod state;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;

use model::{Backend, Gradient, Gradients, ModelError, Parameter, Parameters, Role, catch_out_of_memory};
use tch::Tensor;

use spec::OptimizerSpec;
pub use spec::{OptimizerKind, OptimizerSettings};

use crate::error::{MemoryShortage, Result, TrainError};
#[cfg(test)]
use crate::memory_faults::{self, Place};

/// All optimizers, the default first, in the order in which help and errors list them.
const OPTIMIZERS: &[OptimizerKind] = &[
    OptimizerKind(&adam::ADAMW),
    OptimizerKind(&adam::ADAM),
    OptimizerKind(&sgd::SGD),
    OptimizerKind(&adafactor::ADAFACTOR),
    OptimizerKind(&lion::LION),
];

/// The values of an update that change from step to step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepScale {
    /// The learning rate of the head. Layer-wise decay reduces that of the layers below it.
    pub learning_rate: f64,
    /// The factor applied to every gradient: [`clip::coefficient`] divided by the number of accumulated batches.
    pub gradient_scale: f64,
}

/// The parts of a parameter that optimizers use.
#[derive(Debug, Clone, Copy)]
struct Weight<'a> {
    name: &'a str,
    role: Role,
    /// Whether weight decay applies to it.
    decays: bool,
    /// fp32, contiguous.
    master: &'a Tensor,
    /// The bf16 copy that the model computes with; `None` if it uses the master weights.
    compute: Option<&'a Tensor>,
}

impl<'a> From<&'a Parameter> for Weight<'a> {
    fn from(parameter: &'a Parameter) -> Self {
        let compute = (!parameter.is_shared()).then(|| parameter.compute());
        let (name, role, decays) = (parameter.name(), parameter.role(), parameter.decays());
        Self { name, role, decays, master: parameter.master(), compute }
    }
}

/// The update of one parameter in a step.
struct Update<'a> {
    weight: Weight<'a>,
    gradient: &'a Gradient,
    state: &'a mut ParameterState,
    /// The learning rate, including layer-wise decay.
    learning_rate: f64,
    /// The factor to apply to the gradient.
    gradient_scale: f64,
    backend: Backend,
}

impl Update<'_> {
    /// The scaled gradient as a new dense fp32 tensor.
    fn dense_gradient(&self) -> Result<Tensor> {
        #[cfg(test)]
        memory_faults::allocate(Place::Update, 0)?;
        let gradient = self.gradient.to_dense(&self.weight.master.size());
        Ok(gradient.f_mul_scalar(self.gradient_scale)?)
    }

    /// Applies decoupled weight decay, subtracts `learning_rate * direction` and writes the compute weight. Allocates
    /// nothing: the direction is overwritten.
    fn apply(&self, mut direction: Tensor, decoupled_decay: f64) -> Result<()> {
        let mut master = self.weight.master.shallow_clone();
        if decoupled_decay != 0.0 {
            let _ = master.f_mul_scalar_(1.0 - self.learning_rate * decoupled_decay)?;
        }
        let _ = master.f_sub_(&direction.f_mul_scalar_(self.learning_rate)?)?;
        self.write_compute()
    }

    fn write_compute(&self) -> Result<()> {
        if let Some(compute) = self.weight.compute {
            compute.shallow_clone().f_copy_(self.weight.master)?;
        }
        Ok(())
    }
}

/// The optimizer state and settings of one parameter.
#[derive(Debug)]
struct ParameterState {
    name: String,
    weight_decay: f64,
    lr_multiplier: f64,
    /// Names of the state tensors, such as `exp_avg`.
    tensor_names: Vec<&'static str>,
    /// The state tensors in fp32, one for each name; empty for a frozen parameter.
    tensors: Vec<Tensor>,
    /// The rows of the state tensors that may differ from zero. Only Adam uses them.
    seen_rows: adam::SeenRows,
}

/// An optimizer and its state for every trainable parameter.
#[derive(Debug)]
pub struct Optimizer {
    settings: OptimizerSettings,
    backend: Backend,
    steps: u64,
    states: Vec<ParameterState>,
}

impl Optimizer {
    /// An optimizer at step 0, with zero state for every trainable parameter.
    pub fn new(parameters: &Parameters, settings: &OptimizerSettings) -> Result<Self> {
        let weights: Vec<_> = parameters.iter().map(|parameter| (parameter.into(), parameter.trainable())).collect();
        Self::with_weights(&weights, settings, parameters.backend())
    }

    fn with_weights(weights: &[(Weight, bool)], settings: &OptimizerSettings, backend: Backend) -> Result<Self> {
        let roles: Vec<Role> = weights.iter().map(|(weight, _)| weight.role).collect();
        let multipliers = layer_decay::lr_multipliers(&roles, settings.layer_decay);
        let mut states = Vec::with_capacity(weights.len());
        for ((weight, trainable), lr_multiplier) in weights.iter().zip(multipliers) {
            let shape = weight.master.size();
            let tensors = if *trainable { (settings.kind.0.state)(&shape) } else { Vec::new() };
            let zeros = |shape: Vec<i64>| model::untouched_zeros(&shape, weight.master.device());
            let (tensor_names, tensors) = tensors.into_iter().map(|(name, shape)| (name, zeros(shape))).unzip();
            states.push(ParameterState {
                name: weight.name.to_owned(),
                weight_decay: if weight.decays { settings.weight_decay } else { 0.0 },
                lr_multiplier,
                tensor_names,
                tensors,
                seen_rows: adam::SeenRows::new(&shape),
            });
        }
        Ok(Self { settings: *settings, backend, steps: 0, states })
    }

    /// Updates every parameter that has a gradient. The gradients must be finite (see [`clip::global_norm`]).
    pub fn step(&mut self, parameters: &mut Parameters, gradients: &Gradients, scale: &StepScale) -> Result<()> {
        let weights: Vec<Weight> = parameters.iter().map(Weight::from).collect();
        self.step_weights(&weights, &gradients.0, scale)
    }

    fn step_weights(&mut self, weights: &[Weight], gradients: &[Option<Gradient>], scale: &StepScale) -> Result<()> {
        self.check(weights, gradients)?;
        let (settings, steps) = (self.settings, self.steps + 1);
        let mut updates = self.updates(weights, gradients, scale);
        (settings.kind.0.step)(&mut updates, &settings, steps)?;
        self.steps = steps;
        Ok(())
    }

    /// One update for each parameter that has a gradient, the largest first.
    fn updates<'a>(
        &'a mut self,
        weights: &[Weight<'a>],
        gradients: &'a [Option<Gradient>],
        scale: &StepScale,
    ) -> Vec<Update<'a>> {
        let backend = self.backend;
        let parameters = self.states.iter_mut().zip(weights).zip(gradients);
        let updates = parameters.filter_map(|((state, weight), gradient)| {
            let learning_rate = scale.learning_rate * state.lr_multiplier;
            let gradient = gradient.as_ref()?;
            let gradient_scale = scale.gradient_scale;
            Some(Update { weight: *weight, gradient, state, learning_rate, gradient_scale, backend })
        });
        let mut updates: Vec<Update> = updates.collect();
        updates.sort_by_key(|update| Reverse(update.weight.master.numel()));
        updates
    }

    /// Checks that every gradient has a weight of the same shape and optimizer state, before anything is changed.
    fn check(&self, weights: &[Weight], gradients: &[Option<Gradient>]) -> Result<()> {
        let mismatch = |name: &str, found: String, needed: String| {
            Err(ModelError::UnfitTensor { name: name.to_owned(), found, needed }.into())
        };
        if weights.len() != self.states.len() || gradients.len() != self.states.len() {
            let found = format!("{} parameters with {} gradients", weights.len(), gradients.len());
            return mismatch(
                "parameters",
                found,
                format!("the {} that the optimizer was created with", self.states.len()),
            );
        }
        for ((state, weight), gradient) in self.states.iter().zip(weights).zip(gradients) {
            let Some(gradient) = gradient else { continue };
            if state.name != weight.name || state.tensors.is_empty() {
                let needed = "the trainable parameters, in the same order, that the optimizer was created with";
                return mismatch(
                    weight.name,
                    "a parameter that was frozen or at another position".to_owned(),
                    needed.to_owned(),
                );
            }
            let shape = weight.master.size();
            let shape_matches = match gradient {
                Gradient::Dense(gradient) => gradient.size() == shape,
                Gradient::Rows { ids, values } => {
                    shape.len() == 2 && ids.dim() == 1 && values.size() == [ids.numel() as i64, shape[1]]
                }
            };
            if !shape_matches {
                return mismatch(weight.name, describe_shape(gradient), format!("a gradient of shape {shape:?}"));
            }
        }
        Ok(())
    }
}

/// Updates one parameter after another, see [`update_with_tensor_ops`].
fn update_each(updates: &mut [Update], step: impl Fn(&mut Update) -> Result<()>) -> Result<()> {
    let mut updates = updates.iter_mut().enumerate();
    updates.try_for_each(|(index, update)| update_with_tensor_ops(update, index > 0, &step))
}

/// Updates a parameter by a `step` that changes nothing if it fails. It is tried twice.
///
/// # Errors
/// Too little memory; `others_updated` says whether parameters before this one have been updated.
fn update_with_tensor_ops(
    update: &mut Update,
    others_updated: bool,
    step: impl Fn(&mut Update) -> Result<()>,
) -> Result<()> {
    let shortage = MemoryShortage::before_changes("an update of the weights", update.weight.master.device());
    let updated = twice_if_out_of_memory(|| step(update))?;
    updated.ok_or(TrainError::OutOfMemory(MemoryShortage { partly_updated: others_updated, ..shortage }))
}

/// The result of an operation that can be tried again if memory is too small; `None` if it is too small twice. Between
/// the two, another program may have freed memory.
pub(crate) fn twice_if_out_of_memory<T>(mut operation: impl FnMut() -> Result<T>) -> Result<Option<T>> {
    match catch_out_of_memory(&mut operation)? {
        Some(value) => Ok(Some(value)),
        None => catch_out_of_memory(operation),
    }
}

/// Describes a gradient's shape for an error message.
fn describe_shape(gradient: &Gradient) -> String {
    match gradient {
        Gradient::Dense(gradient) => format!("a gradient of shape {:?}", gradient.size()),
        Gradient::Rows { ids, values } => {
            format!("rows of shape {:?} with ids of shape {:?}", values.size(), ids.size())
        }
    }
}
