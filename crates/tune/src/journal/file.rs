//! The lines of a journal: read from where the last read ended, and appended under the lock.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use disk::{DiskError, folder_of, sync_folder};

use super::operation::BEGIN;
use crate::error::{Result, TuneError};
use crate::json;

/// The longest line that is accepted; a longer one means damage, or a file that is not a journal.
const MAX_LINE_BYTES: u64 = 64 << 20;
/// How many of the bytes that were read last are compared with the file the next time.
const LAST_READ_BYTES: usize = 64;

#[derive(Debug)]
pub(crate) struct JournalFile {
    path: PathBuf,
    /// The bytes of the complete lines that were read.
    offset: u64,
    /// The number of lines that were read.
    lines: u64,
    /// The last bytes before `offset`.
    last_read: Vec<u8>,
    /// The unfinished lines that an operation was appended to, to be overwritten with blanks: offset and length.
    unfinished: Vec<(u64, usize)>,
}

impl JournalFile {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), offset: 0, lines: 0, last_read: Vec::new(), unfinished: Vec::new() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Creates an empty journal unless the file exists.
    pub(crate) fn create(path: &Path) -> Result<()> {
        match OpenOptions::new().write(true).create_new(true).open(path) {
            // A process that was killed before it synced the name may have created it.
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(DiskError::at("create", path)(error).into()),
            _ => Ok(sync_folder(folder_of(path)).map_err(DiskError::at("write", path))?),
        }
    }

    /// Calls `each` with every complete line since the last call; its error says what is wrong with the line.
    pub(crate) fn read(&mut self, mut each: impl FnMut(&[u8]) -> std::result::Result<(), String>) -> Result<()> {
        let io = |error| DiskError::at("read", &self.path)(error);
        let mut file = File::open(&self.path).map_err(io)?;
        // The file is opened again each time, so that a replaced one is noticed.
        let mut known = vec![0; self.last_read.len()];
        file.seek(SeekFrom::Start(self.offset - known.len() as u64)).map_err(io)?;
        let same = file.read_exact(&mut known).map(|()| known == self.last_read);
        if !same.or_else(|error| if error.kind() == ErrorKind::UnexpectedEof { Ok(false) } else { Err(io(error)) })? {
            return Err(TuneError::Replaced { path: self.path.clone() });
        }
        let mut reader = BufReader::with_capacity(1 << 16, file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = reader.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line);
            read.map_err(|error| DiskError::at("read", &self.path)(error))?;
            if line.last() != Some(&b'\n') {
                if line.len() as u64 == MAX_LINE_BYTES {
                    return Err(self.damaged(format!("the line has no end within {} MiB", MAX_LINE_BYTES >> 20)));
                }
                return Ok(());
            }
            let mut start = 0;
            if let Err(problem) = each(&line) {
                start = appended_operation(&line).ok_or_else(|| self.damaged(problem))?;
                each(&line[start..]).map_err(|problem| self.damaged(problem))?;
                self.unfinished.push((self.offset, start));
            }
            self.offset += line.len() as u64;
            self.lines += 1;
            self.last_read.clear();
            self.last_read.extend_from_slice(&line[start.max(line.len().saturating_sub(LAST_READ_BYTES))..]);
        }
    }

    fn damaged(&self, problem: String) -> TuneError {
        TuneError::Damaged { path: self.path.clone(), line: self.lines + 1, problem }
    }

    /// Appends lines and syncs. The caller holds the lock, and has read everything under it.
    ///
    /// # Errors
    /// [`TuneError::Disk`]; the file is then truncated to its earlier length, if that is possible.
    pub(crate) fn append(&mut self, lines: &[String]) -> Result<()> {
        self.blank_unfinished()?;
        let io = |error| DiskError::at("append to", &self.path)(error);
        let mut file = OpenOptions::new().append(true).open(&self.path).map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        if length > self.offset {
            let unfinished = length - self.offset;
            tracing::warn!("{}: truncated {unfinished} bytes of an unfinished line", self.path.display());
            file.set_len(self.offset).map_err(io)?;
        }
        let text = lines.join("\n") + "\n";
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_data());
        Ok(written.map_err(|error| {
            // The next writer would truncate a part of a line, but not whole lines of a batch.
            let _ = file.set_len(self.offset);
            io(error)
        })?)
    }

    /// Overwrites unfinished lines in front of an operation with blanks.
    fn blank_unfinished(&mut self) -> Result<()> {
        if self.unfinished.is_empty() {
            return Ok(());
        }
        let io = |error| DiskError::at("write", &self.path)(error);
        // A file that is opened for appending can be written only at its end.
        let file = OpenOptions::new().write(true).open(&self.path).map_err(io)?;
        for (offset, length) in &self.unfinished {
            let (path, end) = (self.path.display(), offset + *length as u64);
            tracing::warn!("{path}: overwrote bytes {offset} to {end} with blanks, an unfinished line");
            file.write_all_at(&vec![b' '; *length], *offset).map_err(io)?;
        }
        file.sync_data().map_err(io)?;
        self.unfinished.clear();
        Ok(())
    }
}

/// Where in a damaged line an operation begins that was appended to an unfinished line.
fn appended_operation(line: &[u8]) -> Option<usize> {
    let start = line.windows(BEGIN.len()).rposition(|part| part == BEGIN)?;
    // A line that is JSON but not an operation is another kind of damage.
    (start > 0 && json::parse(line).is_err()).then_some(start)
}
