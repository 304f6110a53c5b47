//! The ordered parameter store.
//!
//! Every parameter has an fp32 master, which the optimizer updates and checkpoints save, and a compute tensor, which
//! the forward and backward passes read. In fp32 the two share one storage; in bf16 the compute tensor is the
//! master's rounded copy. Parameters that are always fp32 (layer norms, the head) share it there, too. All of them are
//! parts of a few flat buffers (`flat.rs`). In a model that is not trained, [`InferenceWeights`] can take the place of the
//! weights of the encoder's linear layers.

use std::collections::BTreeMap;
use std::path::Path;

use tch::{Device, Kind, Tensor};

use crate::backend::Backend;
use crate::builder::{GradientForm, ParameterId, ParameterSpec, Role, Stack};
use crate::error::ModelError;
use crate::flat::{FlatLayout, Span};
use crate::inference_weights::{InferenceForm, InferenceWeights};
use crate::untouched_zeros::untouched_zeros;

/// One parameter: what the architecture declares about it, and its tensors.
#[derive(Debug)]
pub struct Parameter {
    spec: ParameterSpec,
    master: Tensor,
    compute: Tensor,
    trainable: bool,
}

impl Parameter {
    /// Hugging Face's name, for example `bert.encoder.layer.0.attention.self.query.weight`.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    pub fn role(&self) -> Role {
        self.spec.role
    }

    pub(crate) fn spec(&self) -> &ParameterSpec {
        &self.spec
    }

    /// Whether weight decay applies: to everything but biases and norms.
    pub fn decays(&self) -> bool {
        self.spec.decays()
    }

    /// The fp32 weights: contiguous, updated in place by the optimizer. In a model for inference, the compute
    /// weights, or nothing where these have another form.
    pub fn master(&self) -> &Tensor {
        &self.master
    }

    /// The weights that the passes read: a bf16 copy, or the master itself.
    pub fn compute(&self) -> &Tensor {
        &self.compute
    }

    /// Whether an optimizer may change it; a frozen parameter gets no gradient.
    pub fn trainable(&self) -> bool {
        self.trainable
    }

    /// Whether the compute tensor is the master itself, so that [`sync`](Self::sync) has nothing to do.
    pub fn is_shared(&self) -> bool {
        self.compute.data_ptr() == self.master.data_ptr()
    }

    /// Rounds the master into the compute tensor. To be called after the master has changed.
    pub fn sync(&self) {
        if !self.is_shared() {
            self.compute.shallow_clone().copy_(&self.master);
        }
    }
}

/// All parameters of a model in a fixed order: embeddings, layers from the lowest up, pooler, classifier.
#[derive(Debug)]
pub struct Parameters {
    list: Vec<Parameter>,
    layout: FlatLayout,
    /// The fp32 masters of each group; empty in a model for inference, whose parameters have tensors of their own.
    masters: Vec<Tensor>,
    /// The compute tensors of each group; the masters themselves in fp32.
    computes: Vec<Tensor>,
    /// The compute tensor of each [`Stack`].
    stacks: Vec<Tensor>,
    /// What takes the place of each stack, if anything does.
    inference: Vec<Option<InferenceWeights>>,
    device: Device,
    backend: Backend,
    multiplier: Backend,
    compute_kind: Kind,
}

impl Parameters {
    /// The parameters of these specifications; `master_of` returns the fp32 master of each, on any device, in order.
    pub(crate) fn new(
        specs: Vec<ParameterSpec>,
        device: Device,
        backend: Backend,
        compute_kind: Kind,
        mut master_of: impl FnMut(&ParameterSpec) -> Tensor,
    ) -> Self {
        let parameters = Self::uninitialized(specs, device, backend, compute_kind);
        for parameter in &parameters.list {
            parameter.master.shallow_clone().copy_(&master_of(&parameter.spec));
        }
        parameters.sync();
        parameters
    }

    /// The same with undefined values. The caller fills the masters and calls [`sync`](Self::sync).
    pub(crate) fn uninitialized(
        specs: Vec<ParameterSpec>,
        device: Device,
        backend: Backend,
        compute_kind: Kind,
    ) -> Self {
        let layout = FlatLayout::new(specs.iter().map(|spec| (spec, true)), compute_kind);
        let masters = layout.buffers(&specs, device, |_| Some(Kind::Float));
        let rounded =
            layout.buffers(&specs, device, |group| Some(group.compute_kind).filter(|kind| *kind != Kind::Float));
        let shared = |(master, rounded): (&Tensor, Tensor)| match rounded.numel() {
            0 => master.shallow_clone(),
            _ => rounded,
        };
        let computes: Vec<Tensor> = masters.iter().zip(rounded).map(shared).collect();
        let (mut list, mut stacks) = (Vec::with_capacity(specs.len()), Vec::new());
        for (index, spec) in specs.iter().enumerate() {
            let view = |buffers: &[Tensor], shape: &[i64]| {
                layout.view(buffers, index, shape).unwrap_or_else(|| Tensor::empty(shape, (Kind::Float, device)))
            };
            if stacks.len() == spec.stack {
                let mut shape = spec.shape.clone();
                shape[0] *= specs[index..].iter().take_while(|other| other.stack == spec.stack).count() as i64;
                stacks.push(view(&computes, &shape));
            }
            let (master, compute) = (view(&masters, &spec.shape), view(&computes, &spec.shape));
            list.push(Parameter { spec: spec.clone(), master, compute, trainable: true });
        }
        let inference = stacks.iter().map(|_| None).collect();
        let multiplier = Backend::Libtorch;
        Self { list, layout, masters, computes, stacks, inference, device, backend, multiplier, compute_kind }
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Parameter> {
        self.list.iter()
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are no parameters.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub fn device(&self) -> Device {
        self.device
    }

    /// What computes with these parameters.
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// Computes with another backend, before any optimizer is created: for tests that compare the two.
    ///
    /// # Panics
    /// If the device has no kernels.
    pub fn set_backend(&mut self, backend: Backend) {
        assert!(backend == Backend::Libtorch || self.device == Device::Cpu, "kernels compute on a CPU only");
        self.backend = backend;
        self.set_multiplier(self.multiplier);
    }

    /// What multiplies matrices in the compute format.
    pub(crate) fn multiplier(&self) -> Backend {
        self.multiplier
    }

    /// Multiplies with the kernels only if these compute everything else.
    pub(crate) fn set_multiplier(&mut self, multiplier: Backend) {
        self.multiplier = if self.backend == Backend::Kernels { multiplier } else { Backend::Libtorch };
    }

    /// The format of the compute weights: `Float` or `BFloat16`.
    pub fn compute_kind(&self) -> Kind {
        self.compute_kind
    }

    /// Whether a pass computes the gradient of this parameter as rows, at which position in the list.
    pub fn has_row_gradient(&self, index: usize) -> bool {
        self.list[index].spec.traits.gradient == GradientForm::Rows
    }

    /// Freezes the parts of the model that `frozen` accepts and makes all others trainable.
    pub fn freeze(&mut self, frozen: impl Fn(Role) -> bool) {
        for parameter in &mut self.list {
            parameter.trainable = !frozen(parameter.role());
        }
    }

    /// Whether anything in that part of the model is trainable.
    pub(crate) fn any_trainable(&self, role: Role) -> bool {
        self.list.iter().any(|parameter| parameter.trainable && parameter.role() == role)
    }

    /// Copies saved masters back, by name, and rounds them into the compute tensors. `path` is for messages.
    ///
    /// # Errors
    /// [`ModelError::Mismatch`] unless the names and shapes are exactly those of the parameters; then nothing is
    /// changed.
    pub fn restore(&mut self, saved: &[(String, Tensor)], path: &Path) -> Result<(), ModelError> {
        let mut saved: BTreeMap<&str, &Tensor> = saved.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        let (mut details, mut copies) = (String::new(), Vec::new());
        for parameter in &self.list {
            match saved.remove(parameter.name()) {
                None => details += &format!("\n  missing: {}", parameter.name()),
                Some(tensor) if tensor.size() != parameter.master.size() => {
                    let (found, expected) = (tensor.size(), parameter.master.size());
                    details += &format!("\n  misshapen: {}: found {found:?}, expected {expected:?}", parameter.name());
                }
                Some(tensor) => copies.push((parameter.master.shallow_clone(), tensor)),
            }
        }
        saved.keys().for_each(|name| details += &format!("\n  unexpected: {name}"));
        if !details.is_empty() {
            return Err(ModelError::Mismatch { path: path.to_owned(), details });
        }
        for (mut master, tensor) in copies {
            master.f_copy_(tensor)?;
        }
        self.sync();
        Ok(())
    }

    /// Rounds every master into its compute tensor.
    pub fn sync(&self) {
        for (master, compute) in self.masters.iter().zip(&self.computes) {
            if compute.data_ptr() != master.data_ptr() {
                compute.shallow_clone().copy_(master);
            }
        }
    }

    /// The layout of buffers for the trainable parameters alone.
    pub(crate) fn trainable_layout(&self) -> FlatLayout {
        FlatLayout::new(self.list.iter().map(|parameter| (&parameter.spec, parameter.trainable)), self.compute_kind)
    }

    /// The trainable parameters in [spans](Span) of equal keys, longest first.
    pub fn spans<K: PartialEq>(&self, key: impl Fn(usize) -> K) -> Vec<Span> {
        let specs: Vec<&ParameterSpec> = self.list.iter().map(|parameter| &parameter.spec).collect();
        Span::of(&self.layout, &self.trainable_layout(), &specs, key)
    }

    /// The masters of a span, and its compute tensors unless they are the masters.
    pub fn of_span(&self, span: &Span) -> (Tensor, Option<Tensor>) {
        let (master, compute) = (span.of_all(&self.masters), span.of_all(&self.computes));
        let is_shared = compute.data_ptr() == master.data_ptr();
        (master, (!is_shared).then_some(compute))
    }

    /// Flat buffers of [untouched zeros](untouched_zeros) in fp32, with an element for each trainable weight: state of an
    /// optimizer.
    pub fn trainable_zeros(&self) -> Vec<Tensor> {
        let zeros = |length: &usize| untouched_zeros(&[*length as i64], self.device);
        self.trainable_layout().lengths().iter().map(zeros).collect()
    }

    /// Brings the weights of the encoder's linear layers into a form for inference and frees them: from here on, only
    /// forward passes are possible.
    pub(crate) fn convert_for_inference(&mut self, form: InferenceForm) {
        debug_assert!(self.backend == Backend::Kernels);
        // Passes read the compute weights only.
        self.list.iter_mut().for_each(|parameter| parameter.master = parameter.compute.shallow_clone());
        self.masters.clear();
        for Parameter { spec, compute, .. } in &self.list {
            if matches!(spec.role, Role::Layer(_)) && spec.traits.gradient == GradientForm::Product {
                InferenceWeights::push(&mut self.inference[spec.stack], form, compute);
            }
        }
        // What is kept moves out of the flat buffers, so that these can be freed.
        for (stack, weights) in self.stacks.iter_mut().zip(&self.inference) {
            *stack = if weights.is_some() { Tensor::empty([0], (stack.kind(), self.device)) } else { stack.copy() };
        }
        let mut stack_rows = vec![0; self.stacks.len()];
        for parameter in &mut self.list {
            let (stack, rows) = (&self.stacks[parameter.spec.stack], &mut stack_rows[parameter.spec.stack]);
            parameter.compute = match stack.numel() {
                0 => stack.shallow_clone(),
                _ => stack.narrow(0, *rows, parameter.spec.shape[0]),
            };
            parameter.master = parameter.compute.shallow_clone();
            *rows += parameter.spec.shape[0];
        }
        self.computes.clear();
    }

    /// The weights of the members of a stack in a form for inference, if it has one.
    pub(crate) fn inference_weights(&self, stack: Stack) -> Option<&InferenceWeights> {
        self.inference[stack.index].as_ref()
    }

    /// Whether weights have a form for inference, so that there is nothing to train or to save.
    pub(crate) fn is_for_inference(&self) -> bool {
        self.inference.iter().any(Option::is_some)
    }

    pub(crate) fn at(&self, id: ParameterId) -> &Parameter {
        &self.list[id.0]
    }

    /// The compute tensor of all members of a stack.
    pub(crate) fn stacked(&self, stack: Stack) -> &Tensor {
        &self.stacks[stack.index]
    }
}
