//! What the Hub says a file's content is: its ETag.

use std::path::Path;

use disk::DiskError;
use sha1::{Digest as _, Sha1};

use super::store::is_hex;
use crate::error::{FetchError, Result};
use crate::transfer::Answer;

/// The sum of a file: sha256 of large ones, git's name of the others.
pub(super) enum Digest {
    Sha256(String),
    GitSha1(String),
}

impl Digest {
    /// From `X-Linked-Etag` (the large file behind a pointer) or else `ETag`.
    pub(super) fn of(answer: &Answer, url: &str) -> Result<Self> {
        let stated = answer.hub_header("x-linked-etag").or_else(|| answer.hub_header("etag"));
        let etag = stated.unwrap_or_default().trim_start_matches("W/").trim_matches('"').to_owned();
        match etag.len() {
            64 if is_hex(&etag) => Ok(Self::Sha256(etag)),
            40 if is_hex(&etag) => Ok(Self::GitSha1(etag)),
            _ => Err(FetchError::BadAnswer {
                url: url.to_owned(),
                problem: format!("its ETag {stated:?} is not a digest, so the file could not be checked"),
            }),
        }
    }

    pub(super) fn etag(&self) -> &str {
        match self {
            Self::Sha256(etag) | Self::GitSha1(etag) => etag,
        }
    }

    pub(super) fn check(&self, file: &Path, url: &str) -> Result<()> {
        let (algorithm, found) = match self {
            Self::Sha256(_) => ("sha256", disk::sha256_file(file)?),
            Self::GitSha1(_) => ("git sha1", git_sha1_file(file)?),
        };
        if found == self.etag() {
            return Ok(());
        }
        let (what, expected) = (url.to_owned(), self.etag().to_owned());
        Err(FetchError::WrongDigest { what, algorithm, expected, found })
    }
}

/// The name git gives to a file's content: the SHA-1 of `blob <length>\0` and the content.
fn git_sha1_file(path: &Path) -> Result<String> {
    let length = path.metadata().map_err(DiskError::at("read", path))?.len();
    let mut hasher = Sha1::new();
    hasher.update(format!("blob {length}\0"));
    disk::read_pieces(path, |piece| hasher.update(piece))?;
    Ok(disk::hex(&hasher.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_name_is_that_of_git_hash_object() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hello");
        std::fs::write(&path, "hello\n").unwrap();
        assert_eq!(git_sha1_file(&path).unwrap(), "ce013625030ba8dba906f756967f9e9ca394464a");
    }
}
