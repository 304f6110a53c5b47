//! What a file format declares.

use std::path::Path;

use crate::column::Column;
use crate::error::TableError;
use crate::row::Row;

/// A file format, declared by the file that reads it.
pub struct FileFormat {
    pub name: &'static str,
    /// Endings of file names, in lower case and without the dot. Messages suggest the first.
    pub endings: &'static [&'static str],
    /// One line for the documentation: how rows and columns are written.
    pub about: &'static str,
    pub(crate) open: fn(&Path) -> Result<Opened, TableError>,
}

/// The columns of a file, and the file ready to read.
pub(crate) type Opened = (Vec<Column>, Box<dyn OpenFile>);

pub(crate) type RowIter = Box<dyn Iterator<Item = Result<Row, TableError>> + Send>;

/// A file whose columns are known and of which no row has been read.
pub(crate) trait OpenFile: Send {
    /// The cells of the selected columns, which are positions in `columns`.
    fn rows(self: Box<Self>, columns: &[Column], selected: &[usize]) -> Result<RowIter, TableError>;
}
