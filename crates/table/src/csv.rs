//! Comma- and tab-separated tables, in the dialect that they are found to have.

use crate::column::Column;
use crate::csv_writer;
use crate::dialect::{self, Dialect};
use crate::error::TableError;
use crate::excerpt::quoted;
use crate::format::{FileFormat, OpenFile, Opened, RowIter};
use crate::header;
use crate::input::Input;
use crate::quotes::{TextSample, judge, survey};
use crate::quoting::Quoting;
use crate::read_options::ReadOptions;
use crate::records::{Judge, Records, Syntax};
use crate::row::{Cell, Row};
use crate::swallowed::SeenValues;
use crate::text_reader::TextReader;

pub(crate) const CSV: FileFormat = FileFormat {
    name: "CSV",
    endings: &["csv"],
    about: "a header, then rows; a field that holds a comma, a quote or a line end is in double quotes, and a quote \
            inside it is written twice (RFC 4180)",
    matches_folder: None,
    open: |input, options| open(input, options, b','),
    create: Some(|output, columns| csv_writer::create(output, columns, b',')),
};

pub(crate) const TSV: FileFormat = FileFormat {
    name: "TSV",
    endings: &["tsv", "tab"],
    about: "the same, separated by tabs; a quote is a character unless the file as a whole is quoted",
    matches_folder: None,
    open: |input, options| open(input, options, b'\t'),
    create: Some(|output, columns| csv_writer::create(output, columns, b'\t')),
};

/// Bytes that a dialect is told by, of a file; of a stream, what comes first.
const SAMPLE: usize = 1 << 20;
const STREAM_SAMPLE: usize = 64 << 10;
/// Rows behind the sample of which short values are remembered.
const LEARNED_ROWS: u64 = 1000;

struct CsvFile {
    records: Records<TextReader>,
    dialect: Dialect,
    syntax: Syntax,
    /// The flag that says what quotes are.
    named_quoting: Option<Quoting>,
    columns: usize,
    /// The first record is read, and is a row.
    held: bool,
    row: u64,
    seen: SeenValues,
}

fn open(input: Input, options: &ReadOptions, own: u8) -> Result<Opened, TableError> {
    let mut reader = TextReader::open(input, options.encoding.as_deref())?;
    let mut notes = reader.take_notes();
    sample_more(&mut reader);
    let fault = reader.take_fault();
    let complete = reader.at_end() && fault.is_none();
    let whole = dialect::whole_lines(reader.window(), complete);
    let (named, skipped) = dialect::separator_line(whole).map_or((None, 0), |(named, length)| (Some(named), length));
    let text = &whole[skipped..];
    let carriage_returns = dialect::has_carriage_returns(text);
    let separator = options.separator.or(named);
    let separator =
        separator.unwrap_or_else(|| dialect::separator(text, complete, carriage_returns, own, !options.no_header));
    let syntax = Syntax { separator, carriage_returns };
    let sample = TextSample { text, complete, column: 0, fields: None, syntax };
    let line = 1 + u64::from(skipped > 0);
    let at = |line, reason| TableError::Line { path: reader.path().to_owned(), line, reason };
    let judged = match options.quoting {
        Some(quoting) => Some(quoting),
        None => judge(&sample, &SeenValues::default()).map_err(|(below, reason)| at(line + below - 1, reason))?,
    };
    let default = if separator == b'\t' { Quoting::None } else { Quoting::Double };
    let surveyed = survey(&sample, judged.unwrap_or(default));
    // No field begins with a quote, and some hold one.
    let lone = judged.is_none() && surveyed.lone > 0;
    let quoting = judged.unwrap_or(if lone { Quoting::None } else { default });
    let headless = (!options.no_header).then(|| no_header(&sample, quoting)).flatten();
    match (fault, headless) {
        (Some(TableError::File { path, reason }), Some(headless)) => {
            return Err(TableError::file(path, format!("{reason}; {headless}")));
        }
        (Some(fault), _) => return Err(fault),
        (None, Some(headless)) => return Err(at(line, headless)),
        (None, None) => {}
    }
    if options.separator.is_none() {
        match named {
            Some(named) => notes.push(format!("separator {}, by the line sep=", dialect::shown(named))),
            None if separator != own => notes.push(format!("separator {}", dialect::shown(separator))),
            None => {}
        }
    }
    if options.quoting.is_none() {
        match quoting {
            Quoting::None if lone || judged.is_some() => notes.push("quotes are characters".into()),
            Quoting::Double if own == b'\t' && judged.is_some() => notes.push("quotes enclose fields".into()),
            _ => {}
        }
    }
    reader.consume(skipped);
    let records = match judged {
        Some(quoting) => Records::new(reader, syntax, quoting, line),
        None => Records::undecided(reader, syntax, judge_later(surveyed.fields, surveyed.seen.clone()), line),
    };
    let mut file = CsvFile {
        records,
        dialect: Dialect { separator, quoting, header: !options.no_header },
        syntax,
        named_quoting: options.quoting,
        columns: 0,
        held: options.no_header,
        row: 0,
        seen: surveyed.seen,
    };
    let columns = file.read_columns()?;
    Ok(Opened { columns, file: Box::new(file), notes })
}

/// Reads on for a sample; of a stream no more than a line is waited for.
fn sample_more(reader: &mut TextReader) {
    if reader.is_stream() {
        reader.extend(STREAM_SAMPLE, |text| text.contains(&b'\n'));
    } else {
        reader.extend(SAMPLE, |_| false);
    }
}

/// Judges quotes where the first field begins with one, behind the sample.
fn judge_later(fields: usize, seen: SeenValues) -> Judge<TextReader> {
    Box::new(move |reader, column, syntax| {
        sample_more(reader);
        let complete = reader.at_end();
        let text = dialect::whole_lines(reader.window(), complete);
        let sample = TextSample { text, complete, column, fields: Some(fields).filter(|fields| *fields > 0), syntax };
        Ok(judge(&sample, &seen)?.unwrap_or(Quoting::None))
    })
}

/// Why the first row isn't one of names, with the flags that decide.
fn no_header(sample: &TextSample<'_>, quoting: Quoting) -> Option<String> {
    let mut records = Records::new(sample.text, sample.syntax, quoting, 1);
    let mut rows: Vec<Vec<String>> = Vec::new();
    while rows.len() <= header::ROWS && records.read().unwrap_or(false) {
        rows.push(records.fields().iter().map(|field| records.text(field)).collect());
    }
    let (first, below) = rows.split_first()?;
    header::looks_like_data(first, below).then(|| {
        let shown: Vec<String> = first.iter().take(3).map(|field| quoted(field)).collect();
        let more = if first.len() > shown.len() { ", ..." } else { "" };
        format!(
            "the first row looks like data, not like the names of columns: {}{more} (hint: --no-header with \
             --text-column NUMBER and --label-column NUMBER, or add a line of names)",
            shown.join(", ")
        )
    })
}

impl OpenFile for CsvFile {
    fn rows(mut self: Box<Self>, _columns: &[Column], selected: &[usize]) -> Result<RowIter, TableError> {
        let selected = selected.to_vec();
        Ok(Box::new(std::iter::from_fn(move || self.row(&selected).transpose())))
    }

    fn dialect(&self) -> Option<Dialect> {
        Some(self.dialect)
    }
}

impl CsvFile {
    fn read_columns(&mut self) -> Result<Vec<Column>, TableError> {
        if !self.records.read()? {
            let path = self.records.source.path();
            return Err(TableError::file(path, "no header: the first line must name the columns"));
        }
        let fields = self.records.fields();
        self.columns = fields.len();
        let name = |(field, number): (_, usize)| {
            if self.dialect.header { self.records.text(field) } else { number.to_string() }
        };
        Ok(fields.iter().zip(1..).map(|field| Column { name: name(field), declared: None }).collect())
    }

    /// The fields of the selected columns in the next row. Each is a text, even if it is empty.
    fn row(&mut self, selected: &[usize]) -> Result<Option<Row>, TableError> {
        if !std::mem::take(&mut self.held) && !self.records.read()? {
            return Ok(None);
        }
        self.row += 1;
        let records = &self.records;
        let (fields, line) = (records.fields(), records.record_line());
        if fields.len() != self.columns {
            return Err(records.fault(line, self.ragged()));
        }
        if records.last_line() > line && self.named_quoting.is_none() {
            self.check_swallowed()?;
        }
        if self.row <= LEARNED_ROWS {
            for (field, column) in fields.iter().zip(0..) {
                self.seen.learn(column, records.bytes(field));
            }
        }
        let cells = selected.iter().map(|&column| Cell::Text(records.text(&fields[column]))).collect();
        Ok(Some(Row { number: self.row, line: Some(line), cells }))
    }

    /// Refuses a field whose lines are rows.
    fn check_swallowed(&self) -> Result<(), TableError> {
        let records = &self.records;
        for (field, column) in records.fields().iter().zip(0..) {
            if field.quoted && self.seen.in_lines(records.bytes(field), column, self.columns, self.syntax) {
                let reason = format!(
                    "a quote opens here and closes lines later (the row ends on line {}), and the lines between look \
                     like rows (hint: --quoting none if quotes are characters, --quoting double if it is one field)",
                    records.last_line()
                );
                return Err(records.fault(field.line, reason));
            }
        }
        Ok(())
    }

    fn ragged(&self) -> String {
        let fields = self.records.fields();
        let (found, expected) = (fields.len(), self.columns);
        let what = if found > expected { "the separator" } else { "a line end" };
        let first = if self.dialect.header { "header" } else { "first row" };
        let begins = |field| self.records.bytes(field).starts_with(b"\"");
        let flag = if fields.iter().any(|field| !field.quoted && begins(field)) {
            "; quotes are read as characters here, which --quoting double changes"
        } else {
            ""
        };
        format!(
            "{found} fields where the {first} has {expected} (hint: a text that holds {what} must be in quotes{flag})"
        )
    }
}

#[cfg(test)]
mod tests;
