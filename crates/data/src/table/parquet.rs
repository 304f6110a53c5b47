//! Parquet, as the Hub keeps data sets: one file or shard, two of its columns.
//!
//! A Parquet file is a program of sorts for its reader, so it isn't trusted: what its footer claims is held against the
//! file's own length before a page is touched, so is what its pages claim to unpack to and what its rows add up to;
//! batches are small, a text is bounded, and a panic of the library on bytes it did not expect is an error here like any
//! other.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

use super::text::{LFS_POINTER, MAX_RECORD, open_regular};
use super::{Cell, Origin, Row, Table, Wanted, choose, pages};
use crate::error::{DataError, Place};
use crate::guard::no_panic;
use crate::source::shown;

const MAGIC: &[u8] = b"PAR1";
/// The footer's length and the mark, at the end of the file.
const TRAILER: u64 = 8;
const BATCH_ROWS: usize = 1024;
/// The most that a batch's texts may take. Each row may repeat all of the longest page, its dictionary for one.
const BATCH_BYTES: u64 = 256 << 20;
/// What the rows may take in memory: so much in any case, and so much for each byte of the file. A few bytes can stand
/// for millions of equal rows, and no data set is made of those.
const MAX_ROWS_BYTES: u64 = 64 << 20;
const MAX_ROWS_RATIO: u64 = 1024;
/// Decoded bytes that one column of one row group may claim.
const MAX_CHUNK: i64 = 2 << 30;

/// Reads the text and label columns of a file.
pub(super) fn read(path: &Path, wanted: Wanted<'_>) -> Result<Table, DataError> {
    let mut file = open_regular(path)?;
    check_frame(path, &mut file)?;
    // The reader is dropped with whatever state a panic left in it.
    no_panic(|| read_columns(path, file, wanted)).unwrap_or_else(|found| {
        Err(broken(path, ParquetError::General(format!("its pages contradict one another: {found}"))))
    })
}

/// Whether the file begins, ends and has a footer as Parquet does: what the library says of the rest is for experts.
fn check_frame(path: &Path, file: &mut File) -> Result<(), DataError> {
    let io = |error| DataError::io(path, error);
    let refuse = |what: String| Err(DataError::content(path, what));
    let length = file.metadata().map_err(io)?.len();
    let mut head = Vec::new();
    file.by_ref().take(64).read_to_end(&mut head).map_err(io)?;
    if head.starts_with(LFS_POINTER) {
        return refuse("a Git LFS pointer, not the data itself (hint: `git lfs pull` fetches it)".into());
    }
    if !head.starts_with(MAGIC) {
        let begin = String::from_utf8_lossy(&head);
        return refuse(format!("not Parquet: it begins {} (hint: name the file by what it is)", shown(&begin)));
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

fn read_columns(path: &Path, file: File, wanted: Wanted<'_>) -> Result<Table, DataError> {
    let length = file.metadata().map_err(|error| DataError::io(path, error))?.len();
    let options = ArrowReaderOptions::new();
    let headers = file.try_clone().map_err(|error| DataError::io(path, error))?;
    let builder =
        ParquetRecordBatchReaderBuilder::try_new_with_options(file, options).map_err(|error| broken(path, error))?;
    plausible(builder.metadata(), length).map_err(|error| broken(path, error))?;
    let schema = builder.schema().clone();
    let seen: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    let (text, label) = choose(path, &seen, wanted)?;
    let origin = Origin {
        path: path.into(),
        text_column: seen[text].clone(),
        label_column: label.map(|column| seen[column].clone()),
        class_names: label.and_then(|column| class_names(&schema, &seen[column])),
    };
    suits(path, &schema, text, label)?;
    let mask = ProjectionMask::roots(builder.parquet_schema(), std::iter::once(text).chain(label));
    let largest = pages::largest(&headers, builder.metadata(), &mask).map_err(|error| broken(path, error))?;
    let batch_rows = BATCH_ROWS.min((BATCH_BYTES / largest.max(1)) as usize).max(1);
    let reader =
        builder.with_projection(mask).with_batch_size(batch_rows).build().map_err(|error| broken(path, error))?;
    let mut rows = Vec::new();
    let mut left = MAX_ROWS_BYTES.saturating_add(length.saturating_mul(MAX_ROWS_RATIO));
    for batch in reader {
        let batch = batch.map_err(|error| broken(path, ParquetError::from(error)))?;
        let size = batch.num_rows() * size_of::<Row>() + batch.get_array_memory_size();
        left = left.checked_sub(size as u64).ok_or_else(|| {
            let what = format!("{} rows and more, too many for a file of {length} bytes", rows.len());
            broken(path, ParquetError::General(what))
        })?;
        append(&mut rows, &batch, &origin, path)?;
    }
    Ok(Table { origin, rows })
}

fn broken(path: &Path, source: ParquetError) -> DataError {
    DataError::Parquet { path: path.into(), cause: source }
}

/// Whether what the footer claims can be true of a file of this length.
fn plausible(metadata: &ParquetMetaData, length: u64) -> Result<(), ParquetError> {
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

/// Whether the two columns hold what can be a text and a label.
fn suits(path: &Path, schema: &Schema, text: usize, label: Option<usize>) -> Result<(), DataError> {
    let refuse = |column: usize, what: &str, flag: &str| {
        let field = schema.field(column);
        let message = format!("column {:?} is {}, not {what} (hint: {flag})", field.name(), field.data_type());
        Err(DataError::content(path, message))
    };
    if plain(schema.field(text).data_type()) != Some(Plain::Text) {
        return refuse(text, "text", "--text-column");
    }
    match label {
        Some(column) if plain(schema.field(column).data_type()).is_none() => {
            refuse(column, "text, a number or a boolean", "--label-column")
        }
        _ => Ok(()),
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Plain {
    Text,
    Integer,
    Float,
    Bool,
}

fn plain(kind: &DataType) -> Option<Plain> {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(Plain::Text),
        DataType::Dictionary(_, value) => plain(value).filter(|kind| *kind == Plain::Text),
        DataType::Boolean => Some(Plain::Bool),
        kind if kind.is_integer() => Some(Plain::Integer),
        DataType::Float16 | DataType::Float32 | DataType::Float64 => Some(Plain::Float),
        _ => None,
    }
}

fn append(rows: &mut Vec<Row>, batch: &RecordBatch, origin: &Origin, path: &Path) -> Result<(), DataError> {
    let column = |name: &str, to: &DataType| -> Result<ArrayRef, DataError> {
        let column = batch.column_by_name(name).ok_or_else(|| broken(path, missing(name)))?;
        cast(column, to).map_err(|error| broken(path, error.into()))
    };
    let texts = column(&origin.text_column, &DataType::LargeUtf8)?;
    let texts = texts.as_string::<i64>();
    let mut labels = vec![Cell::Missing; batch.num_rows()];
    if let Some(name) = &origin.label_column {
        let kind = batch.column_by_name(name).and_then(|column| plain(column.data_type()));
        let to = match kind {
            Some(Plain::Integer) => DataType::Int64,
            Some(Plain::Float) => DataType::Float64,
            Some(Plain::Bool) => DataType::Boolean,
            Some(Plain::Text) | None => DataType::LargeUtf8,
        };
        let values = column(name, &to)?;
        let lost = batch
            .column_by_name(name)
            .and_then(|given| (0..values.len()).find(|row| given.is_valid(*row) && values.is_null(*row)));
        if let Some(row) = lost {
            let place = Place { path: path.into(), row: (rows.len() + row) as u64 + 1, line: None };
            let reason = "the label is too large for one (hint: is --label-column right?)".to_owned();
            return Err(DataError::Value { place, column: name.clone(), reason });
        }
        for (row, label) in labels.iter_mut().enumerate().filter(|(row, _)| values.is_valid(*row)) {
            *label = match kind {
                Some(Plain::Integer) => Cell::Integer(values.as_primitive::<Int64Type>().value(row)),
                Some(Plain::Float) => Cell::Float(values.as_primitive::<Float64Type>().value(row)),
                Some(Plain::Bool) => Cell::Bool(values.as_boolean().value(row)),
                Some(Plain::Text) | None => match values.as_string::<i64>().value(row) {
                    text if text.trim().is_empty() => Cell::Missing,
                    text => Cell::Text(text.to_string()),
                },
            };
        }
    }
    for (index, label) in labels.into_iter().enumerate() {
        let row = rows.len() as u64 + 1;
        let text = texts.is_valid(index).then(|| texts.value(index));
        if let Some(text) = text.filter(|text| text.len() > MAX_RECORD) {
            let reason =
                format!("a text of {} bytes; the most that is read is {MAX_RECORD} (hint: split it)", text.len());
            let place = Place { path: path.into(), row, line: None };
            return Err(DataError::Value { place, column: origin.text_column.clone(), reason });
        }
        rows.push(Row { file: 0, row, line: None, text: text.map(str::to_string), label });
    }
    Ok(())
}

fn missing(name: &str) -> ParquetError {
    ParquetError::General(format!("column {name:?} is in the schema and not in the data"))
}

/// The class names that the `datasets` library writes beside the schema.
fn class_names(schema: &Schema, column: &str) -> Option<Vec<String>> {
    let about: serde_json::Value = serde_json::from_str(schema.metadata().get("huggingface")?).ok()?;
    let names = about.get("info")?.get("features")?.get(column)?.get("names")?.as_array()?;
    names.iter().map(|name| name.as_str().map(str::to_string)).collect()
}
