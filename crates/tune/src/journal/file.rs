//! The lines of a journal: read from where the last reading ended, and appended under the lock.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use disk::{DiskError, folder_of, sync_folder};

use super::operation::BEGIN;
use crate::error::{Result, TuneError};
use crate::json;

/// The longest line that is taken for one. Behind that lies damage, or something that is no journal.
const MOST_BYTES: u64 = 64 << 20;
/// How much of what was read last is compared with the file the next time.
const KNOWN: usize = 64;

#[derive(Debug)]
pub(crate) struct JournalFile {
    path: PathBuf,
    /// Bytes that were read: whole lines.
    offset: u64,
    /// Lines that were read.
    lines: u64,
    /// The bytes in front of `offset`, a few of them.
    known: Vec<u8>,
    /// Where unfinished lines stand in front of an operation, to be made blank: offset and length.
    glued: Vec<(u64, usize)>,
}

impl JournalFile {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), offset: 0, lines: 0, known: Vec::new(), glued: Vec::new() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes an empty journal where there is none.
    pub(crate) fn create(path: &Path) -> Result<()> {
        match OpenOptions::new().write(true).create_new(true).open(path) {
            Ok(_) => Ok(sync_folder(folder_of(path)).map_err(DiskError::at("write", path))?),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(DiskError::at("create", path)(error).into()),
        }
    }

    /// Gives every line that was finished since the last time to `each`, which says what is wrong with it.
    pub(crate) fn read(&mut self, mut each: impl FnMut(&[u8]) -> std::result::Result<(), String>) -> Result<()> {
        let io = |error| DiskError::at("read", &self.path)(error);
        let mut file = File::open(&self.path).map_err(io)?;
        // Journals are opened anew each time, so that one that was replaced is noticed and not written to for nothing.
        let mut known = vec![0; self.known.len()];
        file.seek(SeekFrom::Start(self.offset - known.len() as u64)).map_err(io)?;
        let same = file.read_exact(&mut known).map(|()| known == self.known);
        if !same.or_else(|error| if error.kind() == ErrorKind::UnexpectedEof { Ok(false) } else { Err(io(error)) })? {
            return Err(TuneError::Replaced { path: self.path.clone() });
        }
        let mut reader = BufReader::with_capacity(1 << 16, file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = reader.by_ref().take(MOST_BYTES).read_until(b'\n', &mut line);
            read.map_err(|error| DiskError::at("read", &self.path)(error))?;
            if line.last() != Some(&b'\n') {
                if line.len() as u64 == MOST_BYTES {
                    return Err(self.damaged(format!("no end within {} MiB", MOST_BYTES >> 20)));
                }
                return Ok(());
            }
            let mut start = 0;
            if let Err(problem) = each(&line) {
                start = glued(&line).ok_or_else(|| self.damaged(problem))?;
                each(&line[start..]).map_err(|problem| self.damaged(problem))?;
                self.glued.push((self.offset, start));
            }
            self.offset += line.len() as u64;
            self.lines += 1;
            self.known.clear();
            self.known.extend_from_slice(&line[start.max(line.len().saturating_sub(KNOWN))..]);
        }
    }

    fn damaged(&self, problem: String) -> TuneError {
        TuneError::Damaged { path: self.path.clone(), line: self.lines + 1, problem }
    }

    /// Appends lines and syncs. Only under the lock, and after everything was read under it.
    ///
    /// # Errors
    /// [`TuneError::Disk`]; nothing of the lines is there then, as far as the disk still obeys.
    pub(crate) fn append(&mut self, lines: &[String]) -> Result<()> {
        self.heal()?;
        let io = |error| DiskError::at("append to", &self.path)(error);
        let mut file = OpenOptions::new().append(true).open(&self.path).map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        if length > self.offset {
            let unfinished = length - self.offset;
            tracing::warn!("{}: cut off {unfinished} bytes of a line that was never finished", self.path.display());
            file.set_len(self.offset).map_err(io)?;
        }
        let text = lines.join("\n") + "\n";
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_data());
        Ok(written.map_err(|error| {
            // Part of a line would be cut off by the next writer anyway, whole lines of a batch would not.
            let _ = file.set_len(self.offset);
            io(error)
        })?)
    }

    /// Puts blanks where unfinished lines stand in front of an operation.
    fn heal(&mut self) -> Result<()> {
        if self.glued.is_empty() {
            return Ok(());
        }
        let io = |error| DiskError::at("write", &self.path)(error);
        // A file that is opened for appending takes bytes only at its end.
        let file = OpenOptions::new().write(true).open(&self.path).map_err(io)?;
        for (offset, length) in &self.glued {
            let (path, end) = (self.path.display(), offset + *length as u64);
            tracing::warn!("{path}: made bytes {offset} to {end} blank, a line that was never finished");
            file.write_all_at(&vec![b' '; *length], *offset).map_err(io)?;
        }
        file.sync_data().map_err(io)?;
        self.glued.clear();
        Ok(())
    }
}

/// Where, in a line that is no operation, an operation begins that was appended to an unfinished line.
fn glued(line: &[u8]) -> Option<usize> {
    let start = line.windows(BEGIN.len()).rposition(|part| part == BEGIN)?;
    // A line that is JSON and yet no operation is damage of another kind.
    (start > 0 && json::parse(line).is_err()).then_some(start)
}
