//! Rows gathered into Arrow record batches, by the types that their columns declare. Writers of Parquet and Arrow share this.
//!
//! A column of texts becomes Utf8, of whole numbers Int64 (UInt64 where it was that before), of other numbers Float64, of
//! booleans Boolean; a column without a type, or with one that cells don't have, becomes Utf8 with each value as it is
//! displayed. What is missing is null. A value that doesn't fit is an error, and is never changed to one that does.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;

use arrow::array::{
    ArrayBuilder, ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, RecordBatch, StringBuilder, UInt64Builder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use serde_json::{Map, Value, json};

use crate::column::{Column, ValueType};
use crate::excerpt::quoted;
use crate::row::Cell;
use crate::text::MAX_RECORD;

/// Rows of a batch, and bytes of its texts; a batch ends with the row that reaches either.
const BATCH_ROWS: usize = 16 * 1024;
const BATCH_BYTES: usize = 16 << 20;

pub(crate) struct BatchBuilder {
    schema: SchemaRef,
    values: Vec<Values>,
    /// Rows of all batches, and what this batch has so far.
    row: u64,
    rows: usize,
    bytes: usize,
}

enum Values {
    Text(StringBuilder),
    Displayed(StringBuilder),
    Integer(Int64Builder),
    Unsigned(UInt64Builder),
    Float(Float64Builder),
    Bool(BooleanBuilder),
}

impl BatchBuilder {
    /// # Errors
    /// Two columns of one name.
    pub(crate) fn new(columns: &[Column]) -> io::Result<Self> {
        let mut seen = HashSet::new();
        if let Some(twice) = columns.iter().find(|column| !seen.insert(&column.name)) {
            let name = &twice.name;
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "two columns are called {name:?}, which this format can't have (hint: rename one, or write CSV)"
                ),
            ));
        }
        let values: Vec<Values> = columns.iter().map(Values::of).collect();
        let field = |(column, values): (&Column, &Values)| Field::new(&column.name, values.data_type(), true);
        let fields: Vec<Field> = columns.iter().zip(&values).map(field).collect();
        let schema = Schema::new(fields).with_metadata(class_names(columns, &values));
        Ok(Self { schema: Arc::new(schema), values, row: 0, rows: 0, bytes: 0 })
    }

    pub(crate) fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Adds a row, and returns the batch that it completes.
    pub(crate) fn push(&mut self, cells: &[Cell]) -> io::Result<Option<RecordBatch>> {
        self.row += 1;
        for (at, (values, cell)) in self.values.iter_mut().zip(cells).enumerate() {
            let length = values.push(cell).map_err(|reason| {
                let (row, name) = (self.row, self.schema.field(at).name());
                io::Error::new(io::ErrorKind::InvalidData, format!("row {row}, column {name:?}: {reason}"))
            })?;
            self.bytes += length;
        }
        self.rows += 1;
        let full = self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES;
        if full { self.finish() } else { Ok(None) }
    }

    /// The batch of the rows since the last one; `None` if there are none.
    pub(crate) fn finish(&mut self) -> io::Result<Option<RecordBatch>> {
        if self.rows == 0 {
            return Ok(None);
        }
        (self.rows, self.bytes) = (0, 0);
        let columns = self.values.iter_mut().map(Values::finish).collect();
        RecordBatch::try_new(self.schema(), columns).map(Some).map_err(io_error)
    }
}

impl Values {
    fn of(column: &Column) -> Self {
        match column.declared.as_ref().map(|declared| (declared.values, declared.type_name.as_str())) {
            Some((ValueType::Text, _)) => Self::Text(StringBuilder::new()),
            Some((ValueType::Integer, "UInt64")) => Self::Unsigned(UInt64Builder::new()),
            Some((ValueType::Integer, _)) => Self::Integer(Int64Builder::new()),
            Some((ValueType::Float, _)) => Self::Float(Float64Builder::new()),
            Some((ValueType::Bool, _)) => Self::Bool(BooleanBuilder::new()),
            Some((ValueType::Other, _)) | None => Self::Displayed(StringBuilder::new()),
        }
    }

    fn data_type(&self) -> DataType {
        match self {
            Self::Text(_) | Self::Displayed(_) => DataType::Utf8,
            Self::Integer(_) => DataType::Int64,
            Self::Unsigned(_) => DataType::UInt64,
            Self::Float(_) => DataType::Float64,
            Self::Bool(_) => DataType::Boolean,
        }
    }

    /// Adds a value, and returns how many bytes of text it has.
    fn push(&mut self, cell: &Cell) -> Result<usize, String> {
        let misfit =
            |expected: &str| Err(format!("expected {expected}, found {} {}", cell.kind(), quoted(&cell.to_string())));
        match (self, cell) {
            (Self::Text(values) | Self::Displayed(values), Cell::Missing) => values.append_null(),
            (Self::Text(values) | Self::Displayed(values), Cell::Text(text)) => return push_text(values, text),
            (Self::Displayed(values), cell) => return push_text(values, &cell.to_string()),
            (Self::Text(_), _) => return misfit("text"),
            (Self::Integer(values), Cell::Missing) => values.append_null(),
            (Self::Integer(values), Cell::Integer(number)) => values.append_value(*number),
            (Self::Integer(_), _) => return misfit("a whole number of 64 bits"),
            (Self::Unsigned(values), Cell::Missing) => values.append_null(),
            (Self::Unsigned(values), Cell::Integer(number)) => match u64::try_from(*number) {
                Ok(number) => values.append_value(number),
                Err(_) => return misfit("a whole number from 0"),
            },
            // Numbers beyond the 64 bits with sign are read as texts.
            (Self::Unsigned(values), Cell::Text(text)) => match text.parse() {
                Ok(number) => values.append_value(number),
                Err(_) => return misfit("a whole number from 0"),
            },
            (Self::Unsigned(_), _) => return misfit("a whole number from 0"),
            (Self::Float(values), Cell::Missing) => values.append_null(),
            (Self::Float(values), Cell::Float(number)) => values.append_value(*number),
            (Self::Float(values), Cell::Integer(number)) if *number as f64 as i128 == i128::from(*number) => {
                values.append_value(*number as f64);
            }
            (Self::Float(_), Cell::Integer(_)) => return misfit("a number that 64-bit floats have"),
            (Self::Float(_), _) => return misfit("a number"),
            (Self::Bool(values), Cell::Missing) => values.append_null(),
            (Self::Bool(values), Cell::Bool(value)) => values.append_value(*value),
            (Self::Bool(_), _) => return misfit("true or false"),
        }
        Ok(0)
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(values) | Self::Displayed(values) => ArrayBuilder::finish(values),
            Self::Integer(values) => ArrayBuilder::finish(values),
            Self::Unsigned(values) => ArrayBuilder::finish(values),
            Self::Float(values) => ArrayBuilder::finish(values),
            Self::Bool(values) => ArrayBuilder::finish(values),
        }
    }
}

fn push_text(values: &mut StringBuilder, text: &str) -> Result<usize, String> {
    let length = text.len();
    if length > MAX_RECORD {
        return Err(format!("a value of {length} bytes; the most that is written is {MAX_RECORD} (hint: split it)"));
    }
    values.append_value(text);
    Ok(length)
}

/// What the `datasets` library reads beside a schema, for columns whose classes have names.
fn class_names(columns: &[Column], values: &[Values]) -> HashMap<String, String> {
    let names = |column: &Column| column.declared.as_ref().and_then(|declared| declared.class_names.clone());
    let named = |(column, values): (&Column, &Values)| names(column).filter(|_| values.data_type() == DataType::Int64);
    if !columns.iter().zip(values).any(|column| named(column).is_some()) {
        return HashMap::new();
    }
    let feature = |(column, values): (&Column, &Values)| {
        let plain = |kind: &str| json!({"dtype": kind, "_type": "Value"});
        let feature = match (named((column, values)), values.data_type()) {
            (Some(names), _) => json!({"names": names, "_type": "ClassLabel"}),
            (None, DataType::Int64) => plain("int64"),
            (None, DataType::UInt64) => plain("uint64"),
            (None, DataType::Float64) => plain("float64"),
            (None, DataType::Boolean) => plain("bool"),
            (None, _) => plain("string"),
        };
        (column.name.clone(), feature)
    };
    let features: Map<String, Value> = columns.iter().zip(values).map(feature).collect();
    HashMap::from([("huggingface".to_owned(), json!({"info": {"features": features}}).to_string())])
}

/// The library's error; what the output returned stays what it was, a closed pipe for one.
pub(crate) fn io_error(error: ArrowError) -> io::Error {
    match error {
        ArrowError::IoError(_, source) => source,
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests;
