//! Fresh parameters as Hugging Face's BERT starts them: weights normal with `initializer_range`, biases zero, norms one.

use tch::{Device, Kind, Tensor};

use kernels::dropout::mix64;

/// Makes tensors that depend on the seed and their own name alone, so that adding one never changes another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Initialiser {
    seed: u64,
    range: f64,
}

impl Initialiser {
    pub(crate) fn new(seed: u64, range: f64) -> Self {
        Self { seed, range }
    }

    /// The fp32 tensor of that name, on the CPU.
    pub(crate) fn tensor(&self, name: &str, shape: &[i64]) -> Tensor {
        let options = (Kind::Float, Device::Cpu);
        if name.ends_with(".bias") {
            return Tensor::zeros(shape, options);
        }
        if name.contains("LayerNorm") {
            return Tensor::ones(shape, options);
        }
        let seed = name.bytes().fold(mix64(self.seed), |hash, byte| mix64(hash ^ u64::from(byte)));
        tch::manual_seed((seed >> 1) as i64);
        Tensor::randn(shape, options).g_mul_scalar_(self.range)
    }
}
