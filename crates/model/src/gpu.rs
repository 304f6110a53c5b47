//! A GPU's name and compute capability, from NVIDIA's driver: libtorch's C interface passes neither on.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::fmt;

use tch::Device;

/// The library of NVIDIA's driver, which is installed with the driver itself.
const DRIVER_LIBRARY: &CStr = c"libcuda.so.1";

/// `CUdevice_attribute`s of the compute capability.
const CAPABILITY_MAJOR: c_int = 75;
const CAPABILITY_MINOR: c_int = 76;

/// The model of a GPU. Two GPUs of one model run the same code with the same grid of threads, so they round alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpuModel {
    /// Its product name, such as `NVIDIA H100 80GB HBM3`.
    pub name: String,
    /// Its compute capability, such as (9, 0).
    pub capability: (i32, i32),
}

impl GpuModel {
    /// The model of a CUDA device; `None` for other devices, and where the driver does not answer.
    pub fn of(device: Device) -> Option<Self> {
        match device {
            Device::Cuda(index) => Driver::open(DRIVER_LIBRARY)?.gpu(c_int::try_from(index).ok()?),
            _ => None,
        }
    }

    /// Whether it multiplies bf16 in hardware. Older ones compute it in fp32, with conversions, several times slower.
    pub fn has_native_bf16(&self) -> bool {
        self.capability >= (8, 0)
    }
}

/// `NVIDIA H100 80GB HBM3 (compute capability 9.0)`
impl fmt::Display for GpuModel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor) = self.capability;
        write!(formatter, "{} (compute capability {major}.{minor})", self.name)
    }
}

/// Functions of the driver's library. Their signatures are the same in all its versions.
struct Driver {
    device_get: unsafe extern "C" fn(*mut c_int, c_int) -> c_int,
    device_get_name: unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int,
    device_get_attribute: unsafe extern "C" fn(*mut c_int, c_int, c_int) -> c_int,
}

impl Driver {
    /// Loads and initializes the library.
    #[cfg(unix)]
    fn open(library: &CStr) -> Option<Self> {
        // SAFETY: the name is a C string. The library is the system's own; its constructors have no preconditions, and
        // it stays loaded.
        let handle = unsafe { libc::dlopen(library.as_ptr(), libc::RTLD_NOW) };
        let address = |name: &CStr| {
            // SAFETY: the handle was just opened and is not null, and the name is a C string.
            let address = unsafe { libc::dlsym(handle, name.as_ptr()) };
            (!address.is_null()).then_some(address)
        };
        if handle.is_null() {
            return None;
        }
        type OfDevice<T> = unsafe extern "C" fn(*mut T, c_int, c_int) -> c_int;
        // SAFETY: the driver's interface defines the functions of these names with these signatures.
        let (init, driver) = unsafe {
            let init = std::mem::transmute::<*mut c_void, unsafe extern "C" fn(c_uint) -> c_int>(address(c"cuInit")?);
            let device_get = address(c"cuDeviceGet")?;
            let driver = Self {
                device_get: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut c_int, c_int) -> c_int>(
                    device_get,
                ),
                device_get_name: std::mem::transmute::<*mut c_void, OfDevice<c_char>>(address(c"cuDeviceGetName")?),
                device_get_attribute: std::mem::transmute::<*mut c_void, OfDevice<c_int>>(address(
                    c"cuDeviceGetAttribute",
                )?),
            };
            (init, driver)
        };
        // SAFETY: 0 is the only value that the argument may have; to initialize twice is allowed.
        (unsafe { init(0) } == 0).then_some(driver)
    }

    #[cfg(not(unix))]
    fn open(_: &CStr) -> Option<Self> {
        None
    }

    /// The model of the device of this number, counted as libtorch does: among those in `CUDA_VISIBLE_DEVICES`.
    fn gpu(&self, index: c_int) -> Option<GpuModel> {
        let mut device = 0;
        // SAFETY: the result is written to a variable that outlives the call; the library is initialized.
        if unsafe { (self.device_get)(&raw mut device, index) } != 0 {
            return None;
        }
        let mut bytes = [0u8; 256];
        // SAFETY: the driver writes at most as many bytes as it is told that there are, the last of them a zero.
        if unsafe { (self.device_get_name)(bytes.as_mut_ptr().cast(), bytes.len() as c_int, device) } != 0 {
            return None;
        }
        let name = CStr::from_bytes_until_nul(&bytes).ok()?.to_string_lossy().trim().to_owned();
        let attribute = |attribute| {
            let mut value = 0;
            // SAFETY: the result is written to a variable that outlives the call, and the driver returned the device.
            (unsafe { (self.device_get_attribute)(&raw mut value, attribute, device) } == 0).then_some(value)
        };
        Some(GpuModel { name, capability: (attribute(CAPABILITY_MAJOR)?, attribute(CAPABILITY_MINOR)?) })
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::ffi::CString;
    use std::process::Command;

    use super::*;

    /// A driver with two devices, whose own numbers begin at 7.
    const DRIVER: &str = r#"
        #include <stdio.h>
        static int initialized;
        int cuInit(unsigned flags) { initialized = flags == 0; return 0; }
        int cuDeviceGet(int *device, int index) {
            if (!initialized) return 3;
            if (index > 1) return 101;
            *device = 7 + index;
            return 0;
        }
        int cuDeviceGetName(char *name, int size, int device) {
            snprintf(name, size, device == 7 ? "NVIDIA T4" : "NVIDIA A100-SXM4-40GB");
            return 0;
        }
        int cuDeviceGetAttribute(int *value, int attribute, int device) {
            int major = attribute == 75;
            if (!major && attribute != 76) return 1;
            *value = device == 7 ? (major ? 7 : 5) : (major ? 8 : 0);
            return 0;
        }"#;

    #[test]
    fn name_and_capability_are_those_of_the_driver() {
        let folder = tempfile::tempdir().unwrap();
        let (source, library) = (folder.path().join("driver.c"), folder.path().join("libdriver.so"));
        std::fs::write(&source, DRIVER).unwrap();
        let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).status();
        assert!(built.expect("the compiler that building needs").success());
        let driver = Driver::open(&CString::new(library.to_str().unwrap()).unwrap()).expect("it loads");
        let (old, new) = (driver.gpu(0).unwrap(), driver.gpu(1).unwrap());
        assert_eq!(old.to_string(), "NVIDIA T4 (compute capability 7.5)");
        assert_eq!(new, GpuModel { name: "NVIDIA A100-SXM4-40GB".into(), capability: (8, 0) });
        assert_eq!((old.has_native_bf16(), new.has_native_bf16()), (false, true));
        assert_eq!(driver.gpu(2), None);
    }

    #[test]
    fn without_a_driver_there_is_no_model() {
        assert!(Driver::open(c"libno-such-driver.so").is_none());
        assert!(Driver::open(c"libm.so.6").is_none(), "a library without these functions");
        assert_eq!(GpuModel::of(Device::Cpu), None);
    }
}
