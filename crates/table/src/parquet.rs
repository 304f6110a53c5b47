//! Parquet, as the Hub keeps data sets: one file or shard, some of its columns.
//!
//! Files are untrusted. What the footer claims is checked against the file's length before a page is read, and so are
//! the unpacked sizes of pages and the total size of rows. Batches are small, a text is bounded, and a panic of the
//! library on malformed bytes becomes an error.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, Schema, UInt64Type};
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

use crate::catch_panic::catch_panic;
use crate::column::{Column, DeclaredType, ValueType};
use crate::error::{Place, TableError};
use crate::excerpt::quoted;
use crate::format::{FileFormat, OpenFile, Opened, RowIter};
use crate::input::Input;
use crate::pages;
use crate::read_options::ReadOptions;
use crate::row::{Cell, Row};
use crate::signatures::LFS_POINTER;
use crate::text::MAX_RECORD;

const MAGIC: &[u8] = b"PAR1";
/// The footer's length and the mark, at the end of the file.
const TRAILER: u64 = 8;
const BATCH_ROWS: usize = 1024;
/// The most that a batch's texts may take. Each row may repeat all of the longest page, its dictionary for one.
const BATCH_BYTES: u64 = 256 << 20;
/// What the rows may take in memory: so much in any case, and so much for each byte of the file. A few bytes can
/// encode millions of equal rows, which no real data set has.
const MAX_ROWS_BYTES: u64 = 64 << 20;
const MAX_ROWS_RATIO: u64 = 1024;
/// Decoded bytes that one column of one row group may claim.
const MAX_CHUNK: i64 = 2 << 30;

pub(crate) const PARQUET: FileFormat = FileFormat {
    name: "Parquet",
    endings: &["parquet"],
    about: "columns of text, numbers or booleans, as data sets on the Hub have them; names of classes in its schema are \
            used",
    matches_folder: None,
    open,
    create: None,
};

struct ParquetFile {
    path: PathBuf,
    builder: ParquetRecordBatchReaderBuilder<File>,
    /// The same file, for the headers of its pages.
    headers: File,
    length: u64,
}

fn open(input: Input, _: &ReadOptions) -> Result<Opened, TableError> {
    let path = input.path();
    let mut file = input.open_file()?;
    check_frame(path, &mut file)?;
    let io = |error| TableError::io(path, error);
    let (length, headers) = (file.metadata().map_err(io)?.len(), file.try_clone().map_err(io)?);
    let builder = without_panic(path, || {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| unreadable(path, error))?;
        check_metadata(builder.metadata(), length).map_err(|error| unreadable(path, error))?;
        Ok(builder)
    })?;
    let columns = columns(builder.schema());
    let file = Box::new(ParquetFile { path: path.to_owned(), builder, headers, length });
    Ok(Opened { columns, file, notes: Vec::new() })
}

/// Runs `work` on this thread and returns a panic as an error. What it leaves half-done is not used again.
fn without_panic<T>(path: &Path, work: impl FnOnce() -> Result<T, TableError>) -> Result<T, TableError> {
    catch_panic(work).unwrap_or_else(|found| {
        Err(unreadable(path, ParquetError::General(format!("its pages contradict one another: {found}"))))
    })
}

/// The library's error without the names of its error kinds.
fn unreadable(path: &Path, cause: ParquetError) -> TableError {
    let text = cause.to_string();
    let names = [
        "External: ",
        "Parquet argument error: ",
        "Parquet error: ",
        "EOF: ",
        "Arrow: ",
        "Ipc error: ",
        "Parser error: ",
    ];
    let mut words = text.as_str();
    while let Some(rest) = names.iter().find_map(|name| words.strip_prefix(name)) {
        words = rest;
    }
    let hint = "(hint: the file is damaged; fetch or write it again)";
    TableError::file(path, format!("not readable as Parquet: {words} {hint}"))
}

/// Checks the file's start, end and footer, for which the library has no clear messages.
fn check_frame(path: &Path, file: &mut File) -> Result<(), TableError> {
    let io = |error| TableError::io(path, error);
    let refuse = |what: String| Err(TableError::file(path, what));
    let length = file.metadata().map_err(io)?.len();
    let mut head = Vec::new();
    file.by_ref().take(64).read_to_end(&mut head).map_err(io)?;
    if head.starts_with(LFS_POINTER) {
        return refuse("a Git LFS pointer, not the data itself (hint: `git lfs pull` fetches it)".into());
    }
    if !head.starts_with(MAGIC) {
        let start = String::from_utf8_lossy(&head);
        return refuse(format!("not Parquet: it starts with {} (hint: name the file by what it is)", quoted(&start)));
    }
    let cut_off =
        format!("Parquet's mark at its end is missing ({length} bytes); it is cut off (hint: fetch it again)");
    if length < TRAILER + MAGIC.len() as u64 {
        return refuse(cut_off);
    }
    let mut trailer = [0; TRAILER as usize];
    file.seek(SeekFrom::End(-(TRAILER as i64))).and_then(|_| file.read_exact(&mut trailer)).map_err(io)?;
    file.rewind().map_err(io)?;
    if trailer[4..] != *MAGIC {
        return refuse(cut_off);
    }
    let footer = u32::from_le_bytes([trailer[0], trailer[1], trailer[2], trailer[3]]);
    if u64::from(footer) > length - TRAILER {
        return refuse(format!("a footer of {footer} bytes in a file of {length} (hint: fetch or write it again)"));
    }
    Ok(())
}

/// The values of some columns, row by row, a batch in memory at a time.
struct ParquetRows {
    path: PathBuf,
    reader: ParquetRecordBatchReader,
    /// The columns' names, and the position of each in a batch.
    columns: Vec<(String, usize)>,
    batch: std::vec::IntoIter<Row>,
    /// How many rows there were in all batches.
    rows: u64,
    /// The size of the file, and what its further rows may take in memory.
    length: u64,
    left: u64,
}

impl OpenFile for ParquetFile {
    fn rows(self: Box<Self>, columns: &[Column], selected: &[usize]) -> Result<RowIter, TableError> {
        let Self { path, builder, headers, length } = *self;
        for column in selected.iter().map(|&column| &columns[column]) {
            if let Some(declared) = column.declared.as_ref().filter(|declared| declared.values == ValueType::Other) {
                let (name, kind) = (&column.name, &declared.type_name);
                return Err(TableError::file(
                    path,
                    format!("column {name:?} is {kind}, not text, a number or a boolean"),
                ));
            }
        }
        // A batch has its columns in the file's order.
        let position = |column: usize| selected.iter().filter(|&&other| other < column).count();
        let positions = selected.iter().map(|&column| (columns[column].name.clone(), position(column))).collect();
        let reader = without_panic(&path, || {
            let mask = ProjectionMask::roots(builder.parquet_schema(), selected.iter().copied());
            let largest =
                pages::largest(&headers, builder.metadata(), &mask).map_err(|error| unreadable(&path, error))?;
            let batch_rows = BATCH_ROWS.min((BATCH_BYTES / largest.max(1)) as usize).max(1);
            let reader = builder.with_projection(mask).with_batch_size(batch_rows).build();
            reader.map_err(|error| unreadable(&path, error))
        })?;
        let left = MAX_ROWS_BYTES.saturating_add(length.saturating_mul(MAX_ROWS_RATIO));
        let batch = Vec::new().into_iter();
        let mut rows = ParquetRows { path, reader, columns: positions, batch, rows: 0, length, left };
        Ok(Box::new(std::iter::from_fn(move || rows.row().transpose())))
    }
}

impl ParquetRows {
    fn row(&mut self) -> Result<Option<Row>, TableError> {
        loop {
            if let Some(row) = self.batch.next() {
                return Ok(Some(row));
            }
            let path = self.path.clone();
            match without_panic(&path, || self.read())? {
                Some(rows) => self.batch = rows.into_iter(),
                None => return Ok(None),
            }
        }
    }

    /// The rows of the next batch; `None` where there is none.
    fn read(&mut self) -> Result<Option<Vec<Row>>, TableError> {
        let path = &self.path;
        let Some(batch) = self.reader.next() else { return Ok(None) };
        let batch = batch.map_err(|error| unreadable(path, error.into()))?;
        let row = size_of::<Row>() + self.columns.len() * size_of::<Cell>();
        let size = batch.num_rows() * row + batch.get_array_memory_size();
        self.left = self.left.checked_sub(size as u64).ok_or_else(|| {
            let what = format!("{} rows and more, too many for a file of {} bytes", self.rows, self.length);
            unreadable(path, ParquetError::General(what))
        })?;
        let mut columns = Vec::with_capacity(self.columns.len());
        for (name, at) in &self.columns {
            let column = batch.columns().get(*at).ok_or_else(|| unreadable(path, missing(name)))?;
            columns.push((name, plain(column).map_err(|error| unreadable(path, error.into()))?));
        }
        let mut rows = Vec::with_capacity(batch.num_rows());
        for at in 0..batch.num_rows() {
            self.rows += 1;
            let cells = columns.iter().map(|(name, values)| {
                cell(values, at).map_err(|reason| {
                    let place = Place { path: path.clone(), row: self.rows, line: None };
                    TableError::Value { place, column: name.to_string(), reason }
                })
            });
            rows.push(Row { number: self.rows, line: None, cells: cells.collect::<Result<_, _>>()? });
        }
        Ok(Some(rows))
    }
}

/// Whether what the footer claims can be true of a file of this length.
fn check_metadata(metadata: &ParquetMetaData, length: u64) -> Result<(), ParquetError> {
    let refuse = |what: String| Err(ParquetError::General(what));
    for (number, group) in metadata.row_groups().iter().enumerate() {
        if group.num_rows() < 0 {
            return refuse(format!("row group {number} claims {} rows", group.num_rows()));
        }
        for column in group.columns() {
            let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
            let size = column.compressed_size();
            let end = u64::try_from(start)
                .ok()
                .zip(u64::try_from(size).ok())
                .and_then(|(start, size)| start.checked_add(size));
            if end.is_none_or(|end| end > length) || column.data_page_offset() < 0 {
                return refuse(format!("column {} of row group {number} lies outside the file", column.column_path()));
            }
            if !(0..=MAX_CHUNK).contains(&column.uncompressed_size()) || column.num_values() < 0 {
                return refuse(format!(
                    "column {} of row group {number} claims {} bytes",
                    column.column_path(),
                    column.uncompressed_size()
                ));
            }
        }
    }
    Ok(())
}

fn columns(schema: &Schema) -> Vec<Column> {
    // What the `datasets` library writes beside the schema.
    let about: Option<serde_json::Value> =
        schema.metadata().get("huggingface").and_then(|about| serde_json::from_str(about).ok());
    let class_names = |column: &str| -> Option<Vec<String>> {
        let names = about.as_ref()?.get("info")?.get("features")?.get(column)?.get("names")?.as_array()?;
        names.iter().map(|name| name.as_str().map(str::to_string)).collect()
    };
    let declared = |kind: &DataType, name: &str| DeclaredType {
        values: value_type(kind),
        type_name: kind.to_string(),
        class_names: class_names(name),
    };
    let column = |name: &String, kind: &DataType| Column { name: name.clone(), declared: Some(declared(kind, name)) };
    schema.fields().iter().map(|field| column(field.name(), field.data_type())).collect()
}

fn value_type(kind: &DataType) -> ValueType {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => ValueType::Text,
        DataType::Dictionary(_, value) if value_type(value) == ValueType::Text => ValueType::Text,
        DataType::Boolean => ValueType::Bool,
        kind if kind.is_integer() => ValueType::Integer,
        DataType::Float16 | DataType::Float32 | DataType::Float64 => ValueType::Float,
        _ => ValueType::Other,
    }
}

/// A column as one of the five types that [`cell`] reads.
fn plain(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let to = match value_type(column.data_type()) {
        ValueType::Integer if *column.data_type() == DataType::UInt64 => return Ok(column.clone()),
        ValueType::Integer => DataType::Int64,
        ValueType::Float => DataType::Float64,
        ValueType::Bool => DataType::Boolean,
        ValueType::Text | ValueType::Other => DataType::LargeUtf8,
    };
    cast(column, &to)
}

/// The value of a row, or why it isn't read.
fn cell(values: &ArrayRef, row: usize) -> Result<Cell, String> {
    if values.is_null(row) {
        return Ok(Cell::Missing);
    }
    Ok(match values.data_type() {
        DataType::Int64 => Cell::Integer(values.as_primitive::<Int64Type>().value(row)),
        DataType::UInt64 => {
            let value = values.as_primitive::<UInt64Type>().value(row);
            i64::try_from(value).map_or(Cell::Float(value as f64), Cell::Integer)
        }
        DataType::Float64 => Cell::Float(values.as_primitive::<Float64Type>().value(row)),
        DataType::Boolean => Cell::Bool(values.as_boolean().value(row)),
        _ => match values.as_string::<i64>().value(row) {
            text if text.len() > MAX_RECORD => {
                let bytes = text.len();
                return Err(format!("a text of {bytes} bytes; the most that is read is {MAX_RECORD} (hint: split it)"));
            }
            text => Cell::Text(text.to_string()),
        },
    })
}

fn missing(name: &str) -> ParquetError {
    ParquetError::General(format!("column {name:?} is in the schema and not in the data"))
}

#[cfg(test)]
mod tests;
