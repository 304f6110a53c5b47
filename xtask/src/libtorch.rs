//! An install of libtorch: where ours is, and whether a folder holds a complete one of the right version.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The version that the crate `tch` of this workspace needs; the two change together.
pub(crate) const VERSION: &str = "2.11.0";

/// With or without CUDA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variant {
    /// For CPUs only.
    Cpu,
    /// For CPUs and NVIDIA GPUs.
    Cuda,
}

impl fmt::Display for Variant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Variant::Cpu => "cpu",
            Variant::Cuda => "cuda",
        })
    }
}

/// A checked install of libtorch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Libtorch {
    /// The folder that holds `include` and `lib`.
    pub folder: PathBuf,
    /// The version as its own file says it, such as `2.11.0+cu130`.
    pub version: String,
    /// Whether it can use a GPU.
    pub variant: Variant,
}

impl Libtorch {
    /// Checks that a folder holds a complete libtorch of the right version.
    pub(crate) fn open(folder: &Path) -> Result<Libtorch> {
        let here = folder.display();
        let version = version(folder)?;
        let plain = version.split('+').next().unwrap_or_default();
        if plain != VERSION {
            bail!("{here}: expected libtorch {VERSION}, found {version}");
        }
        let lib = folder.join("lib");
        for needed in [
            folder.join("include/torch/csrc/api/include/torch/torch.h"),
            lib.join(library("torch_cpu")),
            lib.join(library("torch")),
            lib.join(library("c10")),
        ] {
            // `metadata` follows links: a link to nothing is as missing as no link.
            if std::fs::metadata(&needed).map(|found| found.len()).unwrap_or(0) == 0 {
                bail!("{here}: the libtorch is incomplete, {} is missing or empty", needed.display());
            }
        }
        let cuda = lib.join(library("torch_cuda")).is_file();
        let variant = if cuda { Variant::Cuda } else { Variant::Cpu };
        Ok(Libtorch { folder: folder.to_path_buf(), version, variant })
    }
}

/// The file name of a library on this system.
pub(crate) fn library(name: &str) -> String {
    format!("lib{name}.{}", if cfg!(target_os = "macos") { "dylib" } else { "so" })
}

/// Reads the version from libtorch's own `build-version` or, in an installed PyTorch, from `version.py`.
fn version(folder: &Path) -> Result<String> {
    if !folder.is_dir() {
        bail!("{} is not a folder", folder.display());
    }
    if let Ok(text) = std::fs::read_to_string(folder.join("build-version")) {
        return Ok(text.trim().to_owned());
    }
    let python = std::fs::read_to_string(folder.join("version.py")).unwrap_or_default();
    match python.lines().find_map(python_version) {
        Some(version) => Ok(version),
        None => bail!(
            "{} is not a libtorch: expected a file build-version, or a version.py with __version__",
            folder.display()
        ),
    }
}

fn python_version(line: &str) -> Option<String> {
    let value = line.strip_prefix("__version__ = ")?.trim().trim_matches(['\'', '"']);
    Some(value.to_owned())
}

/// The folder for everything that is downloaded once for all checkouts.
pub(crate) fn cache_folder() -> Result<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = variable("VERDICT_CACHE")
        .or_else(|| variable("XDG_CACHE_HOME").map(|folder| folder.join("verdict")))
        .or_else(|| variable("HOME").map(|folder| folder.join(".cache/verdict")))
        .context("there is no folder for downloads (hint: set VERDICT_CACHE)")?;
    // The path goes into binaries, so it must be absolute.
    std::path::absolute(&folder).with_context(|| format!("{} is not a usable path", folder.display()))
}

/// The folder in the cache for our own install of a variant, which may be missing.
pub(crate) fn own_place(variant: Variant) -> Result<PathBuf> {
    Ok(cache_folder()?.join(format!("libtorch-{VERSION}-{variant}")))
}

/// Opens our own install of a variant.
pub(crate) fn own_install(variant: Variant) -> Result<Libtorch> {
    let place = own_place(variant)?;
    Libtorch::open(&match variant {
        Variant::Cpu => place,
        // PyTorch's libraries find CUDA's by relative paths, so this install is laid out as pip does it.
        Variant::Cuda => place.join("torch"),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Makes a folder that looks like an install.
    pub(crate) fn fake_install(folder: &Path, version: &str, cuda: bool) {
        let api = folder.join("include/torch/csrc/api/include/torch");
        std::fs::create_dir_all(&api).unwrap();
        std::fs::create_dir_all(folder.join("lib")).unwrap();
        std::fs::write(api.join("torch.h"), "// header").unwrap();
        std::fs::write(folder.join("build-version"), format!("{version}\n")).unwrap();
        for name in ["torch", "torch_cpu", "c10"] {
            std::fs::write(folder.join("lib").join(library(name)), "a library").unwrap();
        }
        if cuda {
            std::fs::write(folder.join("lib").join(library("torch_cuda")), "cuda").unwrap();
        }
    }

    #[test]
    fn a_complete_install_is_recognized_with_its_variant() {
        let folder = tempfile::tempdir().unwrap();
        fake_install(folder.path(), "2.11.0+cu130", true);
        let found = Libtorch::open(folder.path()).unwrap();
        assert_eq!((found.version.as_str(), found.variant), ("2.11.0+cu130", Variant::Cuda));
        std::fs::remove_file(folder.path().join("lib").join(library("torch_cuda"))).unwrap();
        assert_eq!(Libtorch::open(folder.path()).unwrap().variant, Variant::Cpu);
    }

    #[test]
    fn another_version_or_half_an_install_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        fake_install(folder.path(), "2.7.1+cpu", false);
        let error = Libtorch::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("2.7.1+cpu") && error.contains(VERSION), "{error}");
        // 2.11.01 starts like the right version and is another.
        fake_install(folder.path(), "2.11.01", false);
        assert!(Libtorch::open(folder.path()).is_err());
        fake_install(folder.path(), VERSION, false);
        std::fs::write(folder.path().join("lib").join(library("torch_cpu")), "").unwrap();
        let error = Libtorch::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains(&library("torch_cpu")), "{error}");
    }

    #[test]
    fn an_installed_pytorch_says_its_version_in_python() {
        let folder = tempfile::tempdir().unwrap();
        fake_install(folder.path(), "", false);
        std::fs::remove_file(folder.path().join("build-version")).unwrap();
        let error = Libtorch::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("build-version"), "{error}");
        let text = "from typing import Optional\n__all__ = ['__version__']\n__version__ = '2.11.0+cu130'\n";
        std::fs::write(folder.path().join("version.py"), text).unwrap();
        assert_eq!(Libtorch::open(folder.path()).unwrap().version, "2.11.0+cu130");
    }
}
