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
mod table_rows;
mod tensor_ops;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;

use model::{Backend, Gradient, Gradients, ModelError, Parameter, Parameters, Role, Span, untouched_zeros};
use tch::Tensor;

use spec::OptimizerSpec;
pub use spec::{OptimizerKind, OptimizerSettings};
use table_rows::TableRows;
pub(crate) use tensor_ops::twice_if_out_of_memory;
use tensor_ops::{PIECE, update_each, update_each_in_pieces};

use crate::error::Result;
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
    /// What the rows of a table have had. Only Adam's kernel uses them.
    rows: TableRows,
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
                rows: TableRows::new(&span.shape()),
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
        self.step_used_rows(parameters, gradients, scale)?;
        self.catch_up(parameters, None)
    }

    /// The same, but rows of a table that have no gradient may miss the step: see [`catch_up`](Self::catch_up).
    pub(crate) fn step_used_rows(
        &mut self,
        parameters: &mut Parameters,
        gradients: &Gradients,
        scale: &StepScale,
    ) -> Result<()> {
        if spans(parameters, &self.settings) != self.spans {
            let needed = "those, in the same order, that the optimizer was created with";
            return mismatch("the trainable parameters", "others".to_owned(), needed.to_owned());
        }
        let memory = SpanMemory::of(&self.spans, &self.states, parameters);
        let gradients: Vec<_> = self.spans.iter().map(|span| gradients.of_span(span)).collect();
        if let Some(index) = gradients.iter().position(Option::is_none) {
            let name = &self.states[index].name;
            return mismatch(name, "no gradient".to_owned(), "one of every trainable parameter".to_owned());
        }
        self.update(&memory.weights(), &gradients, scale)
    }

    /// Updates rows of the word embeddings by the steps that they have missed, to the bits that they would have if they had
    /// missed none: rows `ids`, ascending and distinct, before a pass reads them, or without `ids` all of them, before
    /// anything else reads the weights or the [`state`](Self::state).
    ///
    /// # Errors
    /// A row number that is not in the table.
    pub(crate) fn catch_up(&mut self, parameters: &mut Parameters, ids: Option<&[i64]>) -> Result<()> {
        if self.states.iter().all(|state| state.rows.are_up_to_date()) {
            return Ok(());
        }
        let memory = SpanMemory::of(&self.spans, &self.states, parameters);
        self.catch_up_weights(&memory.weights(), ids)
    }

    fn catch_up_weights(&mut self, weights: &[Weight], ids: Option<&[i64]>) -> Result<()> {
        weights.iter().zip(&mut self.states).try_for_each(|(weight, state)| adam::catch_up(*weight, state, ids))
    }

    /// Updates the weights of every span that has a gradient; rows of a table that have none may miss the step.
    fn update(&mut self, weights: &[Weight], gradients: &[Option<Gradient>], scale: &StepScale) -> Result<()> {
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

/// The tensors and names that the [`Weight`]s of spans refer to.
struct SpanMemory {
    tensors: Vec<(Tensor, Option<Tensor>)>,
    names: Vec<String>,
}

impl SpanMemory {
    fn of(spans: &[Span], states: &[SpanState], parameters: &Parameters) -> Self {
        let tensors = spans.iter().map(|span| parameters.of_span(span)).collect();
        Self { tensors, names: states.iter().map(|state| state.name.clone()).collect() }
    }

    fn weights(&self) -> Vec<Weight<'_>> {
        let weights = self.tensors.iter().zip(&self.names);
        weights.map(|((master, compute), name)| Weight { name, master, compute: compute.as_ref() }).collect()
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

/// Describes a gradient's shape for an error message.
fn describe_shape(gradient: &Gradient) -> String {
    match gradient {
        Gradient::Dense(gradient) => format!("a gradient of shape {:?}", gradient.size()),
        Gradient::Rows { ids, values } => {
            format!("rows of shape {:?} with ids of shape {:?}", values.size(), ids.size())
        }
    }
}
