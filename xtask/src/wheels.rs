//! libtorch from PyTorch's wheels, which pip downloads and checks against their digests.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::command::{output_of, status};
use crate::extract;
use crate::libtorch::{Libtorch, VERSION, Variant, library};

/// The wheels, with the digests that pip checks.
const REQUIREMENTS: &str = "\
torch==2.11.0 \
 --hash=sha256:7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a \
 --hash=sha256:d91aac77f24082809d2c5a93f52a5f085032740a1ebc9252a7b052ef5a4fddc6 \
 --hash=sha256:7b6a60d48062809f58595509c524b88e6ddec3ebe25833d6462eeab81e5f2ce4
nvidia-cuda-cupti==13.0.85; sys_platform == \"linux\" \
 --hash=sha256:4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8 \
 --hash=sha256:796bd679890ee55fb14a94629b698b6db54bcfd833d391d5e94017dd9d7d3151
nvidia-cuda-runtime==13.0.96; sys_platform == \"linux\" \
 --hash=sha256:7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548 \
 --hash=sha256:ef9bcbe90493a2b9d810e43d249adb3d02e98dd30200d86607d8d02687c43f55
";

/// What is unpacked from torch's wheel, and where to: all but the parts for GPUs and Python.
const TORCH: [&str; 7] = [
    "torch/include/=include/",
    "torch/lib/=lib/",
    "!torch/lib/*cuda*",
    "!torch/lib/*nv[rs]*",
    "!torch/lib/*python*",
    "!torch/lib/*libshm*",
    "!torch/lib/libtorch.so",
];

/// The one library that is taken from each of NVIDIA's wheels.
const NVIDIA: [&str; 2] =
    ["nvidia/cu13/lib/libcupti.so=lib/libcupti.so", "nvidia/cu13/lib/libcudart.so=lib/libcudart.so"];

/// The CPU part of PyTorch's wheels; the GPU part is four fifths of their size.
///
/// libtorch_cpu itself is linked against CUDA's runtime and profiling libraries there, which are small.
pub(crate) fn cpu(work: &Path) -> Result<PathBuf> {
    eprintln!("downloading PyTorch {VERSION} through pip (0.55 GB to download, 0.45 GB on disk)");
    let (wheels, made) = (work.join("wheels"), work.join("libtorch"));
    let requirements = work.join("requirements.txt");
    std::fs::write(&requirements, REQUIREMENTS)?;
    let platforms = platforms()?;
    let platforms = platforms.iter().flat_map(|platform| ["--platform", platform]);
    let flags = "download --no-deps --only-binary=:all: --python-version 3.11 --implementation cp";
    let flags = flags.split(' ').chain(platforms).map(OsStr::new);
    pip(flags.chain(["--dest".as_ref(), wheels.as_os_str(), "--requirement".as_ref(), requirements.as_os_str()]))?;

    eprintln!("unpacking");
    for entry in std::fs::read_dir(&wheels)? {
        let wheel = entry?.path();
        let name = wheel.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let rules: &[&str] = if name.starts_with("torch-") { &TORCH } else { &NVIDIA };
        extract::members(&wheel, &made, rules)?;
    }
    std::fs::remove_dir_all(&wheels)?;
    if cfg!(target_os = "linux") {
        // The wheel's own libtorch.so needs the GPU part. On macOS there is none, and the file stays.
        let link = made.join("lib").join(library("torch"));
        std::os::unix::fs::symlink(library("torch_cpu"), link)?;
    }
    std::fs::write(made.join("build-version"), format!("{VERSION}\n"))?;
    Libtorch::open(&made).context("PyTorch's wheels are incomplete")?;
    Ok(made)
}

/// pip's names of the platforms whose wheels run here.
fn platforms() -> Result<Vec<String>> {
    let arch = std::env::consts::ARCH;
    match (std::env::consts::OS, arch) {
        ("linux", "x86_64" | "aarch64") => {
            let tags = ["manylinux_2_28", "manylinux_2_25", "manylinux_2_17", "manylinux2014"];
            Ok(tags.iter().map(|tag| format!("{tag}_{arch}")).collect())
        }
        ("macos", "aarch64") => Ok(vec!["macosx_11_0_arm64".into()]),
        (system, _) => bail!(
            "a prebuilt libtorch {VERSION} for {system} on {arch} is not available (hint: build it, and set LIBTORCH to its folder)"
        ),
    }
}

/// All of PyTorch with its CUDA libraries.
pub(crate) fn cuda(work: &Path) -> Result<PathBuf> {
    if std::env::consts::OS != "linux" {
        bail!("libtorch with CUDA is available only on Linux (hint: cargo xtask setup --cpu)");
    }
    eprintln!("downloading PyTorch {VERSION} with CUDA 13 through pip (about 2.5 GB, 5.5 GB unpacked)");
    let made = work.join("site");
    let torch = format!("torch=={VERSION}");
    let flags = ["install", "--no-compile", "--only-binary=:all:", &torch, "--target"].map(OsStr::new);
    pip(flags.into_iter().chain([made.as_os_str()]))?;
    Libtorch::open(&made.join("torch"))?;
    Ok(made)
}

/// A PyTorch of the right version with CUDA that python3 already has.
pub(crate) fn pytorch_of_python() -> Option<Libtorch> {
    let script = "import importlib.util as u; print(u.find_spec('torch').submodule_search_locations[0])";
    let folder = output_of("python3", &["-c", script])?;
    Libtorch::open(Path::new(&folder)).ok().filter(|found| found.variant == Variant::Cuda)
}

/// Runs pip.
fn pip(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<()> {
    let mut command = extract::python()?;
    if output_of("python3", &["-m", "pip", "--version"]).is_none() {
        bail!("python3 has no pip, which downloads libtorch (hint: apt-get install python3-pip, or set LIBTORCH)");
    }
    command.args(["-m", "pip", "--disable-pip-version-check"]).args(arguments);
    if !status(command.stdout(std::io::stderr()))?.success() {
        bail!("pip failed to get PyTorch, see above (hint: it needs python 3.10 to 3.14; or set LIBTORCH)");
    }
    Ok(())
}
