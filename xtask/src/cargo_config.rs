//! `.cargo/libtorch.toml`: tells every cargo command in this checkout where libtorch lies.
//!
//! The committed `.cargo/config.toml` includes it where it exists. It sets the variable LIBTORCH, which torch-sys
//! compiles against and `build/libtorch.rs` turns into the rpath of our binaries. A LIBTORCH of the shell wins over it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The file's place in a checkout.
pub(crate) fn path(root: &Path) -> PathBuf {
    root.join(".cargo/libtorch.toml")
}

/// The folder that the file names, if there is a file and it names one.
pub(crate) fn recorded(root: &Path) -> Option<PathBuf> {
    let text = std::fs::read_to_string(path(root)).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix("LIBTORCH = "))?;
    unquoted(value.trim()).map(PathBuf::from)
}

/// Writes the file unless it names this folder already; tells whether it wrote.
///
/// # Errors
/// Where the path cannot be written into TOML or the file not into its place.
pub(crate) fn record(root: &Path, libtorch: &Path) -> Result<bool> {
    // What else the file says was put there by hand, and stays as long as the place does.
    if recorded(root).is_some_and(|folder| folder == libtorch) {
        return Ok(false);
    }
    let text = render(libtorch)?;
    let place = path(root);
    let beside = place.with_extension(format!("toml.{}", std::process::id()));
    std::fs::write(&beside, text)
        .and_then(|()| std::fs::rename(&beside, &place))
        .with_context(|| format!("could not write {}", place.display()))?;
    Ok(true)
}

fn render(libtorch: &Path) -> Result<String> {
    let Some(folder) = libtorch.to_str() else {
        bail!("{} is not UTF-8, so cargo cannot be told of it", libtorch.display());
    };
    // A comma would end the rpath inside the linker's `-Wl,-rpath,PATH`, a line break would end a build script's line.
    if folder.contains(',') || folder.chars().any(char::is_control) {
        bail!("{folder:?} has a comma or a control character in it, which linkers cannot take in a path");
    }
    let quoted = folder.replace('\\', "\\\\").replace('"', "\\\"");
    Ok(format!("# Written by `cargo xtask setup`, for this machine alone.\n[env]\nLIBTORCH = \"{quoted}\"\n"))
}

/// The inverse of the quoting above.
fn unquoted(value: &str) -> Option<String> {
    let inner = value.strip_prefix('"')?.strip_suffix('"')?;
    let mut text = String::new();
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        text.push(if character == '\\' { characters.next()? } else { character });
    }
    Some(text)
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
    fn paths_that_a_linker_would_misread_are_refused() {
        for folder in ["/a,b/libtorch", "/a\nb"] {
            assert!(render(Path::new(folder)).is_err(), "{folder}");
        }
    }
}
