//! Layer normalisation with its surroundings: `y = norm(dropout(dense) + residual)` in a layer, `y = dropout(norm(sum))` in the
//! embeddings.
//!
//! Weights, statistics and sums are fp32 at either precision; only activations are in the compute format. On the CPU all of
//! it is one pass over memory ([`kernels::norm`]); elsewhere it is libtorch's operations.

use kernels::norm::{self, Masks, Parameters as Constants};
use tch::{Kind, Tensor};

use crate::cpu::{empty, is_cpu, slice, slice_mut, with_float};
use crate::dropout::Site;
use crate::parameters::{Gradient, Gradients, ParameterId, Parameters};
use crate::profile::{Phase, timed};

#[derive(Debug)]
pub(crate) struct LayerNorm {
    weight_id: ParameterId,
    bias_id: ParameterId,
    weight: Tensor,
    bias: Tensor,
    eps: f64,
}

/// Dropout before the norm, on `dense` alone, and after it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sites {
    pub(crate) before: Option<Site>,
    pub(crate) after: Option<Site>,
}

impl Sites {
    fn masks(&self) -> Masks {
        let mask = |site: Option<Site>| site.and_then(|site| site.mask());
        Masks { before: mask(self.before), after: mask(self.after) }
    }
}

/// What the backward pass needs of a forward pass.
#[derive(Debug)]
pub(crate) struct Saved {
    sites: Sites,
    /// `[R, D]`: what was normalised.
    x: Tensor,
    /// `[R, 1]` fp32.
    mean: Tensor,
    /// `[R, 1]` fp32: one over the standard deviation.
    rstd: Tensor,
}

/// A gradient that arrives on one way or on two, each `[R, D]`: the sum of both is meant.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) dy: Tensor,
    pub(crate) dy_too: Option<Tensor>,
}

/// Gradients of what went into a norm, `[R, D]` each.
#[derive(Debug)]
pub(crate) struct Downstream {
    /// Of the sum, and so of the residual.
    pub(crate) residual: Tensor,
    /// Of what was dropped out before it was added to the residual.
    pub(crate) dense: Tensor,
}

impl LayerNorm {
    pub(crate) fn new(parameters: &mut Parameters, name: &str, eps: f64, take: &mut dyn FnMut(&str) -> Tensor) -> Self {
        let mut add = |suffix: &str| {
            let name = format!("{name}.{suffix}");
            let tensor = take(&name);
            (parameters.add_fp32(name, tensor.shallow_clone()), tensor)
        };
        let (weight_id, weight) = add("weight");
        let (bias_id, bias) = add("bias");
        Self { weight_id, bias_id, weight, bias, eps }
    }

    /// `[R, D]` to `[R, D]`, without dropout and without a tape.
    pub(crate) fn forward(&self, dense: Tensor, residual: Option<&Tensor>) -> Tensor {
        timed(Phase::Normalisation, || {
            if !is_cpu(&dense) {
                return self.forward_aten(dense, residual, Sites::default()).0;
            }
            with_float!(dense, T => {
                let mut y = empty::<T>(&dense.size());
                let residual = residual.map(slice::<T>);
                let constants = self.constants();
                norm::forward::<T>(slice(&dense), residual, constants, Masks::default(), slice_mut(&mut y), None);
                y
            })
        })
    }

    /// `[R, D]` to `[R, D]`.
    pub(crate) fn forward_train(&self, dense: Tensor, residual: Option<&Tensor>, sites: Sites) -> (Tensor, Saved) {
        timed(Phase::Normalisation, || {
            if is_cpu(&dense) {
                self.forward_kernel(&dense, residual, sites)
            } else {
                self.forward_aten(dense, residual, sites)
            }
        })
    }

    fn constants(&self) -> Constants<'_> {
        Constants { weight: slice(&self.weight), bias: slice(&self.bias), eps: self.eps as f32 }
    }

    fn forward_kernel(&self, dense: &Tensor, residual: Option<&Tensor>, sites: Sites) -> (Tensor, Saved) {
        let rows = dense.size()[0];
        with_float!(dense, T => {
            let (mut y, mut x) = (empty::<T>(&dense.size()), empty::<T>(&dense.size()));
            let (mut mean, mut rstd) = (empty::<f32>(&[rows, 1]), empty::<f32>(&[rows, 1]));
            let saved = Some((slice_mut::<T>(&mut x), slice_mut(&mut mean), slice_mut(&mut rstd)));
            let residual = residual.map(slice::<T>);
            norm::forward(slice::<T>(dense), residual, self.constants(), sites.masks(), slice_mut(&mut y), saved);
            (y, Saved { sites, x, mean, rstd })
        })
    }

    fn forward_aten(&self, dense: Tensor, residual: Option<&Tensor>, sites: Sites) -> (Tensor, Saved) {
        let dropped = times(&dense, sites.before);
        let x = match residual {
            Some(residual) => dropped + residual,
            None => dropped,
        };
        let (y, mean, rstd) = x.to_kind(Kind::Float).native_layer_norm(
            self.weight.size(),
            Some(&self.weight),
            Some(&self.bias),
            self.eps,
        );
        (times(&y.to_kind(x.kind()), sites.after), Saved { sites, x, mean, rstd })
    }

    /// The gradients of what went in from that of `y`; stores those of weight and bias.
    pub(crate) fn backward(
        &self,
        saved: &Saved,
        upstream: &Upstream,
        parameters: &Parameters,
        gradients: &mut Gradients,
    ) -> Downstream {
        let (downstream, dweight, dbias) = timed(Phase::Normalisation, || {
            if is_cpu(&upstream.dy) {
                backward_kernel(saved, upstream, &self.weight)
            } else {
                backward_aten(saved, upstream, &self.weight)
            }
        });
        for (id, gradient) in [(self.weight_id, dweight), (self.bias_id, dbias)] {
            if parameters.at(id).trainable() {
                gradients.set(id, Gradient::Dense(gradient));
            }
        }
        downstream
    }
}

/// `dx = rstd * (g - mean(g) - xhat * mean(g * xhat))` with `g = dy * weight` and `xhat = (x - mean) * rstd`.
fn backward_aten(saved: &Saved, upstream: &Upstream, weight: &Tensor) -> (Downstream, Tensor, Tensor) {
    let first = upstream.dy.to_kind(Kind::Float);
    // Not in place: in fp32 that would be the caller's tensor.
    let dy = match &upstream.dy_too {
        Some(dy_too) => &first + dy_too.to_kind(Kind::Float),
        None => first,
    };
    let dy = times(&dy, saved.sites.after);
    let xhat = (saved.x.to_kind(Kind::Float) - &saved.mean) * &saved.rstd; // [R, D]
    let g = &dy * weight; // [R, D]
    let mean = |t: &Tensor| t.mean_dim(-1, true, Kind::Float); // [R, 1]
    let dx = (&g - mean(&g) - &xhat * mean(&(&g * &xhat))) * &saved.rstd; // [R, D]
    let sum = |t: &Tensor| t.sum_dim_intlist(0, false, Kind::Float); // [D]
    let kind = saved.x.kind();
    let downstream = Downstream { dense: times(&dx, saved.sites.before).to_kind(kind), residual: dx.to_kind(kind) };
    (downstream, sum(&(&dy * &xhat)), sum(&dy))
}

fn backward_kernel(saved: &Saved, upstream: &Upstream, weight: &Tensor) -> (Downstream, Tensor, Tensor) {
    let (mut dweight, mut dbias) = (empty::<f32>(&weight.size()), empty::<f32>(&weight.size()));
    let downstream = with_float!(saved.x, T => {
        let mut dx = empty::<T>(&saved.x.size());
        let mut dense = saved.sites.before.map(|_| empty::<T>(&saved.x.size()));
        norm::backward::<T>(
            slice(&upstream.dy),
            upstream.dy_too.as_ref().map(slice::<T>),
            norm::Saved { x: slice(&saved.x), mean: slice(&saved.mean), rstd: slice(&saved.rstd) },
            slice(weight),
            saved.sites.masks(),
            norm::Gradients {
                x: slice_mut(&mut dx),
                dense: dense.as_mut().map(slice_mut::<T>),
                weight: slice_mut(&mut dweight),
                bias: slice_mut(&mut dbias),
            },
        );
        Downstream { dense: dense.unwrap_or_else(|| dx.shallow_clone()), residual: dx }
    });
    (downstream, dweight, dbias)
}

/// `x`, `[R, D]`, times the mask of a site, if there is one.
pub(crate) fn times(x: &Tensor, site: Option<Site>) -> Tensor {
    match site {
        Some(site) => {
            let size = x.size();
            x * site.tensor([size[0], size[1]], x.kind(), x.device())
        }
        None => x.shallow_clone(),
    }
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;
    use crate::dropout::DropoutStream;

    #[test]
    fn the_kernel_agrees_with_aten() {
        tch::manual_seed(1);
        let stream = DropoutStream::new(1, 2, 3);
        for (kind, tolerance) in [(Kind::Float, 1e-5), (Kind::BFloat16, 2e-2)] {
            for width in [5i64, 7, 16, 100, 384] {
                let random = || Tensor::randn([37, width], (Kind::Float, Device::Cpu)).to_kind(kind);
                let mut parameters = Parameters::new(Device::Cpu, kind);
                let mut take = |_: &str| Tensor::randn([width], (Kind::Float, Device::Cpu));
                let norm = LayerNorm::new(&mut parameters, "norm", 1e-5, &mut take);
                let (dense, residual, dy, dy_too) = (random(), random(), random(), random());
                let sites = Sites { before: stream.site(0.2), after: stream.site(0.1) };
                let ours = norm.forward_kernel(&dense, Some(&residual), sites);
                let reference = norm.forward_aten(dense, Some(&residual), sites);
                let upstream = Upstream { dy, dy_too: Some(dy_too) };
                let back = backward_kernel(&ours.1, &upstream, &norm.weight);
                let reference_back = backward_aten(&reference.1, &upstream, &norm.weight);
                for (ours, reference) in [
                    (&ours.0, &reference.0),
                    (&back.0.residual, &reference_back.0.residual),
                    (&back.0.dense, &reference_back.0.dense),
                    (&back.1, &reference_back.1),
                    (&back.2, &reference_back.2),
                ] {
                    let scale = f64::try_from(reference.abs().max()).expect("number").max(1.0);
                    let difference = (ours.to_kind(Kind::Float) - reference.to_kind(Kind::Float)).abs().max();
                    let difference = f64::try_from(difference).expect("number");
                    assert!(difference <= tolerance * scale, "{kind:?} width {width}: {difference} of {scale}");
                }
            }
        }
    }
}
