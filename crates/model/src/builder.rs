//! Where an architecture says each of its parameters, once: name, shape, role, precision, decay and fresh value.
//!
//! [`Builder`] makes no tensors. What it gathers, a list of [`ParameterSpec`]s, is what [`Parameters`] makes tensors of, what
//! a file's tensors must fit, what freezing, layer-wise decay and re-initialization ask, and what the memory estimate adds
//! up. Only a [`Scope`] adds parameters, and each scope has a role: there is no way to a parameter without one.
//!
//! [`Parameters`]: crate::Parameters

use std::ops::Range;

/// The part of the model that a parameter belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Below the first layer.
    Embedding,
    /// Encoder layer `i`, counted from the input.
    Layer(usize),
    /// On top of all layers: what makes logits of the last hidden states. It sees one row a sentence, so it computes in fp32
    /// at either precision and logits are not rounded. A model that was only pre-trained may lack it.
    Head,
}

/// What an architecture says of one parameter, before there is a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterSpec {
    /// Hugging Face's name, for example `bert.encoder.layer.0.attention.self.query.weight`.
    pub name: String,
    pub shape: Vec<i64>,
    pub role: Role,
    pub(crate) traits: Traits,
    /// Whether there is a row for each class: a file's for another number of classes belongs to another task.
    pub(crate) per_class: bool,
    /// The [`Stack`] that it lies in.
    pub(crate) stack: usize,
}

impl ParameterSpec {
    /// Whether weight decay applies: to everything but biases and norms.
    pub fn decays(&self) -> bool {
        self.traits.decays
    }
}

/// What a layer says of its parameters, whatever the name and shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Traits {
    pub(crate) decays: bool,
    /// Whether it computes in fp32 whatever the model's precision; in the head everything does.
    pub(crate) always_fp32: bool,
    pub(crate) initial: Initial,
    pub(crate) gradient: GradientForm,
}

/// The values of a fresh parameter, as Hugging Face's BERT starts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Initial {
    /// Normal, with the configuration's `initializer_range` as its standard deviation.
    Normal,
    Zeros,
    Ones,
}

/// How the backward pass gives a parameter's gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GradientForm {
    /// Of a matrix product, in the compute format.
    Product,
    /// Summed in fp32.
    Sum,
    /// The rows that a batch has touched, in fp32.
    Rows,
}

/// Position of a parameter in the list, and so in [`Parameters`](crate::Parameters) and of its gradient in
/// [`Gradients`](crate::Gradients).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ParameterId(pub(crate) usize);

/// Parameters of the same width that lie one below the other in one storage, so that one matrix product serves them all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stack {
    pub(crate) index: usize,
    first: usize,
    count: usize,
}

impl Stack {
    pub(crate) fn len(self) -> usize {
        self.count
    }

    /// The members at those places of the stack.
    pub(crate) fn members(self, places: &Range<usize>) -> impl Iterator<Item = ParameterId> + use<> {
        debug_assert!(places.end <= self.count);
        (self.first + places.start..self.first + places.end).map(ParameterId)
    }
}

/// Gathers the parameters of a model in the order of its passes: embeddings, layers from the lowest up, head.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    pub(crate) specs: Vec<ParameterSpec>,
    stacks: usize,
}

impl Builder {
    /// A part of the model whose names begin with `prefix`.
    pub(crate) fn scope(&mut self, role: Role, prefix: &str) -> Scope<'_> {
        Scope { builder: self, prefix: prefix.to_owned(), role, per_class: false }
    }
}

/// A part of a model under a prefix of names.
#[derive(Debug)]
pub(crate) struct Scope<'a> {
    builder: &'a mut Builder,
    prefix: String,
    role: Role,
    per_class: bool,
}

impl Scope<'_> {
    /// A part of this part.
    pub(crate) fn scope(&mut self, name: &str) -> Scope<'_> {
        let prefix = format!("{}.{name}", self.prefix);
        Scope { builder: self.builder, prefix, role: self.role, per_class: self.per_class }
    }

    /// The same with a row for each class in every parameter.
    pub(crate) fn per_class(self) -> Self {
        Self { per_class: true, ..self }
    }

    pub(crate) fn parameter(&mut self, name: &str, shape: &[i64], traits: Traits) -> ParameterId {
        ParameterId(self.stack(&[name], shape, traits).first)
    }

    /// Adds parameters that lie one below the other in one storage, each of that shape.
    pub(crate) fn stack(&mut self, names: &[impl AsRef<str>], shape: &[i64], traits: Traits) -> Stack {
        let Builder { specs, stacks } = &mut *self.builder;
        let stack = Stack { index: *stacks, first: specs.len(), count: names.len() };
        *stacks += 1;
        specs.extend(names.iter().map(|name| ParameterSpec {
            name: format!("{}.{}", self.prefix, name.as_ref()),
            shape: shape.to_vec(),
            role: self.role,
            traits: Traits { always_fp32: traits.always_fp32 || self.role == Role::Head, ..traits },
            per_class: self.per_class,
            stack: stack.index,
        }));
        stack
    }
}
