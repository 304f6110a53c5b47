//! Brings libtorch onto this machine: the official archive or, where its host is out of reach, the wheels of PyTorch.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::{output_of, status};
use crate::libtorch::{Libtorch, VERSION, Variant, own_install, own_place};
use crate::{extract, wheels};

/// What the official archive puts where.
const ARCHIVE: [&str; 3] = ["libtorch/include/=include/", "libtorch/lib/=lib/", "libtorch/build-version=build-version"];

/// Downloads a variant into its place in the cache, or finds it there.
///
/// One process at a time works on an install (an operating-system lock, which dies with its holder), in a folder
/// beside the place, renamed into it once it is complete: an interrupted download is never taken for an install.
pub fn install(variant: Variant) -> Result<Libtorch> {
    let place = own_place(variant)?;
    let cache = place.parent().context("the cache is the root folder")?;
    std::fs::create_dir_all(cache).with_context(|| format!("could not create {}", cache.display()))?;
    let lock_path = beside(&place, "lock");
    let lock = std::fs::File::create(&lock_path).with_context(|| format!("could not write {}", lock_path.display()))?;
    if lock.try_lock().is_err() {
        eprintln!("another set-up is at work on {}; waiting for it", place.display());
        lock.lock().with_context(|| format!("could not lock {}", lock_path.display()))?;
    }
    if place.exists() {
        match own_install(variant) {
            Ok(found) => return Ok(found),
            Err(error) => eprintln!("warning: {error:#}; it is installed again"),
        }
    }

    remove_leftovers(cache, &beside(&place, "partial-"))?;
    // Our own name in it: the pip of a killed set-up may live on and write into the folder that it was given.
    let work = beside(&place, &format!("partial-{}", std::process::id()));
    std::fs::create_dir_all(&work).with_context(|| format!("could not create {}", work.display()))?;
    let made = check_space(cache, variant).and_then(|()| match variant {
        Variant::Cpu => cpu(&work),
        Variant::Cuda => wheels::cuda(&work),
    });
    let made = match made {
        Ok(made) => made,
        Err(error) => {
            remove(&work)?;
            return Err(error);
        }
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

/// Removes what interrupted set-ups left; the lock says that none is at work now.
fn remove_leftovers(cache: &Path, prefix: &Path) -> Result<()> {
    let prefix = prefix.to_string_lossy().into_owned();
    let entries = std::fs::read_dir(cache).with_context(|| format!("could not list {}", cache.display()))?;
    for entry in entries.flatten().map(|entry| entry.path()) {
        if entry.to_string_lossy().starts_with(&prefix) {
            remove(&entry)?;
        }
    }
    Ok(())
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
    let kilobytes: f64 = listing.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    Some(kilobytes * 1024.0 / 1e9)
}

fn cpu(work: &Path) -> Result<PathBuf> {
    let made = work.join("libtorch");
    if let Some(url) = official_archive() {
        match from_archive(&url, work, &made) {
            Ok(()) => return Ok(made),
            Err(error) => eprintln!("no luck there ({error:#}); taking PyTorch's wheels instead"),
        }
        remove(&made)?;
    }
    wheels::cpu(work, &made)?;
    Libtorch::open(&made).context("PyTorch's wheels do not hold what they should")?;
    Ok(made)
}

/// The archive that the PyTorch project offers for this system, if it offers one.
fn official_archive() -> Option<String> {
    let host = "https://download.pytorch.org/libtorch/cpu";
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => Some(format!("{host}/libtorch-shared-with-deps-{VERSION}%2Bcpu.zip")),
        ("macos", "aarch64") => Some(format!("{host}/libtorch-macos-arm64-{VERSION}.zip")),
        _ => None,
    }
}

fn from_archive(url: &str, work: &Path, made: &Path) -> Result<()> {
    eprintln!("fetching libtorch {VERSION} (cpu, about 0.2 GB) from {url}");
    let file = work.join("libtorch.zip");
    fetch(url, &file)?;
    extract::members(&file, made, &ARCHIVE)?;
    Libtorch::open(made)?;
    std::fs::remove_file(&file).context("could not remove the archive")
}

/// Downloads one file with curl or, without it, with python; gives up on a silent host within seconds.
fn fetch(url: &str, file: &Path) -> Result<()> {
    let mut command = if output_of("curl", &["--version"]).is_some() {
        // Slower than 50 kB/s for half a minute is as good as out of reach.
        let flags = "--fail --location --silent --show-error --proto =https --connect-timeout 5 \
                     --speed-limit 50000 --speed-time 30 --output";
        let mut curl = Command::new("curl");
        curl.args(flags.split_whitespace()).arg(file).arg(url);
        curl
    } else {
        let script = "import shutil, sys, urllib.request as u\n\
                      try: shutil.copyfileobj(u.urlopen(sys.argv[2], timeout=5), open(sys.argv[1], 'wb'))\n\
                      except OSError as error: sys.exit(str(error))";
        let mut python = extract::python()?;
        python.args(["-c", script]).arg(file).arg(url);
        python
    };
    let status = status(&mut command)?;
    if !status.success() {
        bail!("the download ended with {status}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_leftovers_of_the_same_install_are_removed() {
        let cache = tempfile::tempdir().unwrap();
        let place = cache.path().join("libtorch-2.11.0-cpu");
        for name in ["", ".partial-12", ".partial-7", ".lock-folder"] {
            std::fs::create_dir(format!("{}{name}", place.display())).unwrap();
        }
        std::fs::create_dir(cache.path().join("libtorch-2.11.0-cuda.partial-3")).unwrap();
        remove_leftovers(cache.path(), &beside(&place, "partial-")).unwrap();
        let left = std::fs::read_dir(cache.path()).unwrap().count();
        assert_eq!(left, 3, "the install, the other folder, and the other variant's work stay");
        assert!(place.exists());
    }

    #[test]
    fn free_space_is_read_from_this_systems_df() {
        let free = free_gigabytes(&std::env::temp_dir()).unwrap();
        assert!(free > 0.0 && free < 1e6, "{free}");
        assert_eq!(free_gigabytes(Path::new("/no/such/place")), None);
    }
}
