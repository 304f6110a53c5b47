//! Parquet files with changed bytes, truncated, or with an excessive compression ratio.

use std::fs;
use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::{Compression, Encoding, ZstdLevel};
use ::parquet::file::properties::WriterProperties;
use arrow::array::{ArrayRef, Int64Array, ListArray, RecordBatch, StringArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use tempfile::TempDir;

use crate::tests::{read, refused};
use crate::{ReadOptions, Table};

fn parquet(compression: Compression, dictionary: bool) -> Vec<u8> {
    let texts: ArrayRef =
        Arc::new(StringArray::from_iter((0..40).map(|i| (i % 9 != 5).then(|| format!("text {}", i % 7)))));
    let labels: ArrayRef = Arc::new(Int64Array::from_iter_values((0..40).map(|i| i % 2)));
    let batch = RecordBatch::try_from_iter([("text", texts), ("label", labels)]).expect("a batch");
    let properties =
        WriterProperties::builder().set_compression(compression).set_dictionary_enabled(dictionary).build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).expect("a writer");
    writer.write(&batch).expect("written");
    writer.close().expect("closed");
    bytes
}

#[test]
fn changed_parquet_never_panics() {
    let forms = [
        (Compression::UNCOMPRESSED, true),
        (Compression::UNCOMPRESSED, false),
        (Compression::SNAPPY, true),
        (Compression::ZSTD(ZstdLevel::default()), false),
    ];
    for (compression, dictionary) in forms {
        assert!(refused("sound.parquet", &parquet(compression, dictionary), 3000) > 500);
    }
}

#[test]
fn a_small_parquet_file_of_endless_equal_rows_is_refused() {
    let rows = 1_200_000;
    let text: ArrayRef = Arc::new(StringArray::from_iter_values(std::iter::repeat_n("same", rows)));
    let label: ArrayRef = Arc::new(Int64Array::from_iter_values(std::iter::repeat_n(1, rows)));
    let batch = RecordBatch::try_from_iter([("text", text), ("label", label)]).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("bomb.parquet");
    fs::write(&path, &bytes).unwrap();
    let message = read(&path).unwrap_err().to_string();
    assert!(message.contains(&format!("rows and more, too many for a file of {} bytes", bytes.len())), "{message}");
}

/// A list may hold any number of equal values in no room at all, and a row of it would be held at once.
#[test]
fn lists_of_endless_equal_values_are_refused_and_real_ones_read() {
    let lists = |rows: usize, length: usize| -> ArrayRef {
        let values: ArrayRef = Arc::new(Int64Array::from(vec![1; rows * length]));
        let (field, offsets) =
            (Field::new_list_field(DataType::Int64, true), OffsetBuffer::from_lengths(vec![length; rows]));
        Arc::new(ListArray::new(field.into(), offsets, values, None))
    };
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("lists.parquet");
    let read = |lists: ArrayRef| {
        let batch = RecordBatch::try_from_iter([("attention_mask", lists)]).unwrap();
        let mut writer = ArrowWriter::try_new(fs::File::create(&path).unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let table = Table::open(&path, &ReadOptions::default()).unwrap();
        table.rows(&[0])?.try_fold(0, |rows, row| row.map(|_| rows + 1))
    };
    // More values in all, as a mask of every row has them.
    assert_eq!(read(lists(20_000, 300)).unwrap(), 20_000);
    let message = read(lists(1, 5_000_000)).unwrap_err().to_string();
    assert!(message.contains("attention_mask") && message.contains("with 5000000 values"), "{message}");
}

/// Such a page says inside its packed bytes how many texts it has, and the library believes it.
#[test]
fn delta_encoded_texts_are_refused_with_a_hint() {
    let text: ArrayRef = Arc::new(StringArray::from_iter_values(["good", "goodness"]));
    let label: ArrayRef = Arc::new(Int64Array::from_iter_values([1, 0]));
    let batch = RecordBatch::try_from_iter([("text", text), ("label", label)]).unwrap();
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_column_encoding("text".into(), Encoding::DELTA_BYTE_ARRAY)
        .build();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("delta.parquet");
    let mut writer = ArrowWriter::try_new(fs::File::create(&path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let message = read(&path).unwrap_err().to_string();
    assert!(message.contains("delta-encoded texts") && message.contains("write the file again"), "{message}");
}

#[test]
fn a_cut_off_parquet_file_is_named() {
    let desk = TempDir::new().expect("a temporary folder");
    let path = desk.path().join("cut.parquet");
    let sound = parquet(Compression::SNAPPY, true);
    fs::write(&path, &sound[..sound.len() - 100]).expect("written");
    let error = read(&path).expect_err("cut off").to_string();
    assert!(error.contains("cut.parquet: Parquet's mark at its end is missing ("), "{error}");
    assert!(error.ends_with(" it is cut off (hint: fetch it again)"), "{error}");
}
