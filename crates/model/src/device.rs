//! The device to compute on.

use tch::Device;

use crate::backend::Backend;
use crate::cuda_findings::CudaFindings;
use crate::error::ModelError;

/// Where the model computes, as the user chooses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum DeviceChoice {
    /// The first CUDA device if one is usable, otherwise the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The first CUDA device; an error if there is none.
    #[value(aliases = ["gpu"])]
    Cuda,
}

impl DeviceChoice {
    /// The device to compute on.
    ///
    /// # Errors
    /// [`ModelError::NoCuda`] if CUDA is requested by name but not usable: there is no silent fallback to the CPU;
    /// [`ModelError::Kernels`] if [`Backend::on`] that device is not defined.
    pub fn device(self) -> Result<Device, ModelError> {
        let device = match self {
            Self::Cpu => Device::Cpu,
            Self::Auto => Device::cuda_if_available(),
            Self::Cuda if tch::Cuda::is_available() => Device::Cuda(0),
            Self::Cuda => return Err(ModelError::NoCuda(Box::new(CudaFindings::gather()))),
        };
        Backend::on(device)?;
        Ok(device)
    }

    /// What the user should know about the device that this choice led to: that a GPU is present and not used, and why.
    pub fn note(self, device: Device) -> Option<String> {
        match (self, device) {
            (Self::Auto, Device::Cpu) => CudaFindings::gather().unused_gpu(),
            _ => None,
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
