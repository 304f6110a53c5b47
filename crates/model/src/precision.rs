//! The floating-point format that the passes compute in.

use std::fmt;

use serde::{Deserialize, Serialize};
use tch::Kind;

use crate::gpu::GpuModel;

/// Format of the compute weights and activations. Master weights and optimizer state are always fp32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    Fp32,
    /// bfloat16 weights and activations; statistics of norms and all sums in fp32.
    Bf16,
}

impl Precision {
    /// bf16 if the GPU multiplies it natively, which begins with compute capability 8.0; fp32 also where the driver does not
    /// say which GPU it is.
    pub(crate) fn auto_on_gpu(gpu: Option<&GpuModel>) -> Self {
        match gpu {
            Some(gpu) if gpu.has_native_bf16() => Precision::Bf16,
            _ => Precision::Fp32,
        }
    }

    /// The format of this name, as it is displayed.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Fp32, Self::Bf16].into_iter().find(|precision| precision.to_string() == name)
    }

    pub(crate) fn kind(self) -> Kind {
        match self {
            Precision::Fp32 => Kind::Float,
            Precision::Bf16 => Kind::BFloat16,
        }
    }
}

/// `fp32` or `bf16`.
impl fmt::Display for Precision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Precision::Fp32 => "fp32",
            Precision::Bf16 => "bf16",
        })
    }
}

/// Whether this processor has instructions for bf16 products, fast or slow. Every one with AMX has AVX512-BF16 too, so one
/// flag answers for both.
pub(crate) fn cpu_has_bf16() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx512bf16");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// PyTorch's name of a number format, such as `float32`.
pub fn dtype_name(kind: Kind) -> String {
    match kind {
        Kind::Float => "float32".to_owned(),
        Kind::Double => "float64".to_owned(),
        Kind::Half => "float16".to_owned(),
        Kind::BFloat16 => "bfloat16".to_owned(),
        other => format!("{other:?}").to_lowercase(),
    }
}
