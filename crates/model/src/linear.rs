//! `y = x W^T + b` and its gradients.

use kernels::columns;
use tch::{Kind, Tensor};

use crate::cpu::{empty, is_cpu, slice, slice_mut, with_float};
use crate::parameters::{Gradient, Gradients, ParameterId, Parameters};
use crate::profile::{Phase, timed};

/// One or several projections of the same input, their weights one below the other: `[out, in]`, bias `[out]`.
#[derive(Debug)]
pub(crate) struct Linear {
    weights: Vec<ParameterId>,
    biases: Vec<ParameterId>,
    /// Compute tensor of all weights together.
    pub(crate) weight: Tensor,
    pub(crate) bias: Tensor,
}

impl Linear {
    /// Registers `name.weight` and `name.bias` for every name; `take` hands out the fp32 tensors by name.
    pub(crate) fn new(parameters: &mut Parameters, names: &[String], take: &mut dyn FnMut(&str) -> Tensor) -> Self {
        let mut joint = |suffix: &str| {
            let full: Vec<String> = names.iter().map(|name| format!("{name}.{suffix}")).collect();
            let tensors: Vec<Tensor> = full.iter().map(|name| take(name)).collect();
            parameters.add_joint(&full, &tensors)
        };
        let (weights, weight) = joint("weight");
        let (biases, bias) = joint("bias");
        Self { weights, biases, weight, bias }
    }

    /// One projection that computes in fp32 at either precision: for the few rows at the top of the model.
    pub(crate) fn new_fp32(parameters: &mut Parameters, name: &str, take: &mut dyn FnMut(&str) -> Tensor) -> Self {
        let mut add = |suffix: &str| {
            let name = format!("{name}.{suffix}");
            let tensor = take(&name);
            (vec![parameters.add_fp32(name, tensor.shallow_clone())], tensor)
        };
        let (weights, weight) = add("weight");
        let (biases, bias) = add("bias");
        Self { weights, biases, weight, bias }
    }

    /// `[R, in]` to `[R, out]`.
    pub(crate) fn forward(&self, x: &Tensor) -> Tensor {
        timed(Phase::Gemm, || x.linear(&self.weight, Some(&self.bias)))
    }

    /// Projections `first..first + count` alone: `[R, in]` to `[R, out of those]`.
    pub(crate) fn forward_part(&self, x: &Tensor, part: &Part) -> Tensor {
        let (weight, bias) = self.part(part);
        timed(Phase::Gemm, || x.linear(&weight, Some(&bias)))
    }

    /// The gradient of `x` from that of `y`: `[R, out]` to `[R, in]`.
    pub(crate) fn backward_input(&self, dy: &Tensor) -> Tensor {
        timed(Phase::Gemm, || dy.mm(&self.weight))
    }

    pub(crate) fn backward_input_part(&self, dy: &Tensor, part: &Part) -> Tensor {
        timed(Phase::Gemm, || dy.mm(&self.part(part).0))
    }

    /// Stores the gradients of weights and biases: `dy^T x` and the column sums of `dy`.
    pub(crate) fn backward_weights(&self, x: &Tensor, dy: &Tensor, parameters: &Parameters, gradients: &mut Gradients) {
        let all = Part { first: 0, count: self.weights.len() };
        self.backward_weights_part(x, dy, &all, parameters, gradients);
    }

    pub(crate) fn backward_weights_part(
        &self,
        x: &Tensor,
        dy: &Tensor,
        part: &Part,
        parameters: &Parameters,
        gradients: &mut Gradients,
    ) {
        let range = part.first..part.first + part.count;
        let trainable = |ids: &[ParameterId]| ids.iter().any(|&id| parameters.at(id).trainable());
        if trainable(&self.weights[range.clone()]) {
            let joint = timed(Phase::Gemm, || dy.tr().mm(x)); // [out, in]
            distribute(&self.weights[range.clone()], &joint, parameters, gradients);
        }
        if trainable(&self.biases[range.clone()]) {
            let joint = timed(Phase::Biases, || column_sums(dy)); // [out]
            distribute(&self.biases[range], &joint, parameters, gradients);
        }
    }

    fn part(&self, part: &Part) -> (Tensor, Tensor) {
        let rows = self.weight.size()[0] / self.weights.len() as i64;
        let (start, length) = (part.first as i64 * rows, part.count as i64 * rows);
        (self.weight.narrow(0, start, length), self.bias.narrow(0, start, length))
    }
}

/// Some of the projections of a joint [`Linear`], all of which have the same width.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) first: usize,
    pub(crate) count: usize,
}

/// `[R, out]` to `[out]` fp32.
pub(crate) fn column_sums(values: &Tensor) -> Tensor {
    if !is_cpu(values) {
        return values.sum_dim_intlist(0, false, Kind::Float);
    }
    let mut sums = empty::<f32>(&[values.size()[1]]);
    with_float!(values, T => columns::sums(slice::<T>(values), slice_mut(&mut sums)));
    sums
}

fn distribute(ids: &[ParameterId], joint: &Tensor, parameters: &Parameters, gradients: &mut Gradients) {
    let mut start = 0;
    for &id in ids {
        let parameter = parameters.at(id);
        let rows = parameter.master().size()[0];
        if parameter.trainable() {
            gradients.set(id, Gradient::Dense(joint.narrow(0, start, rows)));
        }
        start += rows;
    }
}
