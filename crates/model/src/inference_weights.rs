//! Weights of linear layers in a form that only forward passes can use.

use kernels::matmul::{Matrix, PackedMatrix};
use kernels::quantized::QuantizedWeights;

/// The weights of the members of a [`Stack`](crate::builder::Stack), one after the other.
#[derive(Debug)]
pub(crate) enum InferenceWeights {
    /// int8.
    Quantized(Vec<QuantizedWeights>),
    /// fp32, in the order in which products read them.
    Packed(Vec<PackedMatrix>),
}

/// A form of [`InferenceWeights`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InferenceForm {
    Quantized,
    Packed,
}

impl InferenceWeights {
    pub(crate) fn new(form: InferenceForm) -> Self {
        match form {
            InferenceForm::Quantized => Self::Quantized(Vec::new()),
            InferenceForm::Packed => Self::Packed(Vec::new()),
        }
    }

    /// Adds a member: `weights`, `[outputs, inputs]`.
    pub(crate) fn push(&mut self, weights: &[f32], outputs: usize, inputs: usize) {
        match self {
            Self::Quantized(members) => members.push(QuantizedWeights::new(weights, outputs, inputs)),
            Self::Packed(members) => {
                members.push(PackedMatrix::new(Matrix::new(weights, outputs, inputs).transposed()));
            }
        }
    }
}
