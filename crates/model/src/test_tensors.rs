//! Random tensors for tests that depend only on their seed. libtorch's generator is shared by all threads, so other
//! tests would change its numbers.

use kernels::dropout::mix64;
use tch::Tensor;

/// Approximately normal numbers (sums of twelve uniform ones) of mean 0 and standard deviation 1, fp32 on the CPU.
pub(crate) fn normal(shape: &[i64], seed: u64) -> Tensor {
    let uniform = |at: u64| mix64(mix64(seed) ^ at) as f64 / 2_f64.powi(64);
    let normal = |at: u64| ((12 * at..12 * at + 12).map(uniform).sum::<f64>() - 6.0) as f32;
    let numbers: Vec<f32> = (0..shape.iter().product::<i64>() as u64).map(normal).collect();
    Tensor::from_slice(&numbers).view(shape)
}
