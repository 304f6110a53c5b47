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
    let tensors = gradients.0.iter().flatten().map(|gradient| match gradient {
        Gradient::Dense(gradient) => gradient,
        Gradient::Rows { values, .. } => values,
    });
    let tensors: Vec<&Tensor> = tensors.collect();
    let sum = match backend {
        Backend::Kernels => sum_of_squares(&tensors)?,
        Backend::Libtorch => sum_of_squares_with_tensor_ops(&tensors)?,
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

fn sum_of_squares(tensors: &[&Tensor]) -> Result<f64> {
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

fn sum_of_squares_with_tensor_ops(tensors: &[&Tensor]) -> Result<f64> {
    if tensors.is_empty() {
        return Ok(0.0);
    }
    let norms = tensors
        .iter()
        .map(|tensor| Ok(tensor.f_norm_scalaropt_dtype(2.0, Kind::Float)?))
        .collect::<Result<Vec<_>>>()?;
    let norm = Tensor::f_stack(&norms, 0)?.f_norm()?.f_double_value(&[])?;
    Ok(norm * norm)
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::super::tests::generated;
    use super::*;

    const BACKENDS: [Backend; 2] = [Backend::Kernels, Backend::Libtorch];

    fn gradients() -> (Gradients, f64) {
        // More than one job.
        let dense = generated(1, &[300, 517]);
        let rounded = generated(2, &[4099]).to_kind(Kind::BFloat16);
        let values = generated(3, &[3, 8]);
        let square = |tensor: &Tensor| tensor.to_kind(Kind::Double).square().sum(Kind::Double).double_value(&[]);
        let norm = (square(&dense) + square(&rounded) + square(&values)).sqrt();
        let rows = Gradient::Rows { ids: Tensor::from_slice(&[0_i64, 4, 9]), values };
        (Gradients(vec![Some(Gradient::Dense(dense)), None, Some(Gradient::Dense(rounded)), Some(rows)]), norm)
    }

    #[test]
    fn the_norm_is_over_all_gradients() {
        let (gradients, expected) = gradients();
        for backend in BACKENDS {
            let norm = global_norm(&gradients, backend).expect("a norm");
            assert!((norm / expected - 1.0).abs() < 1e-6, "{backend:?}: {norm} against {expected}");
            assert_eq!(global_norm(&Gradients(vec![None]), backend).expect("a norm"), 0.0);
        }
    }

    #[test]
    fn every_instruction_set_and_number_of_threads_gives_the_same_bits() {
        let (gradients, expected) = gradients();
        let threads = tch::get_num_threads();
        let mut norms = Vec::new();
        for isa in Isa::available() {
            for threads in [1, 2, 3] {
                tch::set_num_threads(threads);
                let norm = isa.run(|| global_norm(&gradients, Backend::Kernels)).expect("a norm");
                assert!((norm / expected - 1.0).abs() < 1e-6, "{isa:?}: {norm} against {expected} in fp64");
                norms.push(norm.to_bits());
            }
        }
        tch::set_num_threads(threads);
        assert!(norms.iter().all(|bits| *bits == norms[0]), "{norms:x?}");
    }

    #[test]
    fn both_implementations_give_the_same_sum() {
        let (gradients, _) = gradients();
        let Some(Some(Gradient::Dense(dense))) = gradients.0.first() else { panic!("the first one is dense") };
        let tensors = [dense, &dense.to_kind(Kind::BFloat16)];
        let sum = sum_of_squares(&tensors).expect("a sum");
        let with_tensor_ops = sum_of_squares_with_tensor_ops(&tensors).expect("a sum");
        assert!((sum / with_tensor_ops - 1.0).abs() < 1e-5, "{sum} against {with_tensor_ops}");
    }

    #[test]
    fn the_norm_is_not_finite_if_a_gradient_is_not() {
        for (value, kind) in [(f64::NAN, Kind::Float), (f64::INFINITY, Kind::BFloat16), (1e30, Kind::Float)] {
            let gradient = Tensor::ones([1000], (kind, Device::Cpu));
            let _ = gradient.get(777).fill_(value);
            let gradients = Gradients(vec![Some(Gradient::Dense(gradient))]);
            for backend in BACKENDS {
                let norm = global_norm(&gradients, backend).expect("a norm");
                assert!(!norm.is_finite(), "{backend:?}, {value}: {norm}");
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
