//! The peak memory of a GPU, which libtorch's allocator counts. `cpp/device_memory.cpp` asks it.

use tch::Device;

unsafe extern "C" {
    fn torch_ext_peak_reserved_bytes(device_type: i8, index: i8) -> i64;
}

/// `c10::DeviceType::CUDA`.
const CUDA: i8 = 1;

/// The most bytes of a GPU's memory that this process has held for tensors, as `torch.cuda.max_memory_reserved`; `None`
/// for a CPU and for a GPU that isn't in use. CUDA's own code and buffers come on top.
pub fn peak_device_memory(device: Device) -> Option<u64> {
    let Device::Cuda(index) = device else { return None };
    let index = i8::try_from(index).ok()?;
    // SAFETY: the function takes any two numbers, catches every exception and changes nothing.
    let bytes = unsafe { torch_ext_peak_reserved_bytes(CUDA, index) };
    u64::try_from(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_gpu_in_use_has_a_peak() {
        assert_eq!(peak_device_memory(Device::Cpu), None);
        if tch::Cuda::is_available() {
            let tensor = tch::Tensor::zeros([1 << 20], (tch::Kind::Float, Device::Cuda(0)));
            let held = peak_device_memory(Device::Cuda(0)).unwrap();
            assert!(held >= 4 << 20, "{held} bytes for {tensor:?}");
        } else {
            assert_eq!(peak_device_memory(Device::Cuda(0)), None, "no allocator of CUDA is registered");
        }
        assert_eq!(peak_device_memory(Device::Cuda(1000)), None);
    }

    /// The CPU has an allocator that counts nothing.
    #[test]
    fn an_allocator_without_statistics_is_unknown() {
        // SAFETY: the function takes any numbers and changes nothing.
        assert_eq!(unsafe { torch_ext_peak_reserved_bytes(0, 0) }, -1);
    }
}
