//! Comma- and tab-separated tables with a header, quoted as RFC 4180 has it.
//!
//! The `csv` crate parses. It accepts a quote that never closes or that closes in the middle of a field, and both hide
//! rows without an error. So [`Quotes`] checks the bytes on their way to it and stops at either, with the line where the
//! quote opened. It also bounds a record, so an open quote can't pull a whole file into memory.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use csv::{ErrorKind, Reader, ReaderBuilder, StringRecord};

use crate::column::Column;
use crate::error::TableError;
use crate::format::{FileFormat, OpenFile, Opened, RowIter};
use crate::row::{Cell, Row};
use crate::text::{self, MAX_RECORD};

pub(crate) const CSV: FileFormat = FileFormat {
    name: "CSV",
    endings: &["csv"],
    about: "a header, then rows; a field that holds a comma, a quote or a line end is in double quotes, and a quote \
            inside it is written twice (RFC 4180)",
    matches_folder: None,
    open: |input, options| open(input.path(), options.separator.unwrap_or(b',')),
    create: None,
};

pub(crate) const TSV: FileFormat = FileFormat {
    name: "TSV",
    endings: &["tsv", "tab"],
    about: "the same, separated by tabs",
    matches_folder: None,
    open: |input, options| open(input.path(), options.separator.unwrap_or(b'\t')),
    create: None,
};

struct CsvFile {
    path: PathBuf,
    reader: Reader<Quotes<BufReader<File>>>,
    record: StringRecord,
    row: u64,
}

fn open(path: &Path, delimiter: u8) -> Result<Opened, TableError> {
    let bytes = Quotes::new(text::open(path)?, delimiter);
    let mut reader = ReaderBuilder::new().delimiter(delimiter).from_reader(bytes);
    let header = reader.headers().map_err(|error| refused(path, error))?;
    let columns: Vec<Column> = header.iter().map(|name| Column { name: name.to_string(), declared: None }).collect();
    if columns.is_empty() {
        return Err(TableError::file(path, "no header: the first line must name the columns"));
    }
    let file = Box::new(CsvFile { path: path.to_owned(), reader, record: StringRecord::new(), row: 0 });
    Ok(Opened { columns, file, notes: Vec::new() })
}

impl OpenFile for CsvFile {
    fn rows(mut self: Box<Self>, _columns: &[Column], selected: &[usize]) -> Result<RowIter, TableError> {
        let selected = selected.to_vec();
        Ok(Box::new(std::iter::from_fn(move || self.row(&selected).transpose())))
    }
}

impl CsvFile {
    /// The fields of the selected columns in the next row. Each is a text, even if it is empty.
    fn row(&mut self, selected: &[usize]) -> Result<Option<Row>, TableError> {
        if !self.reader.read_record(&mut self.record).map_err(|error| refused(&self.path, error))? {
            return Ok(None);
        }
        self.row += 1;
        // Every record has as many fields as the header.
        let cells = selected.iter().map(|&column| Cell::Text(self.record[column].to_string())).collect();
        Ok(Some(Row { number: self.row, line: self.record.position().map(csv::Position::line), cells }))
    }
}

fn refused(path: &Path, error: csv::Error) -> TableError {
    let line = error.position().map_or(1, csv::Position::line);
    let words = error.to_string();
    let reason = match error.into_kind() {
        ErrorKind::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref::<QuoteError>()) {
            Some(fault) => {
                return TableError::Line { path: path.into(), line: fault.line, reason: fault.to_string() };
            }
            None => return TableError::io(path, error),
        },
        ErrorKind::UnequalLengths { expected_len, len, .. } => {
            let what = if len > expected_len { "the separator" } else { "a line end" };
            format!(
                "{len} fields where the header has {expected_len} (hint: a text that holds {what} must be in quotes)"
            )
        }
        _ => words,
    };
    TableError::Line { path: path.into(), line, reason }
}

/// What [`Quotes`] stops at.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
struct QuoteError {
    line: u64,
    reason: String,
}

#[derive(Clone, Copy, PartialEq)]
enum QuoteState {
    FieldStart,
    Plain,
    Quoted,
    /// Behind a quote inside a quoted field: its end, or the first half of a doubled quote.
    Closing,
}

/// A reader that lets well-quoted records of bounded length through.
struct Quotes<R> {
    inner: R,
    delimiter: u8,
    state: QuoteState,
    line: u64,
    record_line: u64,
    quote_line: u64,
    length: usize,
}

impl<R: Read> Quotes<R> {
    fn new(inner: R, delimiter: u8) -> Self {
        Self { inner, delimiter, state: QuoteState::FieldStart, line: 1, record_line: 1, quote_line: 1, length: 0 }
    }

    fn step(&mut self, byte: u8) -> Result<(), QuoteError> {
        let line_end = byte == b'\n' || byte == b'\r';
        self.state = match self.state {
            QuoteState::FieldStart | QuoteState::Plain | QuoteState::Closing if line_end => QuoteState::FieldStart,
            QuoteState::FieldStart | QuoteState::Plain | QuoteState::Closing if byte == self.delimiter => {
                QuoteState::FieldStart
            }
            QuoteState::FieldStart if byte == b'"' => {
                self.quote_line = self.line;
                QuoteState::Quoted
            }
            QuoteState::FieldStart | QuoteState::Plain => QuoteState::Plain,
            QuoteState::Quoted if byte == b'"' => QuoteState::Closing,
            QuoteState::Quoted => QuoteState::Quoted,
            QuoteState::Closing if byte == b'"' => QuoteState::Quoted,
            QuoteState::Closing => return Err(self.unbalanced("closes in the middle of its field")),
        };
        self.line += u64::from(byte == b'\n');
        self.length += 1;
        if line_end && self.state != QuoteState::Quoted {
            self.record_line = self.line;
            self.length = 0;
        }
        if self.length <= MAX_RECORD {
            return Ok(());
        }
        if self.state == QuoteState::Quoted {
            return Err(self.unbalanced(&format!("is still open after {MAX_RECORD} bytes")));
        }
        Err(QuoteError {
            line: self.record_line,
            reason: format!("a record of more than {MAX_RECORD} bytes, the most that is read (hint: split the text)"),
        })
    }

    fn unbalanced(&self, what: &str) -> QuoteError {
        let reason = format!(
            "a quote opens here and {what} (line {}) (hint: inside a quoted field a quote is written twice, \"\")",
            self.line
        );
        QuoteError { line: self.quote_line, reason }
    }
}

impl<R: Read> Read for Quotes<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let outcome = buffer[..read].iter().try_for_each(|byte| self.step(*byte));
        let outcome = outcome.and_then(|()| match self.state {
            QuoteState::Quoted if read == 0 && !buffer.is_empty() => Err(self.unbalanced("is never closed")),
            _ => Ok(()),
        });
        outcome.map_err(|fault| io::Error::new(io::ErrorKind::InvalidData, fault))?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tempfile::TempDir;

    use crate::tests::{read, refused, texts_of};

    const SOUND: &str =
        "id,text,label\n1,\"a \"\"fine\"\" film, really\",pos\n2,dull,neg\n3,\"two\nlines\",pos\n4,é 👍,neg\n";

    #[test]
    fn changed_csv_never_panics() {
        assert!((500..3999).contains(&refused("sound.csv", SOUND.as_bytes(), 4000)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn what_a_csv_writer_writes_is_read_back(texts in prop::collection::vec("[a-z,\"\n\ré👍 ;]{1,12}", 1..20)) {
            let desk = TempDir::new().expect("a temporary folder");
            for (name, delimiter) in [("a.csv", b','), ("a.tsv", b'\t')] {
                let path = desk.path().join(name);
                let mut writer = ::csv::WriterBuilder::new().delimiter(delimiter).from_path(&path).expect("a writer");
                writer.write_record(["text", "label"]).expect("written");
                for text in &texts {
                    writer.write_record([text.as_str(), "1"]).expect("written");
                }
                writer.flush().expect("flushed");
                prop_assert_eq!(&texts_of(read(&path).expect("a table")), &texts);
            }
        }
    }
}
