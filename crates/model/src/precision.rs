//! The floating-point format that the passes compute in.

use std::fmt;

use serde::{Deserialize, Serialize};
use tch::{Device, Kind};

use crate::gpu::GpuModel;

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

    /// What the user should know about this choice on a GPU without native bf16: `auto` is fp32 there, and `bf16` slow.
    pub fn note(self, device: Device) -> Option<String> {
        match device {
            Device::Cuda(_) => self.note_on_gpu(GpuModel::of(device).as_ref()),
            _ => None,
        }
    }

    fn note_on_gpu(self, gpu: Option<&GpuModel>) -> Option<String> {
        let reason = match gpu {
            Some(gpu) if gpu.has_native_bf16() => return None,
            Some(gpu) => format!("{gpu} has no native bf16, which begins with compute capability 8.0"),
            None => "NVIDIA's driver does not say whether this GPU has native bf16".to_owned(),
        };
        match self {
            Self::Auto => Some(format!("computing in fp32: {reason}")),
            Self::Bf16 => {
                Some(format!("bf16 may be several times slower than fp32: {reason} (hint: --precision fp32, or auto)"))
            }
            Self::Fp32 => None,
        }
    }
}

impl Precision {
    /// bf16 if the device multiplies it natively (CUDA from compute capability 8.0, AVX512-BF16), otherwise fp32.
    pub fn auto(device: Device) -> Self {
        match device {
            Device::Cuda(_) => Self::auto_on_gpu(GpuModel::of(device).as_ref()),
            _ if cpu_has_bf16() => Precision::Bf16,
            _ => Precision::Fp32,
        }
    }

    /// fp32 also where the driver does not say which GPU it is.
    fn auto_on_gpu(gpu: Option<&GpuModel>) -> Self {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bf16_is_the_default_only_of_gpus_that_have_it() {
        let gpu = |major, minor| GpuModel { name: "A GPU".into(), capability: (major, minor) };
        for (gpu, auto) in [(gpu(7, 5), Precision::Fp32), (gpu(8, 0), Precision::Bf16), (gpu(12, 0), Precision::Bf16)] {
            assert_eq!(Precision::auto_on_gpu(Some(&gpu)), auto, "{gpu}");
            let note = |choice: PrecisionChoice| choice.note_on_gpu(Some(&gpu));
            assert_eq!(note(PrecisionChoice::Auto).is_some(), auto == Precision::Fp32, "{gpu}: a fallback is said");
            assert_eq!(note(PrecisionChoice::Bf16).is_some(), auto == Precision::Fp32, "{gpu}: slow bf16 is said");
            assert_eq!(note(PrecisionChoice::Fp32), None);
        }
        assert_eq!(
            PrecisionChoice::Auto.note_on_gpu(Some(&gpu(7, 5))).unwrap(),
            "computing in fp32: A GPU (compute capability 7.5) has no native bf16, which begins with compute capability 8.0"
        );
        assert_eq!(Precision::auto_on_gpu(None), Precision::Fp32);
        assert!(PrecisionChoice::Auto.note_on_gpu(None).is_some());
        assert_eq!(PrecisionChoice::Auto.note(Device::Cpu), None);
    }
}
