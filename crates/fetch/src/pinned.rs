//! Files whose content is known in advance: their digests are in the source, and other content is refused.

use std::path::Path;

use disk::sha256_file;

use crate::error::{FetchError, Result};

/// A file's name in its folder, and its sha256.
pub type PinnedFile = (&'static str, &'static str);

/// Whether every file is in the folder with its content: hashing 90 MB costs less than a wrong result. A file that was kept
/// with other content is to be fetched again.
pub(crate) fn are_there(files: &[PinnedFile], folder: &Path) -> Result<bool> {
    for (file, sha256) in files {
        let path = folder.join(file);
        if !path.is_file() {
            return Ok(false);
        }
        if let Err(error) = check(&path, path.display(), sha256) {
            tracing::warn!("{error}; fetching it again");
            return Ok(false);
        }
    }
    Ok(true)
}

/// An error that calls the file `what`, if its content is not the expected.
pub(crate) fn check(path: &Path, what: impl ToString, expected: &str) -> Result<()> {
    let found = sha256_file(path)?;
    if found == expected {
        return Ok(());
    }
    Err(FetchError::WrongDigest { what: what.to_string(), algorithm: "sha256", expected: expected.to_owned(), found })
}
