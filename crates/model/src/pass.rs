//! The arguments of a forward or backward pass through all layers.

use crate::builder::ParameterId;
use crate::dropout::{DropoutSite, DropoutStream};
use crate::gradients::Gradients;
use crate::inputs::{Inputs, RowSelection};
use crate::parameters::Parameters;

/// A forward pass over one batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Forward<'a> {
    pub(crate) inputs: &'a Inputs,
    pub(crate) parameters: &'a Parameters,
    /// `None` without dropout.
    pub(crate) dropout: Option<&'a DropoutStream>,
}

impl Forward<'_> {
    /// The next place where elements of a tensor with those rows are dropped, with probability `p`; `None` without dropout.
    pub(crate) fn site(&self, p: f64, rows: RowSelection) -> Option<DropoutSite> {
        self.dropout.and_then(|dropout| dropout.site(p, rows, self.parameters.backend()))
    }
}

/// A backward pass over the same batch, which writes the gradients.
#[derive(Debug)]
pub(crate) struct Backward<'a> {
    pub(crate) inputs: &'a Inputs,
    pub(crate) parameters: &'a Parameters,
    pub(crate) gradients: &'a mut Gradients,
}

impl Backward<'_> {
    /// Whether the gradient of a parameter is needed.
    pub(crate) fn needs_gradient(&self, id: ParameterId) -> bool {
        self.parameters.at(id).trainable()
    }
}
