//! What a pass carries through all layers.

use crate::builder::ParameterId;
use crate::dropout::{DropoutStream, Site};
use crate::inputs::Inputs;
use crate::parameters::{Gradient, Gradients, Parameters};

/// A forward pass over one batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Forward<'a> {
    pub(crate) inputs: &'a Inputs,
    pub(crate) parameters: &'a Parameters,
    /// `None` without dropout.
    pub(crate) dropout: Option<&'a DropoutStream>,
}

impl Forward<'_> {
    /// The next place where elements are dropped, with probability `p`; `None` where none are.
    pub(crate) fn site(&self, p: f64) -> Option<Site> {
        self.dropout.and_then(|dropout| dropout.site(p))
    }
}

/// A backward pass over the same batch, and the gradients that it has come to.
#[derive(Debug)]
pub(crate) struct Backward<'a> {
    pub(crate) inputs: &'a Inputs,
    pub(crate) parameters: &'a Parameters,
    pub(crate) gradients: Gradients,
}

impl Backward<'_> {
    /// Whether a parameter gets a gradient.
    pub(crate) fn wants(&self, id: ParameterId) -> bool {
        self.parameters.at(id).trainable()
    }

    /// Stores the gradient of a parameter that gets one.
    pub(crate) fn set(&mut self, id: ParameterId, gradient: Gradient) {
        if self.wants(id) {
            self.gradients.0[id.0] = Some(gradient);
        }
    }
}
