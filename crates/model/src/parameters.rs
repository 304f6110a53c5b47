//! The ordered parameter store and the gradients that match it.
//!
//! Every parameter has an fp32 master, which the optimizer updates and checkpoints save, and a compute tensor, which
//! the forward and backward passes read. In fp32 the two share one storage; in bf16 the compute tensor is the
//! master's rounded copy. Layer norms compute in fp32 at either precision, so theirs are shared too.

use std::collections::BTreeMap;
use std::path::Path;

use tch::{Device, Kind, Tensor};

use crate::error::ModelError;

/// One named parameter.
#[derive(Debug)]
pub struct Parameter {
    name: String,
    master: Tensor,
    compute: Tensor,
    trainable: bool,
}

impl Parameter {
    /// Hugging Face's name, for example `bert.encoder.layer.0.attention.self.query.weight`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The fp32 weights: contiguous, updated in place by the optimizer.
    pub fn master(&self) -> &Tensor {
        &self.master
    }

    /// The weights that the passes read: bf16 on storage of their own, or the master itself.
    pub fn compute(&self) -> &Tensor {
        &self.compute
    }

    /// Whether an optimizer may change it; a frozen parameter gets no gradient.
    pub fn trainable(&self) -> bool {
        self.trainable
    }

    /// True where the compute tensor is the master itself, so that [`sync`](Self::sync) has nothing to do.
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

/// Position of a parameter in [`Parameters`] and of its gradient in [`Gradients`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ParameterId(pub(crate) usize);

/// All parameters of a model in a fixed order: embeddings, layers from the lowest up, pooler, classifier.
#[derive(Debug)]
pub struct Parameters {
    list: Vec<Parameter>,
    device: Device,
    compute_kind: Kind,
}

impl Parameters {
    pub(crate) fn new(device: Device, compute_kind: Kind) -> Self {
        Self { list: Vec::new(), device, compute_kind }
    }

    /// The parameters in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Parameter> {
        self.list.iter()
    }

    /// How many parameters (tensors) there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// True for a store without parameters.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The parameter of that name.
    pub fn get(&self, name: &str) -> Option<&Parameter> {
        self.list.iter().find(|parameter| parameter.name == name)
    }

    /// The device that all parameters lie on.
    pub fn device(&self) -> Device {
        self.device
    }

    /// The format of the compute weights: `Float` or `BFloat16`.
    pub fn compute_kind(&self) -> Kind {
        self.compute_kind
    }

    /// Freezes every parameter whose name `frozen` accepts and makes all others trainable.
    pub fn freeze(&mut self, frozen: impl Fn(&str) -> bool) {
        for parameter in &mut self.list {
            parameter.trainable = !frozen(&parameter.name);
        }
    }

    /// Copies saved masters back, each to its name, and rounds them into the compute tensors. `path` is for messages.
    ///
    /// # Errors
    /// [`ModelError::Mismatch`] unless the names and shapes are exactly these parameters'; nothing has changed then.
    pub fn restore(&mut self, saved: &[(String, Tensor)], path: &Path) -> Result<(), ModelError> {
        let mut saved: BTreeMap<&str, &Tensor> = saved.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        let (mut details, mut copies) = (String::new(), Vec::new());
        for parameter in &self.list {
            match saved.remove(parameter.name()) {
                None => details += &format!("\n  missing: {}", parameter.name),
                Some(tensor) if tensor.size() != parameter.master.size() => {
                    let (found, expected) = (tensor.size(), parameter.master.size());
                    details += &format!("\n  misshapen: {}: found {found:?}, expected {expected:?}", parameter.name);
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

    /// Adds a parameter that computes at the model's precision.
    pub(crate) fn add(&mut self, name: String, master: Tensor) -> ParameterId {
        let compute = self.compute_copy(&master);
        self.push(name, master, compute)
    }

    /// Adds a parameter that computes in fp32 whatever the model's precision.
    pub(crate) fn add_fp32(&mut self, name: String, master: Tensor) -> ParameterId {
        let compute = master.shallow_clone();
        self.push(name, master, compute)
    }

    /// Adds parameters that lie one after another in one storage, so that one matrix product serves them all.
    /// Returns their ids and the joint compute tensor.
    pub(crate) fn add_joint(&mut self, names: &[String], masters: &[Tensor]) -> (Vec<ParameterId>, Tensor) {
        let joint_master = Tensor::cat(masters, 0);
        let joint_compute = self.compute_copy(&joint_master);
        let mut start = 0;
        let mut ids = Vec::with_capacity(names.len());
        for (name, master) in names.iter().zip(masters) {
            let rows = master.size()[0];
            let part = |joint: &Tensor| joint.narrow(0, start, rows);
            ids.push(self.push(name.clone(), part(&joint_master), part(&joint_compute)));
            start += rows;
        }
        (ids, joint_compute)
    }

    pub(crate) fn at(&self, id: ParameterId) -> &Parameter {
        &self.list[id.0]
    }

    fn compute_copy(&self, master: &Tensor) -> Tensor {
        if self.compute_kind == Kind::Float { master.shallow_clone() } else { master.to_kind(self.compute_kind) }
    }

    fn push(&mut self, name: String, master: Tensor, compute: Tensor) -> ParameterId {
        debug_assert!(master.is_contiguous() && master.kind() == Kind::Float);
        self.list.push(Parameter { name, master, compute, trainable: true });
        ParameterId(self.list.len() - 1)
    }
}

/// The gradient of one parameter.
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

    pub(crate) fn set(&mut self, id: ParameterId, gradient: Gradient) {
        self.0[id.0] = Some(gradient);
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
