//! `y = x W^T + b` and its gradients.

use std::ops::Range;

use kernels::activation::ActivationFunction;
use kernels::matmul::{self, Factor, PackedMatrix};
use kernels::{columns, quantized};
use tch::{Kind, Tensor};

use crate::backend::Backend;
use crate::builder::{GradientForm, Initial, Scope, Stack, Traits};
use crate::config::Activation;
use crate::inference_weights::InferenceWeights;
use crate::layers::product;
use crate::parameters::Parameters;
use crate::pass::Backward;
use crate::profile::{Phase, timed};
use crate::tensor_slice::{TensorElement, empty, slice, slice_mut, with_float};

const WEIGHT: Traits =
    Traits { decays: true, always_fp32: false, initial: Initial::Normal, gradient: GradientForm::Product };
const BIAS: Traits = Traits { decays: false, always_fp32: false, initial: Initial::Zeros, gradient: GradientForm::Sum };

/// One or several projections of the same input, their weights stacked along the rows: `[out, in]`, bias `[out]`.
#[derive(Debug)]
pub(crate) struct Linear {
    weight: Stack,
    bias: Stack,
    /// Width of one projection.
    out: i64,
}

impl Linear {
    /// `weight`, `[out, input]`, and `bias`.
    pub(crate) fn new(mut scope: Scope, input: i64, out: i64) -> Self {
        let weight = scope.stack(&["weight"], &[out, input], WEIGHT);
        let bias = scope.stack(&["bias"], &[out], BIAS);
        Self { weight, bias, out }
    }

    /// Projections of the same input that one matrix product computes: `out` columns, `NAME.weight` and `NAME.bias`
    /// each.
    pub(crate) fn fused(mut scope: Scope, names: &[&str], input: i64, out: i64) -> Self {
        let of_all = |what: &str| names.iter().map(|name| format!("{name}.{what}")).collect::<Vec<_>>();
        let (weights, biases) = (of_all("weight"), of_all("bias"));
        let weight = scope.stack(&weights, &[out, input], WEIGHT);
        let bias = scope.stack(&biases, &[out], BIAS);
        Self { weight, bias, out }
    }

    /// `[R, in]` to `[R, out]`.
    pub(crate) fn forward(&self, x: &Tensor, parameters: &Parameters) -> Tensor {
        let bias = parameters.stacked(self.bias);
        match parameters.inference_weights(self.weight) {
            Some(weights) => forward_inference(x, weights, &(0..self.weight.len()), bias, None),
            None => product::linear(x, parameters.stacked(self.weight), bias, parameters),
        }
    }

    /// An activation function of the same, for passes that need only its output.
    pub(crate) fn forward_activated(&self, x: &Tensor, activation: Activation, parameters: &Parameters) -> Tensor {
        match parameters.inference_weights(self.weight) {
            Some(weights) => {
                let (all, bias) = (0..self.weight.len(), parameters.stacked(self.bias));
                forward_inference(x, weights, &all, bias, Some(activation))
            }
            None => activation.forward(&self.forward(x, parameters), parameters.backend()),
        }
    }

    /// Projections `part` of a fused layer alone: `[R, in]` to `[R, out of those]`.
    pub(crate) fn forward_part(&self, x: &Tensor, part: &Range<usize>, parameters: &Parameters) -> Tensor {
        let bias = self.rows(self.bias, part, parameters);
        match parameters.inference_weights(self.weight) {
            Some(weights) => forward_inference(x, weights, part, &bias, None),
            None => product::linear(x, &self.rows(self.weight, part, parameters), &bias, parameters),
        }
    }

    /// The gradient of `x` from that of `y`: `[R, out]` to `[R, in]`.
    pub(crate) fn backward_input(&self, dy: &Tensor, parameters: &Parameters) -> Tensor {
        product::input_gradient(dy, parameters.stacked(self.weight), parameters)
    }

    pub(crate) fn backward_input_part(&self, dy: &Tensor, part: &Range<usize>, parameters: &Parameters) -> Tensor {
        product::input_gradient(dy, &self.rows(self.weight, part, parameters), parameters)
    }

    /// Stores the gradients of weights and biases: `dy^T x` and the column sums of `dy`.
    pub(crate) fn backward_weights(&self, x: &Tensor, dy: &Tensor, pass: &mut Backward) {
        self.backward_weights_part(x, dy, &(0..self.weight.len()), pass);
    }

    pub(crate) fn backward_weights_part(&self, x: &Tensor, dy: &Tensor, part: &Range<usize>, pass: &mut Backward) {
        let (start, rows) = (part.start as i64 * self.out, part.len() as i64 * self.out);
        let gradient = |stack: Stack| pass.gradients.stacked(stack).map(|stacked| stacked.narrow(0, start, rows));
        let (weight, bias) = (gradient(self.weight), gradient(self.bias));
        if let Some(weight) = weight {
            product::weight_gradient(dy, x, &weight, pass.parameters); // [out, in]
        }
        if let Some(mut bias) = bias {
            let backend = pass.parameters.backend();
            timed(Phase::Biases, || column_sums(dy, &mut bias, backend)); // [out]
        }
    }

    fn rows(&self, stack: Stack, part: &Range<usize>, parameters: &Parameters) -> Tensor {
        parameters.stacked(stack).narrow(0, part.start as i64 * self.out, part.len() as i64 * self.out)
    }
}

/// `[R, in]` to `[R, out]`, with the outputs of the members `part` of a layer side by side.
fn forward_inference(
    x: &Tensor,
    weights: &InferenceWeights,
    part: &Range<usize>,
    bias: &Tensor,
    activation: Option<Activation>,
) -> Tensor {
    fn packed<T: TensorElement + Factor>(
        x: &Tensor,
        weights: &[PackedMatrix<T>],
        bias: &Tensor,
        activation: Option<ActivationFunction>,
    ) -> Tensor {
        let mut y = empty::<T>(&[x.size()[0], bias.size()[0]]);
        matmul::linear(slice(x), weights, slice(bias), activation, slice_mut(&mut y));
        y
    }
    let activation = activation.map(Activation::kernel);
    timed(Phase::Gemm, || match weights {
        InferenceWeights::Quantized(members) => {
            let mut y = empty::<f32>(&[x.size()[0], bias.size()[0]]);
            quantized::linear(slice(x), &members[part.clone()], slice(bias), activation, slice_mut(&mut y));
            y
        }
        InferenceWeights::Fp32(members) => packed(x, &members[part.clone()], bias, activation),
        InferenceWeights::Bf16(members) => packed(x, &members[part.clone()], bias, activation),
    })
}

/// `[R, out]` to `sums`, `[out]` fp32.
pub(crate) fn column_sums(values: &Tensor, sums: &mut Tensor, backend: Backend) {
    if backend == Backend::Libtorch {
        let _ = values.sum_intlist_out(sums, 0, false, Kind::Float);
        return;
    }
    with_float!(values, T => columns::sums(slice::<T>(values), slice_mut(sums)));
}
