//! Writing the file form of Arrow IPC, uncompressed, so that it can be mapped.

use std::io;

use arrow::ipc::writer::FileWriter;

use crate::arrow_batches::{BatchBuilder, io_error};
use crate::column::Column;
use crate::format::WriteRows;
use crate::output::Output;
use crate::row::Cell;

struct ArrowWriter {
    rows: BatchBuilder,
    writer: FileWriter<Output>,
}

pub(super) fn create(output: Output, columns: &[Column]) -> io::Result<Box<dyn WriteRows>> {
    let rows = BatchBuilder::new(columns)?;
    let writer = FileWriter::try_new(output, &rows.schema()).map_err(io_error)?;
    Ok(Box::new(ArrowWriter { rows, writer }))
}

impl WriteRows for ArrowWriter {
    fn write(&mut self, cells: &[Cell]) -> io::Result<()> {
        match self.rows.push(cells)? {
            Some(batch) => self.writer.write(&batch).map_err(io_error),
            None => Ok(()),
        }
    }

    /// Does nothing: nobody can read such a file before its end, and small batches would be slow for ever.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> io::Result<Output> {
        if let Some(batch) = self.rows.finish()? {
            self.writer.write(&batch).map_err(io_error)?;
        }
        self.writer.into_inner().map_err(io_error)
    }
}
