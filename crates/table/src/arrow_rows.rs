//! Rows of Arrow record batches, one at a time and within bounds. Parquet and Arrow share this.

use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;

use crate::arrow_cells::cell;
use crate::catch_panic::catch_panic;
use crate::error::{Place, TableError};
use crate::row::{Cell, Row};

/// What the rows may take in memory: so much in any case, and so much for each byte of the file. A few bytes can
/// encode millions of equal rows, which no real data set has.
const MAX_ROWS_BYTES: u64 = 64 << 20;
const MAX_ROWS_RATIO: u64 = 1024;

/// Reads the next record batch; `None` where there is none.
pub(crate) type NextBatch = Box<dyn FnMut() -> Result<Option<RecordBatch>, TableError> + Send>;

pub(crate) struct ArrowRows {
    path: PathBuf,
    format: &'static str,
    next_batch: NextBatch,
    /// The columns' names, and the position of each in a batch.
    columns: Vec<(String, usize)>,
    batch: Option<RecordBatch>,
    /// The next row of the batch.
    at: usize,
    /// How many rows there were in all batches.
    rows: u64,
    /// The size of the file, and what its further rows may take in memory.
    length: u64,
    left: u64,
}

impl ArrowRows {
    /// `length` is the size of the file.
    pub(crate) fn new(
        path: &Path,
        format: &'static str,
        length: u64,
        columns: Vec<(String, usize)>,
        next_batch: NextBatch,
    ) -> Self {
        let left = MAX_ROWS_BYTES.saturating_add(length.saturating_mul(MAX_ROWS_RATIO));
        Self { path: path.to_owned(), format, next_batch, columns, batch: None, at: 0, rows: 0, length, left }
    }

    fn row(&mut self) -> Result<Option<Row>, TableError> {
        while self.batch.as_ref().is_none_or(|batch| self.at >= batch.num_rows()) {
            // Before the next is read, so that there is only one in memory.
            (self.batch, self.at) = (None, 0);
            match (self.next_batch)()? {
                Some(batch) => self.batch = Some(batch),
                None => return Ok(None),
            }
        }
        let Some(batch) = &self.batch else { return Ok(None) };
        self.rows += 1;
        let (path, number) = (&self.path, self.rows);
        let mut cells = Vec::with_capacity(self.columns.len());
        let mut size = size_of::<Row>() + self.columns.len() * size_of::<Cell>();
        for (name, position) in &self.columns {
            let values = batch.columns().get(*position).ok_or_else(|| missing(path, self.format, name))?;
            let cell = cell(values, self.at).map_err(|reason| TableError::Value {
                place: Place { path: path.clone(), row: number, line: None },
                column: name.clone(),
                reason,
            })?;
            size += if let Cell::Text(text) | Cell::Nested(text) = &cell { text.len() } else { 0 };
            cells.push(cell);
        }
        self.left = self.left.checked_sub(size as u64).ok_or_else(|| {
            let what = format!("{number} rows and more, too many for a file of {} bytes", self.length);
            unreadable(path, self.format, &what)
        })?;
        self.at += 1;
        Ok(Some(Row { number, line: None, cells }))
    }
}

impl Iterator for ArrowRows {
    type Item = Result<Row, TableError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (path, format) = (self.path.clone(), self.format);
        without_panic(&path, format, || self.row()).transpose()
    }
}

fn missing(path: &Path, format: &str, name: &str) -> TableError {
    unreadable(path, format, &format!("column {name:?} is in the schema and not in the data"))
}

/// Runs `work` on this thread and returns a panic as an error. What it leaves half-done is not used again.
pub(crate) fn without_panic<T>(
    path: &Path,
    format: &str,
    work: impl FnOnce() -> Result<T, TableError>,
) -> Result<T, TableError> {
    catch_panic(work)
        .unwrap_or_else(|found| Err(unreadable(path, format, &format!("its parts contradict one another: {found}"))))
}

/// The error for a damaged file; `cause` is the library's message, from which the names of its error kinds are left out.
pub(crate) fn unreadable(path: &Path, format: &str, cause: &str) -> TableError {
    let names = [
        "External: ",
        "External error: ",
        "Parquet argument error: ",
        "Parquet error: ",
        "Invalid argument error: ",
        "EOF: ",
        "Arrow: ",
        "Ipc error: ",
        "Io error: ",
        "Parser error: ",
    ];
    let mut words = cause;
    while let Some(rest) = names.iter().find_map(|name| words.strip_prefix(name)) {
        words = rest;
    }
    let words = words.lines().next().unwrap_or_default().trim_end_matches('.');
    let hint = "(hint: the file is damaged; fetch or write it again)";
    TableError::file(path, format!("not readable as {format}: {words} {hint}"))
}
