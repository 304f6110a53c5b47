//! Clipping by global norm, as `torch.nn.utils.clip_grad_norm_`.
//!
//! The gradients themselves are not changed: the coefficient is part of [`StepScale::gradient_scale`], which the
//! optimizer applies in its pass over memory.
//!
//! [`StepScale::gradient_scale`]: super::StepScale::gradient_scale

use kernels::element::{Bf16, Element};
use kernels::isa::{Isa, LANES, Supported};
use kernels::{multiversion, parallel};
use model::tensor_slice::checked_slice;
use model::{Backend, Gradient, Gradients};
use tch::{Kind, Tensor};

use super::PIECE;
use crate::error::Result;

/// Values per job.
const JOB_SIZE: usize = 1 << 17;
/// Values whose squares are summed in fp32, in [`ACCUMULATORS`] vectors, before that sum is added in fp64.
const FP32_SUM_SIZE: usize = 1 << 12;
/// Independent vectors of sums, enough to hide the latency of an addition.
const ACCUMULATORS: usize = 4;

/// The L2 norm of all gradients together, before any scaling: a caller that averages over `n` accumulated batches
/// divides it by `n`. Zero if there are no gradients.
///
/// It is NaN or infinite if a gradient is, or if a square exceeds the range of fp32; the caller must then skip the
/// step. The order of summation, and therefore every bit of the result, is independent of the number of threads, if the
/// kernels compute it.
pub fn global_norm(gradients: &Gradients, backend: Backend) -> Result<f64> {
    let sum = match backend {
        // By parameter, so that no sum is over values of two of them.
        Backend::Kernels => sum_of_squares(gradients.iter().flatten().map(Gradient::values))?,
        Backend::Libtorch => sum_of_squares_with_tensor_ops(gradients.flat())?,
    };
    Ok(sum.sqrt())
}

/// The factor that reduces a gradient with this norm to `max_norm`, at most 1. `max_norm` must be positive. NaN if the
/// norm is NaN.
pub fn coefficient(norm: f64, max_norm: f64) -> f64 {
    let ratio = max_norm / (norm + 1e-6);
    // `f64::min` would turn NaN into 1.
    if ratio > 1.0 { 1.0 } else { ratio }
}

#[derive(Debug)]
enum GradientValues<'a> {
    Fp32(&'a [f32]),
    Bf16(&'a [Bf16]),
}

fn sum_of_squares<'a>(tensors: impl Iterator<Item = &'a Tensor>) -> Result<f64> {
    let mut chunks = Vec::new();
    for tensor in tensors {
        // SAFETY: gradients are borrowed for this call and nothing writes to them.
        unsafe {
            if tensor.kind() == Kind::BFloat16 {
                chunks.extend(checked_slice(tensor, "a gradient")?.chunks(JOB_SIZE).map(GradientValues::Bf16));
            } else {
                chunks.extend(checked_slice(tensor, "a gradient")?.chunks(JOB_SIZE).map(GradientValues::Fp32));
            }
        }
    }
    let mut sums = vec![0.0; chunks.len()];
    let jobs = chunks.into_iter().zip(&mut sums).collect();
    let isa = Isa::selected();
    parallel::for_each(jobs, |job| run(job, isa));
    Ok(sums.iter().sum())
}

multiversion!(fn run((GradientValues<'_>, &mut f64)) = run_inline);

#[inline(always)]
fn run_inline<const ISA: u8>((values, sum): (GradientValues, &mut f64), _: Supported<ISA>) {
    *sum = match values {
        GradientValues::Fp32(values) => sum_in_fp64(values),
        GradientValues::Bf16(values) => sum_in_fp64(values),
    };
}

// Loops instead of iterator adapters, because closures passed to these would not be compiled for the wider vectors.
#[inline(always)]
fn sum_in_fp64<E: Element>(values: &[E]) -> f64 {
    let mut sum = 0.0;
    for part in values.chunks(FP32_SUM_SIZE) {
        sum += sum_in_fp32(part);
    }
    sum
}

#[inline(always)]
fn sum_in_fp32<E: Element>(values: &[E]) -> f64 {
    let mut sums = [0.0_f32; ACCUMULATORS * LANES];
    let (blocks, rest) = values.as_chunks::<{ ACCUMULATORS * LANES }>();
    for block in blocks {
        for (sum, value) in sums.iter_mut().zip(block) {
            *sum += value.to_f32() * value.to_f32();
        }
    }
    for (sum, value) in sums.iter_mut().zip(rest) {
        *sum += value.to_f32() * value.to_f32();
    }
    let mut total = 0.0;
    for sum in sums {
        total += f64::from(sum);
    }
    total
}

/// A few launches, because the tensors are long. libtorch adds the squares of a norm in fp32, in which a sum of millions
/// loses digits, so each norm is of a row of at most [`FP32_SUM_SIZE`] values, and the last one is of these norms.
fn sum_of_squares_with_tensor_ops<'a>(tensors: impl Iterator<Item = &'a Tensor>) -> Result<f64> {
    let row_norms = |rows: &Tensor| rows.f_norm_scalaropt_dim_dtype(2.0, 1, false, Kind::Float);
    let mut norms = Vec::new();
    for tensor in tensors {
        // Formats other than fp32 may be converted first, so each operation is on a bounded number of values.
        for piece in tensor.f_view(-1)?.f_split(PIECE, 0)? {
            let (length, width) = (piece.numel() as i64, FP32_SUM_SIZE as i64);
            let whole = length / width * width;
            for (start, rows, width) in [(0, length / width, width), (whole, 1, length - whole)] {
                if rows * width > 0 {
                    norms.push(row_norms(&piece.f_narrow(0, start, rows * width)?.f_view([rows, width])?)?);
                }
            }
        }
    }
    if norms.is_empty() {
        return Ok(0.0);
    }
    let norm = Tensor::f_cat(&norms, 0)?.f_norm()?.f_double_value(&[])?;
    Ok(norm * norm)
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::super::tests::generated;
    use super::*;

    /// More than one job, two formats, and their norm.
    fn gradients() -> (Vec<Tensor>, f64) {
        let tensors =
            vec![generated(1, &[300, 517]), generated(2, &[4099]).to_kind(Kind::BFloat16), generated(3, &[3, 8])];
        let square = |tensor: &Tensor| tensor.to_kind(Kind::Double).square().sum(Kind::Double).double_value(&[]);
        let norm = tensors.iter().map(square).sum::<f64>().sqrt();
        (tensors, norm)
    }

    /// The norms by both implementations.
    fn norms(tensors: &[Tensor]) -> [f64; 2] {
        [sum_of_squares(tensors.iter()), sum_of_squares_with_tensor_ops(tensors.iter())]
            .map(|sum| sum.expect("a sum").sqrt())
    }

    #[test]
    fn the_norm_is_over_all_gradients() {
        let (tensors, expected) = gradients();
        for norm in norms(&tensors) {
            assert!((norm / expected - 1.0).abs() < 1e-6, "{norm} against {expected}");
        }
        assert_eq!(norms(&[]), [0.0; 2]);
    }

    /// Longer than one piece of libtorch's operations. In one fp32 sum the small values would be lost.
    #[test]
    fn the_norm_of_long_gradients_is_as_exact_as_that_of_short_ones() {
        for kind in [Kind::Float, Kind::BFloat16] {
            let long = generated(4, &[1 << 20]).repeat([PIECE / (1 << 20) + 1]).narrow(0, 0, PIECE + 77).to_kind(kind);
            let expected = long.to_kind(Kind::Double).norm().double_value(&[]);
            for norm in norms(&[long.shallow_clone()]) {
                assert!((norm / expected - 1.0).abs() < 1e-6, "{kind:?}: {norm} against {expected}");
            }
        }
    }

    /// Of a real model's gradients, whose layout has gaps, and of their sums over two micro-batches.
    #[test]
    fn the_norm_of_a_model_is_that_of_its_parameters_gradients() {
        for (precision, backend) in
            [model::Precision::Fp32, model::Precision::Bf16].into_iter().flat_map(|p| BACKENDS.map(|b| (p, b)))
        {
            let (model, gradients) = crate::optim::tests::tiny_pass(precision, backend);
            let mut sums = Gradients::sums(model.parameters());
            sums.assign(&gradients);
            sums.add(&gradients, backend);
            for (gradients, factor) in [(&gradients, 1.0), (&sums, 2.0)] {
                let norm = global_norm(gradients, backend).expect("a norm");
                let square = |gradient: &Gradient| {
                    gradient.values().to_kind(Kind::Double).square().sum(Kind::Double).double_value(&[])
                };
                let expected = gradients.iter().flatten().map(square).sum::<f64>().sqrt();
                assert!((norm / expected - 1.0).abs() < 1e-6, "{precision}, {backend:?}: {norm} against {expected}");
                let once = global_norm(&crate::optim::tests::tiny_pass(precision, backend).1, backend).expect("one");
                assert!((norm / (factor * once) - 1.0).abs() < 1e-6, "{precision}, {backend:?}: sums of two");
            }
        }
    }

    const BACKENDS: [Backend; 2] = [Backend::Kernels, Backend::Libtorch];

    #[test]
    fn every_instruction_set_and_number_of_threads_gives_the_same_bits() {
        let (tensors, expected) = gradients();
        let threads = tch::get_num_threads();
        let mut norms = Vec::new();
        for isa in Isa::available() {
            for threads in [1, 2, 3] {
                tch::set_num_threads(threads);
                let norm = isa.run(|| sum_of_squares(tensors.iter())).expect("a sum").sqrt();
                assert!((norm / expected - 1.0).abs() < 1e-6, "{isa:?}: {norm} against {expected} in fp64");
                norms.push(norm.to_bits());
            }
        }
        tch::set_num_threads(threads);
        assert!(norms.iter().all(|bits| *bits == norms[0]), "{norms:x?}");
    }

    #[test]
    fn the_norm_is_not_finite_if_a_gradient_is_not() {
        for (value, kind) in [(f64::NAN, Kind::Float), (f64::INFINITY, Kind::BFloat16), (1e30, Kind::Float)] {
            let gradient = Tensor::ones([1000], (kind, Device::Cpu));
            let _ = gradient.get(777).fill_(value);
            for norm in norms(&[gradient]) {
                assert!(!norm.is_finite(), "{value}: {norm}");
            }
        }
    }

    #[test]
    fn the_coefficient_is_at_most_1() {
        assert_eq!(coefficient(0.0, 1.0), 1.0);
        assert_eq!(coefficient(0.5, 1.0), 1.0);
        assert_eq!(coefficient(4.0, 1.0), 1.0 / (4.0 + 1e-6));
        assert_eq!(coefficient(f64::INFINITY, 1.0), 0.0);
        assert!(coefficient(f64::NAN, 1.0).is_nan());
    }
}
