//! libtorch from PyTorch's wheels. pip downloads them, and refuses each whose digest isn't in `wheels.txt`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::{output_of, status};
use crate::libtorch::{Libtorch, VERSION, Variant, library};

const REQUIREMENTS: &str = include_str!("wheels.txt");

/// The wheels that the CPU part is taken from: libtorch_cpu itself is linked against CUDA's runtime and profiling
/// libraries, which are small.
const FOR_CPU: [&str; 3] = ["torch==", "nvidia-cuda-cupti==", "nvidia-cuda-runtime=="];

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
pub(crate) fn cpu(work: &Path) -> Result<PathBuf> {
    eprintln!("downloading PyTorch {VERSION} through pip (0.55 GB to download, 0.45 GB on disk)");
    let (wheels, made) = (work.join("wheels"), work.join("libtorch"));
    let needed = |line: &&str| FOR_CPU.iter().any(|name| line.starts_with(name));
    pip("download --dest", &wheels, &REQUIREMENTS.lines().filter(needed).collect::<Vec<_>>().join("\n"))?;

    eprintln!("unpacking");
    for entry in std::fs::read_dir(&wheels)? {
        let wheel = entry?.path();
        let name = wheel.file_name().and_then(OsStr::to_str).unwrap_or_default();
        unpack(&wheel, &made, if name.starts_with("torch-") { &TORCH } else { &NVIDIA })?;
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

/// All of PyTorch with its CUDA libraries.
pub(crate) fn cuda(work: &Path) -> Result<PathBuf> {
    if std::env::consts::OS != "linux" {
        bail!("libtorch with CUDA is available only on Linux (hint: cargo xtask setup --cpu)");
    }
    eprintln!("downloading PyTorch {VERSION} with CUDA 13 through pip (2.5 GB to download, 4.1 GB on disk)");
    let made = work.join("site");
    pip("install --no-compile --target", &made, REQUIREMENTS)?;
    Libtorch::open(&made.join("torch"))?;
    Ok(made)
}

/// A PyTorch of the right version with CUDA that python3 already has.
pub(crate) fn pytorch_of_python() -> Option<Libtorch> {
    let script = "import importlib.util as u; print(u.find_spec('torch').submodule_search_locations[0])";
    let folder = output_of("python3", &["-c", script])?;
    Libtorch::open(Path::new(&folder)).ok().filter(|found| found.variant == Variant::Cuda)
}

/// Downloads or installs `requirements`, for which each must state its digest: wheels for this system, whatever python3 is.
fn pip(task: &str, folder: &Path, requirements: &str) -> Result<()> {
    let list = folder.with_extension("requirements.txt");
    std::fs::write(&list, requirements).with_context(|| format!("failed to write {}", list.display()))?;
    let mut command = python()?;
    if output_of("python3", &["-m", "pip", "--version"]).is_none() {
        bail!("python3 has no pip, which downloads libtorch (hint: apt-get install python3-pip, or set LIBTORCH)");
    }
    command.args(["-m", "pip", "--disable-pip-version-check"]).args(task.split(' ')).arg(folder);
    command.args("--require-hashes --no-deps --only-binary=:all: --python-version 3.11 --implementation cp".split(' '));
    command.args(platforms()?.iter().flat_map(|platform| ["--platform", platform])).arg("--requirement").arg(list);
    if !status(command.stdout(std::io::stderr()))?.success() {
        bail!("pip failed to get PyTorch, see above (hint: it needs python 3.10 to 3.14; or set LIBTORCH)");
    }
    Ok(())
}

/// pip's names of the platforms whose wheels run here.
fn platforms() -> Result<Vec<String>> {
    let arch = std::env::consts::ARCH;
    match (std::env::consts::OS, arch) {
        ("linux", "x86_64" | "aarch64") => {
            // Named by the oldest glibc that they run with; PyTorch's wheel is for 2.28, NVIDIA's are for older ones.
            let tags = (5..=28).rev().map(|glibc| format!("manylinux_2_{glibc}_{arch}"));
            Ok(tags.chain([format!("manylinux2014_{arch}")]).collect())
        }
        ("macos", "aarch64") => Ok(vec!["macosx_11_0_arm64".into()]),
        (system, _) => bail!(
            "a prebuilt libtorch {VERSION} for {system} on {arch} is not available (hint: build it, and set LIBTORCH to its folder)"
        ),
    }
}

/// Unpacks the members of a wheel that the rules choose, with Python's `zipfile`: xtask has no archive library.
fn unpack(wheel: &Path, folder: &Path, rules: &[&str]) -> Result<()> {
    if !status(python()?.args(["-c", include_str!("extract.py")]).arg(wheel).arg(folder).args(rules))?.success() {
        bail!("failed to unpack {}, see above", wheel.display());
    }
    Ok(())
}

/// Python, which set-up needs only for downloads.
fn python() -> Result<Command> {
    if output_of("python3", &["--version"]).is_none() {
        bail!("python3 is needed to download libtorch (hint: apt-get install python3 python3-pip, or set LIBTORCH)");
    }
    Ok(Command::new("python3"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes a wheel of torch with these members, and returns it with its sha256.
    fn wheel(folder: &Path, members: &[&str]) -> (PathBuf, String) {
        let path = folder.join(format!("torch-{VERSION}-py3-none-any.whl"));
        let script = "import hashlib, sys, zipfile\n\
                      with zipfile.ZipFile(sys.argv[1], 'w') as wheel:\n\
                      \x20 for name in sys.argv[2:]: wheel.writestr(*name.split('=', 1))\n\
                      print(hashlib.sha256(open(sys.argv[1], 'rb').read()).hexdigest())";
        let output = Command::new("python3").args(["-c", script]).arg(&path).args(members).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        (path, String::from_utf8(output.stdout).unwrap().trim().to_owned())
    }

    #[test]
    fn members_land_where_the_rules_say() {
        let folder = tempfile::tempdir().unwrap();
        let (wheel, _) = wheel(folder.path(), &["a/lib/one.so=xxx", "a/lib/two_python.so=xxx", "b/three=xxx"]);
        let out = folder.path().join("out");
        unpack(&wheel, &out, &["a/lib/=lib/", "!*python*"]).unwrap();
        assert_eq!(std::fs::read(out.join("lib/one.so")).unwrap(), b"xxx");
        assert_eq!(std::fs::read_dir(out.join("lib")).unwrap().count(), 1);
        assert_eq!(std::fs::read_dir(&out).unwrap().count(), 1);
        assert!(unpack(&wheel, &out, &["absent/=lib/"]).is_err());
    }

    #[test]
    fn a_wheel_is_used_only_if_its_digest_is_the_stated_one() {
        let folder = tempfile::tempdir().unwrap();
        let version = format!("torch-{VERSION}.dist-info/");
        let members = [
            "torch/version.py=x".to_owned(),
            format!("{version}METADATA=Metadata-Version: 2.1\nName: torch\nVersion: {VERSION}\n"),
            format!("{version}WHEEL=Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
            format!("{version}RECORD="),
        ];
        let (_, sha256) = wheel(folder.path(), &members.each_ref().map(String::as_str));
        let index = format!("--no-index\n--find-links {}\n", folder.path().display());
        for (hash, fits) in
            [(format!("--hash=sha256:{sha256}"), true), (format!("--hash=sha256:{:064}", 0), false), ("".into(), false)]
        {
            let site = folder.path().join(format!("site-{}", hash.len() + usize::from(fits)));
            let result = pip("install --no-compile --target", &site, &format!("{index}torch=={VERSION} {hash}"));
            assert_eq!((result.is_ok(), site.join("torch").exists()), (fits, fits), "{hash:?}: {result:?}");
        }
    }

    #[test]
    fn the_list_has_the_version_of_tch_and_what_the_cpu_part_needs() {
        let count = |start: &str| REQUIREMENTS.lines().filter(|line| line.starts_with(start)).count();
        assert_eq!(FOR_CPU.map(count), [1; 3]);
        assert_eq!(count(&format!("torch=={VERSION} --hash=sha256:")), 1);
    }
}
