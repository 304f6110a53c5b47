//! The gradients of one pass, and their sums over micro-batches, in flat buffers that are allocated once.
//!
//! The backward pass writes each gradient to its place. A table's row gradient has another size in each pass, so it
//! doesn't lie in a buffer; its sum over micro-batches is dense, and does.

use kernels::accumulate;
use tch::{Device, Kind, Tensor};

use crate::backend::Backend;
use crate::builder::{ParameterId, Stack};
use crate::flat::{FlatLayout, Group, Span};
use crate::parameters::Parameters;
use crate::tensor_slice::{slice, slice_mut, with_float};

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

    /// The values that may differ from zero.
    pub fn values(&self) -> &Tensor {
        match self {
            Gradient::Dense(gradient) => gradient,
            Gradient::Rows { values, .. } => values,
        }
    }

    fn shallow_clone(&self) -> Self {
        match self {
            Gradient::Dense(gradient) => Gradient::Dense(gradient.shallow_clone()),
            Gradient::Rows { ids, values } => {
                Gradient::Rows { ids: ids.shallow_clone(), values: values.shallow_clone() }
            }
        }
    }
}

/// What gradients are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GradientMemory {
    /// [`Gradients::of_pass`].
    Pass,
    /// [`Gradients::sums`].
    Sums,
}

impl GradientMemory {
    fn kind(self, group: &Group) -> Option<Kind> {
        match self {
            Self::Pass => group.gradient_kind,
            Self::Sums => Some(Kind::Float),
        }
    }

    /// The elements and the format of each buffer.
    pub fn buffers(self, parameters: &Parameters) -> Vec<(usize, Kind)> {
        let layout = parameters.trainable_layout();
        let buffers = layout.groups().iter().zip(layout.lengths());
        buffers.filter_map(|(group, length)| Some((*length, self.kind(group)?))).collect()
    }
}

/// One gradient for each trainable parameter of [`Parameters`].
#[derive(Debug)]
pub struct Gradients {
    layout: FlatLayout,
    /// One for each group; empty for a table with row gradients.
    buffers: Vec<Tensor>,
    /// In the order of the parameters, parts of the buffers or rows; `None` for frozen ones, and for a table before its
    /// first pass.
    list: Vec<Option<Gradient>>,
    /// The dense gradient of all members of each [`Stack`].
    stacks: Vec<Option<Tensor>>,
}

impl Gradients {
    /// Memory for the gradients of a pass, in the formats in which it computes. Their values are undefined before the
    /// first pass.
    pub fn of_pass(parameters: &Parameters) -> Self {
        Self::in_memory(parameters, GradientMemory::Pass, new_tensor(parameters.device()))
    }

    /// Memory for sums over micro-batches. They are kept in fp32, because bf16 would lose the small terms, and dense.
    pub fn sums(parameters: &Parameters) -> Self {
        Self::in_memory(parameters, GradientMemory::Sums, new_tensor(parameters.device()))
    }

    /// [`of_pass`](Self::of_pass) or [`sums`](Self::sums), in memory that `allocate` returns for that many elements.
    pub fn in_memory(
        parameters: &Parameters,
        form: GradientMemory,
        allocate: impl FnMut(usize, Kind) -> Tensor,
    ) -> Self {
        Self::in_layout(parameters.trainable_layout(), parameters, |group| form.kind(group), allocate)
    }

    /// Of no parameter: for a pass of which only the gradient of its input is wanted.
    pub(crate) fn none(parameters: &Parameters) -> Self {
        let none_trainable = parameters.iter().map(|one| (one.spec(), false));
        let layout = FlatLayout::new(none_trainable, parameters.compute_kind());
        Self::in_layout(layout, parameters, |_| None, new_tensor(parameters.device()))
    }

    fn in_layout(
        layout: FlatLayout,
        parameters: &Parameters,
        kind_of: impl Fn(&Group) -> Option<Kind>,
        allocate: impl FnMut(usize, Kind) -> Tensor,
    ) -> Self {
        let specs = parameters.iter().map(|one| one.spec());
        let buffers = layout.buffers_in(specs, parameters.device(), kind_of, allocate);
        let (mut list, mut stacks) = (Vec::with_capacity(parameters.len()), Vec::new());
        for (index, parameter) in parameters.iter().enumerate() {
            let spec = parameter.spec();
            list.push(layout.view(&buffers, index, &spec.shape).map(Gradient::Dense));
            if stacks.len() == spec.stack {
                let members = parameters.iter().skip(index).take_while(|one| one.spec().stack == spec.stack).count();
                let mut shape = spec.shape.clone();
                shape[0] *= members as i64;
                stacks.push(layout.view(&buffers, index, &shape));
            }
        }
        Self { layout, buffers, list, stacks }
    }

    /// In the order of the parameters; `None` for frozen ones.
    pub fn iter(&self) -> impl Iterator<Item = Option<&Gradient>> {
        self.list.iter().map(Option::as_ref)
    }

    /// The gradient of a span; `None` if these gradients don't have it.
    pub fn of_span(&self, span: &Span) -> Option<Gradient> {
        if !self.layout.contains(span) {
            return None;
        }
        match span.members() {
            [single] => self.list[single.index].as_ref().map(Gradient::shallow_clone),
            _ => Some(Gradient::Dense(span.of_trainable(&self.buffers))),
        }
    }

    /// All values in a few long pieces: the buffers, whose gaps are zeros, and the rows.
    pub fn flat(&self) -> impl Iterator<Item = &Tensor> {
        let rows = self.list.iter().flatten().filter_map(|gradient| match gradient {
            Gradient::Rows { values, .. } => Some(values),
            Gradient::Dense(_) => None,
        });
        self.buffers.iter().filter(|buffer| buffer.numel() > 0).chain(rows)
    }

    /// Sets every gradient to zero: those of a batch without sentences.
    pub fn set_to_zero(&mut self) {
        self.buffers.iter_mut().for_each(|buffer| drop(buffer.zero_()));
        for gradient in &mut self.list {
            if let Some(Gradient::Rows { ids, values }) = gradient {
                (*ids, *values) = (ids.narrow(0, 0, 0), values.narrow(0, 0, 0));
            }
        }
    }

    /// The rows `ids` of a table's gradient, `[U, D]` fp32 in new memory; `ids` is ascending and distinct, `shape` that of the
    /// table.
    pub fn rows_of(&self, index: usize, ids: &Tensor, shape: &[i64]) -> Tensor {
        match &self.list[index] {
            Some(Gradient::Dense(dense)) => dense.index_select(0, ids).to_kind(Kind::Float),
            Some(Gradient::Rows { ids: own, values }) => {
                let rows = Tensor::zeros([ids.numel() as i64, shape[1]], (Kind::Float, values.device()));
                rows.index_copy(0, &own.searchsorted(ids, false, false, "left", None::<Tensor>), values)
            }
            None => Tensor::zeros([ids.numel() as i64, shape[1]], (Kind::Float, ids.device())),
        }
    }

    /// Sets a table's gradient to that of these rows, summed over several processes.
    pub fn set_summed_rows(&mut self, index: usize, ids: Tensor, values: Tensor) {
        match &mut self.list[index] {
            Some(Gradient::Dense(dense)) => drop(dense.index_copy_(0, &ids, &values)),
            rows => *rows = Some(Gradient::Rows { ids, values }),
        }
    }

    /// Sets these [sums](Self::sums) to the gradients of the first micro-batch.
    pub fn assign(&mut self, first: &Gradients) {
        self.update(
            first,
            |sum, term| sum.copy_(term),
            |mut sum, ids, values| {
                let _ = sum.zero_().index_copy_(0, ids, values);
            },
        );
        // A table before its first pass has no rows: the micro-batch had no sentences.
        for (sum, term) in self.list.iter_mut().zip(&first.list) {
            if let (Some(Gradient::Dense(sum)), None) = (sum, term) {
                let _ = sum.zero_();
            }
        }
    }

    /// Adds another micro-batch's gradients to these [sums](Self::sums).
    pub fn add(&mut self, term: &Gradients, backend: Backend) {
        let add = |sum: &mut Tensor, term: &Tensor| match backend {
            Backend::Kernels => with_float!(term, T => accumulate::add(slice_mut(sum), slice::<T>(term))),
            Backend::Libtorch => drop(sum.g_add_(term)),
        };
        self.update(term, add, |mut sum, ids, values| drop(sum.index_add_(0, ids, values)));
    }

    /// Updates the sums by the gradients of a pass: buffer by buffer, and tables by rows.
    fn update(
        &mut self,
        pass: &Gradients,
        dense: impl Fn(&mut Tensor, &Tensor),
        rows: impl Fn(Tensor, &Tensor, &Tensor),
    ) {
        assert!(self.layout == pass.layout, "gradients of other parameters");
        let buffers = self.buffers.iter_mut().zip(&pass.buffers);
        buffers.filter(|(_, term)| term.numel() > 0).for_each(|(sum, term)| dense(sum, term));
        for (sum, term) in self.list.iter().zip(&pass.list) {
            if let (Some(Gradient::Dense(sum)), Some(Gradient::Rows { ids, values })) = (sum, term) {
                rows(sum.shallow_clone(), ids, values);
            }
        }
    }

    /// Where the backward pass writes a dense gradient; `None` if it isn't needed.
    pub(crate) fn dense(&self, id: ParameterId) -> Option<Tensor> {
        match &self.list[id.0] {
            Some(Gradient::Dense(gradient)) => Some(gradient.shallow_clone()),
            _ => None,
        }
    }

    /// The same for all members of a stack.
    pub(crate) fn stacked(&self, stack: Stack) -> Option<&Tensor> {
        self.stacks[stack.index].as_ref()
    }

    pub(crate) fn set_rows(&mut self, id: ParameterId, ids: Tensor, values: Tensor) {
        self.list[id.0] = Some(Gradient::Rows { ids, values });
    }
}

fn new_tensor(device: Device) -> impl FnMut(usize, Kind) -> Tensor {
    move |length, kind| Tensor::empty([length as i64], (kind, device))
}
