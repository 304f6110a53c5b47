//! Fresh parameters.

use kernels::dropout::mix64;
use tch::{Device, Kind, Tensor};

use crate::builder::{Initial, ParameterSpec};

/// Makes tensors that depend on the seed and their own name alone, so that adding one never changes another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Initializer {
    seed: u64,
    range: f64,
}

impl Initializer {
    /// `range` is the standard deviation of normal weights, the configuration's `initializer_range`.
    pub(crate) fn new(seed: u64, range: f64) -> Self {
        Self { seed, range }
    }

    /// The fp32 tensor of a parameter, on the CPU.
    pub(crate) fn tensor(&self, spec: &ParameterSpec) -> Tensor {
        let options = (Kind::Float, Device::Cpu);
        match spec.traits.initial {
            Initial::Zeros => Tensor::zeros(&spec.shape, options),
            Initial::Ones => Tensor::ones(&spec.shape, options),
            Initial::Normal => {
                let seed = spec.name.bytes().fold(mix64(self.seed), |hash, byte| mix64(hash ^ u64::from(byte)));
                tch::manual_seed((seed >> 1) as i64);
                Tensor::randn(&spec.shape, options).g_mul_scalar_(self.range)
            }
        }
    }
}
