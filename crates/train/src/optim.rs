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
//! Weights, gradients and state lie in flat buffers ([`Span`]s of them), so one update is that of all parameters that lie
//! next to each other and have the same learning rate and weight decay: a few for a whole model. Only optimizers that need
//! the shape of a parameter (Adafactor) update one at a time.
//!
//! With the CPU kernels, Adam and AdamW update the weights in one fused pass over memory (`adam.rs`). Everything else uses
//! libtorch operations, on pieces of a bounded size because they need temporary memory.
//!
//! An update with libtorch's operations allocates everything that it needs before it changes anything. So one that runs
//! out of memory has changed nothing and can be tried again. The longest span is the first: if memory is too small for
//! any update it is for this one, and then the whole state is still that of the step before.
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

use model::{
    Backend, Gradient, Gradients, ModelError, Parameter, Parameters, Role, Span, catch_out_of_memory, untouched_zeros,
};
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

/// Weights that one update with libtorch's operations changes at most, in a span: temporary tensors of this size are 32
/// MiB each, and smaller ones would take more launches.
const PIECE: i64 = 8 << 20;

/// The weights of a span.
#[derive(Debug, Clone, Copy)]
struct Weight<'a> {
    /// The name of the first parameter.
    name: &'a str,
    /// fp32, contiguous.
    master: &'a Tensor,
    /// The bf16 copy that the model computes with; `None` if it uses the master weights.
    compute: Option<&'a Tensor>,
}

/// The update of a span, or of a piece of it, in a step.
struct Update<'a> {
    weight: Weight<'a>,
    gradient: &'a Gradient,
    state: &'a mut SpanState,
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

/// The optimizer state and settings of a span.
#[derive(Debug)]
struct SpanState {
    /// The name of its first parameter.
    name: String,
    weight_decay: f64,
    lr_multiplier: f64,
    /// The state tensors in fp32, in the order of the specification.
    tensors: Vec<Tensor>,
    /// The rows of a table's state that may differ from zero. Only Adam uses them.
    seen_rows: adam::SeenRows,
}

/// An optimizer and its state for every trainable parameter.
#[derive(Debug)]
pub struct Optimizer {
    settings: OptimizerSettings,
    backend: Backend,
    steps: u64,
    /// What is updated together.
    spans: Vec<Span>,
    /// One for each span.
    states: Vec<SpanState>,
    /// The parts of the state that belong to each trainable parameter, in order, with names like
    /// `classifier.weight.exp_avg`.
    named: Vec<(String, Tensor)>,
}

impl Optimizer {
    /// An optimizer at step 0, with zero state for every trainable parameter.
    pub fn new(parameters: &Parameters, settings: &OptimizerSettings) -> Result<Self> {
        let spec = settings.kind.0;
        let list: Vec<&Parameter> = parameters.iter().collect();
        let multipliers = lr_multipliers(parameters, settings);
        let spans = spans(parameters, settings);
        // State of the weights' own shape lies as the weights do.
        let names = (spec.state)(&[1]).into_iter().map(|(name, _)| name);
        let flat: Vec<_> = match spec.is_elementwise {
            true => names.map(|name| (name, parameters.trainable_zeros())).collect(),
            false => Vec::new(),
        };
        let (mut states, mut named) = (Vec::with_capacity(spans.len()), Vec::new());
        for span in &spans {
            let first = span.members()[0].index;
            let tensors: Vec<(&str, Tensor)> = match spec.is_elementwise {
                true => flat.iter().map(|(name, buffers)| (*name, span.of_trainable(buffers))).collect(),
                false => {
                    let zeros = |(name, shape): (_, Vec<i64>)| (name, untouched_zeros(&shape, parameters.device()));
                    (spec.state)(&span.shape()).into_iter().map(zeros).collect()
                }
            };
            for (member, (name, tensor)) in
                span.members().iter().flat_map(|member| tensors.iter().map(move |t| (member, t)))
            {
                let own = match spec.is_elementwise {
                    true => {
                        tensor.view(-1).narrow(0, member.offset, member.shape.iter().product()).view(&*member.shape)
                    }
                    false => tensor.shallow_clone(),
                };
                named.push((member.index, (format!("{}.{name}", list[member.index].name()), own)));
            }
            states.push(SpanState {
                name: list[first].name().to_owned(),
                weight_decay: if list[first].decays() { settings.weight_decay } else { 0.0 },
                lr_multiplier: multipliers[first],
                tensors: tensors.into_iter().map(|(_, tensor)| tensor).collect(),
                seen_rows: adam::SeenRows::new(&span.shape()),
            });
        }
        named.sort_by_key(|(index, _)| *index);
        let named = named.into_iter().map(|(_, named)| named).collect();
        Ok(Self { settings: *settings, backend: parameters.backend(), steps: 0, spans, states, named })
    }

    /// Updates every trainable parameter. The gradients must be finite (see [`clip::global_norm`]).
    ///
    /// # Errors
    /// Other trainable parameters than those that the optimizer was created with, or gradients of others.
    pub fn step(&mut self, parameters: &mut Parameters, gradients: &Gradients, scale: &StepScale) -> Result<()> {
        if spans(parameters, &self.settings) != self.spans {
            let needed = "those, in the same order, that the optimizer was created with";
            return mismatch("the trainable parameters", "others".to_owned(), needed.to_owned());
        }
        let tensors: Vec<_> = self.spans.iter().map(|span| parameters.of_span(span)).collect();
        let names: Vec<String> = self.states.iter().map(|state| state.name.clone()).collect();
        let weights = tensors.iter().zip(&names);
        let weights: Vec<Weight> =
            weights.map(|((master, compute), name)| Weight { name, master, compute: compute.as_ref() }).collect();
        let gradients: Vec<_> = self.spans.iter().map(|span| gradients.of_span(span)).collect();
        if let Some(index) = gradients.iter().position(Option::is_none) {
            return mismatch(&names[index], "no gradient".to_owned(), "one of every trainable parameter".to_owned());
        }
        self.step_weights(&weights, &gradients, scale)
    }

    /// Updates the weights of every span that has a gradient.
    fn step_weights(&mut self, weights: &[Weight], gradients: &[Option<Gradient>], scale: &StepScale) -> Result<()> {
        self.check(weights, gradients)?;
        let (settings, steps) = (self.settings, self.steps + 1);
        let mut updates = self.updates(weights, gradients, scale);
        (settings.kind.0.step)(&mut updates, &settings, steps)?;
        self.steps = steps;
        Ok(())
    }

    /// One update for each span that has a gradient, the longest first.
    fn updates<'a>(
        &'a mut self,
        weights: &[Weight<'a>],
        gradients: &'a [Option<Gradient>],
        scale: &StepScale,
    ) -> Vec<Update<'a>> {
        let backend = self.backend;
        let spans = self.states.iter_mut().zip(weights).zip(gradients);
        let updates = spans.filter_map(|((state, weight), gradient)| {
            let learning_rate = scale.learning_rate * state.lr_multiplier;
            let gradient = gradient.as_ref()?;
            let gradient_scale = scale.gradient_scale;
            Some(Update { weight: *weight, gradient, state, learning_rate, gradient_scale, backend })
        });
        let mut updates: Vec<Update> = updates.collect();
        updates.sort_by_key(|update| Reverse(update.weight.master.numel()));
        updates
    }

    /// Checks that every gradient has weights of the same shape, before anything is changed.
    fn check(&self, weights: &[Weight], gradients: &[Option<Gradient>]) -> Result<()> {
        if weights.len() != self.states.len() || gradients.len() != self.states.len() {
            let found = format!("{} of weights with {} gradients", weights.len(), gradients.len());
            return mismatch("spans", found, format!("the {} that the optimizer was created with", self.states.len()));
        }
        for (weight, gradient) in weights.iter().zip(gradients) {
            let Some(gradient) = gradient else { continue };
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

fn mismatch<T>(name: &str, found: String, needed: String) -> Result<T> {
    Err(ModelError::UnfitTensor { name: name.to_owned(), found, needed }.into())
}

/// The learning-rate multiplier of each parameter.
fn lr_multipliers(parameters: &Parameters, settings: &OptimizerSettings) -> Vec<f64> {
    let roles: Vec<Role> = parameters.iter().map(Parameter::role).collect();
    layer_decay::lr_multipliers(&roles, settings.layer_decay)
}

/// The trainable parameters that one update changes together: neighbors with the same learning rate, or single ones where
/// their shape matters.
fn spans(parameters: &Parameters, settings: &OptimizerSettings) -> Vec<Span> {
    let multipliers = lr_multipliers(parameters, settings);
    let single = |index: usize| (!settings.kind.0.is_elementwise).then_some(index);
    parameters.spans(|index| (multipliers[index].to_bits(), single(index)))
}

/// Updates one span after another, see [`update_with_tensor_ops`].
fn update_each(updates: &mut [Update], step: impl Fn(&mut Update) -> Result<()>) -> Result<()> {
    let mut updates = updates.iter_mut().enumerate();
    updates.try_for_each(|(index, update)| update_with_tensor_ops(update, index > 0, &step))
}

/// The same for a step in which no weight depends on another: a longer span than [`PIECE`] is updated in pieces, so that
/// the temporary memory of an update is bounded. (The row gradient of a table is not divided.)
fn update_each_in_pieces(updates: &mut [Update], step: impl Fn(&mut Update) -> Result<()>) -> Result<()> {
    let mut others_updated = false;
    for update in updates {
        let weights = update.weight.master.numel() as i64;
        match update.gradient {
            Gradient::Dense(gradient) if weights > PIECE => {
                for start in (0..weights).step_by(PIECE as usize) {
                    let part = |tensor: &Tensor| tensor.f_view(-1)?.f_narrow(0, start, PIECE.min(weights - start));
                    update_piece(update, gradient, part, others_updated, &step)?;
                    others_updated = true;
                }
            }
            _ => update_with_tensor_ops(update, others_updated, &step)?,
        }
        others_updated = true;
    }
    Ok(())
}

/// Updates the piece of a span that `part` returns of each of its tensors.
fn update_piece(
    update: &Update,
    gradient: &Tensor,
    part: impl Fn(&Tensor) -> std::result::Result<Tensor, tch::TchError>,
    others_updated: bool,
    step: impl Fn(&mut Update) -> Result<()>,
) -> Result<()> {
    let Update { weight, learning_rate, gradient_scale, backend, .. } = *update;
    let (master, compute) = (part(weight.master)?, weight.compute.map(&part).transpose()?);
    let mut state = SpanState {
        name: update.state.name.clone(),
        tensors: update.state.tensors.iter().map(&part).collect::<std::result::Result<_, _>>()?,
        seen_rows: adam::SeenRows::new(&[]),
        ..*update.state
    };
    let mut piece = Update {
        weight: Weight { name: weight.name, master: &master, compute: compute.as_ref() },
        gradient: &Gradient::Dense(part(gradient)?),
        state: &mut state,
        learning_rate,
        gradient_scale,
        backend,
    };
    update_with_tensor_ops(&mut piece, others_updated, step)
}

/// Updates a span, or a piece of one, by a `step` that changes nothing if it fails. It is tried twice.
///
/// # Errors
/// Too little memory; `others_updated` says whether other weights have been updated before.
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
