//! Layer normalisation over the last dimension: `y = (x - mean) * rstd * weight + bias` (Ba, Kiros and Hinton 2016).
//!
//! Weights, statistics and sums are fp32 at either precision; only `x` and `y` are in the compute format.

use tch::{Device, Kind, Tensor};

use crate::bf16::{Bf16, Element};
use crate::parameters::{Gradient, Gradients, ParameterId, Parameters};

#[derive(Debug)]
pub(crate) struct LayerNorm {
    weight_id: ParameterId,
    bias_id: ParameterId,
    weight: Tensor,
    bias: Tensor,
    eps: f64,
}

/// What the backward pass needs of a forward pass.
#[derive(Debug)]
pub(crate) struct Saved {
    x: Tensor,
    /// `[R, 1]` fp32.
    mean: Tensor,
    /// `[R, 1]` fp32: one over the standard deviation.
    rstd: Tensor,
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

    /// `[R, D]` to `[R, D]`.
    pub(crate) fn forward(&self, x: Tensor) -> (Tensor, Saved) {
        let normalise =
            |x: &Tensor| x.native_layer_norm(self.weight.size(), Some(&self.weight), Some(&self.bias), self.eps);
        // The CPU kernel mixes bf16 rows with fp32 weights; others want one type.
        let (y, mean, rstd) = if x.device() == Device::Cpu {
            normalise(&x)
        } else {
            let (y, mean, rstd) = normalise(&x.to_kind(Kind::Float));
            (y.to_kind(x.kind()), mean, rstd)
        };
        (y, Saved { x, mean, rstd })
    }

    /// The gradient of `x` from that of `y`, both `[R, D]`; stores those of weight and bias.
    pub(crate) fn backward(
        &self,
        saved: &Saved,
        dy: &Tensor,
        parameters: &Parameters,
        gradients: &mut Gradients,
    ) -> Tensor {
        let (dx, dweight, dbias) = if dy.device() == Device::Cpu {
            backward_cpu(saved, dy, &self.weight)
        } else {
            backward_aten(saved, dy, &self.weight)
        };
        for (id, gradient) in [(self.weight_id, dweight), (self.bias_id, dbias)] {
            if parameters.at(id).trainable() {
                gradients.set(id, Gradient::Dense(gradient));
            }
        }
        dx
    }
}

/// `dx = rstd * (g - mean(g) - xhat * mean(g * xhat))` with `g = dy * weight` and `xhat = (x - mean) * rstd`.
fn backward_aten(saved: &Saved, dy: &Tensor, weight: &Tensor) -> (Tensor, Tensor, Tensor) {
    let dy32 = dy.to_kind(Kind::Float);
    let xhat = (saved.x.to_kind(Kind::Float) - &saved.mean) * &saved.rstd; // [R, D]
    let g = &dy32 * weight; // [R, D]
    let mean = |t: &Tensor| t.mean_dim(-1, true, Kind::Float); // [R, 1]
    let dx = (&g - mean(&g) - &xhat * mean(&(&g * &xhat))) * &saved.rstd; // [R, D]
    let sum = |t: &Tensor| t.sum_dim_intlist(0, false, Kind::Float); // [D]
    (dx.to_kind(dy.kind()), sum(&(&dy32 * &xhat)), sum(&dy32))
}

/// The same in one pass over each row while it is in the cache.
fn backward_cpu(saved: &Saved, dy: &Tensor, weight: &Tensor) -> (Tensor, Tensor, Tensor) {
    let (x, dy) = (saved.x.contiguous(), dy.contiguous());
    let width = weight.numel();
    assert!(x.size() == dy.size() && x.kind() == dy.kind() && width > 0 && x.numel() % width == 0);
    assert!(weight.kind() == Kind::Float && weight.is_contiguous());
    let (mean, rstd) = (saved.mean.to_kind(Kind::Float).contiguous(), saved.rstd.to_kind(Kind::Float).contiguous());
    assert!(mean.numel() == x.numel() / width && rstd.numel() == mean.numel());
    let dx = x.empty_like();
    let dweight = Tensor::zeros([width as i64], (Kind::Float, Device::Cpu));
    let dbias = dweight.zeros_like();
    // SAFETY: all tensors are contiguous CPU tensors of the element types and counts just asserted; the three
    // outputs were allocated here, so no slice overlaps another that is written.
    unsafe {
        fn of<T>(t: &Tensor) -> &[T] {
            unsafe { std::slice::from_raw_parts(t.data_ptr().cast::<T>(), t.numel()) }
        }
        let sums = (
            std::slice::from_raw_parts_mut(dweight.data_ptr().cast::<f32>(), width),
            std::slice::from_raw_parts_mut(dbias.data_ptr().cast::<f32>(), width),
        );
        let (mean, rstd, weight) = (of::<f32>(&mean), of::<f32>(&rstd), of::<f32>(weight));
        match x.kind() {
            Kind::BFloat16 => {
                let dx = std::slice::from_raw_parts_mut(dx.data_ptr().cast::<Bf16>(), x.numel());
                rows(of::<Bf16>(&x), of::<Bf16>(&dy), (mean, rstd, weight), dx, sums);
            }
            kind => {
                assert_eq!(kind, Kind::Float);
                let dx = std::slice::from_raw_parts_mut(dx.data_ptr().cast::<f32>(), x.numel());
                rows(of::<f32>(&x), of::<f32>(&dy), (mean, rstd, weight), dx, sums);
            }
        }
    }
    (dx, dweight, dbias)
}

type Statistics<'a> = (&'a [f32], &'a [f32], &'a [f32]);
type Sums<'a> = (&'a mut [f32], &'a mut [f32]);

fn rows<T: Element>(x: &[T], dy: &[T], statistics: Statistics, dx: &mut [T], sums: Sums) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx512f") && std::arch::is_x86_feature_detected!("avx512bw") {
        // SAFETY: the processor has the features that the function is compiled for.
        return unsafe { rows_avx512(x, dy, statistics, dx, sums) };
    }
    rows_generic(x, dy, statistics, dx, sums);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,fma")]
fn rows_avx512<T: Element>(x: &[T], dy: &[T], statistics: Statistics, dx: &mut [T], sums: Sums) {
    rows_generic(x, dy, statistics, dx, sums);
}

/// Sums are kept in this many lanes, in a fixed order, so that they vectorise and never depend on the processor.
const LANES: usize = 16;

#[inline(always)]
fn rows_generic<T: Element>(x: &[T], dy: &[T], (mean, rstd, weight): Statistics, dx: &mut [T], (dweight, dbias): Sums) {
    let width = weight.len();
    let (dweight, dbias) = (&mut dweight[..width], &mut dbias[..width]);
    let (mut xhat, mut g) = (vec![0f32; width], vec![0f32; width]);
    for (row, dx) in dx.chunks_exact_mut(width).enumerate() {
        let (mean, rstd) = (mean[row], rstd[row]);
        let (x, dy) = (&x[row * width..][..width], &dy[row * width..][..width]);
        for j in 0..width {
            let d = dy[j].to_f32();
            xhat[j] = (x[j].to_f32() - mean) * rstd;
            g[j] = d * weight[j];
            dweight[j] += d * xhat[j];
            dbias[j] += d;
        }
        let (mut sum_g, mut sum_gx) = ([0f32; LANES], [0f32; LANES]);
        for (g, xhat) in g.chunks(LANES).zip(xhat.chunks(LANES)) {
            for (lane, (g, xhat)) in g.iter().zip(xhat).enumerate() {
                sum_g[lane] += g;
                sum_gx[lane] += g * xhat;
            }
        }
        let mean_g = sum_g.iter().sum::<f32>() / width as f32;
        let mean_gx = sum_gx.iter().sum::<f32>() / width as f32;
        for j in 0..width {
            dx[j] = T::from_f32((g[j] - mean_g - xhat[j] * mean_gx) * rstd);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_agrees_with_aten() {
        tch::manual_seed(1);
        for (kind, tolerance) in [(Kind::Float, 1e-5), (Kind::BFloat16, 1e-2)] {
            for width in [1i64, 7, 16, 100, 384] {
                let random = || Tensor::randn([37, width], (Kind::Float, Device::Cpu)).to_kind(kind);
                let (x, dy) = (random(), random());
                let weight = Tensor::randn([width], (Kind::Float, Device::Cpu));
                let (_, mean, rstd) =
                    x.to_kind(Kind::Float).native_layer_norm([width], None::<&Tensor>, None::<&Tensor>, 1e-5);
                let saved = Saved { x, mean, rstd };
                let ours = backward_cpu(&saved, &dy, &weight);
                let reference = backward_aten(&saved, &dy, &weight);
                for (ours, reference) in [(&ours.0, &reference.0), (&ours.1, &reference.1), (&ours.2, &reference.2)] {
                    let scale = f64::try_from(reference.abs().max()).expect("number").max(1.0);
                    let difference = f64::try_from((ours - reference).abs().max()).expect("number");
                    assert!(difference <= tolerance * scale, "{kind:?} width {width}: {difference} of {scale}");
                }
            }
        }
    }
}
