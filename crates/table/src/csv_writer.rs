//! Writing CSV and TSV as RFC 4180 has it: what is read back is what was written.

use std::io::{self, BufWriter, Write};

use crate::column::Column;
use crate::format::WriteRows;
use crate::output::Output;
use crate::row::Cell;

struct CsvWriter {
    output: BufWriter<Output>,
    separator: u8,
    /// Of one column, where a field without quotes may be taken for an empty line or for several fields.
    all_quoted: bool,
    line: Vec<u8>,
    /// In the line so far.
    fields: usize,
}

/// Begins a table with its header.
pub(crate) fn create(output: Output, columns: &[Column], separator: u8) -> io::Result<Box<dyn WriteRows>> {
    let all_quoted = columns.len() == 1;
    let mut writer = CsvWriter { output: BufWriter::new(output), separator, all_quoted, line: Vec::new(), fields: 0 };
    for column in columns {
        writer.field(&column.name);
    }
    writer.end_line()?;
    Ok(Box::new(writer))
}

impl CsvWriter {
    fn field(&mut self, text: &str) {
        if self.fields > 0 {
            self.line.push(self.separator);
        }
        self.fields += 1;
        let special = |byte: u8| byte == self.separator || b"\"\r\n".contains(&byte);
        // At the start of a file, `sep=;` would name the separator, and a byte-order mark the encoding.
        let first = || self.fields == 1 && ["sep=", "SEP=", "\u{FEFF}"].iter().any(|start| text.starts_with(start));
        if !self.all_quoted && !text.bytes().any(special) && !first() {
            self.line.extend_from_slice(text.as_bytes());
            return;
        }
        self.line.push(b'"');
        for (at, piece) in text.split('"').enumerate() {
            if at > 0 {
                self.line.extend_from_slice(b"\"\"");
            }
            self.line.extend_from_slice(piece.as_bytes());
        }
        self.line.push(b'"');
    }

    fn end_line(&mut self) -> io::Result<()> {
        self.line.push(b'\n');
        self.output.write_all(&self.line)?;
        self.line.clear();
        self.fields = 0;
        Ok(())
    }
}

impl WriteRows for CsvWriter {
    fn write(&mut self, cells: &[Cell]) -> io::Result<()> {
        for cell in cells {
            match cell {
                Cell::Text(text) | Cell::Nested(text) => self.field(text),
                other => self.field(&other.to_string()),
            }
        }
        self.end_line()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }

    fn finish(self: Box<Self>) -> io::Result<Output> {
        self.output.into_inner().map_err(io::IntoInnerError::into_error)
    }
}
