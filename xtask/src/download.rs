//! Downloads libtorch onto this machine, once for all checkouts.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::command::output_of;
use crate::libtorch::{Libtorch, Variant, own_install, own_place};
use crate::wheels;

/// Downloads a variant into the cache, or finds it there.
///
/// One process at a time works on an install (an operating-system lock, which ends with its process), in a folder that is
/// renamed once it is complete: an interrupted download is never mistaken for an install.
pub(crate) fn install(variant: Variant) -> Result<Libtorch> {
    let place = own_place(variant)?;
    let cache = place.parent().context("the cache is the root folder")?;
    std::fs::create_dir_all(cache).with_context(|| format!("failed to create {}", cache.display()))?;
    let lock_path = beside(&place, "lock");
    let lock = std::fs::File::create(&lock_path).with_context(|| format!("failed to write {}", lock_path.display()))?;
    if lock.try_lock().is_err() {
        eprintln!("another set-up is working on {}; waiting for it", place.display());
        lock.lock().with_context(|| format!("failed to lock {}", lock_path.display()))?;
    }
    if place.exists() {
        match own_install(variant) {
            Ok(found) => return Ok(found),
            Err(error) => eprintln!("warning: {error:#}; installing it again"),
        }
    }

    remove_leftovers(cache, &beside(&place, "partial-"))?;
    // A name of our own: the pip of a killed set-up may still be running and write into its folder.
    let work = beside(&place, &format!("partial-{}", std::process::id()));
    std::fs::create_dir_all(&work).with_context(|| format!("failed to create {}", work.display()))?;
    let made = check_space(cache, variant).and_then(|()| match variant {
        Variant::Cpu => wheels::cpu(&work),
        Variant::Cuda => wheels::cuda(&work),
    });
    if let Ok(made) = &made {
        remove(&place)?;
        let context = || format!("failed to move {} to {}", made.display(), place.display());
        std::fs::rename(made, &place).with_context(context)?;
    }
    remove(&work)?;
    made.and_then(|_| own_install(variant))
}

/// `libtorch-2.11.0-cpu` -> `libtorch-2.11.0-cpu.partial`; `with_extension` would replace `0-cpu`.
fn beside(place: &Path, suffix: &str) -> PathBuf {
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    place.with_file_name(format!("{name}.{suffix}"))
}

/// Removes what interrupted set-ups left; the lock shows that none is running.
fn remove_leftovers(cache: &Path, prefix: &Path) -> Result<()> {
    let prefix = prefix.to_string_lossy().into_owned();
    let entries = std::fs::read_dir(cache).with_context(|| format!("failed to list {}", cache.display()))?;
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
            Err(error).with_context(|| format!("failed to remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// Refuses a download that does not fit on the disk.
fn check_space(cache: &Path, variant: Variant) -> Result<()> {
    let needed = match variant {
        Variant::Cpu => 1.2,
        Variant::Cuda => 9.0,
    };
    match free_gigabytes(cache) {
        Some(free) if free < needed => bail!(
            "expected {needed:.1} GB free in {} for the {variant} set-up, found {free:.1} GB (hint: free some, or set \
             VERDICT_CACHE to a folder on a larger disk)",
            cache.display()
        ),
        _ => Ok(()),
    }
}

/// Free space on the disk of a path, in 10^9 bytes; `None` where `df` cannot tell.
pub(crate) fn free_gigabytes(path: &Path) -> Option<f64> {
    let listing = output_of("df", &["-Pk", path.to_str()?])?;
    let kilobytes: f64 = listing.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    Some(kilobytes * 1024.0 / 1e9)
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
