//! Why a requested GPU is not available: which of the requirements of CUDA this machine meets.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// What a machine has of everything that CUDA requires. Its `Display` lists each item, with a hint for what is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CudaFindings {
    /// Version of the loaded NVIDIA driver, such as `570.86.15`; `None` if none is loaded.
    pub driver: Option<String>,
    /// The graphics cards' device files, in order: `/dev/nvidia0` and so on.
    pub devices: Vec<String>,
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
        let driver = fs::read_to_string("/proc/driver/nvidia/version").ok();
        Self {
            driver: driver.as_deref().and_then(driver_version),
            devices: device_files(Path::new("/dev")),
            visible_devices: std::env::var_os("CUDA_VISIBLE_DEVICES").map(|value| value.to_string_lossy().into_owned()),
            libtorch: libtorch_version(),
            cuda: (tch::utils::has_cuda() || tch::utils::has_cudart()).then(tch::utils::version_cudart),
        }
    }

    /// Whether `CUDA_VISIBLE_DEVICES` hides every GPU. CUDA ignores everything after the first invalid entry.
    fn all_hidden(&self) -> bool {
        self.visible_devices.as_ref().is_some_and(|value| {
            let first = value.split(',').next().unwrap_or_default().trim();
            first.is_empty() || first.starts_with('-') || first == "NoDevFiles"
        })
    }

    /// The oldest driver that CUDA's compatibility table allows, if the loaded one is older.
    fn minimum_driver(&self) -> Option<&'static str> {
        let needed = match self.cuda? / 1000 {
            11 => "450.80",
            12 => "525.60",
            13 => "580.65",
            _ => return None,
        };
        let number = |version: &str| -> Option<(u32, u32)> {
            let mut parts = version.split('.').map(|part| part.parse().ok());
            Some((parts.next()??, parts.next()??))
        };
        (number(self.driver.as_deref()?)? < number(needed)?).then_some(needed)
    }

    fn hints(&self) -> Vec<String> {
        let mut hints = Vec::new();
        if self.cuda.is_none() {
            hints.push("`cargo xtask setup --cuda` installs a libtorch with CUDA".to_owned());
        }
        match (&self.driver, self.devices.is_empty()) {
            (None, true) => hints.push(
                "if there is a GPU, install NVIDIA's driver; a container must be started with access to the GPUs, for \
                 example with `--gpus all`"
                    .to_owned(),
            ),
            (None, false) => hints.push("load NVIDIA's driver: `nvidia-smi` shows why it is not loaded".to_owned()),
            (Some(_), true) => hints.push(
                "a container must be started with access to the GPUs, for example with `--gpus all`; elsewhere \
                 `nvidia-smi` creates the device files"
                    .to_owned(),
            ),
            (Some(_), false) => {}
        }
        if self.all_hidden() {
            hints.push("unset CUDA_VISIBLE_DEVICES".to_owned());
        } else if let Some(needed) = self.minimum_driver() {
            hints.push(format!("this CUDA needs driver {needed} or newer"));
        } else if hints.is_empty() {
            hints.push(match self.visible_devices {
                Some(_) => "unset CUDA_VISIBLE_DEVICES, then see whether `nvidia-smi` shows the GPU".to_owned(),
                None => "see whether `nvidia-smi` shows the GPU; after an update of the driver, restart".to_owned(),
            });
        }
        hints.push("--device cpu trains without a GPU".to_owned());
        hints
    }
}

impl fmt::Display for CudaFindings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.driver {
            Some(version) => write!(formatter, "NVIDIA driver {version} is loaded, ")?,
            None => write!(formatter, "no NVIDIA driver is loaded, ")?,
        }
        match self.devices.as_slice() {
            [] => write!(formatter, "there is no /dev/nvidia0, ")?,
            [one] => write!(formatter, "{one} exists, ")?,
            several => write!(formatter, "{} exist, ", several.join(", "))?,
        }
        match &self.visible_devices {
            Some(value) if self.all_hidden() => {
                write!(formatter, "CUDA_VISIBLE_DEVICES=\"{value}\" hides every GPU, ")?
            }
            Some(value) => write!(formatter, "CUDA_VISIBLE_DEVICES=\"{value}\" hides all other GPUs, ")?,
            None => {}
        }
        let libtorch = self.libtorch.as_ref().map_or(String::new(), |version| format!(" {version}"));
        match self.cuda {
            Some(cuda) => {
                let (major, minor) = (cuda / 1000, cuda % 1000 / 10);
                write!(
                    formatter,
                    "and libtorch{libtorch} is a build for CUDA {major}.{minor} that finds no usable GPU"
                )?;
            }
            None => write!(formatter, "and libtorch{libtorch} is a CPU-only build")?,
        }
        write!(formatter, " (hint: {})", self.hints().join("; "))
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
mod tests {
    use super::*;

    fn nothing() -> CudaFindings {
        CudaFindings {
            driver: None,
            devices: Vec::new(),
            visible_devices: None,
            libtorch: Some("2.11.0".into()),
            cuda: None,
        }
    }

    fn everything() -> CudaFindings {
        CudaFindings {
            driver: Some("570.86.15".into()),
            devices: vec!["/dev/nvidia0".into(), "/dev/nvidia1".into()],
            visible_devices: None,
            libtorch: Some("2.11.0+cu128".into()),
            cuda: Some(12080),
        }
    }

    #[test]
    fn a_machine_without_anything() {
        assert_eq!(
            crate::ModelError::NoCuda(Box::new(nothing())).to_string(),
            "--device cuda is not available: no NVIDIA driver is loaded, there is no /dev/nvidia0, and libtorch 2.11.0 is \
             a CPU-only build (hint: `cargo xtask setup --cuda` installs a libtorch with CUDA; if there is a GPU, \
             install NVIDIA's driver; a container must be started with access to the GPUs, for example with \
             `--gpus all`; --device cpu trains without a GPU)"
        );
    }

    #[test]
    fn everything_is_present_but_no_gpu_is_usable() {
        assert_eq!(
            everything().to_string(),
            "NVIDIA driver 570.86.15 is loaded, /dev/nvidia0, /dev/nvidia1 exist, and libtorch 2.11.0+cu128 is a \
             build for CUDA 12.8 that finds no usable GPU (hint: see whether `nvidia-smi` shows the GPU; after an \
             update of the driver, restart; --device cpu trains without a GPU)"
        );
    }

    #[test]
    fn only_the_build_is_wrong() {
        let text = CudaFindings { cuda: None, libtorch: None, ..everything() }.to_string();
        assert!(text.contains("and libtorch is a CPU-only build"), "{text}");
        assert!(
            text.contains("(hint: `cargo xtask setup --cuda` installs a libtorch with CUDA; --device cpu"),
            "{text}"
        );
    }

    #[test]
    fn hidden_and_selected_gpus_are_distinguished() {
        for value in ["", "-1", "NoDevFiles", "-1,0"] {
            let text = CudaFindings { visible_devices: Some(value.into()), ..everything() }.to_string();
            assert!(text.contains(&format!("CUDA_VISIBLE_DEVICES=\"{value}\" hides every GPU")), "{text}");
            assert!(text.contains("(hint: unset CUDA_VISIBLE_DEVICES; --device cpu"), "{text}");
        }
        let text = CudaFindings { visible_devices: Some("7".into()), ..everything() }.to_string();
        assert!(text.contains("CUDA_VISIBLE_DEVICES=\"7\" hides all other GPUs"), "{text}");
        assert!(text.contains("unset CUDA_VISIBLE_DEVICES, then"), "{text}");
    }

    #[test]
    fn a_driver_without_device_files_and_device_files_without_a_driver() {
        let text = CudaFindings { devices: Vec::new(), ..everything() }.to_string();
        assert!(text.contains("driver 570.86.15 is loaded, there is no /dev/nvidia0") && text.contains("--gpus all"));
        let text = CudaFindings { driver: None, devices: vec!["/dev/nvidia0".into()], ..everything() }.to_string();
        assert!(text.contains("no NVIDIA driver is loaded, /dev/nvidia0 exists") && text.contains("load NVIDIA's"));
    }

    #[test]
    fn an_old_driver_is_named_with_the_minimum_version() {
        let with = |driver: &str, cuda| CudaFindings { driver: Some(driver.into()), cuda: Some(cuda), ..everything() };
        assert!(with("470.256.02", 12080).to_string().contains("this CUDA needs driver 525.60 or newer"));
        assert!(with("570.86.15", 13000).to_string().contains("this CUDA needs driver 580.65 or newer"));
        assert!(!with("525.60.13", 12080).to_string().contains("or newer"));
        assert!(!with("1080.1", 12080).to_string().contains("or newer"), "numbers, not letters, are compared");
    }

    #[test]
    fn driver_version_of_closed_and_open_modules() {
        let closed = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023\nGCC version:  gcc 12.3.0";
        let open =
            "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build  (builder)  Thu Jan 1";
        assert_eq!(driver_version(closed).as_deref(), Some("535.104.05"));
        assert_eq!(driver_version(open).as_deref(), Some("570.86.15"));
        assert_eq!(driver_version("GCC version: unknown\n12.3.0"), None);
        assert_eq!(driver_version(""), None);
    }

    #[test]
    fn device_files_are_those_of_cards_only() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["nvidia10", "nvidia2", "nvidiactl", "nvidia-uvm", "null"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let expected = ["nvidia2", "nvidia10"].map(|name| folder.path().join(name).display().to_string());
        assert_eq!(device_files(folder.path()), expected);
    }

    #[test]
    fn libtorch_version_is_read_from_either_file() {
        let maps =
            "7f0 r-xp 00000000 fd:00 1  /usr/lib/libc.so.6\n7f1 r-xp 0 fd:00 2  /a b/libtorch/lib/libtorch_cpu.so\n";
        assert_eq!(libtorch_folder(maps), Some("/a b/libtorch".into()));
        assert_eq!(libtorch_folder("7f0 rw-p 00000000 00:00 0\n"), None);
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(version_in_folder(folder.path()), None);
        fs::write(folder.path().join("version.py"), "from typing import Optional\n__version__ = '2.11.0+cu128'\n")
            .unwrap();
        assert_eq!(version_in_folder(folder.path()).as_deref(), Some("2.11.0+cu128"));
        fs::write(folder.path().join("build-version"), "2.11.0\n").unwrap();
        assert_eq!(version_in_folder(folder.path()).as_deref(), Some("2.11.0"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_the_libtorch_version_that_tch_requires() {
        let version = CudaFindings::gather().libtorch.expect("libtorch is linked");
        assert!(version.starts_with("2.11.0"), "{version}");
    }
}
