//! The Hub's cache on disk, in the layout that Hugging Face's Python tools share.
//!
//! ```text
//! models--OWNER--NAME/
//!   blobs/ETAG                    a file's content, named by its digest
//!   blobs/ETAG.incomplete         the beginning of one
//!   refs/REVISION                 the commit of a branch or tag
//!   snapshots/COMMIT/PATH         a link to the blob
//!   .no_exist/COMMIT/PATH         known not to be in the repository
//!   .listing/COMMIT.json          the paths of all its files, which Python's tools neither write nor read
//! .locks/models--OWNER--NAME/ETAG.lock
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use disk::{Lock, create_folder_all, folder_of, symlink_atomic, write_atomic};
use hf_hub::Cache;

use super::RepoRef;
use crate::cache::lock;
use crate::error::Result;

#[derive(Debug)]
pub(super) struct Store<'a> {
    cache: Cache,
    repo: &'a RepoRef,
}

impl<'a> Store<'a> {
    pub(super) fn new(cache: &Path, repo: &'a RepoRef) -> Self {
        Self { cache: Cache::new(cache.to_owned()), repo }
    }

    fn name(&self) -> String {
        self.repo.to_hf(self.repo.revision()).folder_name()
    }

    fn folder(&self) -> PathBuf {
        self.cache.path().join(self.name())
    }

    /// The revision's commit when it was last requested.
    pub(super) fn commit(&self) -> Option<String> {
        if is_commit(self.repo.revision()) {
            return Some(self.repo.revision().to_owned());
        }
        let text = fs::read_to_string(self.folder().join("refs").join(self.repo.revision())).ok()?;
        Some(text.trim().to_owned()).filter(|commit| is_commit(commit))
    }

    pub(super) fn set_commit(&self, commit: &str) -> Result<()> {
        if is_commit(self.repo.revision()) {
            return Ok(());
        }
        write_with_folder(&self.folder().join("refs").join(self.repo.revision()), commit)
    }

    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.cache.repo(self.repo.to_hf(self.repo.revision())).pointer_path(commit)
    }

    pub(super) fn file(&self, commit: &str, path: &str) -> Option<PathBuf> {
        Some(self.snapshot(commit).join(path)).filter(|path| path.is_file())
    }

    /// Whether the Hub has said before that the commit has no such file.
    pub(super) fn is_absent(&self, commit: &str, path: &str) -> bool {
        self.folder().join(".no_exist").join(commit).join(path).is_file()
    }

    pub(super) fn set_absent(&self, commit: &str, path: &str) -> Result<()> {
        write_with_folder(&self.folder().join(".no_exist").join(commit).join(path), "")
    }

    /// The paths of all the commit's files, whether they are in the cache or not.
    pub(super) fn listing(&self, commit: &str) -> Option<Vec<String>> {
        serde_json::from_str(&fs::read_to_string(self.listing_place(commit)).ok()?).ok()
    }

    pub(super) fn set_listing(&self, commit: &str, files: &[String]) -> Result<()> {
        write_with_folder(&self.listing_place(commit), &serde_json::json!(files).to_string())
    }

    fn listing_place(&self, commit: &str) -> PathBuf {
        self.folder().join(".listing").join(format!("{commit}.json"))
    }

    /// The paths of the commit's files that are in the cache.
    pub(super) fn files(&self, commit: &str) -> Vec<String> {
        let mut found = Vec::new();
        walk(&self.snapshot(commit), "", &mut found);
        found.sort();
        found
    }

    pub(super) fn blob(&self, etag: &str) -> PathBuf {
        self.cache.repo(self.repo.to_hf(self.repo.revision())).blob_path(etag)
    }

    /// Where a blob grows. Python resumes the same file.
    pub(super) fn partial(&self, etag: &str) -> Result<PathBuf> {
        create_folder_all(&self.folder().join("blobs"))?;
        Ok(self.folder().join("blobs").join(format!("{etag}.incomplete")))
    }

    /// Python takes the same lock.
    pub(super) fn lock(&self, etag: &str) -> Result<Lock> {
        lock(&self.cache.path().join(".locks").join(self.name()).join(format!("{etag}.lock")))
    }

    /// Makes a blob appear in the snapshot.
    pub(super) fn link(&self, etag: &str, commit: &str, path: &str) -> Result<PathBuf> {
        let place = self.snapshot(commit).join(path);
        if place.is_file() {
            return Ok(place);
        }
        create_folder_all(folder_of(&place))?;
        // From snapshots/COMMIT/a/b the blobs are as many steps up as the path has parts, and one for the commit.
        let up = "../".repeat(path.split('/').count() + 1);
        symlink_atomic(Path::new(&format!("{up}blobs/{etag}")), &place)?;
        Ok(place)
    }
}

fn write_with_folder(path: &Path, content: &str) -> Result<()> {
    create_folder_all(folder_of(path))?;
    Ok(write_atomic(path, content)?)
}

fn walk(folder: &Path, prefix: &str, found: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let path = entry.path();
        if path.is_dir() {
            walk(&path, &format!("{name}/"), found);
        } else if path.is_file() {
            found.push(name);
        }
    }
}

/// A full commit hash. It becomes part of a path, so nothing else is taken from a server or a file.
pub(super) fn is_commit(text: &str) -> bool {
    text.len() == 40 && is_hex(text)
}

pub(super) fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
