//! What a run computes on and in: device and number format of what was chosen.

use model::cuda_device;
use tch::Device;

use crate::error::Result;
use crate::options::{DeviceChoice, Precision};

/// The device of a choice.
///
/// # Errors
/// CUDA asked for by name and not usable: never quietly the CPU.
pub fn device(choice: DeviceChoice) -> Result<Device> {
    match choice {
        DeviceChoice::Cpu => Ok(Device::Cpu),
        DeviceChoice::Auto => Ok(Device::cuda_if_available()),
        DeviceChoice::Cuda => Ok(cuda_device()?),
    }
}

/// The number format of a choice on a device.
pub fn precision(choice: Precision, device: Device) -> model::Precision {
    match choice {
        Precision::Auto => model::Precision::auto(device),
        Precision::Fp32 => model::Precision::Fp32,
        Precision::Bf16 => model::Precision::Bf16,
    }
}
