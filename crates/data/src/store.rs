//! A split on disk: an Arrow IPC file, written as a stream and read through a memory map.
//!
//! Columns are `text` (utf8), `label` (int32, null where there is none) and `input_ids` (list of uint32). A record batch
//! has [`ROWS_PER_BATCH`] rows, the last one fewer, so a row is found by one division. Nothing is compressed: what is
//! handed out are views of the map, and a split larger than memory can be read.
//!
//! A file is untrusted when it is read. [`Examples::open`] checks every length, label and list offset, which
//! are eight bytes a row; it touches no text and no token id, so that a million rows open as a thousand do. Those are
//! checked when a row is read, and damage in them is an error then.

mod layout;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayBuilder, ArrayRef, Int32Builder, ListBuilder, RecordBatch, StringBuilder, UInt32Builder};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::FileWriter;
use disk::{NewFile, Sha256Writer};
use tokenize::Batch;

use crate::error::DataError;
use layout::Columns;

/// Rows of a record batch; the last one of a file may have fewer.
pub const ROWS_PER_BATCH: usize = 4096;

/// Writes a split, row by row, in bounded memory.
pub struct Writer {
    path: PathBuf,
    file: FileWriter<Sha256Writer<NewFile>>,
    text: StringBuilder,
    label: Int32Builder,
    input_ids: ListBuilder<UInt32Builder>,
    /// Bytes of text and number of ids in the record batch that is being gathered.
    pending: (usize, usize),
}

/// What a finished file is, for the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Lower-case hex sha256 of the file.
    pub sha256: String,
    pub bytes: u64,
}

impl Writer {
    /// Creates the file; there must be none at `path`.
    pub fn create(path: &Path) -> Result<Self, DataError> {
        let file = NewFile::create(path).map_err(|error| DataError::io(path, error))?;
        let file = FileWriter::try_new(Sha256Writer::new(file), &schema()).map_err(DataError::arrow(path))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            text: StringBuilder::new(),
            label: Int32Builder::new(),
            input_ids: ListBuilder::new(UInt32Builder::new()).with_field(token_field()),
            pending: (0, 0),
        })
    }

    pub fn push(&mut self, text: &str, label: Option<u32>, input_ids: &[u32]) -> Result<(), DataError> {
        let label = label
            .map(|label| {
                i32::try_from(label)
                    .map_err(|_| DataError::content(&self.path, format!("label {label} is above {}", i32::MAX)))
            })
            .transpose()?;
        // The offsets within a record batch have 32 bits.
        let pending = (self.pending.0 + text.len(), self.pending.1 + input_ids.len());
        if pending.0 > i32::MAX as usize || pending.1 > i32::MAX as usize {
            return Err(DataError::content(
                &self.path,
                format!("more than 2 GiB of text in {ROWS_PER_BATCH} rows (hint: split long texts into several rows)"),
            ));
        }
        self.pending = pending;
        self.text.append_value(text);
        self.label.append_option(label);
        self.input_ids.values().append_slice(input_ids);
        self.input_ids.append(true);
        if self.label.len() == ROWS_PER_BATCH { self.flush() } else { Ok(()) }
    }

    /// Writes what is left, syncs the file to disk, and says what it is.
    pub fn finish(mut self) -> Result<Written, DataError> {
        if self.label.len() > 0 {
            self.flush()?;
        }
        let Self { path, file, .. } = self;
        let hashed = file.into_inner().map_err(DataError::arrow(&path))?;
        let io = |error| DataError::io(&path, error);
        let bytes = hashed.bytes();
        let (file, sha256) = hashed.finish();
        file.finish().map_err(io)?;
        Ok(Written { sha256, bytes })
    }

    fn flush(&mut self) -> Result<(), DataError> {
        self.pending = (0, 0);
        let columns: Vec<ArrayRef> =
            vec![Arc::new(self.text.finish()), Arc::new(self.label.finish()), Arc::new(self.input_ids.finish())];
        RecordBatch::try_new(schema(), columns)
            .and_then(|batch| self.file.write(&batch))
            .map_err(DataError::arrow(&self.path))
    }
}

/// A split, memory-mapped.
#[derive(Debug, Clone)]
pub struct Examples {
    path: Arc<Path>,
    chunks: Vec<Columns>,
    len: usize,
    /// Token ids are below this.
    vocab_size: usize,
}

impl Examples {
    /// Maps a file that [`Writer`] wrote.
    ///
    /// # Errors
    /// A file that is cut off, damaged, or not of this form is refused, whatever its bytes are; damage inside a text or
    /// a list of ids is an error when that row is read.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let file = File::open(path).map_err(|error| DataError::io(path, error))?;
        // SAFETY: nothing of this project changes such a file in place: it is written under another name and renamed.
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(|error| DataError::io(path, error))?;
        let buffer = Buffer::from(bytes::Bytes::from_owner(map));
        let fail = DataError::arrow(path);
        let mut chunks = Vec::new();
        let mut len = 0;
        for columns in layout::record_batches(&buffer).map_err(&fail)? {
            let columns = columns.map_err(&fail)?;
            if len % ROWS_PER_BATCH != 0 || columns.rows == 0 || columns.rows > ROWS_PER_BATCH {
                return Err(fail(damaged(format!("a record batch of {} rows after row {len}", columns.rows))));
            }
            columns.check().map_err(&fail)?;
            len += columns.rows;
            chunks.push(columns);
        }
        if u32::try_from(len).is_err() {
            return Err(fail(damaged(format!("{len} rows, more than {}", u32::MAX))));
        }
        Ok(Self { path: path.into(), chunks, len, vocab_size: usize::MAX })
    }

    /// From here on a token id that isn't below `vocab_size` is an error when its row is read.
    pub(crate) fn with_vocab_size(self, vocab_size: usize) -> Self {
        Self { vocab_size, ..self }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Token ids of a row, `[CLS]` and `[SEP]` included.
    ///
    /// # Errors
    /// An id that the vocabulary hasn't.
    ///
    /// # Panics
    /// This and the other accessors: if `row` is not below [`len`](Self::len).
    pub fn input_ids(&self, row: usize) -> Result<&[u32], DataError> {
        let (chunk, at) = self.locate(row);
        let ids = &chunk.input_ids[chunk.starts[at] as usize..chunk.starts[at + 1] as usize];
        match ids.iter().find(|&&id| id as usize >= self.vocab_size) {
            None => Ok(ids),
            Some(id) => Err(DataError::content(
                &*self.path,
                format!(
                    "row {row}: token id {id} is not below the vocabulary's size {} (hint: prepare the data again)",
                    self.vocab_size
                ),
            )),
        }
    }

    /// Packs rows, in this order; a row without a label has -1.
    ///
    /// # Errors
    /// A row that was damaged since it was written.
    pub fn batch(&self, rows: &[usize]) -> Result<Batch, DataError> {
        let sequences = rows.iter().map(|&row| self.input_ids(row)).collect::<Result<Vec<_>, _>>()?;
        let labels = rows.iter().map(|&row| self.label(row).map_or(-1, i64::from)).collect();
        Ok(Batch { labels, ..Batch::from_ids(&sequences) })
    }

    pub fn label(&self, row: usize) -> Option<u32> {
        let (chunk, at) = self.locate(row);
        chunk.label(at)
    }

    /// Text of a row.
    pub fn text(&self, row: usize) -> Result<&str, DataError> {
        let (chunk, at) = self.locate(row);
        chunk.text(at).ok_or_else(|| DataError::arrow(&self.path)(damaged(format!("row {row} holds no text"))))
    }

    pub fn token_count(&self, row: usize) -> usize {
        let (chunk, at) = self.locate(row);
        (chunk.starts[at + 1] - chunk.starts[at]) as usize
    }

    /// The token counts of all rows, for a sampler: four bytes a row.
    pub fn token_counts(&self) -> Vec<u32> {
        let mut counts = Vec::with_capacity(self.len);
        for chunk in &self.chunks {
            counts.extend(chunk.starts[..=chunk.rows].windows(2).map(|pair| (pair[1] - pair[0]) as u32));
        }
        counts
    }

    fn locate(&self, row: usize) -> (&Columns, usize) {
        assert!(row < self.len, "row {row} of {}", self.len);
        (&self.chunks[row / ROWS_PER_BATCH], row % ROWS_PER_BATCH)
    }
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("text", DataType::Utf8, false),
        Field::new("label", DataType::Int32, true),
        Field::new("input_ids", DataType::List(Arc::new(token_field())), false),
    ]))
}

fn token_field() -> Field {
    Field::new("item", DataType::UInt32, false)
}

fn damaged(what: String) -> ArrowError {
    ArrowError::IpcError(format!("not a split as prepare-data writes it: {what}"))
}

#[cfg(test)]
mod tests;
