//! Writing Parquet with Snappy, which every reader of Parquet has.

use std::io::{self, Write};

use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use crate::arrow_batches::BatchBuilder;
use crate::column::Column;
use crate::format::WriteRows;
use crate::output::Output;
use crate::row::Cell;

/// A row group ends at either; it is held in memory until then.
const GROUP_ROWS: usize = 64 * 1024;
const GROUP_BYTES: usize = 64 << 20;

struct ParquetWriter {
    rows: BatchBuilder,
    writer: ArrowWriter<Held>,
}

/// The output, until it is taken back: the library would return it only with its errors turned into text.
struct Held(Option<Output>);

impl Write for Held {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.as_mut().map_or(Ok(0), |output| output.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.as_mut().map_or(Ok(()), Write::flush)
    }
}

pub(super) fn create(output: Output, columns: &[Column]) -> io::Result<Box<dyn WriteRows>> {
    let rows = BatchBuilder::new(columns)?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_max_row_group_bytes(Some(GROUP_BYTES))
        .build();
    let writer = ArrowWriter::try_new(Held(Some(output)), rows.schema(), Some(properties)).map_err(io_error)?;
    Ok(Box::new(ParquetWriter { rows, writer }))
}

impl WriteRows for ParquetWriter {
    fn write(&mut self, cells: &[Cell]) -> io::Result<()> {
        match self.rows.push(cells)? {
            Some(batch) => self.writer.write(&batch).map_err(io_error),
            None => Ok(()),
        }
    }

    /// Does nothing: nobody can read such a file before its end, and small row groups would be slow for ever.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> io::Result<Output> {
        if let Some(batch) = self.rows.finish()? {
            self.writer.write(&batch).map_err(io_error)?;
        }
        self.writer.finish().map_err(io_error)?;
        self.writer.sync()?;
        self.writer.inner_mut().0.take().ok_or_else(|| io::Error::other("the file is finished twice"))
    }
}

/// The library's error; what the output returned stays what it was, a closed pipe for one.
fn io_error(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(source) => *source,
            Err(other) => io::Error::other(other),
        },
        other => io::Error::other(other),
    }
}
