//! Why a GPU is not used: which of the requirements of CUDA this machine meets.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// Tests: the folder that stands for `/` where a GPU is looked for.
const SYSTEM_ROOT: &str = "VERDICT_SYSTEM_ROOT";

/// The oldest driver for CUDA 13, which is the CUDA of the build that `cargo xtask setup --cuda` installs.
const CUDA_13_DRIVER: &str = "580.65";
/// The oldest driver for CUDA 12, for which PyTorch publishes builds beside its default.
const CUDA_12_DRIVER: &str = "525.60";

/// What a machine has of everything that CUDA requires. Its `Display` lists each item, with a hint for what is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CudaFindings {
    /// Version of the loaded NVIDIA driver, such as `570.86.15`; `None` if none is loaded.
    pub driver: Option<String>,
    /// The graphics cards' device files, in order: `/dev/nvidia0` and so on.
    pub devices: Vec<String>,
    /// How many NVIDIA graphics cards are on the PCI bus, whether or not a driver is loaded for them.
    pub pci_devices: usize,
    /// The value of `CUDA_VISIBLE_DEVICES`, if it is set.
    pub visible_devices: Option<String>,
    /// The version in libtorch's folder, such as `2.11.0+cu128`.
    pub libtorch: Option<String>,
    /// The CUDA version that libtorch was built with, in CUDA's own format: 12080 for 12.8. `None` for a CPU-only
    /// build.
    pub cuda: Option<i64>,
}

impl CudaFindings {
    /// Looks at this machine and at the libtorch in this process.
    pub(crate) fn gather() -> Self {
        let root = std::env::var_os(SYSTEM_ROOT).map_or_else(|| PathBuf::from("/"), PathBuf::from);
        Self {
            visible_devices: std::env::var_os("CUDA_VISIBLE_DEVICES").map(|value| value.to_string_lossy().into_owned()),
            libtorch: libtorch_version(),
            cuda: (tch::utils::has_cuda() || tch::utils::has_cudart()).then(tch::utils::version_cudart),
            ..Self::of_system(&root)
        }
    }

    /// Looks at the files that the system shows below `root`.
    fn of_system(root: &Path) -> Self {
        let driver = fs::read_to_string(root.join("proc/driver/nvidia/version")).ok();
        Self {
            driver: driver.as_deref().and_then(driver_version),
            devices: device_files(&root.join("dev")),
            pci_devices: pci_devices(&root.join("sys/bus/pci/devices")),
            visible_devices: None,
            libtorch: None,
            cuda: None,
        }
    }

    /// A note that a GPU is present and not used, with the reason and the command that makes it usable; `None` if there
    /// is none, or if `CUDA_VISIBLE_DEVICES` hides it.
    pub(crate) fn unused_gpu(&self) -> Option<String> {
        if (self.devices.is_empty() && self.pci_devices == 0) || self.all_hidden() {
            return None;
        }
        let mut hints = self.hints();
        hints.push("--device cpu trains without the GPU and without this note".to_owned());
        Some(format!(
            "this machine has an NVIDIA GPU that is not used: {} (hint: {})",
            self.description(),
            hints.join("; ")
        ))
    }

    /// Whether `CUDA_VISIBLE_DEVICES` hides every GPU. CUDA ignores everything after the first invalid entry.
    fn all_hidden(&self) -> bool {
        self.visible_devices.as_ref().is_some_and(|value| {
            let first = value.split(',').next().unwrap_or_default().trim();
            first.is_empty() || first.starts_with('-') || first == "NoDevFiles"
        })
    }

    /// Whether a driver is loaded that is older than this version.
    fn driver_is_older_than(&self, needed: &str) -> bool {
        let number = |version: &str| -> Option<(u32, u32)> {
            let mut parts = version.split('.').map(|part| part.parse().ok());
            Some((parts.next()??, parts.next()??))
        };
        self.driver.as_deref().and_then(number).is_some_and(|loaded| Some(loaded) < number(needed))
    }

    /// The oldest driver that CUDA's compatibility table allows, if the loaded one is older.
    fn minimum_driver(&self) -> Option<&'static str> {
        let needed = match self.cuda? / 1000 {
            11 => "450.80",
            12 => CUDA_12_DRIVER,
            13 => CUDA_13_DRIVER,
            _ => return None,
        };
        self.driver_is_older_than(needed).then_some(needed)
    }

    /// How to get a libtorch with CUDA that the loaded driver, if there is one, can run.
    fn build_hint(&self) -> String {
        if !self.driver_is_older_than(CUDA_13_DRIVER) {
            return "`cargo xtask setup --cuda` installs a libtorch with CUDA".to_owned();
        }
        let update = format!(
            "CUDA 13 needs driver {CUDA_13_DRIVER} or newer: update NVIDIA's driver, then `cargo xtask setup --cuda`"
        );
        if self.driver_is_older_than(CUDA_12_DRIVER) {
            return update;
        }
        format!(
            "{update}; or, for this driver, a build for CUDA 12, which is not tested: `pip install --target libtorch-cu126 \
             torch==2.11.0 --index-url https://download.pytorch.org/whl/cu126` (also cu128), then \
             `LIBTORCH=libtorch-cu126/torch cargo xtask setup`"
        )
    }

    fn hints(&self) -> Vec<String> {
        let mut hints = Vec::new();
        if self.cuda.is_none() {
            hints.push(self.build_hint());
        }
        let container = "a container must be started with access to the GPUs, for example with `--gpus all`";
        match (&self.driver, self.devices.is_empty()) {
            (None, true) if self.pci_devices > 0 => hints.push(format!("install NVIDIA's driver; {container}")),
            (None, true) => hints.push(format!("if there is a GPU, install NVIDIA's driver; {container}")),
            (None, false) => hints.push("load NVIDIA's driver: `nvidia-smi` shows why it is not loaded".to_owned()),
            (Some(_), true) => hints.push(format!("{container}; elsewhere `nvidia-smi` creates the device files")),
            (Some(_), false) => {}
        }
        if self.all_hidden() {
            hints.push("unset CUDA_VISIBLE_DEVICES".to_owned());
        } else if let Some(needed) = self.minimum_driver() {
            hints.push(match needed {
                CUDA_13_DRIVER => self.build_hint(),
                _ => format!("this CUDA needs driver {needed} or newer"),
            });
        } else if hints.is_empty() {
            hints.push(match self.visible_devices {
                Some(_) => "unset CUDA_VISIBLE_DEVICES, then see whether `nvidia-smi` shows the GPU".to_owned(),
                None => "see whether `nvidia-smi` shows the GPU; after an update of the driver, restart".to_owned(),
            });
        }
        hints
    }

    /// Each item, without hints.
    fn description(&self) -> String {
        let mut parts = vec![match &self.driver {
            Some(version) => format!("NVIDIA driver {version} is loaded"),
            None => "no NVIDIA driver is loaded".to_owned(),
        }];
        parts.push(match self.devices.as_slice() {
            [] if self.pci_devices > 0 => "an NVIDIA GPU is on the PCI bus, there is no /dev/nvidia0".to_owned(),
            [] => "there is no /dev/nvidia0".to_owned(),
            [one] => format!("{one} exists"),
            several => format!("{} exist", several.join(", ")),
        });
        parts.extend(self.visible_devices.as_ref().map(|value| match self.all_hidden() {
            true => format!("CUDA_VISIBLE_DEVICES=\"{value}\" hides every GPU"),
            false => format!("CUDA_VISIBLE_DEVICES=\"{value}\" hides all other GPUs"),
        }));
        let libtorch = self.libtorch.as_ref().map_or(String::new(), |version| format!(" {version}"));
        parts.push(match self.cuda {
            Some(cuda) => {
                let (major, minor) = (cuda / 1000, cuda % 1000 / 10);
                format!("and libtorch{libtorch} is a build for CUDA {major}.{minor} that finds no usable GPU")
            }
            None => format!("and libtorch{libtorch} is a CPU-only build"),
        });
        parts.join(", ")
    }
}

impl fmt::Display for CudaFindings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut hints = self.hints();
        hints.push("--device cpu trains without a GPU".to_owned());
        write!(formatter, "{} (hint: {})", self.description(), hints.join("; "))
    }
}

/// The version in the driver's description of itself: the first word that consists of digits and dots.
fn driver_version(text: &str) -> Option<String> {
    let is_version = |word: &&str| {
        let mut parts = word.split('.');
        word.contains('.') && parts.all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    text.lines().next()?.split_whitespace().find(is_version).map(str::to_owned)
}

/// The device files of the graphics cards in `/dev`, ordered by number.
fn device_files(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let number = |name: &str| name.strip_prefix("nvidia").and_then(|number| number.parse::<u32>().ok());
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut cards: Vec<(u32, String)> = names.filter_map(|name| Some((number(&name)?, name))).collect();
    cards.sort_unstable();
    cards.into_iter().map(|(_, name)| folder.join(name).display().to_string()).collect()
}

/// How many devices in the kernel's list of PCI devices are graphics cards of NVIDIA.
fn pci_devices(folder: &Path) -> usize {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let begins = |device: &Path, file: &str, begin: &str| {
        fs::read_to_string(device.join(file)).is_ok_and(|text| text.starts_with(begin))
    };
    // NVIDIA's number, and the class of display controllers.
    let is_gpu = |device: &PathBuf| begins(device, "vendor", "0x10de") && begins(device, "class", "0x03");
    entries.flatten().map(|entry| entry.path()).filter(is_gpu).count()
}

/// The version of the libtorch that this process has loaded.
fn libtorch_version() -> Option<String> {
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    version_in_folder(&libtorch_folder(&maps)?)
}

/// The folder above `lib/libtorch_cpu.so` among the mapped files.
fn libtorch_folder(maps: &str) -> Option<PathBuf> {
    let path = maps.lines().find_map(|line| {
        let path = Path::new(line.get(line.find('/')?..)?);
        path.file_name().is_some_and(|name| name == "libtorch_cpu.so").then_some(path)
    })?;
    Some(path.parent()?.parent()?.to_owned())
}

/// The version in libtorch's `build-version` or, in an installed PyTorch, `version.py`.
fn version_in_folder(folder: &Path) -> Option<String> {
    if let Ok(text) = fs::read_to_string(folder.join("build-version")) {
        return Some(text.trim().to_owned());
    }
    let python = fs::read_to_string(folder.join("version.py")).ok()?;
    let version = python.lines().find_map(|line| line.strip_prefix("__version__ = "))?;
    Some(version.trim().trim_matches(['\'', '"']).to_owned())
}

#[cfg(test)]
mod tests;
