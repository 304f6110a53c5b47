//! The ordered parameter store and the gradients that match it.
//!
//! Every parameter has an fp32 master, which the optimizer updates and checkpoints save, and a compute tensor, which
//! the forward and backward passes read. In fp32 the two share one storage; in bf16 the compute tensor is the
//! master's rounded copy. Parameters that are always fp32 (layer norms, the head) share it there, too. In a model that
//! is not trained, [`InferenceWeights`] can take the place of both in the encoder's linear layers.

use std::collections::BTreeMap;
use std::path::Path;

use tch::{Device, Kind, Tensor};

use crate::backend::Backend;
use crate::builder::{GradientForm, ParameterId, ParameterSpec, Role, Stack};
use crate::error::ModelError;
use crate::inference_weights::{InferenceForm, InferenceWeights};

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

    /// Whether weight decay applies: to everything but biases and norms.
    pub fn decays(&self) -> bool {
        self.spec.decays()
    }

    /// The fp32 weights: contiguous, updated in place by the optimizer. Empty if they have a form for inference only.
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
    /// The parameters of these specifications; `master_of` returns the fp32 master of each, on `device`, in order.
    pub(crate) fn new(
        specs: Vec<ParameterSpec>,
        device: Device,
        backend: Backend,
        compute_kind: Kind,
        mut master_of: impl FnMut(&ParameterSpec) -> Tensor,
    ) -> Self {
        let (mut list, mut stacks) = (Vec::with_capacity(specs.len()), Vec::new());
        let mut specs = specs.into_iter().peekable();
        while let Some(first) = specs.next() {
            let (index, compute_kind) =
                (first.stack, if first.traits.always_fp32 { Kind::Float } else { compute_kind });
            let mut members = vec![first];
            members.extend(std::iter::from_fn(|| specs.next_if(|spec| spec.stack == index)));
            let masters: Vec<Tensor> = members.iter().map(&mut master_of).collect();
            let master = match masters.as_slice() {
                [one] => one.shallow_clone(),
                several => Tensor::cat(several, 0),
            };
            debug_assert!(master.is_contiguous() && master.kind() == Kind::Float);
            // In fp32 this tensor shares the storage of the master.
            let compute = master.to_kind(compute_kind);
            let mut start = 0;
            for spec in members {
                let rows = spec.shape[0];
                let part = |stack: &Tensor| stack.narrow(0, start, rows);
                list.push(Parameter { spec, master: part(&master), compute: part(&compute), trainable: true });
                start += rows;
            }
            stacks.push(compute);
        }
        let inference = stacks.iter().map(|_| None).collect();
        Self { list, stacks, inference, device, backend, multiplier: Backend::Libtorch, compute_kind }
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
        self.list.iter().for_each(Parameter::sync);
    }

    /// Brings the weights of the encoder's linear layers into a form for inference and frees them: from here on, only
    /// forward passes are possible.
    pub(crate) fn convert_for_inference(&mut self, form: InferenceForm) {
        debug_assert!(self.backend == Backend::Kernels);
        for parameter in &mut self.list {
            let spec = &parameter.spec;
            let is_weight = matches!(spec.role, Role::Layer(_)) && spec.traits.gradient == GradientForm::Product;
            if is_weight {
                let members = &mut self.inference[spec.stack];
                InferenceWeights::push(members, form, &parameter.compute);
                let empty = || Tensor::empty([0], (self.compute_kind, self.device));
                (parameter.master, parameter.compute, self.stacks[spec.stack]) = (empty(), empty(), empty());
            }
        }
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

#[derive(Debug)]
pub enum Gradient {
    /// A tensor of the parameter's shape, contiguous, in bf16 or fp32.
    Dense(Tensor),
    /// Rows of an embedding table; every other row's gradient is zero.
    Rows {
        /// `[U]` int64, ascending and distinct.
        ids: Tensor,
        /// `[U, D]` fp32, contiguous.
        values: Tensor,
    },
}

impl Gradient {
    /// The gradient as one fp32 tensor of the parameter's shape.
    pub fn to_dense(&self, shape: &[i64]) -> Tensor {
        match self {
            Gradient::Dense(gradient) => gradient.to_kind(Kind::Float),
            Gradient::Rows { ids, values } => {
                Tensor::zeros(shape, (Kind::Float, values.device())).index_copy_(0, ids, values)
            }
        }
    }
}

/// One gradient for each parameter of [`Parameters`], in the same order; `None` for frozen ones.
#[derive(Debug)]
pub struct Gradients(pub Vec<Option<Gradient>>);

impl Gradients {
    pub(crate) fn none_for(parameters: &Parameters) -> Self {
        Self((0..parameters.len()).map(|_| None).collect())
    }

    /// Adds another micro-batch's gradients to these. The sums are kept in fp32: bf16 would lose the small terms.
    pub fn accumulate(&mut self, other: Gradients, parameters: &Parameters) {
        for ((sum, term), parameter) in self.0.iter_mut().zip(other.0).zip(parameters.iter()) {
            let Some(term) = term else { continue };
            let shape = parameter.master.size();
            *sum = Some(Gradient::Dense(match sum.take() {
                None => term.to_dense(&shape),
                Some(sum) => sum.to_dense(&shape).g_add_(&term.to_dense(&shape)),
            }));
        }
    }
}
