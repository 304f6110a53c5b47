//! Clipping by global norm, as `torch.nn.utils.clip_grad_norm_`.
//!
//! The gradients themselves aren't touched: the coefficient goes into [`StepScale::gradient_scale`] and is applied in
//! the optimizer's own pass over memory.
//!
//! [`StepScale::gradient_scale`]: super::StepScale::gradient_scale

use kernels::element::{Bf16, Element};
use kernels::isa::{Isa, LANES};
use kernels::{multiversion, parallel};
use model::tensor_slice::checked_slice;
use model::{Gradient, Gradients};
use tch::{Device, Kind, Tensor};

use crate::error::Result;

/// Values in a job.
const JOB_SIZE: usize = 1 << 17;
/// Values whose squares are summed in fp32, [`ACCUMULATORS`] blocks of lanes side by side, before they are added up in fp64.
const SUM_SIZE: usize = 1 << 12;
/// Enough independent sums to hide the latency of an addition.
const ACCUMULATORS: usize = 4;

/// The Euclidean norm of all gradients together, before any scaling: a caller that averages over `n` accumulated
/// batches divides it by `n`. Zero where there is no gradient.
///
/// It is NaN or infinite where a gradient is, or where its square exceeds fp32's range; the caller then must not take
/// the step. The sum's order doesn't depend on the number of threads, and neither do its bits.
pub fn global_norm(gradients: &Gradients) -> Result<f64> {
    let tensors = gradients.0.iter().flatten().map(|gradient| match gradient {
        Gradient::Dense(gradient) => gradient,
        Gradient::Rows { values, .. } => values,
    });
    let (here, elsewhere): (Vec<&Tensor>, Vec<&Tensor>) = tensors.partition(|tensor| tensor.device() == Device::Cpu);
    Ok((sum_of_squares(&here)? + sum_of_squares_by_operations(&elsewhere)?).sqrt())
}

/// The factor that brings a gradient of that norm down to `max_norm`, and 1 for one that is shorter. `max_norm` is
/// positive. NaN for a norm of NaN.
pub fn coefficient(norm: f64, max_norm: f64) -> f64 {
    let ratio = max_norm / (norm + 1e-6);
    // Not `min`, which would turn NaN into 1.
    if ratio > 1.0 { 1.0 } else { ratio }
}

#[derive(Debug)]
enum GradientValues<'a> {
    Fp32(&'a [f32]),
    Bf16(&'a [Bf16]),
}

fn sum_of_squares(tensors: &[&Tensor]) -> Result<f64> {
    let mut pieces = Vec::new();
    for tensor in tensors {
        // SAFETY: gradients are lent for this call and nothing writes to them.
        unsafe {
            if tensor.kind() == Kind::BFloat16 {
                pieces.extend(checked_slice(tensor, "a gradient")?.chunks(JOB_SIZE).map(GradientValues::Bf16));
            } else {
                pieces.extend(checked_slice(tensor, "a gradient")?.chunks(JOB_SIZE).map(GradientValues::Fp32));
            }
        }
    }
    let mut sums = vec![0.0; pieces.len()];
    let jobs = pieces.into_iter().zip(&mut sums).collect();
    let isa = Isa::best();
    parallel::for_each(jobs, |job| run(job, isa));
    Ok(sums.iter().sum())
}

multiversion!(fn run((GradientValues<'_>, &mut f64)) = run_inline);

#[inline(always)]
fn run_inline<const ISA: u8>((values, sum): (GradientValues, &mut f64)) {
    *sum = match values {
        GradientValues::Fp32(values) => sum_in_fp64(values),
        GradientValues::Bf16(values) => sum_in_fp64(values),
    };
}

// Plain loops: a function handed to an iterator would be compiled without the wider vectors.
#[inline(always)]
fn sum_in_fp64<E: Element>(values: &[E]) -> f64 {
    let mut sum = 0.0;
    for part in values.chunks(SUM_SIZE) {
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

fn sum_of_squares_by_operations(tensors: &[&Tensor]) -> Result<f64> {
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
    use super::*;

    fn gradients() -> (Gradients, f64) {
        let dense = Tensor::randn([300, 517], (Kind::Float, Device::Cpu)) * 0.1;
        let rounded = Tensor::randn([4099], (Kind::Float, Device::Cpu)).to_kind(Kind::BFloat16);
        let values = Tensor::randn([3, 8], (Kind::Float, Device::Cpu));
        let square = |tensor: &Tensor| tensor.to_kind(Kind::Double).square().sum(Kind::Double).double_value(&[]);
        let norm = (square(&dense) + square(&rounded) + square(&values)).sqrt();
        let rows = Gradient::Rows { ids: Tensor::from_slice(&[0_i64, 4, 9]), values };
        (Gradients(vec![Some(Gradient::Dense(dense)), None, Some(Gradient::Dense(rounded)), Some(rows)]), norm)
    }

    #[test]
    fn the_norm_is_that_of_all_gradients_together() {
        let (gradients, expected) = gradients();
        let norm = global_norm(&gradients).expect("a norm");
        assert!((norm / expected - 1.0).abs() < 1e-6, "{norm} against {expected}");
        assert_eq!(global_norm(&Gradients(vec![None])).expect("a norm"), 0.0);
    }

    #[test]
    fn both_ways_to_sum_agree() {
        let (gradients, _) = gradients();
        let Some(Some(Gradient::Dense(dense))) = gradients.0.first() else { panic!("the first one is dense") };
        let tensors = [dense, &dense.to_kind(Kind::BFloat16)];
        let sum = sum_of_squares(&tensors).expect("a sum");
        let by_operations = sum_of_squares_by_operations(&tensors).expect("a sum");
        assert!((sum / by_operations - 1.0).abs() < 1e-5, "{sum} against {by_operations}");
    }

    #[test]
    fn a_gradient_that_is_not_finite_shows_in_the_norm() {
        for (value, kind) in [(f64::NAN, Kind::Float), (f64::INFINITY, Kind::BFloat16), (1e30, Kind::Float)] {
            let spoilt = Tensor::ones([1000], (kind, Device::Cpu));
            let _ = spoilt.get(777).fill_(value);
            let norm = global_norm(&Gradients(vec![Some(Gradient::Dense(spoilt))])).expect("a norm");
            assert!(!norm.is_finite(), "{value}: {norm}");
        }
    }

    #[test]
    fn the_coefficient_only_ever_shortens() {
        assert_eq!(coefficient(0.0, 1.0), 1.0);
        assert_eq!(coefficient(0.5, 1.0), 1.0);
        assert_eq!(coefficient(4.0, 1.0), 1.0 / (4.0 + 1e-6));
        assert_eq!(coefficient(f64::INFINITY, 1.0), 0.0);
        assert!(coefficient(f64::NAN, 1.0).is_nan());
    }
}
