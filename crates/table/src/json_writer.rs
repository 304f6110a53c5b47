//! Writes rows as JSON objects: one a line, or as the elements of one array.
//!
//! A missing value is `null`, and so is a float that is not a number, as pandas writes both. JSON has no infinity; a row
//! with one is refused.

use std::collections::HashSet;
use std::io::{self, BufWriter, Write};

use serde::de::DeserializeSeed;

use crate::column::Column;
use crate::excerpt::quoted;
use crate::format::WriteRows;
use crate::json_object::Compact;
use crate::output::Output;
use crate::row::Cell;

struct JsonWriter {
    output: BufWriter<Output>,
    /// The names as JSON, in the columns' order.
    names: Vec<String>,
    layout: JsonForm,
    /// The row that is being written; kept for its capacity.
    row: String,
    rows: u64,
}

#[derive(PartialEq)]
enum JsonForm {
    Lines,
    Array,
}

/// Begins JSON lines.
pub(crate) fn lines(output: Output, columns: &[Column]) -> io::Result<Box<dyn WriteRows>> {
    begin(output, columns, JsonForm::Lines)
}

/// Begins an array of objects.
pub(crate) fn array(output: Output, columns: &[Column]) -> io::Result<Box<dyn WriteRows>> {
    begin(output, columns, JsonForm::Array)
}

fn begin(output: Output, columns: &[Column], layout: JsonForm) -> io::Result<Box<dyn WriteRows>> {
    let mut seen = HashSet::new();
    if let Some(twice) = columns.iter().find(|column| !seen.insert(&column.name)) {
        let name = quoted(&twice.name);
        return Err(invalid(format!(
            "two columns are called {name}, and an object has each name once (hint: rename one of them, or write CSV)"
        )));
    }
    let names = columns.iter().map(|column| serde_json::to_string(&column.name)).collect::<Result<_, _>>()?;
    Ok(Box::new(JsonWriter { output: BufWriter::new(output), names, layout, row: String::new(), rows: 0 }))
}

impl WriteRows for JsonWriter {
    fn write(&mut self, cells: &[Cell]) -> io::Result<()> {
        self.row.clear();
        self.row.push_str(match (&self.layout, self.rows) {
            (JsonForm::Lines, _) => "{",
            (JsonForm::Array, 0) => "[\n{",
            (JsonForm::Array, _) => ",\n{",
        });
        for (at, (name, cell)) in self.names.iter().zip(cells).enumerate() {
            if at > 0 {
                self.row.push(',');
            }
            self.row.push_str(name);
            self.row.push(':');
            push(&mut self.row, cell).map_err(|error| invalid(format!("row {}, {name}: {error}", self.rows + 1)))?;
        }
        self.row.push_str(if self.layout == JsonForm::Lines { "}\n" } else { "}" });
        self.rows += 1;
        self.output.write_all(self.row.as_bytes())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }

    fn finish(mut self: Box<Self>) -> io::Result<Output> {
        if self.layout == JsonForm::Array {
            self.output.write_all(if self.rows == 0 { b"[]\n" } else { b"\n]\n" })?;
        }
        self.output.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

fn push(json: &mut String, cell: &Cell) -> io::Result<()> {
    match cell {
        Cell::Missing => json.push_str("null"),
        Cell::Text(text) => json.push_str(&serde_json::to_string(text)?),
        Cell::Integer(number) => json.push_str(&number.to_string()),
        Cell::Float(number) if number.is_infinite() => {
            return Err(invalid(format!("{number}, which JSON doesn't have (hint: write CSV)")));
        }
        // serde_json writes the shortest digits that are read back as the same number, and null for NaN.
        Cell::Float(number) => json.push_str(&serde_json::to_string(number)?),
        Cell::Bool(value) => json.push_str(&value.to_string()),
        Cell::Nested(value) => {
            let mut parser = serde_json::Deserializer::from_str(value);
            Compact(json).deserialize(&mut parser)?;
            parser.end()?;
        }
    }
    Ok(())
}

fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason)
}
