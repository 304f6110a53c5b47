//! What a file format declares.

use std::io;
use std::path::Path;

use crate::column::Column;
use crate::dialect::Dialect;
use crate::error::TableError;
use crate::input::Input;
use crate::output::Output;
use crate::read_options::ReadOptions;
use crate::row::{Cell, Row};

/// A file format, declared by the file that reads and writes it.
pub struct FileFormat {
    pub name: &'static str,
    /// Endings of file names, in lower case and without the dot. Messages suggest the first. A format of folders has none.
    pub endings: &'static [&'static str],
    /// One line for the documentation: how rows and columns are written.
    pub about: &'static str,
    /// Whether a folder is of this format; `None` if the format is that of a file.
    pub(crate) matches_folder: Option<fn(&Path) -> bool>,
    pub(crate) open: fn(Input, &ReadOptions) -> Result<Opened, TableError>,
    /// `None` if tables can't be written in this format.
    pub(crate) create: Option<CreateWriter>,
}

/// A file whose columns are known and of which no row has been read.
pub(crate) struct Opened {
    pub(crate) columns: Vec<Column>,
    pub(crate) file: Box<dyn OpenFile>,
    /// What was detected, for the user: `separator ';'`, `no header`. Empty if the file is as its ending says.
    pub(crate) notes: Vec<String>,
}

pub(crate) type CreateWriter = fn(Output, &[Column]) -> io::Result<Box<dyn WriteRows>>;

pub(crate) type RowIter = Box<dyn Iterator<Item = Result<Row, TableError>> + Send>;

pub(crate) trait OpenFile: Send {
    /// The cells of the selected columns, which are positions in `columns`.
    fn rows(self: Box<Self>, columns: &[Column], selected: &[usize]) -> Result<RowIter, TableError>;

    /// How the file is written, of formats that have dialects.
    fn dialect(&self) -> Option<Dialect> {
        None
    }
}

/// Writes rows in one format.
pub(crate) trait WriteRows: Send {
    /// Writes one row, with as many cells as there are columns.
    fn write(&mut self, cells: &[Cell]) -> io::Result<()>;

    /// Passes on what is buffered, so that a reader of the stream sees every row written so far.
    fn flush(&mut self) -> io::Result<()>;

    /// Writes what comes after the last row, and returns the output to be published.
    fn finish(self: Box<Self>) -> io::Result<Output>;
}
