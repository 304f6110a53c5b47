//! Findings of machines with every combination of driver, device and build.

use super::*;

fn nothing() -> CudaFindings {
    CudaFindings {
        driver: None,
        devices: Vec::new(),
        pci_devices: 0,
        visible_devices: None,
        libtorch: Some("2.11.0".into()),
        cuda: None,
    }
}

fn everything() -> CudaFindings {
    CudaFindings {
        driver: Some("570.86.15".into()),
        devices: vec!["/dev/nvidia0".into(), "/dev/nvidia1".into()],
        pci_devices: 2,
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
    let driver = Some("580.95.05".into());
    let text = CudaFindings { driver, cuda: None, libtorch: None, ..everything() }.to_string();
    assert!(text.contains("and libtorch is a CPU-only build"), "{text}");
    assert!(text.contains("(hint: `cargo xtask setup --cuda` installs a libtorch with CUDA; --device cpu"), "{text}");
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
    assert!(text.contains("driver 570.86.15 is loaded, an NVIDIA GPU is on the PCI bus, there is no /dev/nvidia0"));
    assert!(text.contains("--gpus all"));
    let text = CudaFindings { driver: None, devices: vec!["/dev/nvidia0".into()], ..everything() }.to_string();
    assert!(text.contains("no NVIDIA driver is loaded, /dev/nvidia0 exists") && text.contains("load NVIDIA's"));
}

#[test]
fn an_old_driver_is_named_with_the_minimum_version() {
    let with = |driver: &str, cuda| CudaFindings { driver: Some(driver.into()), cuda: Some(cuda), ..everything() };
    assert!(with("470.256.02", 12080).to_string().contains("this CUDA needs driver 525.60 or newer"));
    assert!(with("570.86.15", 13000).to_string().contains("CUDA 13 needs driver 580.65 or newer"));
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
    let maps = "7f0 r-xp 00000000 fd:00 1  /usr/lib/libc.so.6\n7f1 r-xp 0 fd:00 2  /a b/libtorch/lib/libtorch_cpu.so\n";
    assert_eq!(libtorch_folder(maps), Some("/a b/libtorch".into()));
    assert_eq!(libtorch_folder("7f0 rw-p 00000000 00:00 0\n"), None);
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(version_in_folder(folder.path()), None);
    fs::write(folder.path().join("version.py"), "from typing import Optional\n__version__ = '2.11.0+cu128'\n").unwrap();
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

/// A folder with the files of a system that has an NVIDIA GPU and, if a version is given, its driver.
fn system_with_gpu(driver: Option<&str>) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    for (slot, vendor, class) in [("00:01.0", "0x8086", "0x030000"), ("00:02.0", "0x10de", "0x040300")] {
        write(&format!("sys/bus/pci/devices/0000:{slot}/vendor"), &format!("{vendor}\n"));
        write(&format!("sys/bus/pci/devices/0000:{slot}/class"), &format!("{class}\n"));
    }
    write("sys/bus/pci/devices/0000:81:00.0/vendor", "0x10de\n");
    write("sys/bus/pci/devices/0000:81:00.0/class", "0x030200\n");
    if let Some(version) = driver {
        write("proc/driver/nvidia/version", &format!("NVRM version: NVIDIA UNIX Kernel Module  {version}  Sat\n"));
        write("dev/nvidia0", "");
    }
    root
}

fn unused(root: &Path, libtorch: &str, cuda: Option<i64>) -> Option<String> {
    CudaFindings { libtorch: Some(libtorch.into()), cuda, ..CudaFindings::of_system(root) }.unused_gpu()
}

#[test]
fn nothing_is_said_where_there_is_no_gpu_or_it_is_hidden() {
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(unused(empty.path(), "2.11.0", None), None);
    assert_eq!(unused(empty.path(), "2.11.0+cu130", Some(13000)), None);
    let gpu = system_with_gpu(Some("580.95.05"));
    let hidden = CudaFindings { visible_devices: Some(String::new()), ..CudaFindings::of_system(gpu.path()) };
    assert_eq!(hidden.unused_gpu(), None);
}

#[test]
fn a_gpu_that_the_build_can_not_use_is_named_with_the_command() {
    let gpu = system_with_gpu(Some("580.95.05"));
    let device = gpu.path().join("dev/nvidia0");
    assert_eq!(
        unused(gpu.path(), "2.11.0", None).unwrap(),
        format!(
            "this machine has an NVIDIA GPU that is not used: NVIDIA driver 580.95.05 is loaded, {} exists, and libtorch \
             2.11.0 is a CPU-only build (hint: `cargo xtask setup --cuda` installs a libtorch with CUDA; --device cpu \
             trains without the GPU and without this note)",
            device.display()
        )
    );
    let text = unused(gpu.path(), "2.11.0+cu130", Some(13000)).unwrap();
    assert!(
        text.contains("is a build for CUDA 13.0 that finds no usable GPU (hint: see whether `nvidia-smi`"),
        "{text}"
    );
}

#[test]
fn a_driver_that_is_too_old_for_the_default_build_gets_the_command_of_another() {
    // With the CPU-only build, `setup --cuda` alone would install one that this driver can't run.
    for (libtorch, cuda) in [("2.11.0", None), ("2.11.0+cu130", Some(13000))] {
        let text = unused(system_with_gpu(Some("535.104.05")).path(), libtorch, cuda).unwrap();
        assert!(text.contains("CUDA 13 needs driver 580.65 or newer: update NVIDIA's driver"), "{text}");
        assert!(text.contains("whl/cu126` (also cu128)") && text.contains("which is not tested"), "{text}");
        assert!(text.contains("`LIBTORCH=libtorch-cu126/torch cargo xtask setup`"), "{text}");
        let text = unused(system_with_gpu(Some("470.256.02")).path(), libtorch, cuda).unwrap();
        assert!(text.contains("CUDA 13 needs driver 580.65 or newer") && !text.contains("cu126"), "{text}");
    }
}

#[test]
fn a_gpu_without_a_driver_is_found_on_the_bus() {
    let gpu = system_with_gpu(None);
    assert_eq!(CudaFindings::of_system(gpu.path()).pci_devices, 1, "other cards and functions do not count");
    let text = unused(gpu.path(), "2.11.0", None).unwrap();
    assert!(text.contains("no NVIDIA driver is loaded, an NVIDIA GPU is on the PCI bus"), "{text}");
    assert!(text.contains("; install NVIDIA's driver; a container must be started"), "{text}");
}
