//! `.cargo/libtorch.toml`: tells every cargo command in this checkout where libtorch is.
//!
//! The committed `.cargo/config.toml` includes it if it exists. It sets the variable LIBTORCH, which torch-sys
//! compiles against and `build/libtorch.rs` turns into the rpath of our binaries. A LIBTORCH of the shell overrides it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The file's place in a checkout.
pub(crate) fn path(root: &Path) -> PathBuf {
    root.join(".cargo/libtorch.toml")
}

/// The folder that the file names, if there is a file and it names one.
pub(crate) fn recorded(root: &Path) -> Option<PathBuf> {
    let text = std::fs::read_to_string(path(root)).ok()?;
    let quoted = text.lines().find_map(|line| line.strip_prefix("LIBTORCH = "))?;
    serde_json::from_str(quoted.trim()).ok()
}

/// Writes the file unless it names this folder already; returns whether it wrote.
pub(crate) fn record(root: &Path, libtorch: &Path) -> Result<bool> {
    // Other settings in the file were added by hand, and stay as long as the path does.
    if recorded(root).is_some_and(|folder| folder == libtorch) {
        return Ok(false);
    }
    let text = render(libtorch)?;
    let place = path(root);
    let beside = place.with_extension(format!("toml.{}", std::process::id()));
    std::fs::write(&beside, text)
        .and_then(|()| std::fs::rename(&beside, &place))
        .with_context(|| format!("failed to write {}", place.display()))?;
    Ok(true)
}

fn render(libtorch: &Path) -> Result<String> {
    let Some(folder) = libtorch.to_str() else {
        bail!("{} is not UTF-8, which cargo needs", libtorch.display());
    };
    // A comma would end the rpath inside the linker's `-Wl,-rpath,PATH`, a line break would end a build script's line.
    if folder.contains(',') || folder.chars().any(char::is_control) {
        bail!("{folder:?} has a comma or a control character in it, which linkers don't accept in a path");
    }
    // Without control characters a JSON string is a TOML string.
    let quoted = serde_json::to_string(folder)?;
    Ok(format!("# Written by `cargo xtask setup`, for this machine alone.\n[env]\nLIBTORCH = {quoted}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_read_back_and_written_once() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join(".cargo")).unwrap();
        assert_eq!(recorded(root.path()), None);
        for folder in ["/a/libtorch", "/with space/and \"quotes\"/back\\slash", "/ünï/cödé"] {
            assert!(record(root.path(), Path::new(folder)).unwrap(), "{folder}");
            assert!(!record(root.path(), Path::new(folder)).unwrap(), "written again: {folder}");
            assert_eq!(recorded(root.path()), Some(PathBuf::from(folder)));
        }
        let left = std::fs::read_dir(root.path().join(".cargo")).unwrap().count();
        assert_eq!(left, 1, "a temporary file stayed");
    }

    #[test]
    fn paths_that_linkers_do_not_accept_are_refused() {
        for folder in ["/a,b/libtorch", "/a\nb"] {
            assert!(render(Path::new(folder)).is_err(), "{folder}");
        }
    }
}
