//! Fresh parameters.

use kernels::dropout::mix64;
use tch::{Device, Kind, Tensor};

use crate::builder::{Initial, ParameterSpec};

/// The fp32 tensor of a fresh parameter, on the CPU. `range` is the standard deviation of normal weights, the configuration's
/// `initializer_range`. It depends on the seed and its own name alone, so that adding a parameter never changes another.
pub(crate) fn fresh(spec: &ParameterSpec, seed: u64, range: f64) -> Tensor {
    let options = (Kind::Float, Device::Cpu);
    match spec.traits.initial {
        Initial::Zeros => Tensor::zeros(&spec.shape, options),
        Initial::Ones => Tensor::ones(&spec.shape, options),
        Initial::Normal => {
            let seed = spec.name.bytes().fold(mix64(seed), |hash, byte| mix64(hash ^ u64::from(byte)));
            tch::manual_seed((seed >> 1) as i64);
            Tensor::randn(&spec.shape, options).g_mul_scalar_(range)
        }
    }
}
