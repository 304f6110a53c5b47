//! Users' files as rows with named columns, in the formats of [`FORMATS`].
//!
//! [`Table::open`] detects a file's format and its [`Column`]s and reads no row. [`Table::rows`] then yields the cells of
//! the requested columns, row by row, so that a file of any size is read in bounded memory. Each [`Row`] has its row and
//! line number, so that later errors can name file, row and column. Files are untrusted input: malformed content is an
//! error with its place and a hint, never a panic.
//!
//! This crate knows neither labels nor data sets.
//!
//! ```
//! use table::{Cell, ReadOptions, Table};
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("reviews.csv");
//! std::fs::write(&path, "stars,text\n5,\"A tender, funny film.\"\n")?;
//! let table = Table::open(&path, &ReadOptions::default())?;
//! assert_eq!(table.columns()[1].name, "text");
//! for row in table.rows(&[1])? {
//!     let row = row?;
//!     assert_eq!((row.number, row.line), (1, Some(2)));
//!     assert_eq!(row.cells, [Cell::Text("A tender, funny film.".into())]);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod arrow_batches;
mod arrow_cells;
mod arrow_columns;
mod arrow_ipc;
mod arrow_rows;
mod catch_panic;
mod class_folders;
mod column;
mod column_request;
mod compression;
mod csv;
mod csv_writer;
mod dialect;
mod encoding;
mod error;
mod excerpt;
mod format;
mod formats;
mod header;
mod input;
mod joined_text;
mod json;
mod json_columns;
mod json_object;
mod json_reader;
mod json_survey;
mod json_writer;
mod jsonl;
mod lines;
mod natural_order;
mod output;
mod pages;
mod parquet;
mod patterns;
mod quotes;
mod quoting;
mod read_options;
mod records;
mod row;
mod saved_dataset;
mod several_files;
mod signatures;
mod swallowed;
mod table_writer;
mod text;
mod text_reader;
mod window;

use std::io::Read;
use std::path::{Path, PathBuf};

pub use column::{Column, DeclaredType, ValueType};
pub use column_request::{ChosenColumns, ColumnRequest, SEVERAL_LABELS, named_column};
pub use dialect::Dialect;
pub use error::{Place, TableError};
pub use excerpt::{excerpt, quoted};
pub use format::FileFormat;
pub use joined_text::{TEXT_SEPARATOR, joined_text, parse_text_separator};
pub use patterns::expand;
pub use quoting::Quoting;
pub use read_options::{READ_FLAGS, ReadOptions};
pub use row::{Cell, Row};
pub use saved_dataset::dataset_dict_splits;
pub use table_writer::TableWriter;
pub use text::Lines;

use compression::Compression;
use input::Input;
use several_files::LaterFiles;

/// The formats that can be read. A format is one file of this crate and one line here; help texts, error messages and
/// documentation list the formats from this table.
pub static FORMATS: &[FileFormat] = &[
    csv::CSV,
    csv::TSV,
    jsonl::JSON_LINES,
    json::JSON,
    parquet::PARQUET,
    arrow_ipc::ARROW,
    lines::PLAIN_TEXT,
    saved_dataset::SAVED_DATASET,
    class_folders::CLASS_FOLDERS,
];

/// A file, or several, whose columns are known and of which no row has been read.
pub struct Table {
    columns: Vec<Column>,
    notes: Vec<String>,
    files: Vec<TableFile>,
    /// The first of the files.
    file: Box<dyn format::OpenFile>,
    options: ReadOptions,
}

/// One of the files of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct TableFile {
    pub path: PathBuf,
    /// The columns in this file's order and as this file declares them.
    pub columns: Vec<Column>,
    /// For each column of the table its position in this file.
    order: Vec<usize>,
}

/// The rows of a table, in order. After an error there are no more.
pub struct Rows {
    rows: format::RowIter,
    file: usize,
    later: LaterFiles,
    failed: bool,
}

impl Table {
    /// Opens a table by the ending of its name, or in the format that `options` name.
    ///
    /// # Errors
    /// An ending of no known format, and a file that isn't what its ending says.
    pub fn open(path: &Path, options: &ReadOptions) -> Result<Self, TableError> {
        let named = FileFormat::requested(options, path)?;
        let format = match named {
            Some(format) => format,
            None if path.is_dir() => FileFormat::of_folder(path)
                .ok_or_else(|| TableError::file(path, "a folder, not a file (hint: name a file in it)"))?,
            None => FileFormat::of(path).ok_or_else(|| formats::unknown(path))?,
        };
        let opened = (format.open)(Input::file(path), options)?;
        Ok(Self::opened(path, opened, options))
    }

    /// Opens a table that is read once, from a stream such as the standard input; `name` stands for it in messages.
    ///
    /// # Errors
    /// A format that can't be read from a stream, and content that isn't of the format.
    pub fn from_stream(
        name: &str,
        format: &FileFormat,
        stream: Box<dyn Read + Send>,
        options: &ReadOptions,
    ) -> Result<Self, TableError> {
        let opened = (format.open)(Input::stream(name, stream), options)?;
        Ok(Self::opened(Path::new(name), opened, options))
    }

    fn opened(path: &Path, format::Opened { columns, notes, file }: format::Opened, options: &ReadOptions) -> Self {
        let order = (0..columns.len()).collect();
        let files = vec![TableFile { path: path.to_owned(), columns: columns.clone(), order }];
        Self { columns, notes, files, file, options: options.clone() }
    }

    /// The files that the rows come from.
    pub fn files(&self) -> &[TableFile] {
        &self.files
    }

    /// What was detected and is not said by the file's name, for the user: an encoding, a separator, a missing header.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// How a CSV or TSV file is written; `None` of other formats.
    pub fn dialect(&self) -> Option<Dialect> {
        self.file.dialect()
    }

    /// The columns, in the file's order; of JSON those of the first object.
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
        assert!(!columns.iter().enumerate().any(twice), "a column is requested twice: {columns:?}");
        assert!(columns.iter().all(|&column| column < self.columns.len()), "no such column: {columns:?}");
        let mut files = self.files.into_iter();
        files.next();
        let later = LaterFiles { files, selected: columns.to_vec(), options: self.options };
        Ok(Rows { rows: self.file.rows(&self.columns, columns)?, file: 0, later, failed: false })
    }
}

impl Rows {
    /// Which of [`Table::files`] the row came from that was returned last; of an error, the file that it is in.
    pub fn file(&self) -> usize {
        self.file
    }
}

impl Iterator for Rows {
    type Item = Result<Row, TableError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.failed {
            if let Some(row) = self.rows.next() {
                self.failed = row.is_err();
                return Some(row);
            }
            match self.later.open_next()? {
                Ok(rows) => self.rows = rows,
                Err(error) => {
                    self.failed = true;
                    self.file += 1;
                    return Some(Err(error));
                }
            }
            self.file += 1;
        }
        None
    }
}

/// The ending of a file's name in lower case, before that of a compression (`csv` of `a.csv.gz`); empty where it has none.
pub fn ending(path: &Path) -> String {
    let lower = |path: &Path| path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    let inner = Compression::of_name(path).and_then(|_| lower(&path.with_extension("")));
    inner.or_else(|| lower(path)).unwrap_or_default()
}

/// The name of a file without its ending, and that of a compression.
pub fn stem(path: &Path) -> Option<String> {
    let inner = path.with_extension("");
    let path = if Compression::of_name(path).is_some() { &inner } else { path };
    Some(path.file_stem()?.to_str()?.to_owned())
}

#[cfg(test)]
mod tests;
