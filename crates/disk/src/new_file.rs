//! A new file, written past the page cache where the system can.
//!
//! A checkpoint of gigabytes that goes through the page cache is copied there by the processor, and the pages that it
//! pushes out are missed by others. Written directly it costs next to nothing. Direct writes take whole blocks from
//! aligned memory, so bytes are gathered in such memory first; the end of a file, and all of a small one, goes the
//! ordinary way.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::calls::open_or_create;
use crate::faults::{self, call};

/// Bytes of one direct write.
const BLOCK: usize = 4 << 20;
/// What memory, offset and length of a direct write must be multiples of, on any disk in use.
const ALIGNMENT: usize = 4096;

#[derive(Debug)]
pub struct NewFile {
    file: File,
    path: PathBuf,
    /// The next block, in memory that starts at a multiple of [`ALIGNMENT`].
    memory: Vec<u8>,
    start: usize,
    filled: usize,
    /// Whether writes bypass the page cache now, and whether they may.
    direct: bool,
    may_be_direct: bool,
}

impl NewFile {
    /// Creates a file that doesn't exist yet.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = open_or_create(path, File::options().write(true).create_new(true))?;
        let memory = vec![0; BLOCK + ALIGNMENT];
        let start = memory.as_ptr().align_offset(ALIGNMENT);
        Ok(Self { file, path: path.to_owned(), memory, start, filled: 0, direct: false, may_be_direct: true })
    }

    /// Syncs the file. Without it, written content may be lost.
    pub fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        call(|| self.file.sync_all())?;
        faults::synced(&self.path);
        Ok(())
    }

    fn bypass(&mut self, direct: bool) {
        if self.may_be_direct && direct != self.direct {
            match bypass_page_cache(&self.file, direct) {
                Ok(()) => self.direct = direct,
                Err(_) => self.may_be_direct = false,
            }
        }
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(BLOCK - self.filled);
        let end = self.start + self.filled;
        self.memory[end..end + taken].copy_from_slice(&bytes[..taken]);
        self.filled += taken;
        if self.filled == BLOCK {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.bypass(self.filled == BLOCK);
        let mut done = self.start;
        let end = self.start + std::mem::take(&mut self.filled);
        while done < end {
            if let Err(error) = faults::next() {
                // A disk that is full takes the first part.
                self.bypass(false);
                self.file.write_all(&self.memory[done..done + (end - done) / 2])?;
                faults::written(&self.path);
                return Err(error);
            }
            match self.file.write(&self.memory[done..end]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => done += written,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // The disk needs larger blocks, or the previous one was written in part.
                Err(error) if self.direct && error.kind() == ErrorKind::InvalidInput => {
                    self.bypass(false);
                    self.may_be_direct = false;
                }
                Err(error) => return Err(error),
            }
            faults::written(&self.path);
        }
        Ok(())
    }
}

#[cfg(target_os = "linux")]
fn bypass_page_cache(file: &File, direct: bool) -> io::Result<()> {
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    let mut flags = fcntl_getfl(file)?;
    flags.set(OFlags::DIRECT, direct);
    Ok(fcntl_setfl(file, flags)?)
}

#[cfg(not(target_os = "linux"))]
fn bypass_page_cache(_file: &File, _direct: bool) -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// On the disk and, where there is one, on a file system in memory, which may refuse direct writes.
    #[test]
    fn files_of_any_length_are_written_completely() {
        let mut folders = vec![tempfile::tempdir().unwrap()];
        folders.extend(tempfile::tempdir_in("/dev/shm"));
        for folder in folders {
            for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 4096, 3 * BLOCK + 12_345] {
                let bytes: Vec<u8> = (0..length).map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8).collect();
                let path = folder.path().join(length.to_string());
                let mut file = NewFile::create(&path).unwrap();
                // In pieces that end anywhere.
                for piece in bytes.chunks(1_000_003) {
                    file.write_all(piece).unwrap();
                }
                file.finish().unwrap();
                assert!(fs::read(&path).unwrap() == bytes, "{length} bytes in {}", folder.path().display());
            }
        }
    }
}
