//! Walks a JSON file value by value in bounded memory, with the line and column of each value.
//!
//! Only the structure around the values is parsed here. A value is taken as bytes, up to the bracket that closes it, and
//! serde_json parses those; so no more than one value is in memory.

use std::path::Path;

use crate::error::TableError;
use crate::json_object::{JsonFault, fault_within, start};
use crate::text::MAX_RECORD;
use crate::text_reader::TextReader;

/// A file, read up to some place in it.
pub(crate) struct JsonReader {
    reader: TextReader,
    place: JsonPlace,
}

/// A place in a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JsonPlace {
    /// Bytes of UTF-8 before it.
    pub(crate) offset: u64,
    /// From 1.
    pub(crate) line: u64,
    /// In bytes, from 1.
    column: u64,
}

/// The bytes of one value.
pub(crate) struct JsonText {
    pub(crate) place: JsonPlace,
    pub(crate) bytes: Vec<u8>,
}

impl JsonPlace {
    pub(crate) const START: Self = Self { offset: 0, line: 1, column: 1 };
}

impl JsonReader {
    /// A reader whose text starts at this place of the file.
    pub(crate) fn new(reader: TextReader, place: JsonPlace) -> Self {
        Self { reader, place }
    }

    pub(crate) fn path(&self) -> &Path {
        self.reader.path()
    }

    pub(crate) fn place(&self) -> JsonPlace {
        self.place
    }

    /// Goes on from a place that another reader of this file came to.
    pub(crate) fn skip_to(&mut self, place: JsonPlace) -> Result<(), TableError> {
        while self.place.offset < place.offset {
            let wanted = usize::try_from(place.offset - self.place.offset).unwrap_or(usize::MAX);
            match self.fill()?.len().min(wanted) {
                0 => return Err(self.refused("the file changed while it was read (hint: run again)")),
                skipped => {
                    self.reader.consume(skipped);
                    self.place.offset += skipped as u64;
                }
            }
        }
        self.place = place;
        Ok(())
    }

    /// The next byte that is not white space; `None` at the end of the file.
    pub(crate) fn skip_blank(&mut self) -> Result<Option<u8>, TableError> {
        loop {
            let piece = self.fill()?;
            if piece.is_empty() {
                return Ok(None);
            }
            let blank = piece.iter().take_while(|byte| b" \t\r\n".contains(byte)).count();
            let next = piece.get(blank).copied();
            self.consume(blank);
            if next.is_some() {
                return Ok(next);
            }
        }
    }

    /// Consumes a bracket that [`skip_blank`](Self::skip_blank) saw.
    pub(crate) fn enter(&mut self) {
        self.consume(1);
    }

    /// Goes to the next item of an array or object, which `close` ends; whether there is one. `first` says that its
    /// opening bracket was just consumed.
    pub(crate) fn item(&mut self, close: u8, first: bool) -> Result<bool, TableError> {
        let next = self.skip_blank()?;
        let ends = next == Some(close);
        if ends || (!first && next == Some(b',')) {
            self.consume(1);
        }
        if ends {
            return Ok(false);
        }
        match next {
            None => Err(self.cut_off()),
            Some(b',') if first => Err(self.refused("expected a value, found a comma (hint: remove it)")),
            Some(_) if first => Ok(true),
            Some(b',') => match self.skip_blank()? {
                None => Err(self.cut_off()),
                Some(next) if next == close => {
                    Err(self.refused("a comma with no value behind it (hint: remove the comma)"))
                }
                Some(_) => Ok(true),
            },
            Some(_) => {
                let reason = format!("expected a comma or {}, found {}", char::from(close), self.found()?);
                Err(self.refused(&format!("{reason} (hint: is a comma missing?)")))
            }
        }
    }

    /// The name of an object's member, with the colon behind it.
    pub(crate) fn name(&mut self) -> Result<String, TableError> {
        let text = self.value()?;
        let name = match serde_json::from_slice::<String>(&text.bytes) {
            Ok(name) => name,
            Err(_) => {
                let found = start(&text.bytes);
                return Err(self.refused_at(text.place, &format!("expected a name in double quotes, found {found}")));
            }
        };
        match self.skip_blank()? {
            Some(b':') => self.consume(1),
            Some(_) => {
                let found = self.found()?;
                return Err(self.refused(&format!("expected a colon behind the name, found {found}")));
            }
            None => return Err(self.cut_off()),
        }
        self.skip_blank()?;
        Ok(name)
    }

    /// The bytes of the value that starts here, or of what stands here instead of one. Only a parser can tell whether they
    /// are JSON.
    pub(crate) fn value(&mut self) -> Result<JsonText, TableError> {
        self.value_or(&format!(
            "a value of more than {MAX_RECORD} bytes, the most that is read (hint: is a quote or a bracket missing? rows \
             further inside: `jq '.FIELD.FIELD' FILE`)"
        ))
    }

    /// As [`value`](Self::value), with other words for one that is too long.
    pub(crate) fn value_or(&mut self, too_long: &str) -> Result<JsonText, TableError> {
        let place = self.place;
        let mut bytes = Vec::new();
        let mut end = ValueEnd::default();
        loop {
            let piece = self.fill()?;
            let piece = &piece[..piece.len().min(MAX_RECORD + 1 - bytes.len())];
            let (used, ended) = end.find(piece);
            bytes.extend_from_slice(&piece[..used]);
            let over = piece.is_empty() || ended;
            self.consume(used);
            if bytes.len() > MAX_RECORD {
                // A missing quote or bracket shows long before.
                let text = JsonText { place, bytes };
                if let Some(fault) = fault_within(&text.bytes) {
                    return Err(self.fault(&text, "not JSON", &fault));
                }
                return Err(self.refused_at(place, too_long));
            }
            if over && bytes.is_empty() {
                return Err(match self.skip_blank()? {
                    Some(_) => {
                        let found = self.found()?;
                        self.refused(&format!("expected a value, found {found}"))
                    }
                    None => self.cut_off(),
                });
            }
            if over {
                return Ok(JsonText { place, bytes });
            }
        }
    }

    /// Refuses what stands here.
    pub(crate) fn refused(&self, reason: &str) -> TableError {
        self.refused_at(self.place, reason)
    }

    /// Refuses what stands at another place.
    pub(crate) fn refused_at(&self, JsonPlace { line, column, .. }: JsonPlace, reason: &str) -> TableError {
        TableError::Line { path: self.path().to_owned(), line, reason: format!("column {column}: {reason}") }
    }

    /// Refuses a value in which the parser stopped; `what` says what it is instead: `not a JSON object`.
    pub(crate) fn fault(&self, text: &JsonText, what: &str, fault: &JsonFault) -> TableError {
        let before = &text.bytes[..fault.at.min(text.bytes.len())];
        let newlines = before.iter().filter(|byte| **byte == b'\n').count() as u64;
        let column = match before.iter().rposition(|byte| *byte == b'\n') {
            Some(newline) => (before.len() - newline) as u64,
            None => text.place.column + before.len() as u64,
        };
        let reason = format!("{what}, column {column}: {} (hint: {})", fault.reason, fault.hint);
        TableError::Line { path: self.path().to_owned(), line: text.place.line + newlines, reason }
    }

    fn cut_off(&self) -> TableError {
        self.refused("the file ends before the JSON does (hint: is the file cut off?)")
    }

    /// What stands here, for a message.
    fn found(&mut self) -> Result<String, TableError> {
        let piece = self.fill()?;
        Ok(start(&piece[..piece.len().min(40)]))
    }

    fn fill(&mut self) -> Result<&[u8], TableError> {
        self.reader.fill()?;
        Ok(self.reader.window())
    }

    fn consume(&mut self, count: usize) {
        let piece = &self.reader.window()[..count];
        self.place.line += memchr::memchr_iter(b'\n', piece).count() as u64;
        match memchr::memrchr(b'\n', piece) {
            Some(newline) => self.place.column = (piece.len() - newline) as u64,
            None => self.place.column += piece.len() as u64,
        }
        self.place.offset += piece.len() as u64;
        self.reader.consume(count);
    }
}

/// Finds where a value ends, piece by piece.
#[derive(Default)]
struct ValueEnd {
    depth: usize,
    is_text: bool,
    is_escaped: bool,
    /// Within a number or a word.
    is_plain: bool,
}

impl ValueEnd {
    /// How many bytes of `piece` are the value's, and whether it ends with them.
    fn find(&mut self, piece: &[u8]) -> (usize, bool) {
        for (at, &byte) in piece.iter().enumerate() {
            if self.is_text {
                match byte {
                    _ if self.is_escaped => self.is_escaped = false,
                    b'\\' => self.is_escaped = true,
                    b'"' => {
                        self.is_text = false;
                        if self.depth == 0 {
                            return (at + 1, true);
                        }
                    }
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' | b'[' | b'{' if self.is_plain => return (at, true),
                b'"' => self.is_text = true,
                b'[' | b'{' => self.depth += 1,
                b']' | b'}' | b',' | b':' | b' ' | b'\t' | b'\r' | b'\n' if self.depth == 0 => return (at, true),
                b']' | b'}' => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        return (at + 1, true);
                    }
                }
                _ => self.is_plain = self.depth == 0,
            }
        }
        (piece.len(), false)
    }
}
