//! Where an architecture declares each of its parameters, once: name, shape, role, precision, weight decay and
//! initialization.
//!
//! [`Builder`] creates no tensors but a list of [`ParameterSpec`]s, from which [`Parameters`] creates tensors. A file's
//! tensors are checked against it, and freezing, layer-wise learning rate decay, re-initialization and the memory
//! estimate use it. Only a [`Scope`] adds parameters, and each scope has a role, so every parameter has one.
//!
//! [`Parameters`]: crate::Parameters

/// The part of the model that a parameter belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The embeddings, below the first layer.
    Embedding,
    /// Encoder layer `i`, counted from the input.
    Layer(usize),
    /// The classification head, which computes the logits from the last hidden states. It has only one row per
    /// sentence, so it always computes in fp32, and the logits are not rounded. A model that was only pre-trained may
    /// lack it.
    Head,
}

/// What an architecture declares about one parameter, before there is a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterSpec {
    /// Hugging Face's name, for example `bert.encoder.layer.0.attention.self.query.weight`.
    pub name: String,
    pub shape: Vec<i64>,
    pub role: Role,
    pub(crate) traits: Traits,
    /// Whether there is a row for each class: a file with another number of classes was trained for another task.
    pub(crate) per_class: bool,
    /// Index of the [`Stack`] that contains it.
    pub(crate) stack: usize,
}

impl ParameterSpec {
    /// Whether weight decay applies: to everything but biases and norms.
    pub fn decays(&self) -> bool {
        self.traits.decays
    }
}

/// What a layer declares about its parameters, besides name and shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Traits {
    pub(crate) decays: bool,
    /// Whether it is fp32 at every precision of the model; in the head all parameters are.
    pub(crate) always_fp32: bool,
    pub(crate) initial: Initial,
    pub(crate) gradient: GradientForm,
}

/// How a parameter is initialized, as in Hugging Face's BERT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Initial {
    /// Normal, with the configuration's `initializer_range` as its standard deviation.
    Normal,
    Zeros,
    Ones,
}

/// How the backward pass computes a parameter's gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GradientForm {
    /// By a matrix product, in the compute format.
    Product,
    /// Summed in fp32.
    Sum,
    /// Only the rows that a batch has used, in fp32.
    Rows,
}

/// Position of a parameter in the list, and so in [`Parameters`](crate::Parameters) and of its gradient in
/// [`Gradients`](crate::Gradients).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ParameterId(pub(crate) usize);

/// Parameters of the same width that are stacked along the rows in one storage, so that one matrix product uses them
/// all.
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
}

/// Collects the parameters of a model in the order of the forward pass: embeddings, layers from the lowest up, head.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    pub(crate) specs: Vec<ParameterSpec>,
    stacks: usize,
}

impl Builder {
    /// A part of the model whose parameter names begin with `prefix`.
    pub(crate) fn scope(&mut self, role: Role, prefix: &str) -> Scope<'_> {
        Scope { builder: self, prefix: prefix.to_owned(), role, per_class: false }
    }
}

/// A part of a model, whose parameter names have the same prefix.
#[derive(Debug)]
pub(crate) struct Scope<'a> {
    builder: &'a mut Builder,
    prefix: String,
    role: Role,
    per_class: bool,
}

impl Scope<'_> {
    /// A nested scope, with `name` added to the prefix.
    pub(crate) fn scope(&mut self, name: &str) -> Scope<'_> {
        let prefix = format!("{}.{name}", self.prefix);
        Scope { builder: self.builder, prefix, role: self.role, per_class: self.per_class }
    }

    /// The same scope, in which every parameter has a row for each class.
    pub(crate) fn per_class(self) -> Self {
        Self { per_class: true, ..self }
    }

    pub(crate) fn parameter(&mut self, name: &str, shape: &[i64], traits: Traits) -> ParameterId {
        ParameterId(self.stack(&[name], shape, traits).first)
    }

    /// Adds parameters of that shape that are stacked along the rows in one storage.
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
