//! Initialization of parameters.

use kernels::dropout::mix64;
use tch::{Device, Kind, Tensor};

use crate::builder::{Initial, ParameterSpec};
use crate::generator::draw_with_seed;

/// The initial fp32 tensor of a parameter, on the CPU. `range` is the standard deviation of normal weights, the
/// configuration's `initializer_range`. The values depend only on the seed and the parameter's name, so that adding a
/// parameter never changes another.
pub(crate) fn initialize(spec: &ParameterSpec, seed: u64, range: f64) -> Tensor {
    let options = (Kind::Float, Device::Cpu);
    match spec.traits.initial {
        Initial::Zeros => Tensor::zeros(&spec.shape, options),
        Initial::Ones => Tensor::ones(&spec.shape, options),
        Initial::Normal => {
            let seed = spec.name.bytes().fold(mix64(seed), |hash, byte| mix64(hash ^ u64::from(byte)));
            draw_with_seed(seed, || Tensor::randn(&spec.shape, options)).g_mul_scalar_(range)
        }
    }
}
