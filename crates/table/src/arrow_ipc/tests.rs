//! Both forms, what is no Arrow, and what is damaged, cut off, or claims far more than it has.

use std::fs;
use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int32Type;
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use tempfile::TempDir;

use crate::tests::{read, refused, texts_of};
use crate::{Cell, ReadOptions, Table};

const ROWS: usize = 40;

fn batch(rows: usize) -> RecordBatch {
    let texts: ArrayRef =
        Arc::new(StringArray::from_iter((0..rows).map(|row| (row % 9 != 5).then(|| format!("text {}", row % 7)))));
    let labels: ArrayRef = Arc::new(Int64Array::from_iter_values((0..rows as i64).map(|row| row % 2)));
    let keyed: DictionaryArray<Int32Type> = (0..rows).map(|row| Some(["good", "bad", "so so"][row % 3])).collect();
    RecordBatch::try_from_iter([("text", texts), ("keyed", Arc::new(keyed)), ("label", labels)]).unwrap()
}

fn options(compression: Option<CompressionType>) -> IpcWriteOptions {
    IpcWriteOptions::default().try_with_compression(compression).unwrap()
}

fn file(compression: Option<CompressionType>) -> Vec<u8> {
    let batch = batch(ROWS);
    let mut writer = FileWriter::try_new_with_options(Vec::new(), &batch.schema(), options(compression)).unwrap();
    writer.write(&batch).unwrap();
    writer.write(&batch.slice(3, 5)).unwrap();
    writer.into_inner().unwrap()
}

fn stream(compression: Option<CompressionType>) -> Vec<u8> {
    let batch = batch(ROWS);
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options(compression)).unwrap();
    writer.write(&batch).unwrap();
    writer.write(&batch.slice(3, 5)).unwrap();
    writer.into_inner().unwrap()
}

fn message(name: &str, bytes: &[u8]) -> String {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    read(&path).expect_err("refused").to_string()
}

const COMPRESSIONS: [Option<CompressionType>; 3] =
    [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)];

#[test]
fn both_forms_are_read_whatever_the_ending() {
    let folder = TempDir::new().unwrap();
    for compression in COMPRESSIONS {
        for (bytes, name) in [(file(compression), "a.arrow"), (stream(compression), "b.feather")] {
            let path = folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            let rows = read(&path).unwrap();
            assert_eq!(rows.len(), ROWS + 5);
            assert_eq!(rows[ROWS].cells, [Cell::Text("text 3".into()), Cell::Integer(1)]);
            assert_eq!((rows[5].cells[0].clone(), rows[44].number, rows[44].line), (Cell::Missing, 45, None));
            // The last column first, and one behind a dictionary.
            let table = Table::open(&path, &ReadOptions::default()).unwrap();
            let row = table.rows(&[2, 1]).unwrap().nth(ROWS + 1).unwrap().unwrap();
            assert_eq!(row.cells, [Cell::Integer(0), Cell::Text("bad".into())]);
        }
    }
}

/// A later dictionary replaces an earlier one, or adds to it.
#[test]
fn dictionaries_may_change_in_a_stream() {
    let batches: [DictionaryArray<Int32Type>; 2] =
        [["a", "b"].into_iter().collect(), ["c", "d", "c"].into_iter().collect()];
    let label = |rows: usize| -> ArrayRef { Arc::new(Int64Array::from(vec![0; rows])) };
    let batches = batches
        .map(|text| RecordBatch::try_from_iter([("label", label(text.len())), ("text", Arc::new(text))]).unwrap());
    let mut writer = StreamWriter::try_new(Vec::new(), &batches[0].schema()).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.arrow");
    fs::write(&path, writer.into_inner().unwrap()).unwrap();
    assert_eq!(texts_of(read(&path).unwrap()), ["a", "b", "c", "d", "c"]);
}

#[test]
fn a_large_record_batch_is_mapped() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("large.arrow");
    let long = "so ".repeat(1 << 19);
    let text: ArrayRef = Arc::new(StringArray::from_iter_values((0..48).map(|row| format!("{row} {long}"))));
    let label: ArrayRef = Arc::new(Int64Array::from_iter_values(0..48));
    let batch = RecordBatch::try_from_iter([("text", text), ("label", label)]).unwrap();
    let mut writer = FileWriter::try_new(fs::File::create(&path).unwrap(), &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    assert!(fs::metadata(&path).unwrap().len() > 64 << 20);
    let table = Table::open(&path, &ReadOptions::default()).unwrap();
    for (at, row) in table.rows(&[1, 0]).unwrap().enumerate() {
        let row = row.unwrap();
        assert_eq!(row.cells[0], Cell::Integer(at as i64));
        assert!(row.cells[1].to_string().starts_with(&format!("{at} so so")));
    }
}

#[test]
fn changed_arrow_never_panics() {
    for compression in COMPRESSIONS {
        assert!(refused("mutant.arrow", &file(compression), 400) > 40);
        assert!(refused("mutant.feather", &stream(compression), 400) > 40);
    }
}

/// No part of a file passes for the whole.
#[test]
fn every_cut_is_refused() {
    for bytes in [file(None), stream(None)] {
        for length in 1..bytes.len() {
            let message = message("cut.arrow", &bytes[..length]);
            assert!(message.contains("cut.arrow") && message.contains("(hint: "), "{length}: {message}");
        }
    }
    let stream = stream(None);
    let cut = message("cut.arrow", &stream[..stream.len() - 8]);
    assert!(cut.contains("Arrow's mark at its end is missing (") && cut.contains("close the writer"), "{cut}");
    let joined = message("two.arrow", &[&stream[..], &stream].concat());
    assert!(
        joined.contains(&format!("{} bytes after the end of its stream (hint: name several", stream.len())),
        "{joined}"
    );
}

#[test]
fn what_is_no_arrow_is_named() {
    for (bytes, expected) in [
        (&b"text,label\ngood,1\n"[..], "not Arrow: it starts with \"text,label\\ngood,1\\n\" (hint"),
        (b"PAR1....PAR1", "Parquet, not Arrow (hint: name it .parquet)"),
        (b"FEA1\0\0\0\0", "Feather version 1 is not supported (hint"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "a Git LFS pointer, not the data itself (hint"),
        (b"\0\0\0\0\0\0\0\0\0\0\0\0", "not Arrow: it starts with"),
        (b"ab", "not Arrow: it starts with \"ab\""),
        (b"ARROW1\0\0", "it is cut off (hint: fetch it again)"),
    ] {
        let message = message("a.arrow", bytes);
        assert!(message.contains(expected), "{message}");
    }
}

/// A compressed buffer states its unpacked size, for which the library makes room before it unpacks.
#[test]
fn a_buffer_that_claims_to_unpack_to_gigabytes_is_refused() {
    for compression in [CompressionType::LZ4_FRAME, CompressionType::ZSTD] {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![0; 4096]));
        let text: ArrayRef = Arc::new(StringArray::from(vec![""; 4096]));
        let batch = RecordBatch::try_from_iter([("label", column), ("text", text)]).unwrap();
        let mut writer =
            StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options(Some(compression))).unwrap();
        writer.write(&batch).unwrap();
        let mut bytes = writer.into_inner().unwrap();
        let claim = (8 * 4096_u64).to_le_bytes();
        let at = bytes.windows(8).rposition(|window| window == claim).expect("the size in front of the labels");
        bytes[at..at + 8].copy_from_slice(&(60_u64 << 30).to_le_bytes());
        let message = message("a.arrow", &bytes);
        assert!(message.contains("bytes to 64424509440"), "{message}");
    }
}

/// A column of nulls needs no byte a row.
#[test]
fn a_file_of_endless_rows_is_refused() {
    let batch = RecordBatch::try_from_iter([
        ("text", Arc::new(arrow::array::NullArray::new(1 << 30)) as ArrayRef),
        ("label", Arc::new(arrow::array::NullArray::new(1 << 30))),
    ])
    .unwrap();
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    let bytes = writer.into_inner().unwrap();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.arrow");
    fs::write(&path, &bytes).unwrap();
    let table = Table::open(&path, &ReadOptions::default()).unwrap();
    let message = table.rows(&[0, 1]).unwrap().find_map(Result::err).unwrap().to_string();
    assert!(message.contains(&format!("rows and more, too many for a file of {} bytes", bytes.len())), "{message}");
}
