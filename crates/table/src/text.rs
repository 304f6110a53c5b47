//! Text files that are known to be UTF-8 before anything is read from them, and their lines within bounds.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::error::TableError;

/// The longest record that is read, in bytes: a JSON line, a CSV record, one text. Beyond it a quote is usually open.
pub(crate) const MAX_RECORD: usize = 4 * 1024 * 1024;

const CHUNK: usize = 64 * 1024;
/// The start of a Git LFS pointer, the placeholder of a large file in a Git repository.
pub(crate) const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Opens a regular, non-empty UTF-8 file; the reader starts behind a byte-order mark, if there is one.
pub(crate) fn open(path: &Path) -> Result<BufReader<File>, TableError> {
    let mut file = open_regular(path)?;
    let start = check(path, &mut file)?;
    file.seek(SeekFrom::Start(start)).map_err(|error| TableError::io(path, error))?;
    Ok(BufReader::with_capacity(CHUNK, file))
}

/// Opens a regular file that holds something.
pub(crate) fn open_regular(path: &Path) -> Result<File, TableError> {
    let file = File::open(path).map_err(|error| TableError::io(path, error))?;
    let about = file.metadata().map_err(|error| TableError::io(path, error))?;
    if !about.is_file() {
        return Err(TableError::file(path, "not a regular file (hint: save the data to a file first)"));
    }
    if about.len() == 0 {
        return Err(TableError::file(path, "the file is empty (0 bytes)"));
    }
    Ok(file)
}

/// Reads the whole file once, in pieces, and returns where its text starts.
fn check(path: &Path, file: &mut File) -> Result<u64, TableError> {
    let mut buffer = vec![0_u8; CHUNK];
    let mut held = 0; // bytes of a character that the last piece cut in two
    let mut offset = 0_u64; // of buffer[0] in the file
    let mut line = 1_u64;
    let mut start = 0;
    loop {
        let read = file.read(&mut buffer[held..]).map_err(|error| TableError::io(path, error))?;
        let piece = &buffer[..held + read];
        if offset == 0 && held == 0 {
            if let Some(reason) = other_format(piece) {
                return Err(encoding(path, 0, 1, reason));
            }
            if piece.starts_with(BYTE_ORDER_MARK) {
                start = BYTE_ORDER_MARK.len() as u64;
            }
        }
        let valid = match std::str::from_utf8(piece) {
            Ok(_) => piece.len(),
            Err(error) if error.error_len().is_none() && read > 0 => error.valid_up_to(),
            Err(error) => {
                let at = error.valid_up_to();
                return Err(encoding(
                    path,
                    offset + at as u64,
                    line + newlines(&piece[..at]),
                    &format!(
                        "0x{:02X} is not UTF-8 (hint: from Windows or Latin-1, `iconv -f WINDOWS-1252 -t UTF-8 FILE`)",
                        piece[at]
                    ),
                ));
            }
        };
        if read == 0 {
            return Ok(start);
        }
        line += newlines(&piece[..valid]);
        held = piece.len() - valid;
        offset += valid as u64;
        buffer.copy_within(valid..valid + held, 0);
    }
}

/// Bytes that are not UTF-8 text; the first of them at `offset`, from 0, in `line`, from 1.
fn encoding(path: &Path, offset: u64, line: u64, reason: &str) -> TableError {
    TableError::file(path, format!("byte {offset} (line {line}): {reason}"))
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// What the first bytes say the file is, when that isn't UTF-8 text.
fn other_format(head: &[u8]) -> Option<&'static str> {
    if head.starts_with(b"\xFF\xFE") || head.starts_with(b"\xFE\xFF") {
        return Some("UTF-16 (a byte-order mark says so), not UTF-8 (hint: `iconv -f UTF-16 -t UTF-8 FILE`)");
    }
    if head.starts_with(b"\x1F\x8B") || head.starts_with(b"PK\x03\x04") {
        return Some("an archive or a spreadsheet, not text (hint: unpack it, or export it as CSV)");
    }
    if head.starts_with(b"PAR1") {
        return Some("Parquet, not text (hint: name it .parquet)");
    }
    if head.starts_with(LFS_POINTER) {
        return Some("a Git LFS pointer, not the data itself (hint: `git lfs pull` fetches it)");
    }
    let text = head.trim_ascii_start();
    if ["<!doctype html", "<html"]
        .iter()
        .any(|tag| text.len() >= tag.len() && text[..tag.len()].eq_ignore_ascii_case(tag.as_bytes()))
    {
        return Some("a web page, not data (hint: the address may need a login, or a link to the raw file)");
    }
    let head = &head[..head.len().min(4096)];
    if head.iter().all(|byte| *byte == 0) && !head.is_empty() {
        return Some("only zero bytes, as a broken copy leaves them (hint: fetch or write the file again)");
    }
    let zeros = |from: usize| head.iter().skip(from).step_by(2).filter(|byte| **byte == 0).count();
    let half = head.len() / 2;
    if half >= 4 && (zeros(0) * 10 > half * 9 || zeros(1) * 10 > half * 9) {
        return Some("every second byte is 0, as in UTF-16, not UTF-8 (hint: `iconv -f UTF-16LE -t UTF-8 FILE`)");
    }
    None
}

/// The lines of a UTF-8 file with their numbers, from 1, without their ends. A line beyond a limit is an error that names
/// it, and no more than that is held in memory.
pub struct Lines {
    path: PathBuf,
    reader: BufReader<File>,
    limit: usize,
    line: u64,
}

impl Lines {
    /// Opens a file whose lines have at most `limit` bytes.
    ///
    /// # Errors
    /// A file that is empty, no regular file, or not UTF-8 throughout.
    pub fn open(path: &Path, limit: usize) -> Result<Self, TableError> {
        Ok(Self { path: path.to_owned(), reader: open(path)?, limit, line: 0 })
    }

    fn read(&mut self) -> Result<Option<(u64, String)>, TableError> {
        let mut bytes = Vec::new();
        let mut bounded = (&mut self.reader).take(self.limit as u64 + 2);
        bounded.read_until(b'\n', &mut bytes).map_err(|error| TableError::io(&self.path, error))?;
        if bytes.is_empty() {
            return Ok(None);
        }
        self.line += 1;
        if bytes.ends_with(b"\n") {
            bytes.pop();
            if bytes.ends_with(b"\r") {
                bytes.pop();
            }
        }
        let fail = |reason: String| Err(TableError::Line { path: self.path.clone(), line: self.line, reason });
        if bytes.len() > self.limit {
            return fail(format!(
                "longer than {} bytes, the most that is read (hint: is a line end missing?)",
                self.limit
            ));
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Some((self.line, text))),
            Err(_) => fail("not UTF-8; the file changed while it was read (hint: run again)".into()),
        }
    }
}

impl Iterator for Lines {
    type Item = Result<(u64, String), TableError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}
