//! Parquet, as the Hub keeps data sets: one file or shard, some of its columns.
//!
//! Files are untrusted. What the footer claims is checked against the file's length before a page is read, and so are
//! the unpacked sizes of pages, the number of values in lists and the total size of rows. Batches are small and refer to the
//! texts in their pages, a row group of any size is read page by page, a value is bounded, and a panic of the library on
//! malformed bytes becomes an error.

mod writer;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

use crate::arrow_columns;
use crate::arrow_rows::{self, ArrowRows, without_panic};
use crate::column::Column;
use crate::error::TableError;
use crate::excerpt::quoted;
use crate::format::{FileFormat, OpenFile, Opened, RowIter};
use crate::input::Input;
use crate::pages;
use crate::read_options::ReadOptions;
use crate::signatures::LFS_POINTER;

const NAME: &str = "Parquet";
const MAGIC: &[u8] = b"PAR1";
/// The footer's length and the mark, at the end of the file.
const TRAILER: u64 = 8;
const BATCH_ROWS: usize = 1024;
/// The most that the pages of a batch may take, those at its ends and dictionaries aside.
const BATCH_BYTES: u64 = 32 << 20;

pub(crate) const PARQUET: FileFormat = FileFormat {
    name: NAME,
    endings: &["parquet"],
    about: "columns of any type, as data sets on the Hub have them; names of classes in its schema are used",
    matches_folder: None,
    open,
    create: Some(writer::create),
};

struct ParquetFile {
    path: PathBuf,
    file: File,
    metadata: ArrowReaderMetadata,
    length: u64,
}

fn open(input: Input, _: &ReadOptions) -> Result<Opened, TableError> {
    let path = input.path();
    let mut file = input.open_file()?;
    check_frame(path, &mut file)?;
    let length = file.metadata().map_err(|error| TableError::io(path, error))?.len();
    let (columns, metadata) = without_panic(path, NAME, || {
        let fail = |error| unreadable(path, error);
        let as_declared = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).map_err(fail)?;
        let footer = as_declared.metadata();
        check_metadata(footer, length).map_err(fail)?;
        let columns = arrow_columns::columns(as_declared.schema(), None);
        let options = ArrowReaderOptions::new().with_schema(Arc::new(with_views(as_declared.schema())));
        Ok((columns, ArrowReaderMetadata::try_new(Arc::clone(footer), options).unwrap_or(as_declared)))
    })?;
    let file = Box::new(ParquetFile { path: path.to_owned(), file, metadata, length });
    Ok(Opened { columns, file, notes: Vec::new() })
}

fn unreadable(path: &Path, cause: impl ToString) -> TableError {
    arrow_rows::unreadable(path, NAME, &cause.to_string())
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

impl OpenFile for ParquetFile {
    fn rows(self: Box<Self>, columns: &[Column], selected: &[usize]) -> Result<RowIter, TableError> {
        let Self { path, file, metadata, length } = *self;
        // A batch has its columns in the file's order.
        let position = |column: usize| selected.iter().filter(|&&other| other < column).count();
        let positions = selected.iter().map(|&column| (columns[column].name.clone(), position(column))).collect();
        let mut reader = without_panic(&path, NAME, || {
            let footer = metadata.metadata();
            let mask = ProjectionMask::roots(footer.file_metadata().schema_descr(), selected.iter().copied());
            let row_bytes = pages::largest_row(&file, footer, &mask).map_err(|error| unreadable(&path, error))?;
            let batch_rows = BATCH_ROWS.min((BATCH_BYTES / row_bytes.max(1)) as usize).max(1);
            let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
            let reader = builder.with_projection(mask).with_batch_size(batch_rows).build();
            reader.map_err(|error| unreadable(&path, error))
        })?;
        let place = path.clone();
        let next_batch = move || reader.next().transpose().map_err(|error| unreadable(&place, error));
        Ok(Box::new(ArrowRows::new(&path, NAME, length, positions, Box::new(next_batch))))
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
            // What it unpacks to is checked page by page, and read page by page.
            if column.num_values() < 0 {
                let (name, values) = (column.column_path(), column.num_values());
                return refuse(format!("column {name} of row group {number} claims {values} values"));
            }
        }
    }
    Ok(())
}

/// The schema with texts and bytes as views of the pages that hold them. A page may repeat a long text of its dictionary
/// many times, also inside one list.
fn with_views(schema: &Schema) -> Schema {
    Schema::new(schema.fields().iter().map(|field| field_with_views(field)).collect::<Vec<_>>())
}

fn field_with_views(field: &Field) -> Field {
    let items = |field: &FieldRef| FieldRef::new(field_with_views(field));
    let kind = match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        DataType::Dictionary(_, values) => match values.as_ref() {
            DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
            DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
            _ => field.data_type().clone(),
        },
        DataType::List(field) => DataType::List(items(field)),
        DataType::LargeList(field) => DataType::LargeList(items(field)),
        DataType::FixedSizeList(field, size) => DataType::FixedSizeList(items(field), *size),
        DataType::Map(entries, sorted) => DataType::Map(items(entries), *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(items).collect()),
        other => other.clone(),
    };
    field.clone().with_data_type(kind)
}

#[cfg(test)]
mod tests;
