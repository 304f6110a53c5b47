//! The floating-point format that the passes compute in.

use std::fmt;

use serde::{Deserialize, Serialize};
use tch::{Device, Kind};

/// Format of the compute weights and activations. Master weights and optimizer state are always fp32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    Fp32,
    /// bfloat16 weights and activations; statistics of norms and all sums in fp32.
    Bf16,
}

/// The number format that the model computes in, as the user chooses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum PrecisionChoice {
    /// bf16 if the device supports it natively, otherwise fp32.
    #[default]
    Auto,
    /// 32-bit floats throughout.
    #[value(aliases = ["f32", "float32"])]
    Fp32,
    /// bfloat16 compute with 32-bit master weights.
    #[value(aliases = ["bfloat16"])]
    Bf16,
}

impl PrecisionChoice {
    pub fn on(self, device: Device) -> Precision {
        match self {
            Self::Auto => Precision::auto(device),
            Self::Fp32 => Precision::Fp32,
            Self::Bf16 => Precision::Bf16,
        }
    }
}

impl Precision {
    /// bf16 if the device multiplies it natively (CUDA, AVX512-BF16), otherwise fp32.
    pub fn auto(device: Device) -> Self {
        match device {
            Device::Cuda(_) => Precision::Bf16,
            _ if cpu_has_bf16() => Precision::Bf16,
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

// Every processor with AMX has AVX512-BF16 too, so one flag answers for both.
fn cpu_has_bf16() -> bool {
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
