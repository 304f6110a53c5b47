//! Parquet: damaged files, and columns that are no texts or labels.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, Float64Array, Int32Array, Int64Array, ListArray, NullArray, RecordBatch, StringArray,
    TimestampSecondArray, UInt64Array,
};
use arrow::datatypes::Int32Type;
use parquet::arrow::ArrowWriter;

use super::MessageGroup;
use crate::support::Sandbox;

/// A file of these columns.
fn file(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, c)| (name, c, true)));
    let batch = batch.expect("columns of one length");
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("writes");
    writer.close().expect("closes");
    bytes
}

/// Enough to be split, so that the labels are looked at.
const ROWS: usize = 60;

fn texts() -> ArrayRef {
    Arc::new(StringArray::from_iter_values((0..ROWS).map(|row| format!("film number {row}"))))
}

fn labels() -> ArrayRef {
    Arc::new(Int64Array::from_iter_values((0..ROWS).map(|row| row as i64 % 2)))
}

/// One value for each row, computed from its number.
fn for_each_row<T>(value: impl Fn(usize) -> T) -> Vec<T> {
    (0..ROWS).map(value).collect()
}

#[test]
fn bad_parquet_files_are_refused_in_these_words() {
    let mut all = MessageGroup::new("parquet", "Parquet", Sandbox::new());
    let good = file(vec![("text", texts()), ("label", labels())]);

    all.fails_with_table("an empty file", "a.parquet", "", "");
    all.fails_with_table("a CSV named .parquet", "a.parquet", "text,label\nfine,1\n", "");
    all.fails_with_table("a file of four bytes", "a.parquet", "PAR1", "");
    all.fails_with_table("truncated in the middle", "a.parquet", &good[..good.len() / 2], "");
    all.fails_with_table("the last byte missing", "a.parquet", &good[..good.len() - 1], "");
    let mut bytes = good.clone();
    let footer = bytes.len() - 8;
    bytes[footer..footer + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    all.fails_with_table("a footer longer than the file", "a.parquet", &bytes, "");
    let mut bytes = good.clone();
    bytes[4..40].fill(0xFF);
    all.fails_with_table("the first page overwritten", "a.parquet", &bytes, "");
    let mut bytes = good.clone();
    bytes[footer - 60..footer].fill(0x7F);
    all.fails_with_table("the footer overwritten", "a.parquet", &bytes, "");

    let none: ArrayRef = Arc::new(StringArray::from(Vec::<&str>::new()));
    let long = "a".repeat(5 << 20);
    let odd = |row: usize, text: &str| if row == 40 { text.to_owned() } else { format!("film number {row}") };
    for (name, text) in [
        ("a text column of numbers", labels()),
        ("a text column of bytes", Arc::new(BinaryArray::from(for_each_row(|_| b"a" as &[u8])))),
        (
            "a null text",
            Arc::new(StringArray::from(for_each_row(|row| (row != 40).then(|| format!("film number {row}"))))),
        ),
        ("a text of 5 MiB", Arc::new(StringArray::from(for_each_row(|row| odd(row, &long))))),
    ] {
        all.fails_with_table(name, "a.parquet", file(vec![("text", text), ("label", labels())]), "");
    }
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>(for_each_row(|_| Some([Some(1)])));
    for (name, label) in [
        ("a label column of lists", Arc::new(list) as ArrayRef),
        ("a label column of timestamps", Arc::new(TimestampSecondArray::from(for_each_row(|row| row as i64)))),
        ("a label column of nulls", Arc::new(NullArray::new(ROWS))),
        ("a null label", Arc::new(Int32Array::from(for_each_row(|row| (row != 40).then_some(row as i32 % 2))))),
        (
            "a label of 0.5",
            Arc::new(Float64Array::from(for_each_row(|row| if row == 40 { 0.5 } else { (row % 2) as f64 }))),
        ),
        (
            "a label of NaN",
            Arc::new(Float64Array::from(for_each_row(|row| if row == 40 { f64::NAN } else { (row % 2) as f64 }))),
        ),
        (
            "a label beyond 63 bits",
            Arc::new(UInt64Array::from(for_each_row(|row| if row == 40 { u64::MAX } else { row as u64 % 2 }))),
        ),
    ] {
        all.fails_with_table(name, "a.parquet", file(vec![("text", texts()), ("label", label)]), "");
    }
    all.fails_with_table("no column for the text", "a.parquet", file(vec![("film", texts()), ("label", labels())]), "");
    all.fails_with_table(
        "no column for the label",
        "a.parquet",
        file(vec![("text", texts()), ("stars", labels())]),
        "",
    );
    all.fails_with_table("no rows", "a.parquet", file(vec![("text", none.clone()), ("label", none)]), "");

    let words: ArrayRef = Arc::new(StringArray::from(for_each_row(|row| (row % 2).to_string())));
    for (shard, label) in [(0, labels()), (1, words)] {
        let path = all.sandbox().path(&format!("shards/train-0000{shard}-of-00002.parquet"));
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        std::fs::write(path, file(vec![("text", texts()), ("label", label)])).expect("writes");
    }
    all.fails("shards of different types", "prepare --dataset shards --model tiny --max-length 32");
    all.finish();
}
