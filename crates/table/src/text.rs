//! The lines of a text file, within bounds.

use std::path::Path;

use crate::error::TableError;
use crate::input::Input;
use crate::text_reader::TextReader;

/// The longest record that is read, in bytes: a JSON line, a CSV record, one text. Beyond it a quote is usually open.
pub(crate) const MAX_RECORD: usize = 4 * 1024 * 1024;

/// The lines of a text file with their numbers, from 1, without their ends. A line beyond a limit is an error that names
/// it, and no more than that is held in memory.
pub struct Lines {
    reader: TextReader,
    limit: usize,
    line: u64,
}

impl Lines {
    /// Opens a file whose lines have at most `limit` bytes. It is UTF-8, or has a byte-order mark; `.gz` and `.zst` are
    /// unpacked.
    ///
    /// # Errors
    /// A file that is empty, no regular file, or no text.
    pub fn open(path: &Path, limit: usize) -> Result<Self, TableError> {
        Self::of(Input::file(path), limit, None)
    }

    /// The lines of a file or a stream, in this encoding if one is named.
    pub(crate) fn of(input: Input, limit: usize, encoding: Option<&str>) -> Result<Self, TableError> {
        let mut reader = TextReader::open(input, encoding)?;
        match reader.take_fault() {
            Some(fault) => Err(fault),
            None => Ok(Self { reader, limit, line: 0 }),
        }
    }

    /// What was detected of compression and encoding, for the user.
    pub(crate) fn take_notes(&mut self) -> Vec<String> {
        self.reader.take_notes()
    }

    fn read(&mut self) -> Result<Option<(u64, String)>, TableError> {
        let mut bytes: Vec<u8> = Vec::new();
        loop {
            self.reader.fill()?;
            let window = self.reader.window();
            if window.is_empty() && bytes.is_empty() {
                return Ok(None);
            }
            let end = memchr::memchr(b'\n', window);
            let taken = end.map_or(window.len(), |end| end + 1);
            // The line's end may have two bytes more.
            let kept = taken.min(self.limit + 2 - bytes.len().min(self.limit + 2));
            bytes.extend_from_slice(&window[..kept]);
            let ended = end.is_some() || window.is_empty();
            self.reader.consume(taken);
            if ended || bytes.len() >= self.limit + 2 {
                break;
            }
        }
        self.line += 1;
        if bytes.ends_with(b"\n") {
            bytes.pop();
            if bytes.ends_with(b"\r") {
                bytes.pop();
            }
        }
        let fail =
            |reason: String| Err(TableError::Line { path: self.reader.path().to_owned(), line: self.line, reason });
        if bytes.len() > self.limit {
            return fail(format!(
                "longer than {} bytes, the most that is read (hint: is a line end missing?)",
                self.limit
            ));
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Some((self.line, text))),
            Err(_) => fail("not UTF-8".into()),
        }
    }
}

impl Iterator for Lines {
    type Item = Result<(u64, String), TableError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}
