//! `y = x W^T + b` and its gradients.

use std::ops::Range;

use kernels::columns;
use kernels::quantized::{self, QuantizedWeights};
use tch::{Kind, Tensor};

use crate::backend::Backend;
use crate::builder::{GradientForm, Initial, Scope, Stack, Traits};
use crate::config::Activation;
use crate::parameters::Parameters;
use crate::pass::Backward;
use crate::profile::{Phase, timed};
use crate::tensor_slice::{empty, slice, slice_mut, with_float};

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
        if let Some(weights) = parameters.quantized(self.weight) {
            return forward_quantized(x, weights, parameters.stacked(self.bias), None);
        }
        let (weight, bias) = (parameters.stacked(self.weight), parameters.stacked(self.bias));
        timed(Phase::Gemm, || x.linear(weight, Some(bias)))
    }

    /// An activation function of the same, for passes that need only its output.
    pub(crate) fn forward_activated(&self, x: &Tensor, activation: Activation, parameters: &Parameters) -> Tensor {
        match parameters.quantized(self.weight) {
            Some(weights) => forward_quantized(x, weights, parameters.stacked(self.bias), Some(activation)),
            None => activation.forward(&self.forward(x, parameters), parameters.backend()),
        }
    }

    /// Projections `part` of a fused layer alone: `[R, in]` to `[R, out of those]`.
    pub(crate) fn forward_part(&self, x: &Tensor, part: &Range<usize>, parameters: &Parameters) -> Tensor {
        if let Some(weights) = parameters.quantized(self.weight) {
            return forward_quantized(x, &weights[part.clone()], &self.rows(self.bias, part, parameters), None);
        }
        let (weight, bias) = (self.rows(self.weight, part, parameters), self.rows(self.bias, part, parameters));
        timed(Phase::Gemm, || x.linear(&weight, Some(&bias)))
    }

    /// The gradient of `x` from that of `y`: `[R, out]` to `[R, in]`.
    pub(crate) fn backward_input(&self, dy: &Tensor, parameters: &Parameters) -> Tensor {
        timed(Phase::Gemm, || dy.mm(parameters.stacked(self.weight)))
    }

    pub(crate) fn backward_input_part(&self, dy: &Tensor, part: &Range<usize>, parameters: &Parameters) -> Tensor {
        let weight = self.rows(self.weight, part, parameters);
        timed(Phase::Gemm, || dy.mm(&weight))
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
            timed(Phase::Gemm, || drop(dy.tr().mm_out(&weight, x))); // [out, in]
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

/// `[R, in]` to `[R, out]`, both fp32, with the outputs of all `weights` side by side.
fn forward_quantized(
    x: &Tensor,
    weights: &[QuantizedWeights],
    bias: &Tensor,
    activation: Option<Activation>,
) -> Tensor {
    timed(Phase::Gemm, || {
        let mut y = empty::<f32>(&[x.size()[0], bias.size()[0]]);
        quantized::linear(slice(x), weights, slice(bias), activation.map(Activation::kernel), slice_mut(&mut y));
        y
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
