//! `python3 -m pip download`, with timeouts.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use disk::DiskError;

use crate::error::{FetchError, Result};

/// `VERDICT_PYTHON`, else `python3`.
pub(super) fn interpreter() -> String {
    env::var("VERDICT_PYTHON").ok().filter(|name| !name.is_empty()).unwrap_or_else(|| "python3".to_owned())
}

/// Downloads one archive, whose sha256 is known, into the empty folder `into`.
pub(super) fn download(python: &str, requirement: &str, sha256: &str, into: &Path) -> Result<PathBuf> {
    check_pip(python)?;
    // Digests can be given in a requirements file only.
    let list = into.join("requirements.txt");
    fs::write(&list, format!("{requirement} --hash=sha256:{sha256}\n")).map_err(DiskError::at("write", &list))?;
    let target = into.join("archive");

    let backend = backend(requirement, into)?;

    // First with a short timeout, so that it fails within seconds without a network. A server that is there but slow
    // gets another try.
    let mut output = run(python, &list, &target, &backend, &["--timeout", "5", "--retries", "1"])?;
    if !output.status.success() && is_slow(&output) {
        output = run(python, &list, &target, &backend, &["--timeout", "60", "--retries", "5"])?;
    }
    let failed =
        |reason: String| FetchError::Pip { python: python.to_owned(), requirement: requirement.to_owned(), reason };
    if !output.status.success() {
        return Err(failed(error_lines(&output)));
    }
    let mut files = fs::read_dir(&target).map_err(DiskError::at("read", &target))?.flatten();
    match (files.next(), files.next()) {
        (Some(archive), None) => Ok(archive.path()),
        (None, _) => Err(failed("it downloaded no file".to_owned())),
        (Some(_), Some(_)) => Err(failed("it downloaded more than one file".to_owned())),
    }
}

pub(super) fn check_pip(python: &str) -> Result<()> {
    let no_pip = |reason: String| FetchError::NoPip { python: python.to_owned(), reason };
    let output = Command::new(python)
        .args(["-m", "pip", "--version"])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| no_pip(error.to_string()))?;
    if output.status.success() { Ok(()) } else { Err(no_pip(error_lines(&output))) }
}

fn run(python: &str, list: &Path, target: &Path, backend: &Path, more: &[&str]) -> Result<Output> {
    let before = env::var_os("PYTHONPATH").unwrap_or_default();
    let path = env::join_paths([backend.to_owned()].into_iter().chain(env::split_paths(&before)));
    Command::new(python)
        .args(["-m", "pip", "download", "--no-deps", "--no-input", "--ignore-requires-python"])
        .args(["--disable-pip-version-check", "--progress-bar", "off", "--require-hashes"])
        .args(["--no-build-isolation", "--use-pep517"])
        .args(more)
        .arg("--requirement")
        .arg(list)
        .arg("--dest")
        .arg(target)
        // Nothing is installed, so a rule about where to install doesn't apply.
        .env("PIP_REQUIRE_VIRTUALENV", "0")
        .env("PYTHONPATH", path.unwrap_or_else(|_| backend.into()))
        .stdin(Stdio::null())
        .output()
        .map_err(|error| FetchError::NoPip { python: python.to_owned(), reason: error.to_string() })
}

/// Writes a module `setuptools` that states a package's name and version, and returns the folder for Python to find it in.
///
/// pip asks a source archive for its metadata, even to download it only. With setuptools that runs the archive's `setup.py`,
/// after a download of setuptools whose digest nobody states. With this module no code but ours is run.
fn backend(requirement: &str, into: &Path) -> Result<PathBuf> {
    let folder = into.join("backend");
    let module = folder.join("setuptools");
    let (name, version) = requirement.split_once("==").unwrap_or((requirement, "0"));
    fs::create_dir_all(&module).map_err(DiskError::at("create the folder", &module))?;
    for (file, text) in
        [("__init__.py", String::new()), ("build_meta.py", BACKEND.replace("NAME", name).replace("VERSION", version))]
    {
        let path = module.join(file);
        fs::write(&path, text).map_err(DiskError::at("write", &path))?;
    }
    Ok(folder)
}

/// The part of a build backend (PEP 517) that pip calls, under the name that stands for an archive without a choice of its own.
const BACKEND: &str = r#"
import os, sys

def prepare_metadata_for_build_wheel(folder, config_settings=None):
    os.mkdir(os.path.join(folder, "NAME-VERSION.dist-info"))
    with open(os.path.join(folder, "NAME-VERSION.dist-info", "METADATA"), "w") as file:
        file.write("Metadata-Version: 2.1\nName: NAME\nVersion: VERSION\n")
    return "NAME-VERSION.dist-info"

__legacy__ = sys.modules[__name__]
"#;

fn is_slow(output: &Output) -> bool {
    let phrases = ["Read timed out", "ReadTimeoutError", "IncompleteRead", "timed out while downloading"];
    let all = [String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)];
    phrases.iter().any(|phrase| all.iter().any(|text| text.contains(phrase)))
}

/// What pip said why: its ERROR lines, else its last line.
fn error_lines(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let errors: Vec<&str> = text.lines().filter_map(|line| line.trim().strip_prefix("ERROR: ")).collect();
    let last = text.lines().rev().map(str::trim).find(|line| !line.is_empty());
    let words = match (errors.as_slice(), last) {
        ([], Some(last)) => last.to_owned(),
        ([], None) => output.status.to_string(),
        (errors, _) => errors.join("; "),
    };
    words.chars().take(600).collect()
}
