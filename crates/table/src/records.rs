//! The records of a CSV or TSV text: fields between separators, in quotes or not.
//!
//! Strict where a lenient reader would lose rows without a word: a quote that never closes, or that closes in the middle
//! of its field, is an error with the line where it opened; a record is bounded, so an open quote can't pull a whole file
//! into memory.

use memchr::{memchr, memchr_iter, memchr2, memchr3};

use crate::error::TableError;
use crate::quoting::Quoting;
use crate::text::MAX_RECORD;
use crate::window::Window;

/// The most fields that a record has.
const MAX_FIELDS: usize = 100_000;

/// What parses a text into records.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Syntax {
    pub(crate) separator: u8,
    /// Lines end with carriage returns, as on old Macs; else with line feeds, and a carriage return before one is of it.
    pub(crate) carriage_returns: bool,
}

/// How the quoting of a text is decided when the first field comes that begins with a quote; until then it makes no
/// difference. The arguments are the text, of which that field is next, its position in its record, and the syntax. An error has its line, from 1 there.
pub(crate) type Judge<W> = Box<dyn Fn(&mut W, usize, Syntax) -> Result<Quoting, (u64, String)> + Send>;

/// A field of the current record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    start: usize,
    end: usize,
    pub(crate) quoted: bool,
    /// The line it starts on.
    pub(crate) line: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum FieldState {
    FieldStart,
    Plain,
    Quoted,
    /// Behind a quote inside a quoted field: its end, or the first half of a doubled quote.
    Closing,
    /// Behind a closed field and a carriage return, which the line feed must follow.
    ClosedLine,
}

/// Reads one record after another.
pub(crate) struct Records<W> {
    pub(crate) source: W,
    syntax: Syntax,
    /// `None` until it is decided.
    quoting: Option<Quoting>,
    judge: Option<Judge<W>>,
    /// The current line.
    line: u64,
    record_line: u64,
    content: Vec<u8>,
    fields: Vec<Field>,
    /// The text ended inside a quoted field.
    pub(crate) unclosed: bool,
}

impl<W: Window> Records<W> {
    /// Records from here, which is the start of `line`.
    pub(crate) fn new(source: W, syntax: Syntax, quoting: Quoting, line: u64) -> Self {
        Self {
            source,
            syntax,
            quoting: Some(quoting),
            judge: None,
            line,
            record_line: line,
            content: Vec::new(),
            fields: Vec::new(),
            unclosed: false,
        }
    }

    /// The same, where no field was seen yet that begins with a quote.
    pub(crate) fn undecided(source: W, syntax: Syntax, judge: Judge<W>, line: u64) -> Self {
        Self { quoting: None, judge: Some(judge), ..Self::new(source, syntax, Quoting::None, line) }
    }

    pub(crate) fn fields(&self) -> &[Field] {
        &self.fields
    }

    pub(crate) fn bytes(&self, field: &Field) -> &[u8] {
        &self.content[field.start..field.end]
    }

    pub(crate) fn text(&self, field: &Field) -> String {
        String::from_utf8_lossy(self.bytes(field)).into_owned()
    }

    /// The line on which the current record starts.
    pub(crate) fn record_line(&self) -> u64 {
        self.record_line
    }

    /// The line on which the current record ends.
    pub(crate) fn last_line(&self) -> u64 {
        self.line - 1
    }

    pub(crate) fn fault(&self, line: u64, reason: String) -> TableError {
        TableError::Line { path: self.source.path().to_owned(), line, reason }
    }

    /// Reads the next record, past lines that are empty; false at the end of the text.
    pub(crate) fn read(&mut self) -> Result<bool, TableError> {
        self.content.clear();
        self.fields.clear();
        self.record_line = self.line;
        let mut state = FieldState::FieldStart;
        let mut field = Field { start: 0, end: 0, quoted: false, line: self.line };
        let Syntax { separator, carriage_returns } = self.syntax;
        let line_end = if carriage_returns { b'\r' } else { b'\n' };
        loop {
            if self.source.window().is_empty() {
                self.source.fill()?;
            }
            let Some(&next) = self.source.window().first() else { return self.end(state, field) };
            match state {
                FieldState::FieldStart => {
                    if next == b'"' && self.is_quoted()? {
                        self.source.consume(1);
                        field.quoted = true;
                        state = FieldState::Quoted;
                    } else {
                        state = FieldState::Plain;
                    }
                    continue;
                }
                FieldState::Plain => {
                    let window = self.source.window();
                    let found = if carriage_returns {
                        memchr3(separator, b'\r', b'\n', window)
                    } else {
                        memchr2(separator, b'\n', window)
                    };
                    let length = found.unwrap_or(window.len());
                    self.content.extend_from_slice(&window[..length]);
                    let stop = found.map(|at| window[at]);
                    self.source.consume(length + usize::from(found.is_some()));
                    self.check_length(state, &field)?;
                    let Some(stop) = stop else { continue };
                    if stop == separator {
                        field = self.close(field)?;
                        state = FieldState::FieldStart;
                        continue;
                    }
                    if stop != line_end {
                        let reason = "a line feed, where the lines before end with a carriage return (hint: save the \
                                      file with one kind of line end)";
                        return Err(self.fault(self.line, reason.into()));
                    }
                    self.line += 1;
                    self.trim_line_end(&field);
                    if self.fields.is_empty() && self.content.is_empty() {
                        self.record_line = self.line;
                        field.line = self.line;
                        state = FieldState::FieldStart;
                        continue;
                    }
                }
                FieldState::Quoted => {
                    let window = self.source.window();
                    let found = memchr(b'"', window);
                    let length = found.unwrap_or(window.len());
                    self.content.extend_from_slice(&window[..length]);
                    self.line += memchr_iter(line_end, &window[..length]).count() as u64;
                    self.source.consume(length + usize::from(found.is_some()));
                    self.check_length(state, &field)?;
                    if found.is_some() {
                        state = FieldState::Closing;
                    }
                    continue;
                }
                FieldState::Closing if next == b'"' => {
                    self.content.push(b'"');
                    self.source.consume(1);
                    state = FieldState::Quoted;
                    continue;
                }
                FieldState::Closing if next == separator => {
                    self.source.consume(1);
                    field = self.close(field)?;
                    state = FieldState::FieldStart;
                    continue;
                }
                FieldState::Closing if next == b'\r' && !carriage_returns => {
                    self.source.consume(1);
                    state = FieldState::ClosedLine;
                    continue;
                }
                FieldState::Closing | FieldState::ClosedLine if next == line_end => {
                    self.source.consume(1);
                    self.line += 1;
                }
                FieldState::Closing | FieldState::ClosedLine => {
                    return Err(self.unbalanced(&field, "closes in the middle of its field"));
                }
            }
            self.close(field)?;
            return Ok(true);
        }
    }

    /// Whether the field that is next, and begins with a quote, is a quoted one.
    fn is_quoted(&mut self) -> Result<bool, TableError> {
        if self.quoting.is_none() {
            let judge = self.judge.take();
            let judged = judge.map(|judge| judge(&mut self.source, self.fields.len(), self.syntax)).transpose();
            self.quoting = Some(
                judged.map_err(|(line, reason)| self.fault(self.line + line - 1, reason))?.unwrap_or(Quoting::None),
            );
        }
        Ok(self.quoting == Some(Quoting::Double))
    }

    /// Ends a field where the content ends; the next one.
    fn close(&mut self, mut field: Field) -> Result<Field, TableError> {
        field.end = self.content.len();
        self.fields.push(field);
        if self.fields.len() > MAX_FIELDS {
            let reason = format!("more than {MAX_FIELDS} fields, the most that are read (hint: --separator)");
            return Err(self.fault(self.record_line, reason));
        }
        Ok(Field { start: field.end, end: field.end, quoted: false, line: self.line })
    }

    /// What the end of the text makes of the last record.
    fn end(&mut self, state: FieldState, field: Field) -> Result<bool, TableError> {
        if state == FieldState::Quoted {
            self.unclosed = true;
            return Err(self.unbalanced(&field, "is never closed"));
        }
        if matches!(state, FieldState::Plain) {
            self.trim_line_end(&field);
        }
        if self.fields.is_empty() && self.content.is_empty() && !field.quoted {
            return Ok(false);
        }
        self.close(field)?;
        self.line += 1;
        Ok(true)
    }

    /// Takes the carriage return of a line end from an unquoted field.
    fn trim_line_end(&mut self, field: &Field) {
        if !self.syntax.carriage_returns && self.content[field.start..].ends_with(b"\r") {
            self.content.pop();
        }
    }

    fn check_length(&self, state: FieldState, field: &Field) -> Result<(), TableError> {
        if self.content.len() + self.fields.len() <= MAX_RECORD {
            return Ok(());
        }
        if state == FieldState::Quoted {
            return Err(self.unbalanced(field, &format!("is still open after {MAX_RECORD} bytes")));
        }
        let reason = format!("a record of more than {MAX_RECORD} bytes, the most that is read (hint: split the text)");
        Err(self.fault(self.record_line, reason))
    }

    fn unbalanced(&self, field: &Field, what: &str) -> TableError {
        let reason = format!(
            "a quote opens here and {what} (line {}) (hint: inside a quoted field a quote is written twice, \"\"; where \
             quotes are characters, --quoting none)",
            self.line
        );
        self.fault(field.line, reason)
    }
}
