//! The device that computes.

use tch::Device;

use crate::cuda_findings::CudaFindings;
use crate::error::ModelError;

/// Where the model computes, as the user chooses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum DeviceChoice {
    /// The first CUDA device where there is a usable one, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The first CUDA device; an error where there is none.
    #[value(aliases = ["gpu"])]
    Cuda,
}

impl DeviceChoice {
    ///
    /// # Errors
    /// [`ModelError::NoCuda`] where CUDA is chosen by name and not usable: never quietly the CPU.
    pub fn device(self) -> Result<Device, ModelError> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Auto => Ok(Device::cuda_if_available()),
            Self::Cuda if tch::Cuda::is_available() => Ok(Device::Cuda(0)),
            Self::Cuda => Err(ModelError::NoCuda(Box::new(CudaFindings::gather()))),
        }
    }
}

/// `cpu` or `cuda:0`.
pub fn device_name(device: Device) -> String {
    match device {
        Device::Cuda(index) => format!("cuda:{index}"),
        Device::Cpu => "cpu".to_owned(),
        Device::Mps => "mps".to_owned(),
        Device::Vulkan => "vulkan".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_gpu_cuda_is_never_the_cpu() {
        match DeviceChoice::Cuda.device() {
            Ok(device) => assert_eq!(device_name(device), "cuda:0"),
            Err(error) => assert!(error.to_string().starts_with("--device cuda is not available: "), "{error}"),
        }
        assert_eq!(device_name(Device::Cpu), "cpu");
    }
}
