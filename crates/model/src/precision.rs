//! The floating-point format that the passes compute in.

use std::fmt;

use kernels::element::Bf16;
use kernels::matmul::WordFormat;
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

    /// Whether this processor has the instructions with which the kernels multiply this format fast.
    pub(crate) fn has_fast_kernels(self) -> bool {
        match self {
            Precision::Fp32 => f32::has_fast_products(),
            Precision::Bf16 => Bf16::has_fast_products(),
        }
    }

    /// Whether only libtorch uses the processor's fastest instructions for this format: AMX, for bf16.
    pub(crate) fn is_faster_with_libtorch(self) -> bool {
        self == Precision::Bf16 && cpu_has_amx()
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

/// Whether this processor multiplies whole tiles of bf16. By the leaf of `cpuid` that lists it.
fn cpu_has_amx() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        // AMX-BF16: bit 22 of EDX.
        let has_leaf = std::arch::x86_64::__cpuid(0).eax >= 7;
        has_leaf && std::arch::x86_64::__cpuid_count(7, 0).edx & (1 << 22) != 0
    }
    #[cfg(not(target_arch = "x86_64"))]
    false
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
