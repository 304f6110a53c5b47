//! Layer normalization fused with the operations around it: `y = norm(dropout(dense) + residual)` in a layer,
//! `y = dropout(norm(sum))` in the embeddings.
//!
//! Weights, statistics and sums are fp32 at either precision; only activations are in the compute format. On a CPU
//! the kernels do all of it in one pass over memory ([`kernels::norm`]); otherwise it is libtorch's operations.

use kernels::norm::{self, Masks, NormParameters};
use tch::{Kind, Tensor};

use crate::backend::Backend;
use crate::builder::{GradientForm, Initial, ParameterId, Scope, Traits};
use crate::dropout::{DropoutSite, KeptMask, apply_mask, apply_site};
use crate::parameters::Parameters;
use crate::pass::Backward;
use crate::profile::{Phase, timed};
use crate::tensor_slice::{empty, slice, slice_mut, with_float};

const WEIGHT: Traits = Traits { decays: false, always_fp32: true, initial: Initial::Ones, gradient: GradientForm::Sum };
const BIAS: Traits = Traits { initial: Initial::Zeros, ..WEIGHT };

#[derive(Debug)]
pub(crate) struct LayerNorm {
    weight: ParameterId,
    bias: ParameterId,
    eps: f64,
}

/// The dropout sites before the norm, on `dense` alone, and after it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct DropoutSites {
    pub(crate) before: Option<DropoutSite>,
    pub(crate) after: Option<DropoutSite>,
}

impl DropoutSites {
    fn masks(&self) -> Masks {
        let mask = |site: Option<DropoutSite>| site.and_then(|site| site.mask());
        Masks { before: mask(self.before), after: mask(self.after) }
    }
}

/// What the backward pass needs of a forward pass.
#[derive(Debug)]
pub(crate) struct Saved {
    dropout: SavedDropout,
    /// `[R, D]`: what was normalized.
    x: Tensor,
    /// `[R, 1]` fp32.
    mean: Tensor,
    /// `[R, 1]` fp32: one over the standard deviation.
    rstd: Tensor,
}

/// How the backward pass gets the masks.
#[derive(Debug)]
enum SavedDropout {
    /// The kernel computes them again.
    Sites(DropoutSites),
    /// They are kept for libtorch's operations.
    Masks { before: Option<KeptMask>, after: Option<KeptMask> },
}

/// The gradient of a layer's output, `[R, D]`: the sum of `dy` and, if there is one, the gradient along a residual.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) dy: Tensor,
    pub(crate) dy_residual: Option<Tensor>,
}

/// The gradients of the inputs of a norm, `[R, D]` each.
#[derive(Debug)]
pub(crate) struct Downstream {
    /// Of the sum, which is also that of the residual.
    pub(crate) residual: Tensor,
    /// Of `dense`, which goes through dropout before the residual is added.
    pub(crate) dense: Tensor,
}

impl LayerNorm {
    /// `weight` and `bias`, `[width]` each.
    pub(crate) fn new(mut scope: Scope, width: i64, eps: f64) -> Self {
        let weight = scope.parameter("weight", &[width], WEIGHT);
        Self { weight, bias: scope.parameter("bias", &[width], BIAS), eps }
    }

    /// `[R, D]` to `[R, D]`, without dropout and without a tape.
    pub(crate) fn forward(&self, dense: Tensor, residual: Option<&Tensor>, parameters: &Parameters) -> Tensor {
        timed(Phase::Normalization, || {
            if parameters.backend() == Backend::Libtorch {
                return self.forward_aten(dense, residual, DropoutSites::default(), parameters).0;
            }
            with_float!(dense, T => {
                let mut y = empty::<T>(&dense.size());
                let residual = residual.map(slice::<T>);
                let norm_parameters = self.norm_parameters(parameters);
                norm::forward::<T>(slice(&dense), residual, norm_parameters, Masks::default(), slice_mut(&mut y), None);
                y
            })
        })
    }

    /// `[R, D]` to `[R, D]`.
    pub(crate) fn forward_train(
        &self,
        dense: Tensor,
        residual: Option<&Tensor>,
        sites: DropoutSites,
        parameters: &Parameters,
    ) -> (Tensor, Saved) {
        timed(Phase::Normalization, || {
            if parameters.backend() == Backend::Kernels {
                self.forward_kernel(&dense, residual, sites, parameters)
            } else {
                self.forward_aten(dense, residual, sites, parameters)
            }
        })
    }

    fn norm_parameters<'a>(&self, parameters: &'a Parameters) -> NormParameters<'a> {
        let values = |id: ParameterId| slice(parameters.at(id).compute());
        NormParameters { weight: values(self.weight), bias: values(self.bias), eps: self.eps as f32 }
    }

    fn forward_kernel(
        &self,
        dense: &Tensor,
        residual: Option<&Tensor>,
        sites: DropoutSites,
        parameters: &Parameters,
    ) -> (Tensor, Saved) {
        let rows = dense.size()[0];
        with_float!(dense, T => {
            let (mut y, mut x) = (empty::<T>(&dense.size()), empty::<T>(&dense.size()));
            let (mut mean, mut rstd) = (empty::<f32>(&[rows, 1]), empty::<f32>(&[rows, 1]));
            let saved = Some((slice_mut::<T>(&mut x), slice_mut(&mut mean), slice_mut(&mut rstd)));
            let residual = residual.map(slice::<T>);
            let norm_parameters = self.norm_parameters(parameters);
            norm::forward(slice::<T>(dense), residual, norm_parameters, sites.masks(), slice_mut(&mut y), saved);
            (y, Saved { dropout: SavedDropout::Sites(sites), x, mean, rstd })
        })
    }

    fn forward_aten(
        &self,
        dense: Tensor,
        residual: Option<&Tensor>,
        sites: DropoutSites,
        parameters: &Parameters,
    ) -> (Tensor, Saved) {
        let (dropped, before) = apply_site(&dense, sites.before);
        let x = match residual {
            Some(residual) => dropped + residual,
            None => dropped,
        };
        let (weight, bias) = (parameters.at(self.weight).compute(), parameters.at(self.bias).compute());
        let (y, mean, rstd) =
            x.to_kind(Kind::Float).native_layer_norm(weight.size(), Some(weight), Some(bias), self.eps);
        let (y, after) = apply_site(&y.to_kind(x.kind()), sites.after);
        (y, Saved { dropout: SavedDropout::Masks { before, after }, x, mean, rstd })
    }

    /// The gradients of the inputs from that of `y`; stores those of weight and bias.
    pub(crate) fn backward(&self, saved: &Saved, upstream: &Upstream, pass: &mut Backward) -> Downstream {
        let weight = pass.parameters.at(self.weight).compute();
        // Of a frozen norm they go nowhere.
        let target = |id| pass.gradients.dense(id).unwrap_or_else(|| weight.empty_like());
        let gradients = [target(self.weight), target(self.bias)];
        timed(Phase::Normalization, || match &saved.dropout {
            SavedDropout::Sites(sites) => backward_kernel(saved, *sites, upstream, weight, gradients),
            SavedDropout::Masks { before, after } => {
                backward_aten(saved, [before.as_ref(), after.as_ref()], upstream, weight, gradients)
            }
        })
    }
}

/// `dx = rstd * (g - mean(g) - xhat * mean(g * xhat))` with `g = dy * weight` and `xhat = (x - mean) * rstd`; the masks are
/// those before and after the norm. Writes the gradients of weight and bias.
fn backward_aten(
    saved: &Saved,
    [before, after]: [Option<&KeptMask>; 2],
    upstream: &Upstream,
    weight: &Tensor,
    [dweight, dbias]: [Tensor; 2],
) -> Downstream {
    let first = upstream.dy.to_kind(Kind::Float);
    // Not in place: in fp32 that would change the caller's tensor.
    let dy = match &upstream.dy_residual {
        Some(dy_residual) => &first + dy_residual.to_kind(Kind::Float),
        None => first,
    };
    let dy = apply_mask(&dy, after);
    let xhat = (saved.x.to_kind(Kind::Float) - &saved.mean) * &saved.rstd; // [R, D]
    let g = &dy * weight; // [R, D]
    let mean = |t: &Tensor| t.mean_dim(-1, true, Kind::Float); // [R, 1]
    let dx = (&g - mean(&g) - &xhat * mean(&(&g * &xhat))) * &saved.rstd; // [R, D]
    let _ = (&dy * &xhat).sum_intlist_out(&dweight, 0, false, Kind::Float); // [D]
    let _ = dy.sum_intlist_out(&dbias, 0, false, Kind::Float); // [D]
    let kind = saved.x.kind();
    Downstream { dense: apply_mask(&dx, before).to_kind(kind), residual: dx.to_kind(kind) }
}

fn backward_kernel(
    saved: &Saved,
    sites: DropoutSites,
    upstream: &Upstream,
    weight: &Tensor,
    [mut dweight, mut dbias]: [Tensor; 2],
) -> Downstream {
    with_float!(saved.x, T => {
        let mut dx = empty::<T>(&saved.x.size());
        let mut dense = sites.before.map(|_| empty::<T>(&saved.x.size()));
        norm::backward::<T>(
            slice(&upstream.dy),
            upstream.dy_residual.as_ref().map(slice::<T>),
            norm::SavedNorm { x: slice(&saved.x), mean: slice(&saved.mean), rstd: slice(&saved.rstd) },
            slice(weight),
            sites.masks(),
            norm::NormGradients {
                x: slice_mut(&mut dx),
                dense: dense.as_mut().map(slice_mut::<T>),
                weight: slice_mut(&mut dweight),
                bias: slice_mut(&mut dbias),
            },
        );
        Downstream { dense: dense.unwrap_or_else(|| dx.shallow_clone()), residual: dx }
    })
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;
    use crate::builder::{Builder, Role};
    use crate::dropout::DropoutStream;
    use crate::test_tensors::normal;

    #[test]
    fn the_kernel_agrees_with_aten() {
        let stream = DropoutStream::new(1, 2);
        let site = |p| stream.site(p, crate::inputs::RowSelection::All, Backend::Kernels);
        for (kind, tolerance) in [(Kind::Float, 1e-5), (Kind::BFloat16, 2e-2)] {
            for width in [5i64, 7, 16, 100, 384] {
                let random = |seed| normal(&[37, width], seed).to_kind(kind);
                let mut builder = Builder::default();
                let norm = LayerNorm::new(builder.scope(Role::Embedding, "norm"), width, 1e-5);
                let master = |spec: &crate::ParameterSpec| normal(&[width], spec.name.len() as u64);
                let parameters = Parameters::new(builder.specs, Device::Cpu, Backend::Kernels, kind, master);
                let weight = parameters.at(norm.weight).compute();
                let (dense, residual, dy, dy_residual) = (random(1), random(2), random(3), random(4));
                let sites = DropoutSites { before: site(0.2), after: site(0.1) };
                // Both with the kernels' masks.
                let ours = norm.forward_kernel(&dense, Some(&residual), sites, &parameters);
                let reference = norm.forward_aten(dense, Some(&residual), sites, &parameters);
                let upstream = Upstream { dy, dy_residual: Some(dy_residual) };
                let targets = || [(); 2].map(|()| empty::<f32>(&weight.size()));
                let cloned = |targets: &[Tensor; 2]| targets.each_ref().map(Tensor::shallow_clone);
                let (back_parameters, reference_parameters) = (targets(), targets());
                let back = backward_kernel(&ours.1, sites, &upstream, weight, cloned(&back_parameters));
                let SavedDropout::Masks { before, after } = &reference.1.dropout else { panic!("masks are kept") };
                let masks = [before.as_ref(), after.as_ref()];
                let targets = cloned(&reference_parameters);
                let reference_back = backward_aten(&reference.1, masks, &upstream, weight, targets);
                for (ours, reference) in [
                    (&ours.0, &reference.0),
                    (&back.residual, &reference_back.residual),
                    (&back.dense, &reference_back.dense),
                    (&back_parameters[0], &reference_parameters[0]),
                    (&back_parameters[1], &reference_parameters[1]),
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
