//! The Stanford Sentiment Treebank from Stanford's own archive, `trainDevTestTrees_PTB.zip`.
//!
//! Socher et al. 2013, "Recursive Deep Models for Semantic Compositionality Over a Sentiment Treebank". The archive has
//! three files of one bracketed tree a line. Stanford states no digest for it, so the archive's
//! own checksums and the shape of its lines are checked; content other than that of the documented results is a
//! warning.

use std::env;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use disk::{DiskError, StagedFolder, sha256_file, sha256_hex};

use crate::archive::{ArchiveLimits, RequestedMember, unpack_zip};
use crate::cache::{in_cache, lock};
use crate::error::{FetchError, Result};
use crate::transfer::{Client, Request};

/// The official address; `VERDICT_STANFORD_URL` names another one, for a mirror.
pub const URL: &str = "https://nlp.stanford.edu/sentiment/trainDevTestTrees_PTB.zip";

/// A file of the treebank, and the sha256 of the one that the project's figures were measured with.
const FILES: [(&str, &str); 3] = [
    ("train.txt", "e2f3f41b0b1e6d4dddc0effe3bfc2d27ed8928079aa9a03d652311614fc5feb7"),
    ("dev.txt", "0e9336aed6e4730e19f58d00a77b3f0297efdb755f7b5e598c98a05e3f97ea40"),
    ("test.txt", "6e54806dee95cf80cd918e7dfb3f6770f6df24bf826f289a4d1f709e1c8f6761"),
];

const LIMITS: ArchiveLimits = ArchiveLimits { member: 32 << 20, total: 64 << 20, members: 100 };

/// A folder with `train.txt`, `dev.txt` and `test.txt`, downloaded once.
///
/// # Errors
/// [`FetchError::Unreachable`] within seconds where there is no network; those of the transfer and the archive.
pub fn treebank() -> Result<PathBuf> {
    let url = env::var("VERDICT_STANFORD_URL").ok().filter(|url| !url.is_empty());
    in_cache(|cache| treebank_from(url.as_deref().unwrap_or(URL), cache))
}

/// The treebank's folder under `cache`, from the archive at `url`.
///
/// # Errors
/// As [`treebank`].
pub fn treebank_from(url: &str, cache: &Path) -> Result<PathBuf> {
    let shelf = cache.join("stanford");
    // Another address may have other content, so it gets a folder of its own.
    let name = if url == URL { "trees".to_owned() } else { format!("trees-{}", &sha256_hex(url)[..12]) };
    let place = shelf.join(&name);
    let ready = || FILES.iter().all(|(file, _)| place.join(file).is_file());
    if ready() {
        return Ok(place);
    }
    let _lock = lock(&shelf.join(format!("{name}.lock")))?;
    if ready() {
        return Ok(place);
    }
    tracing::info!("fetching the treebank from {url}");
    // This process holds the lock, and what an earlier process left there is continued only by a fresh download.
    let archive = shelf.join(format!("{name}.zip.incomplete"));
    let _ = std::fs::remove_file(&archive);
    let result = download(url, &archive).and_then(|()| unpack(&archive, &place));
    let _ = std::fs::remove_file(&archive);
    result?;
    if url == URL {
        compare(&place)?;
    }
    Ok(place)
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

fn unpack(archive: &Path, place: &Path) -> Result<()> {
    let content = StagedFolder::create(place, FILES[0].0)?;
    let members = FILES.map(|(file, _)| format!("trees/{file}"));
    let wanted: Vec<RequestedMember> =
        members.iter().zip(FILES).map(|(member, (file, _))| RequestedMember { member, file }).collect();
    for path in unpack_zip(archive, &wanted, content.path(), &LIMITS)? {
        if !looks_like_trees(&path)? {
            let name = path.file_name().unwrap_or_default().display().to_string();
            return Err(FetchError::Archive {
                archive: archive.to_owned(),
                problem: format!("the first line of {name} is not a bracketed tree"),
            });
        }
    }
    Ok(content.publish()?)
}

/// Parsing is the reader's work; this only keeps files of another kind out of the cache.
fn looks_like_trees(path: &Path) -> Result<bool> {
    let mut line = Vec::new();
    let file = File::open(path).map_err(DiskError::at("read", path))?;
    BufReader::new(file).read_until(b'\n', &mut line).map_err(DiskError::at("read", path))?;
    let line = line.trim_ascii();
    Ok(line.starts_with(b"(") && line.ends_with(b")"))
}

fn compare(place: &Path) -> Result<()> {
    for (file, expected) in FILES {
        let found = sha256_file(&place.join(file))?;
        if found != expected {
            tracing::warn!(
                "the treebank's {file} has sha256 {found}, not {expected}: results may differ from the documented ones"
            );
        }
    }
    Ok(())
}
