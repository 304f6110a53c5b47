//! What computes a model's passes and its optimizer's updates: the CPU kernels, or libtorch's operations.
//!
//! Devices other than a CPU have libtorch's operations only. `VERDICT_KERNELS=off` selects these on a CPU too, so that
//! everything that runs on such a device can be tested without one. Every place that has two implementations asks the
//! [`Backend`] of its [`Parameters`](crate::Parameters), which is chosen when a model is created. Questions about where
//! a tensor's memory is (files, slices, the allocator) are about its device instead.

use std::ffi::OsStr;

use tch::Device;

use crate::error::ModelError;

/// `off`: no kernels, on a CPU either.
const VARIABLE: &str = "VERDICT_KERNELS";

/// What computes passes and updates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// The kernels of `crates/kernels`, on packed rows. Only on a CPU.
    Kernels,
    /// libtorch's operations, with padded attention and libtorch's generator for dropout. On every device.
    Libtorch,
}

impl Backend {
    /// What computes on a device: the kernels on a CPU unless `VERDICT_KERNELS` is `off`, libtorch everywhere else.
    ///
    /// # Errors
    /// [`ModelError::Kernels`] if the variable has another value than `on` or `off`.
    pub fn on(device: Device) -> Result<Self, ModelError> {
        let kernels = kernels_enabled(std::env::var_os(VARIABLE).as_deref())?;
        Ok(if kernels && device == Device::Cpu { Self::Kernels } else { Self::Libtorch })
    }

    /// `kernels` or `libtorch`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kernels => "kernels",
            Self::Libtorch => "libtorch",
        }
    }

    /// What to tell the user, and to record with the results, if a CPU computes without the kernels.
    pub fn note(self, device: Device) -> Option<String> {
        (self == Self::Libtorch && device == Device::Cpu).then(|| {
            format!(
                "{VARIABLE}=off: computed on the CPU with libtorch's operations, as on other devices; slower, with more \
                 memory than estimated, and other results in the last digits"
            )
        })
    }
}

fn kernels_enabled(value: Option<&OsStr>) -> Result<bool, ModelError> {
    match value.map(|value| value.to_str()) {
        None | Some(Some("" | "on")) => Ok(true),
        Some(Some("off")) => Ok(false),
        _ => Err(ModelError::Kernels { found: value.unwrap_or_default().to_string_lossy().into_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_on_and_off_are_understood() {
        let enabled = |value: Option<&str>| kernels_enabled(value.map(OsStr::new)).map_err(|error| error.to_string());
        assert_eq!([None, Some(""), Some("on"), Some("off")].map(enabled), [true, true, true, false].map(Ok));
        for other in ["0", "OFF", "false"] {
            let error = enabled(Some(other)).expect_err("refused");
            assert!(error.contains(VARIABLE) && error.contains(other) && error.contains("hint:"), "{error}");
        }
    }

    #[test]
    fn other_devices_have_no_kernels_and_only_a_cpu_without_them_is_worth_a_note() {
        assert_eq!(Backend::on(Device::Cuda(0)).expect("valid"), Backend::Libtorch);
        assert_eq!(Backend::Libtorch.note(Device::Cuda(0)), None);
        assert_eq!(Backend::Kernels.note(Device::Cpu), None);
        assert!(Backend::Libtorch.note(Device::Cpu).is_some_and(|note| note.contains("VERDICT_KERNELS=off")));
    }
}
