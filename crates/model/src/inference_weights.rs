//! Weights of linear layers in a form that only forward passes can use.

use kernels::element::Bf16;
use kernels::matmul::{Factor, Matrix, PackedMatrix};
use kernels::quantized::QuantizedWeights;
use tch::{Kind, Tensor};

use crate::tensor_slice::{TensorElement, slice};

/// The weights of the members of a [`Stack`](crate::builder::Stack), one after the other.
#[derive(Debug)]
pub(crate) enum InferenceWeights {
    /// int8, from fp32.
    Quantized(Vec<QuantizedWeights>),
    /// In the order in which products read them, in fp32.
    Fp32(Vec<PackedMatrix<f32>>),
    /// The same in bf16.
    Bf16(Vec<PackedMatrix<Bf16>>),
}

/// A form of [`InferenceWeights`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InferenceForm {
    Quantized,
    /// In the format that the model computes in.
    Packed,
}

impl InferenceWeights {
    /// Adds a member with these compute weights, `[outputs, inputs]`.
    ///
    /// # Panics
    /// If other members have another form.
    pub(crate) fn push(members: &mut Option<Self>, form: InferenceForm, weights: &Tensor) {
        let (outputs, inputs) = weights.size2().expect("a matrix");
        let members = members.get_or_insert_with(|| match (form, weights.kind()) {
            (InferenceForm::Quantized, _) => Self::Quantized(Vec::new()),
            (InferenceForm::Packed, Kind::BFloat16) => Self::Bf16(Vec::new()),
            (InferenceForm::Packed, _) => Self::Fp32(Vec::new()),
        });
        match members {
            Self::Quantized(members) => {
                members.push(QuantizedWeights::new(slice(weights), outputs as usize, inputs as usize));
            }
            Self::Fp32(members) => members.push(packed(weights)),
            Self::Bf16(members) => members.push(packed(weights)),
        }
    }
}

fn packed<T: TensorElement + Factor>(weights: &Tensor) -> PackedMatrix<T> {
    let (outputs, inputs) = weights.size2().expect("a matrix");
    PackedMatrix::new(Matrix::new(slice(weights), outputs as usize, inputs as usize).transposed())
}
