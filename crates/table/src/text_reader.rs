//! Text files as a stream of UTF-8: unpacked, decoded and checked as they are read.

use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};

use encoding_rs::{Decoder, DecoderResult, UTF_8};

use crate::compression::{Compression, archive_fault};
use crate::encoding;
use crate::error::TableError;
use crate::input::Input;
use crate::signatures;

const CHUNK: usize = 64 * 1024;
/// Bytes beyond ASCII that were valid UTF-8, from which on a fault is damage rather than another encoding.
const CERTAINLY_UTF8: u64 = 24;

/// A window on a text that moves on as it is consumed. What is in it is UTF-8, but may end within a character.
pub(crate) struct TextReader {
    path: PathBuf,
    source: Box<dyn Read + Send>,
    /// A stream, which may wait for us before it goes on.
    is_stream: bool,
    /// Bytes that are read and not decoded.
    raw: Vec<u8>,
    /// `None` for UTF-8.
    decoder: Option<Decoder>,
    /// How the encoding is known, for messages.
    named_by: &'static str,
    /// Of `raw[0]`, in the unpacked file.
    offset: u64,
    line_feeds: u64,
    carriage_returns: u64,
    beyond_ascii: u64,
    text: Vec<u8>,
    at: usize,
    ended: bool,
    /// What comes behind the window.
    fault: Option<TableError>,
    notes: Vec<String>,
}

impl TextReader {
    /// Opens a file or a stream that holds something. `encoding` is a name of [`encoding::named`].
    pub(crate) fn open(input: Input, encoding: Option<&str>) -> Result<Self, TableError> {
        let is_stream = input.is_stream();
        let path = input.path().to_owned();
        let named = encoding.map(encoding::named).transpose();
        let named = named.map_err(|reason| TableError::file(&path, format!("--encoding: {reason}")))?;
        let mut source = input.into_reader()?;
        let mut notes = Vec::new();
        let io = |error| read_error(&path, error);
        let mut head = start(&mut source, Compression::MAGIC_BYTES, |head| !may_be_packed(head)).map_err(io)?;
        if head.is_empty() {
            return Err(TableError::file(&path, "the input is empty (0 bytes)"));
        }
        let compression = Compression::of_bytes(&head);
        if let Some(compression) = compression {
            if !is_stream && Compression::of_name(&path) != Some(compression) {
                notes.push(format!("{}, by its content", compression.name()));
            }
            source = compression.unpack(Box::new(Cursor::new(head).chain(source))).map_err(io)?;
            head = Vec::new();
        }
        let complete = |head: &[u8]| is_stream && head.contains(&b'\n');
        let mut source: Box<dyn Read + Send> = Box::new(Cursor::new(head).chain(source));
        let head = start(&mut source, CHUNK, complete).map_err(io)?;
        if let (true, Some(compression)) = (head.is_empty(), compression) {
            return Err(TableError::file(&path, format!("the {} archive is empty", compression.name())));
        }
        let mark = encoding::by_mark(&head);
        let known = encoding::choose(named, mark.map(|(encoding, _)| encoding));
        let (encoding, named_by) = known.map_err(|reason| TableError::file(&path, reason))?;
        if mark.is_some() && encoding != UTF_8 {
            notes.push(format!("{}, by its byte-order mark", encoding::described(encoding)));
        }
        if mark.is_none() && encoding != UTF_8 && encoding::is_utf8_beyond_ascii(&head) {
            notes.push(format!("its start is valid UTF-8 as well; is --encoding {} right?", encoding.name()));
        }
        if let Some(reason) = signatures::not_text(&head, encoding::is_utf16(encoding)) {
            return Err(at_byte(&path, 0, 1, reason));
        }
        let mark_length = mark.map_or(0, |(_, length)| length);
        let mut reader = Self {
            path,
            source,
            is_stream,
            raw: head,
            decoder: (encoding != UTF_8).then(|| encoding.new_decoder_without_bom_handling()),
            named_by,
            offset: mark_length as u64,
            line_feeds: 0,
            carriage_returns: 0,
            beyond_ascii: 0,
            text: Vec::new(),
            at: 0,
            ended: false,
            fault: None,
            notes,
        };
        reader.raw.drain(..mark_length);
        reader.decode(false);
        if let Some(reason) = signatures::other_document(reader.window()) {
            return Err(at_byte(&reader.path, 0, 1, reason));
        }
        Ok(reader)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What was detected of compression and encoding.
    pub(crate) fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    pub(crate) fn is_stream(&self) -> bool {
        self.is_stream
    }

    /// The text that is read and not consumed.
    pub(crate) fn window(&self) -> &[u8] {
        &self.text[self.at..]
    }

    pub(crate) fn consume(&mut self, bytes: usize) {
        self.at += bytes;
        debug_assert!(self.at <= self.text.len());
    }

    /// Whether the window reaches to the end of the text.
    pub(crate) fn at_end(&self) -> bool {
        self.ended && self.fault.is_none()
    }

    /// The error that comes behind the window, to be reported at once.
    pub(crate) fn take_fault(&mut self) -> Option<TableError> {
        self.fault.take()
    }

    /// Reads on if the window is empty; it is empty afterwards only at the end of the text.
    pub(crate) fn fill(&mut self) -> Result<(), TableError> {
        while self.at == self.text.len() {
            self.text.clear();
            self.at = 0;
            if let Some(fault) = self.fault.take() {
                self.ended = true;
                return Err(fault);
            }
            if self.ended {
                break;
            }
            self.read_more();
        }
        Ok(())
    }

    /// Reads on until the window has `bytes`, or `enough` of it, or all there is; an error stays behind it.
    pub(crate) fn extend(&mut self, bytes: usize, enough: impl Fn(&[u8]) -> bool) {
        self.text.drain(..self.at);
        self.at = 0;
        while self.text.len() < bytes && !self.ended && self.fault.is_none() && !enough(&self.text) {
            self.read_more();
        }
    }

    fn read_more(&mut self) {
        let held = self.raw.len();
        self.raw.resize(held + CHUNK, 0);
        let read = loop {
            match self.source.read(&mut self.raw[held..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.raw.truncate(held + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => {
                self.ended = true;
                self.decode(true);
            }
            Ok(_) => self.decode(false),
            Err(error) => self.fault = Some(read_error(&self.path, error)),
        }
    }

    /// Appends what `raw` holds to the text; what comes before a fault is kept.
    fn decode(&mut self, last: bool) {
        let before = self.text.len();
        let fault = match self.decoder.take() {
            None => self.check(last),
            Some(mut decoder) => {
                let fault = self.transcode(&mut decoder, last);
                self.decoder = Some(decoder);
                fault
            }
        };
        let added = &self.text[before..];
        self.line_feeds += memchr::memchr_iter(b'\n', added).count() as u64;
        self.carriage_returns += memchr::memchr_iter(b'\r', added).count() as u64;
        self.fault = fault.map(|(offset, reason)| {
            let lines = if self.line_feeds > 0 { self.line_feeds } else { self.carriage_returns };
            at_byte(&self.path, offset, 1 + lines, &reason)
        });
    }

    /// Moves the valid UTF-8 of `raw` to the text.
    fn check(&mut self, last: bool) -> Option<(u64, String)> {
        let (valid, fault) = match std::str::from_utf8(&self.raw) {
            Ok(_) => (self.raw.len(), false),
            Err(error) => (error.valid_up_to(), last || error.error_len().is_some()),
        };
        self.text.extend_from_slice(&self.raw[..valid]);
        if !self.raw[..valid].is_ascii() {
            self.beyond_ascii += self.raw[..valid].iter().filter(|byte| !byte.is_ascii()).count() as u64;
        }
        let outcome = fault.then(|| {
            let hint = if self.beyond_ascii >= CERTAINLY_UTF8 {
                "the text before it is UTF-8; is the file damaged, or are two joined in it?".to_owned()
            } else {
                encoding::hint(&self.raw)
            };
            let hint =
                if last && std::str::from_utf8(&self.raw[valid..]).is_err_and(|error| error.error_len().is_none()) {
                    format!("{hint}, unless the file is cut off here")
                } else {
                    hint
                };
            (self.offset + valid as u64, format!("0x{:02X} is not UTF-8 (hint: {hint})", self.raw[valid]))
        });
        self.offset += valid as u64;
        self.raw.drain(..valid);
        outcome
    }

    /// Decodes `raw` to the text.
    fn transcode(&mut self, decoder: &mut Decoder, last: bool) -> Option<(u64, String)> {
        let mut from = 0;
        let mut output = [0_u8; 8192];
        let fault = loop {
            let (result, read, written) =
                decoder.decode_to_utf8_without_replacement(&self.raw[from..], &mut output, last);
            from += read;
            self.text.extend_from_slice(&output[..written]);
            match result {
                DecoderResult::InputEmpty => break None,
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(bytes, behind) => {
                    let offset = (self.offset + from as u64).saturating_sub(u64::from(bytes) + u64::from(behind));
                    let name = encoding::described(decoder.encoding());
                    let reason = format!(
                        "not {name}, which {} (hint: is the encoding another one, or the file damaged?)",
                        self.named_by
                    );
                    break Some((offset, reason));
                }
            }
        };
        self.offset += from as u64;
        self.raw.clear();
        fault
    }
}

/// Whether these first bytes may be those of an archive, or go on to be.
fn may_be_packed(head: &[u8]) -> bool {
    head.is_empty()
        || Compression::of_bytes(head).is_none() && [0x1F, 0x28].contains(&head[0]) && !head.contains(&b'\n')
}

/// The first bytes, `wanted` of them unless what is there is `enough`.
fn start(source: &mut dyn Read, wanted: usize, enough: impl Fn(&[u8]) -> bool) -> io::Result<Vec<u8>> {
    let mut head = vec![0; wanted];
    let mut held = 0;
    while held < wanted && (held == 0 || !enough(&head[..held])) {
        match source.read(&mut head[held..]) {
            Ok(0) => break,
            Ok(read) => held += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    head.truncate(held);
    Ok(head)
}

fn read_error(path: &Path, error: io::Error) -> TableError {
    match archive_fault(&error) {
        Some(reason) => TableError::file(path, reason),
        None => TableError::io(path, error),
    }
}

/// Bytes that are not text; the first of them at `offset`, from 0, in `line`, from 1.
fn at_byte(path: &Path, offset: u64, line: u64, reason: &str) -> TableError {
    TableError::file(path, format!("byte {offset} (line {line}): {reason}"))
}
