//! Writing a table row by row.

use std::io::Write;
use std::path::{Path, PathBuf};

use disk::StagedFile;

use crate::column::Column;
use crate::compression::Compression;
use crate::error::TableError;
use crate::format::{FileFormat, WriteRows};
use crate::formats;
use crate::output::Output;
use crate::row::Cell;

/// A table that is being written. A file appears under its name, whole, when [`finish`](Self::finish) is called.
pub struct TableWriter {
    path: PathBuf,
    columns: usize,
    rows: Box<dyn WriteRows>,
}

impl TableWriter {
    /// Begins a file in the format of its name's ending, compressed if `.gz` or `.zst` follows it. Column types that aren't declared are text in formats that need
    /// a type.
    ///
    /// # Errors
    /// An ending of no format that is written, and a folder that can't be written to.
    pub fn create(path: &Path, columns: &[Column]) -> Result<Self, TableError> {
        let format = FileFormat::of(path).ok_or_else(|| formats::unknown(path))?;
        if let (Some(compression), true) = (Compression::of_name(path), format.is_compressed()) {
            let reason = format!("{} is compressed inside (hint: leave out .{})", format.name, compression.ending());
            return Err(TableError::file(path, reason));
        }
        let output = Output::File(StagedFile::create(path)?);
        let output = output.compressed(path).map_err(|error| TableError::io(path, error))?;
        Self::begin(path, format, output, columns)
    }

    /// Begins a table on a stream; `name` stands for it in messages.
    ///
    /// # Errors
    /// A format that isn't written, and what the stream returns.
    pub fn stream(
        name: &str,
        format: &FileFormat,
        stream: Box<dyn Write + Send>,
        columns: &[Column],
    ) -> Result<Self, TableError> {
        Self::begin(Path::new(name), format, Output::Stream(stream), columns)
    }

    fn begin(path: &Path, format: &FileFormat, output: Output, columns: &[Column]) -> Result<Self, TableError> {
        let Some(create) = format.create else {
            let reason = format!("{} is read and not written (hint: write {})", format.name, FileFormat::written());
            return Err(TableError::file(path, reason));
        };
        let rows = create(output, columns).map_err(|error| TableError::io(path, error))?;
        Ok(Self { path: path.to_owned(), columns: columns.len(), rows })
    }

    /// Writes one row.
    ///
    /// # Errors
    /// A full disk, or a stream that is closed.
    ///
    /// # Panics
    /// If there are not as many cells as columns.
    pub fn write(&mut self, cells: &[Cell]) -> Result<(), TableError> {
        assert_eq!(cells.len(), self.columns, "a row has as many cells as there are columns");
        self.rows.write(cells).map_err(|error| TableError::io(&self.path, error))
    }

    /// Passes on what is buffered, so that the reader of a stream sees every row written so far.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn flush(&mut self) -> Result<(), TableError> {
        self.rows.flush().map_err(|error| TableError::io(&self.path, error))
    }

    /// Completes the table; a file is synced and appears under its name.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn finish(self) -> Result<(), TableError> {
        let io = |error| TableError::io(&self.path, error);
        match self.rows.finish().and_then(Output::completed).map_err(io)? {
            Output::File(file) => Ok(file.publish()?),
            mut stream => stream.flush().map_err(io),
        }
    }
}
