//! No file half written: a file that matters is written beside its place, synced, then renamed.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::error::{Result, TrainError};

/// How the names of unfinished files begin. One that a killed process left behind means nothing.
pub const UNFINISHED: &str = ".unfinished-";

/// Puts `bytes` at `path`, replacing what was there: at every instant either the old or the new content is there whole.
///
/// # Errors
/// A folder that can't be written to, a full disk; the old content then stays.
pub fn write_atomic(path: &Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    write_atomic_with(path, |file| file.write_all(bytes.as_ref()))
}

/// As [`write_atomic`], for content that is written bit by bit.
///
/// # Errors
/// As [`write_atomic`], and what `content` returns.
pub fn write_atomic_with(path: &Path, content: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> Result<()> {
    let write = || {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let (file, unfinished) = builder().tempfile_in(folder)?.into_parts();
        let mut writer = BufWriter::new(file);
        content(&mut writer)?;
        writer.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        unfinished.persist(path).map_err(|error| error.error)?;
        sync_folder(folder)
    };
    write().map_err(TrainError::io("write", path))
}

/// Temporary files that end up with the permissions of any other new file, not with the 0600 of a secret.
#[cfg(unix)]
fn builder() -> tempfile::Builder<'static, 'static> {
    use std::os::unix::fs::PermissionsExt;
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED).permissions(std::fs::Permissions::from_mode(0o666)); // less the umask
    builder
}

#[cfg(not(unix))]
fn builder() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED);
    builder
}

/// Makes a rename last: on Unix it is the folder that holds it.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn new_content_takes_the_place_of_old() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.toml");
        write_atomic(&path, "seed = 1").unwrap();
        write_atomic(&path, "seed = 2").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "seed = 2");
        assert_eq!(names(folder.path()), ["run.toml"]);
    }

    #[test]
    fn a_failure_keeps_the_old_content_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        write_atomic(&path, "good").unwrap();
        let full = write_atomic_with(&path, |file| {
            file.write_all(b"half of it")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        });
        assert_eq!(full.unwrap_err().to_string(), format!("can't write {}", path.display()));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "good");
        assert_eq!(names(folder.path()), ["model.safetensors"]);
    }

    #[test]
    fn a_missing_folder_is_an_error_that_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let error = write_atomic(&folder.path().join("gone/metrics.json"), "{}").unwrap_err();
        assert!(error.to_string().ends_with("gone/metrics.json"), "{error}");
    }

    /// The permissions are those of a file that is simply created.
    #[cfg(unix)]
    #[test]
    fn others_can_read_what_they_could_read_otherwise() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let mode = |name: &str| folder.path().join(name).metadata().unwrap().permissions().mode();
        std::fs::write(folder.path().join("plain"), "").unwrap();
        write_atomic(&folder.path().join("atomic"), "").unwrap();
        assert_eq!(mode("atomic"), mode("plain"));
    }
}
