//! Brings libtorch onto this machine: the official archive or, where its host is out of reach, the wheels of PyTorch.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::command::{must_succeed, output_of};
use crate::libtorch::{Libtorch, VERSION, Variant, library, own_install, own_place};

const EXTRACT: &str = include_str!("extract.py");
/// The CPU build unpacks to less than 0.6 GB on every system; more than this is not it.
const MAX_UNPACKED: u64 = 3_000_000_000;
const CONNECT_SECONDS: u64 = 5;

/// Downloads a variant into its place in the cache, or finds it there.
///
/// One process at a time works on an install (an operating-system lock, which dies with its holder), in a folder
/// beside the place, renamed into it once it is complete: an interrupted download is never taken for an install.
pub fn install(variant: Variant) -> Result<Libtorch> {
    let place = own_place(variant)?;
    let cache = place.parent().context("the cache is the root folder")?;
    std::fs::create_dir_all(cache)
        .with_context(|| format!("could not create {}", cache.display()))?;
    let lock_path = beside(&place, "lock");
    let lock = std::fs::File::create(&lock_path)
        .with_context(|| format!("could not write {}", lock_path.display()))?;
    if lock.try_lock().is_err() {
        eprintln!(
            "another set-up is at work on {}; waiting for it",
            place.display()
        );
        lock.lock()
            .with_context(|| format!("could not lock {}", lock_path.display()))?;
    }
    if place.exists() {
        match own_install(variant) {
            Ok(found) => return Ok(found),
            Err(error) => eprintln!("warning: {error:#}; it is installed again"),
        }
    }

    let work = beside(&place, "partial");
    remove(&work)?;
    std::fs::create_dir_all(&work)?;
    check_space(cache, variant)?;
    let made = match variant {
        Variant::Cpu => cpu(&work)?,
        Variant::Cuda => cuda(&work)?,
    };
    remove(&place)?;
    std::fs::rename(&made, &place)
        .with_context(|| format!("could not move {} to {}", made.display(), place.display()))?;
    remove(&work)?;
    own_install(variant)
}

/// `libtorch-2.11.0-cpu` -> `libtorch-2.11.0-cpu.partial`; `with_extension` would take `0-cpu` for one.
fn beside(place: &Path, suffix: &str) -> PathBuf {
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    place.with_file_name(format!("{name}.{suffix}"))
}

fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("could not remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// Refuses to begin what cannot end well.
fn check_space(cache: &Path, variant: Variant) -> Result<()> {
    let needed = match variant {
        Variant::Cpu => 1.2,
        Variant::Cuda => 9.0,
    };
    match free_gigabytes(cache) {
        Some(free) if free < needed => bail!(
            "{} has {free:.1} GB free and the {variant} set-up needs {needed:.1} GB (hint: free some, or set VERDICT_CACHE \
             to a folder on a larger disk)",
            cache.display()
        ),
        _ => Ok(()),
    }
}

/// Free space where a path lies, in 10^9 bytes; `None` where `df` cannot tell.
pub fn free_gigabytes(path: &Path) -> Option<f64> {
    let listing = output_of("df", &["-Pk", path.to_str()?])?;
    let kilobytes: f64 = listing
        .lines()
        .nth(1)?
        .split_whitespace()
        .nth(3)?
        .parse()
        .ok()?;
    Some(kilobytes * 1024.0 / 1e9)
}

fn cpu(work: &Path) -> Result<PathBuf> {
    let made = work.join("libtorch");
    if let Some(url) = official_archive() {
        match from_archive(&url, work, &made) {
            Ok(()) => return Ok(made),
            Err(error) => eprintln!(
                "the official archive of libtorch can't be had ({error:#}); taking PyTorch's wheels"
            ),
        }
        remove(&made)?;
    }
    from_wheels(work, &made)?;
    Libtorch::open(&made).context("PyTorch's wheels do not hold what they should")?;
    Ok(made)
}

/// The archive that the PyTorch project offers for this system, if it offers one.
fn official_archive() -> Option<String> {
    let host = "https://download.pytorch.org/libtorch/cpu";
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => Some(format!(
            "{host}/libtorch-shared-with-deps-{VERSION}%2Bcpu.zip"
        )),
        ("macos", "aarch64") => Some(format!("{host}/libtorch-macos-arm64-{VERSION}.zip")),
        _ => None,
    }
}

fn from_archive(url: &str, work: &Path, made: &Path) -> Result<()> {
    eprintln!("fetching libtorch {VERSION} (cpu, about 0.2 GB) from {url}");
    let file = work.join("libtorch.zip");
    fetch(url, &file)?;
    extract(
        &file,
        made,
        &[
            "libtorch/include/=include/",
            "libtorch/lib/=lib/",
            "libtorch/build-version=build-version",
        ],
    )?;
    Libtorch::open(made)?;
    std::fs::remove_file(&file).context("could not remove the archive")
}

/// Downloads one file with curl or, without it, with python; gives up on a silent host within seconds.
fn fetch(url: &str, file: &Path) -> Result<()> {
    let seconds = CONNECT_SECONDS.to_string();
    if output_of("curl", &["--version"]).is_some() {
        let mut curl = Command::new("curl");
        curl.args([
            "--fail",
            "--location",
            "--silent",
            "--show-error",
            "--proto",
            "=https",
            "--connect-timeout",
            &seconds,
        ]);
        // Slower than 50 kB/s for half a minute is as good as out of reach.
        curl.args(["--speed-limit", "50000", "--speed-time", "30", "--output"])
            .arg(file)
            .arg(url);
        return must_succeed(&mut curl);
    }
    let script = "import shutil, sys, urllib.request\n\
                  with urllib.request.urlopen(sys.argv[1], timeout=float(sys.argv[3])) as source:\n\
                  \x20   with open(sys.argv[2], 'wb') as target: shutil.copyfileobj(source, target, 1 << 20)\n";
    must_succeed(
        python()?
            .args(["-c", script, url])
            .arg(file)
            .arg(seconds)
            .stderr(Stdio::null()),
    )
}

/// What is taken from PyTorch's wheels, and the digests that pip holds each file to.
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

/// The processor's part of PyTorch's wheels. The GPU's part is four fifths of their size.
///
/// libtorch_cpu itself is linked against CUDA's runtime and profiling libraries there, which are small.
fn from_wheels(work: &Path, made: &Path) -> Result<()> {
    eprintln!("fetching PyTorch {VERSION} through pip (0.55 GB, 0.45 GB of it are kept)");
    let wheels = work.join("wheels");
    let requirements = work.join("requirements.txt");
    std::fs::write(&requirements, REQUIREMENTS)?;
    let mut pip = pip()?;
    pip.args([
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--python-version",
        "3.11",
        "--implementation",
        "cp",
    ]);
    for platform in platforms()? {
        pip.args(["--platform", &platform]);
    }
    pip.arg("--dest")
        .arg(&wheels)
        .arg("--requirement")
        .arg(&requirements);
    must_succeed(pip.stdout(std::io::stderr()))
        .context("pip could not download PyTorch (hint: cargo xtask doctor)")?;

    eprintln!("unpacking");
    let torch = [
        "torch/include/=include/",
        "torch/lib/=lib/",
        "!torch/lib/*cuda*",
        "!torch/lib/*nv[rs]*",
    ];
    let unneeded = [
        "!torch/lib/*python*",
        "!torch/lib/*libshm*",
        "!torch/lib/libtorch.so",
    ];
    for entry in std::fs::read_dir(&wheels)? {
        let wheel = entry?.path();
        if wheel
            .file_name()
            .and_then(OsStr::to_str)
            .is_some_and(|name| name.starts_with("torch-"))
        {
            extract(&wheel, made, &[&torch[..], &unneeded[..]].concat())?;
        } else {
            extract(&wheel, made, &["nvidia/cu13/lib/=lib/"])?;
        }
    }
    remove(&wheels)?;
    #[cfg(target_os = "linux")]
    std::os::unix::fs::symlink(
        library("torch_cpu"),
        made.join("lib").join(library("torch")),
    )?;
    std::fs::write(made.join("build-version"), format!("{VERSION}\n"))?;
    Ok(())
}

/// pip's names for systems whose wheels run here.
fn platforms() -> Result<Vec<String>> {
    let arch = std::env::consts::ARCH;
    match (std::env::consts::OS, arch) {
        ("linux", "x86_64" | "aarch64") => {
            let tags = [
                "manylinux_2_28",
                "manylinux_2_25",
                "manylinux_2_17",
                "manylinux2014",
            ];
            Ok(tags.iter().map(|tag| format!("{tag}_{arch}")).collect())
        }
        ("macos", "aarch64") => Ok(vec!["macosx_11_0_arm64".into()]),
        (system, _) => bail!(
            "there is no prebuilt libtorch {VERSION} for {system} on {arch} (hint: build it, and set LIBTORCH to its folder)"
        ),
    }
}

/// The whole of PyTorch with the CUDA libraries that it brings.
fn cuda(work: &Path) -> Result<PathBuf> {
    if std::env::consts::OS != "linux" {
        bail!("libtorch with CUDA is set up on Linux alone (hint: cargo xtask setup --cpu)");
    }
    eprintln!(
        "fetching PyTorch {VERSION} with CUDA 13 through pip (about 2.5 GB, 5.5 GB unpacked)"
    );
    let made = work.join("site");
    let mut pip = pip()?;
    pip.args(["install", "--no-compile", "--only-binary=:all:", "--target"])
        .arg(&made);
    must_succeed(
        pip.arg(format!("torch=={VERSION}"))
            .stdout(std::io::stderr()),
    )
    .context("pip could not install PyTorch (hint: python 3.10 to 3.14 is needed for it)")?;
    Libtorch::open(&made.join("torch"))?;
    Ok(made)
}

/// A PyTorch of the right version with CUDA that python3 already has.
pub fn pytorch_of_python() -> Option<Libtorch> {
    let script =
        "import importlib.util as u; print(u.find_spec('torch').submodule_search_locations[0])";
    let folder = output_of("python3", &["-c", script])?;
    Libtorch::open(Path::new(&folder))
        .ok()
        .filter(|found| found.variant == Variant::Cuda)
}

/// Unpacks the members of an archive that the rules of `extract.py` choose.
fn extract(archive: &Path, folder: &Path, rules: &[&str]) -> Result<()> {
    let mut command = python()?;
    command
        .args(["-c", EXTRACT])
        .arg(archive)
        .arg(folder)
        .arg(MAX_UNPACKED.to_string())
        .args(rules);
    let output = command.output().context("could not start python3")?;
    if !output.status.success() {
        bail!(
            "could not unpack {}: {}",
            archive.display(),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

fn python() -> Result<Command> {
    if output_of("python3", &["--version"]).is_none() {
        bail!(
            "python3 is needed to fetch libtorch (hint: apt-get install python3 python3-pip, or set LIBTORCH)"
        );
    }
    Ok(Command::new("python3"))
}

fn pip() -> Result<Command> {
    let mut command = python()?;
    if output_of("python3", &["-m", "pip", "--version"]).is_none() {
        bail!(
            "python3 has no pip, which fetches libtorch (hint: apt-get install python3-pip, or set LIBTORCH)"
        );
    }
    command.args(["-m", "pip", "--disable-pip-version-check"]);
    Ok(command)
}
