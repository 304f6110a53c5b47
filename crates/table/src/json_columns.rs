//! A JSON object whose members are columns: arrays of equal length, or objects by row number as pandas writes them.
//!
//! Each column is read by a reader of its own, so that no more than one value of each is in memory.

use crate::error::TableError;
use crate::json_object::parse_cell;
use crate::json_reader::JsonReader;
use crate::row::{Cell, Row};

/// A column's values.
pub(crate) struct JsonColumn {
    reader: JsonReader,
    is_array: bool,
    first: bool,
}

impl JsonColumn {
    /// The column whose array or object starts where `reader` is.
    pub(crate) fn new(mut reader: JsonReader) -> Result<Self, TableError> {
        let is_array = reader.skip_blank()? == Some(b'[');
        reader.enter();
        Ok(Self { reader, is_array, first: true })
    }

    fn cell(&mut self) -> Result<Option<Cell>, TableError> {
        let close = if self.is_array { b']' } else { b'}' };
        if !self.reader.item(close, std::mem::take(&mut self.first))? {
            return Ok(None);
        }
        if !self.is_array {
            self.reader.name()?;
        }
        let text = self.reader.value()?;
        parse_cell(&text.bytes).map(Some).map_err(|fault| self.reader.fault(&text, "not JSON", &fault))
    }
}

/// The rows of columns of equal length. The first is read to count them, even if it is not `selected`.
pub(crate) struct JsonColumnRows {
    pub(crate) columns: Vec<JsonColumn>,
    pub(crate) width: usize,
    pub(crate) row: u64,
}

impl JsonColumnRows {
    fn next_row(&mut self) -> Result<Option<Row>, TableError> {
        let mut cells = Vec::with_capacity(self.columns.len());
        for column in &mut self.columns {
            match column.cell()? {
                Some(cell) => cells.push(cell),
                None if cells.is_empty() => return Ok(None),
                None => return Err(column.reader.refused("the file changed while it was read (hint: run again)")),
            }
        }
        cells.truncate(self.width);
        self.row += 1;
        Ok(Some(Row { number: self.row, line: None, cells }))
    }
}

impl Iterator for JsonColumnRows {
    type Item = Result<Row, TableError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_row().transpose()
    }
}
