//! Zip and tar.gz files from untrusted sources.
//!
//! Every member's name is checked, requested or not: an archive with an absolute name, a `..`, a link or a device is
//! refused as a whole. Sizes are counted while unpacking and not taken from the archive's headers, so a bomb stops at
//! the limit. Members are picked by name and written under
//! names that the caller gives: nothing from the archive ever becomes part of a path.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use disk::{DiskError, create_folder_all};
use flate2::read::GzDecoder;

use crate::error::{FetchError, Result};

/// How large an archive's content may be before it counts as a bomb.
#[derive(Debug, Clone, Copy)]
pub struct ArchiveLimits {
    pub member: u64,
    /// Bytes of all members together, also of skipped members that have to be unpacked.
    pub total: u64,
    pub members: usize,
}

#[derive(Debug, Clone, Copy)]
pub struct RequestedMember<'a> {
    pub member: &'a str,
    /// The file name under the target folder; it may contain `/`.
    pub file: &'a str,
}

/// Unpacks the requested members of a zip file into the folder `into`.
///
/// Give it a fresh temporary folder: on an error some members may have been written already.
///
/// # Errors
/// [`FetchError::Archive`] for a hostile, damaged or too large archive and for a requested member that is not in it.
pub fn unpack_zip(
    archive: &Path,
    members: &[RequestedMember],
    into: &Path,
    limits: &ArchiveLimits,
) -> Result<Vec<PathBuf>> {
    let refuse = Refuse(archive);
    let file = File::open(archive).map_err(DiskError::at("read", archive))?;
    let mut zip = zip::ZipArchive::new(file).map_err(|error| refuse.because(format!("not a readable zip: {error}")))?;
    if zip.len() > limits.members {
        return Err(refuse.because(format!("{} members, more than {}", zip.len(), limits.members)));
    }
    let mut places = Vec::with_capacity(zip.len());
    for index in 0..zip.len() {
        let member = zip.by_index_raw(index).map_err(|error| refuse.because(error.to_string()))?;
        let name = member.name().map_err(|error| refuse.because(error.to_string()))?.into_owned();
        check_name(&name).map_err(|problem| refuse.because(problem))?;
        // The type bits of the Unix mode: 0 (not stated), a regular file or a directory.
        if member.unix_mode().is_some_and(|mode| !matches!(mode & 0o170_000, 0 | 0o100_000 | 0o040_000)) {
            return Err(refuse.because(format!("member {name:?} is a link or a device")));
        }
        places.push((index, name));
    }

    let mut left = limits.total;
    let mut written = Vec::with_capacity(members.len());
    for requested in members {
        let Some((index, name)) = places.iter().find(|(_, name)| name == requested.member) else {
            return Err(refuse.because(format!("member {:?} is missing", requested.member)));
        };
        let member = zip.by_index(*index).map_err(|error| refuse.because(format!("member {name:?}: {error}")))?;
        written.push(write_member(member, name, requested.file, into, limits, &mut left, refuse)?);
    }
    Ok(written)
}

/// Unpacks the requested members of a gzip-compressed tar file into the folder `into`.
///
/// Give it a fresh temporary folder: on an error some members may have been written already.
///
/// # Errors
/// As [`unpack_zip`].
pub fn unpack_tar_gz(
    archive: &Path,
    members: &[RequestedMember],
    into: &Path,
    limits: &ArchiveLimits,
) -> Result<Vec<PathBuf>> {
    let refuse = Refuse(archive);
    let file = File::open(archive).map_err(DiskError::at("read", archive))?;
    // A tar has no directory: even a skipped member is unpacked, so the whole stream has the limit.
    // Headers and padding take at most 1.5 KB a member.
    let most = limits.total.saturating_add(2048 * limits.members as u64);
    let stream = Bounded { inner: GzDecoder::new(io::BufReader::new(file)), left: most };
    let mut tar = tar::Archive::new(stream);
    let unreadable = |error: io::Error| refuse.because(format!("not a readable tar.gz: {error}"));

    let mut left = limits.total;
    let mut written: Vec<Option<PathBuf>> = vec![None; members.len()];
    for (count, member) in tar.entries().map_err(unreadable)?.enumerate() {
        let member = member.map_err(unreadable)?;
        if count >= limits.members {
            return Err(refuse.because(format!("more than {} members", limits.members)));
        }
        let name = std::str::from_utf8(&member.path_bytes())
            .map_err(|_| refuse.because("a member's name is not UTF-8".to_owned()))?
            .to_owned();
        check_name(&name).map_err(|problem| refuse.because(problem))?;
        let kind = member.header().entry_type();
        if !(kind.is_file() || kind.is_dir() || kind.is_pax_global_extensions()) {
            return Err(refuse.because(format!("member {name:?} is a link or a device")));
        }
        if let Some(at) = members.iter().position(|requested| kind.is_file() && requested.member == name) {
            written[at] = Some(write_member(member, &name, members[at].file, into, limits, &mut left, refuse)?);
        }
    }
    let missing = |at: usize| refuse.because(format!("member {:?} is missing", members[at].member));
    written.into_iter().enumerate().map(|(at, path)| path.ok_or_else(|| missing(at))).collect()
}

/// Copies one member out, stopping at the limits whatever size the archive claims for it.
fn write_member(
    member: impl Read,
    name: &str,
    file: &str,
    into: &Path,
    limits: &ArchiveLimits,
    left: &mut u64,
    refuse: Refuse,
) -> Result<PathBuf> {
    let path = into.join(file);
    if let Some(parent) = path.parent() {
        create_folder_all(parent)?;
    }
    let most = limits.member.min(*left);
    let mut out = File::create(&path).map_err(DiskError::at("write", &path))?;
    let mut member = member.take(most + 1);
    let mut buffer = vec![0; 1 << 16];
    let mut size = 0;
    loop {
        // A failed read is the archive's error, a failed write this machine's.
        let n = match member.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(refuse.because(format!("member {name:?}: {error}"))),
        };
        size += n as u64;
        if size > most {
            return Err(refuse.because(format!("member {name:?} unpacks to more than {most} bytes")));
        }
        out.write_all(&buffer[..n]).map_err(DiskError::at("write", &path))?;
    }
    *left -= size;
    out.sync_all().map_err(DiskError::at("write", &path))?;
    Ok(path)
}

/// An error if a member's name is unsafe.
fn check_name(name: &str) -> std::result::Result<(), String> {
    // Backslashes and drive letters are separators on other systems, so such names are refused.
    let drive = name.as_bytes().get(1) == Some(&b':');
    if name.starts_with(['/', '\\']) || drive {
        Err(format!("member {name:?} has an absolute name"))
    } else if name.split(['/', '\\']).any(|part| part == "..") {
        Err(format!("member {name:?} points outside of the archive"))
    } else if name.is_empty() || name.contains('\0') {
        Err(format!("member {name:?} has no usable name"))
    } else {
        Ok(())
    }
}

#[derive(Clone, Copy)]
struct Refuse<'a>(&'a Path);

impl Refuse<'_> {
    fn because(self, problem: String) -> FetchError {
        FetchError::Archive { archive: self.0.to_owned(), problem }
    }
}

/// A reader that fails, where `Read::take` would quietly end.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.left =
            self.left.checked_sub(n as u64).ok_or_else(|| io::Error::other("it unpacks to more than the limit"))?;
        Ok(n)
    }
}

#[cfg(test)]
mod tests;
