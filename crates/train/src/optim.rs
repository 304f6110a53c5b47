//! Optimizers: from gradients to changed weights, in place.
//!
//! [`Optimizer::step`] scales the gradients (clipping and accumulation in one factor, see [`StepScale`]), updates the
//! fp32 master weights and the optimizer's fp32 state, and writes the compute weights, so that after it the model is
//! ready for its next forward pass. Formulas and defaults are those of `torch.optim` (AdamW, Adam, SGD), of
//! transformers' `Adafactor` with `scale_parameter=False, relative_step=False`, and of the Lion paper; fixtures made by
//! `tests/fixtures/optimizers/make_optimizers.py` hold each against its reference.
//!
//! Each optimizer is one file: what help says of it, the options that it reads and its defaults of them, its state, its step
//! and its tests, as an `OptimizerSpec` (`spec.rs`). A line in the table below makes it known to everything else.
//!
//! Adam and AdamW make one pass over the memory of a CPU (`adam.rs`). Everything else is plain libtorch operations.
//!
//! Invariant: what an optimizer remembers between steps is its step count and the tensors of [`Optimizer::state`].
//! With those two a run continues as if it had never stopped.

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

use model::{Gradient, Gradients, ModelError, Parameter, Parameters, Role};
use tch::Tensor;

use spec::OptimizerSpec;
pub use spec::{OptimizerKind, OptimizerSettings};

use crate::error::Result;

/// All optimizers, the default first, in the order in which help and errors list them.
const OPTIMIZERS: &[OptimizerKind] = &[
    OptimizerKind(&adam::ADAMW),
    OptimizerKind(&adam::ADAM),
    OptimizerKind(&sgd::SGD),
    OptimizerKind(&adafactor::ADAFACTOR),
    OptimizerKind(&lion::LION),
];

/// What changes from step to step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepScale {
    /// The learning rate of parameters on top; those below learn at their layer's share of it.
    pub learning_rate: f64,
    /// What every gradient is multiplied by first: [`clip::coefficient`] divided by the number of accumulated batches.
    pub gradient_scale: f64,
}

/// One parameter as the rules see it.
#[derive(Debug, Clone, Copy)]
struct Weight<'a> {
    name: &'a str,
    role: Role,
    decays: bool,
    /// fp32, contiguous.
    master: &'a Tensor,
    /// The bf16 copy that the model reads; `None` where it reads the master itself.
    compute: Option<&'a Tensor>,
}

impl<'a> From<&'a Parameter> for Weight<'a> {
    fn from(parameter: &'a Parameter) -> Self {
        let compute = (!parameter.is_shared()).then(|| parameter.compute());
        let (name, role, decays) = (parameter.name(), parameter.role(), parameter.decays());
        Self { name, role, decays, master: parameter.master(), compute }
    }
}

/// One parameter's part of a step.
struct Update<'a> {
    weight: Weight<'a>,
    gradient: &'a Gradient,
    slot: &'a mut Slot,
    /// The learning rate, layer-wise decay included.
    learning_rate: f64,
    /// What the gradient is to be multiplied by.
    gradient_scale: f64,
}

impl Update<'_> {
    /// The scaled gradient, dense and in fp32, as a tensor of its own.
    fn dense_gradient(&self) -> Result<Tensor> {
        let gradient = self.gradient.to_dense(&self.weight.master.size());
        Ok(gradient.f_mul_scalar(self.gradient_scale)?)
    }

    /// Adds `-learning_rate * step` to the weight, after the decoupled decay, and rounds it into the compute weight.
    fn apply(&self, step: &Tensor, decoupled_decay: f64) -> Result<()> {
        let mut master = self.weight.master.shallow_clone();
        if decoupled_decay != 0.0 {
            let _ = master.f_mul_scalar_(1.0 - self.learning_rate * decoupled_decay)?;
        }
        let _ = master.f_sub_(&step.f_mul_scalar(self.learning_rate)?)?;
        self.write_compute()
    }

    fn write_compute(&self) -> Result<()> {
        if let Some(compute) = self.weight.compute {
            compute.shallow_clone().f_copy_(self.weight.master)?;
        }
        Ok(())
    }
}

/// What is kept for one parameter.
#[derive(Debug)]
struct Slot {
    name: String,
    weight_decay: f64,
    rate_multiplier: f64,
    state_names: Vec<&'static str>,
    /// fp32 tensors, one for each name; none for a frozen parameter.
    state: Vec<Tensor>,
    /// Which rows of `state` may differ from zero. Only Adam asks.
    seen: adam::SeenRows,
}

/// An optimizer and its state for every trainable parameter.
#[derive(Debug)]
pub struct Optimizer {
    settings: OptimizerSettings,
    steps: u64,
    slots: Vec<Slot>,
}

impl Optimizer {
    /// An optimizer at step 0, with zeroed state for every parameter that is trainable now.
    pub fn new(parameters: &Parameters, settings: &OptimizerSettings) -> Result<Self> {
        let weights: Vec<_> = parameters.iter().map(|parameter| (parameter.into(), parameter.trainable())).collect();
        Self::over(&weights, settings)
    }

    fn over(weights: &[(Weight, bool)], settings: &OptimizerSettings) -> Result<Self> {
        let roles: Vec<Role> = weights.iter().map(|(weight, _)| weight.role).collect();
        let multipliers = layer_decay::rate_multipliers(&roles, settings.layer_decay);
        let mut slots = Vec::with_capacity(weights.len());
        for ((weight, trainable), rate_multiplier) in weights.iter().zip(multipliers) {
            let shape = weight.master.size();
            let state = if *trainable { (settings.kind.0.state)(&shape) } else { Vec::new() };
            let zeros = |shape: Vec<i64>| model::untouched_zeros(&shape, weight.master.device());
            let (state_names, state) = state.into_iter().map(|(name, shape)| (name, zeros(shape))).unzip();
            slots.push(Slot {
                name: weight.name.to_owned(),
                weight_decay: if weight.decays { settings.weight_decay } else { 0.0 },
                rate_multiplier,
                state_names,
                state,
                seen: adam::SeenRows::none(&shape),
            });
        }
        Ok(Self { settings: *settings, steps: 0, slots })
    }

    /// Changes every parameter that has a gradient. The caller has made sure that the gradients are finite
    /// (see [`clip::global_norm`]).
    pub fn step(&mut self, parameters: &mut Parameters, gradients: &Gradients, scale: &StepScale) -> Result<()> {
        let weights: Vec<Weight> = parameters.iter().map(Weight::from).collect();
        self.step_over(&weights, &gradients.0, scale)
    }

    fn step_over(&mut self, weights: &[Weight], gradients: &[Option<Gradient>], scale: &StepScale) -> Result<()> {
        self.check(weights, gradients)?;
        let (settings, steps) = (self.settings, self.steps + 1);
        let mut updates = self.updates(weights, gradients, scale);
        (settings.kind.0.step)(&mut updates, &settings, steps)?;
        self.steps = steps;
        Ok(())
    }

    /// The parts of a step: one for every parameter with a gradient.
    fn updates<'a>(
        &'a mut self,
        weights: &[Weight<'a>],
        gradients: &'a [Option<Gradient>],
        scale: &StepScale,
    ) -> Vec<Update<'a>> {
        let parts = self.slots.iter_mut().zip(weights).zip(gradients);
        let updates = parts.filter_map(|((slot, weight), gradient)| {
            let learning_rate = scale.learning_rate * slot.rate_multiplier;
            let gradient = gradient.as_ref()?;
            Some(Update { weight: *weight, gradient, slot, learning_rate, gradient_scale: scale.gradient_scale })
        });
        updates.collect()
    }

    /// Every gradient has a weight and a state to go with it, and its shape. Checked before anything changes.
    fn check(&self, weights: &[Weight], gradients: &[Option<Gradient>]) -> Result<()> {
        let unfit = |name: &str, found: String, needed: String| {
            Err(ModelError::UnfitTensor { name: name.to_owned(), found, needed }.into())
        };
        if weights.len() != self.slots.len() || gradients.len() != self.slots.len() {
            let found = format!("{} parameters with {} gradients", weights.len(), gradients.len());
            return unfit("parameters", found, format!("the {} that the optimizer was created with", self.slots.len()));
        }
        for ((slot, weight), gradient) in self.slots.iter().zip(weights).zip(gradients) {
            let Some(gradient) = gradient else { continue };
            if slot.name != weight.name || slot.state.is_empty() {
                let needed = "the trainable parameters, in the same order, that the optimizer was created with";
                return unfit(
                    weight.name,
                    "a parameter that was frozen or in another place".to_owned(),
                    needed.to_owned(),
                );
            }
            let shape = weight.master.size();
            let fits = match gradient {
                Gradient::Dense(gradient) => gradient.size() == shape,
                Gradient::Rows { ids, values } => {
                    shape.len() == 2 && ids.dim() == 1 && values.size() == [ids.numel() as i64, shape[1]]
                }
            };
            if !fits {
                return unfit(weight.name, shown(gradient), format!("a gradient of shape {shape:?}"));
            }
        }
        Ok(())
    }
}

/// A gradient's shape, in words.
fn shown(gradient: &Gradient) -> String {
    match gradient {
        Gradient::Dense(gradient) => format!("a gradient of shape {:?}", gradient.size()),
        Gradient::Rows { ids, values } => {
            format!("rows of shape {:?} with ids of shape {:?}", values.size(), ids.size())
        }
    }
}
