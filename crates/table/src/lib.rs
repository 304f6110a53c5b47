//! People's files as rows with named columns: CSV, TSV, JSON lines and Parquet.
//!
//! [`Table::open`] finds out a file's format and its [`Column`]s and reads no row. [`Table::rows`] then yields the cells of
//! the columns that are asked for, row by row, so that a file of any size is read in bounded memory; each [`Row`] knows
//! where it stood, so that whatever is wrong with it later can be named by file, row and column. A file is somebody's
//! input: bytes that aren't what its name says are an error with the place and what to do, and never a panic.
//!
//! What a column means is the caller's business: there are no labels and no data sets here.
//!
//! ```
//! use table::{Cell, Table};
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("reviews.csv");
//! std::fs::write(&path, "stars,text\n5,\"A tender, funny film.\"\n")?;
//! let table = Table::open(&path)?;
//! assert_eq!(table.columns()[1].name, "text");
//! for row in table.rows(&[1])? {
//!     let row = row?;
//!     assert_eq!((row.number, row.line), (1, Some(2)));
//!     assert_eq!(row.cells, [Cell::Text("A tender, funny film.".into())]);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod catch_panic;
mod column;
mod csv;
mod error;
mod excerpt;
mod jsonl;
mod pages;
mod parquet;
mod row;
mod text;

use std::path::Path;

pub use column::{Column, Declared, ValueType};
pub use error::{Place, TableError};
pub use excerpt::{excerpt, quoted};
pub use row::{Cell, Row};
pub use text::Lines;

/// The endings of the files that [`Table::open`] reads.
pub const ENDINGS: [&str; 7] = ["csv", "tsv", "tab", "jsonl", "ndjson", "json", "parquet"];

/// A file whose columns are known and of which no row has been read.
pub struct Table {
    columns: Vec<Column>,
    file: Opened,
}

enum Opened {
    Csv(csv::Opened),
    JsonLines(jsonl::Opened),
    Parquet(parquet::Opened),
}

/// The rows of a table, in order. After an error there are no more.
pub struct Rows {
    next: Box<dyn FnMut() -> Result<Option<Row>, TableError> + Send>,
    failed: bool,
}

impl Table {
    /// Opens a table by the ending of its name.
    ///
    /// # Errors
    /// An ending of no known format, and a file that isn't what its ending says.
    pub fn open(path: &Path) -> Result<Self, TableError> {
        let (columns, file) = match ending(path).as_str() {
            "csv" => csv::open(path, b',').map(|(columns, file)| (columns, Opened::Csv(file))),
            "tsv" | "tab" => csv::open(path, b'\t').map(|(columns, file)| (columns, Opened::Csv(file))),
            "jsonl" | "ndjson" | "json" => jsonl::open(path).map(|(columns, file)| (columns, Opened::JsonLines(file))),
            "parquet" => parquet::open(path).map(|(columns, file)| (columns, Opened::Parquet(file))),
            "" => {
                Err(TableError::file(path, "no ending says its format (hint: name it .csv, .tsv, .jsonl or .parquet)"))
            }
            other => Err(TableError::file(
                path,
                format!(
                    "the ending {other:?} is not one that can be read: .csv, .tsv, .jsonl, .parquet (hint: save it as \
                     one of these, or rename it where it is one)"
                ),
            )),
        }?;
        Ok(Self { columns, file })
    }

    /// The columns, in the file's order; of JSON lines those of the first object.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The rows' cells of these columns, by their positions in [`columns`](Self::columns).
    ///
    /// # Errors
    /// A column that can't be read as [`Cell`]s, and damage that shows before the first row.
    ///
    /// # Panics
    /// If a position is not below the number of columns, or is there twice.
    pub fn rows(self, columns: &[usize]) -> Result<Rows, TableError> {
        let twice = |(at, column): (usize, &usize)| columns[..at].contains(column);
        assert!(!columns.iter().enumerate().any(twice), "a column is asked for twice: {columns:?}");
        assert!(columns.iter().all(|&column| column < self.columns.len()), "no such column: {columns:?}");
        let next: Box<dyn FnMut() -> Result<Option<Row>, TableError> + Send> = match self.file {
            Opened::Csv(mut file) => {
                let columns = columns.to_vec();
                Box::new(move || file.row(&columns))
            }
            Opened::JsonLines(mut file) => {
                let names: Vec<String> = columns.iter().map(|&column| self.columns[column].name.clone()).collect();
                Box::new(move || file.row(&names))
            }
            Opened::Parquet(file) => {
                let mut rows = file.rows(&self.columns, columns)?;
                Box::new(move || rows.row())
            }
        };
        Ok(Rows { next, failed: false })
    }
}

impl Iterator for Rows {
    type Item = Result<Row, TableError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = if self.failed { None } else { (self.next)().transpose() };
        self.failed |= matches!(next, Some(Err(_)));
        next
    }
}

/// The ending of a file's name in lower case; empty where it has none.
pub fn ending(path: &Path) -> String {
    path.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
