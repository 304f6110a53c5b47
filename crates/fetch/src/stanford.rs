//! The Stanford Sentiment Treebank from Stanford's own archive, `trainDevTestTrees_PTB.zip`.
//!
//! Socher et al. 2013, "Recursive Deep Models for Semantic Compositionality Over a Sentiment Treebank". The archive has
//! three files of one bracketed tree a line. Stanford states no digest for it; a file other than the one that the documented
//! results were measured with is refused.

use std::env;
use std::path::{Path, PathBuf};

use disk::StagedFolder;

use crate::archive::{ArchiveLimits, RequestedMember, unpack_zip};
use crate::cache::{in_cache, lock};
use crate::error::Result;
use crate::pinned::{self, PinnedFile};
use crate::transfer::{Client, Request};

/// The official address; `VERDICT_STANFORD_URL` names another one, for a mirror.
pub const URL: &str = "https://nlp.stanford.edu/sentiment/trainDevTestTrees_PTB.zip";

/// The files that the documented results were measured with.
const FILES: [PinnedFile; 3] = [
    ("train.txt", "e2f3f41b0b1e6d4dddc0effe3bfc2d27ed8928079aa9a03d652311614fc5feb7"),
    ("dev.txt", "0e9336aed6e4730e19f58d00a77b3f0297efdb755f7b5e598c98a05e3f97ea40"),
    ("test.txt", "6e54806dee95cf80cd918e7dfb3f6770f6df24bf826f289a4d1f709e1c8f6761"),
];

const LIMITS: ArchiveLimits = ArchiveLimits { member: 32 << 20, total: 64 << 20, members: 100 };

/// A folder with `train.txt`, `dev.txt` and `test.txt`, downloaded once.
///
/// # Errors
/// [`crate::FetchError::Unreachable`] within seconds where there is no network; [`crate::FetchError::WrongDigest`] for other content; those
/// of the transfer and the archive.
pub fn treebank() -> Result<PathBuf> {
    let url = env::var("VERDICT_STANFORD_URL").ok().filter(|url| !url.is_empty());
    in_cache(|cache| treebank_from(url.as_deref().unwrap_or(URL), &FILES, cache))
}

/// The folder of these files under `cache`, from the archive at `url`.
///
/// # Errors
/// As [`treebank`].
pub fn treebank_from(url: &str, files: &[PinnedFile], cache: &Path) -> Result<PathBuf> {
    let shelf = cache.join("stanford");
    let place = shelf.join("trees");
    if pinned::are_there(files, &place)? {
        return Ok(place);
    }
    let _lock = lock(&shelf.join("trees.lock"))?;
    if pinned::are_there(files, &place)? {
        return Ok(place);
    }
    tracing::info!("fetching the treebank from {url}");
    // This process holds the lock, and what an earlier process left there is continued only by a fresh download.
    let archive = shelf.join("trees.zip.incomplete");
    let _ = std::fs::remove_file(&archive);
    let result = download(url, &archive).and_then(|()| unpack(url, &archive, files, &place));
    let _ = std::fs::remove_file(&archive);
    result.map(|()| place)
}

fn download(url: &str, archive: &Path) -> Result<()> {
    let client = Client::new();
    let request = Request::new(url, None);
    let answer = client.get_with_retries(request)?;
    answer.refuse_web_page(url)?;
    if answer.status != 200 {
        return Err(answer.into_status_error(url));
    }
    let size = answer.file_size();
    client.download_into(request, answer, archive, size, "trainDevTestTrees_PTB.zip")
}

/// Publishes the files at `place` once each has its digest.
fn unpack(url: &str, archive: &Path, files: &[PinnedFile], place: &Path) -> Result<()> {
    let content = StagedFolder::create(place, FILES[0].0)?;
    let members: Vec<String> = files.iter().map(|(file, _)| format!("trees/{file}")).collect();
    let wanted: Vec<RequestedMember> =
        members.iter().zip(files).map(|(member, (file, _))| RequestedMember { member, file }).collect();
    for (path, (file, sha256)) in unpack_zip(archive, &wanted, content.path(), &LIMITS)?.iter().zip(files) {
        pinned::check(path, format!("{file} in {url}"), sha256)?;
    }
    Ok(content.publish()?)
}
