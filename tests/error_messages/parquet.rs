//! Parquet: damaged files, and columns that hold something else than a text and a label.

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

/// One value of each row, from its number.
fn each<T>(value: impl Fn(usize) -> T) -> Vec<T> {
    (0..ROWS).map(value).collect()
}

#[test]
fn bad_parquet_files_are_refused_in_these_words() {
    let mut all = MessageGroup::new("parquet", "Parquet", Sandbox::new());
    let good = file(vec![("text", texts()), ("label", labels())]);

    all.table("nothing at all", "a.parquet", "", "");
    all.table("a CSV named .parquet", "a.parquet", "text,label\nfine,1\n", "");
    all.table("four bytes", "a.parquet", "PAR1", "");
    all.table("cut off in the middle", "a.parquet", &good[..good.len() / 2], "");
    all.table("its last byte missing", "a.parquet", &good[..good.len() - 1], "");
    let mut bytes = good.clone();
    let footer = bytes.len() - 8;
    bytes[footer..footer + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    all.table("a footer longer than the file", "a.parquet", &bytes, "");
    let mut bytes = good.clone();
    bytes[4..40].fill(0xFF);
    all.table("its first page overwritten", "a.parquet", &bytes, "");
    let mut bytes = good.clone();
    bytes[footer - 60..footer].fill(0x7F);
    all.table("its footer overwritten", "a.parquet", &bytes, "");

    let none: ArrayRef = Arc::new(StringArray::from(Vec::<&str>::new()));
    let long = "a".repeat(5 << 20);
    let odd = |row: usize, text: &str| if row == 40 { text.to_owned() } else { format!("film number {row}") };
    for (name, text) in [
        ("numbers for texts", labels()),
        ("bytes for texts", Arc::new(BinaryArray::from(each(|_| b"a" as &[u8])))),
        ("a null text", Arc::new(StringArray::from(each(|row| (row != 40).then(|| format!("film number {row}")))))),
        ("a text of 5 MiB", Arc::new(StringArray::from(each(|row| odd(row, &long))))),
    ] {
        all.table(name, "a.parquet", file(vec![("text", text), ("label", labels())]), "");
    }
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>(each(|_| Some([Some(1)])));
    for (name, label) in [
        ("lists for labels", Arc::new(list) as ArrayRef),
        ("times for labels", Arc::new(TimestampSecondArray::from(each(|row| row as i64)))),
        ("nothing but nulls for labels", Arc::new(NullArray::new(ROWS))),
        ("a null label", Arc::new(Int32Array::from(each(|row| (row != 40).then_some(row as i32 % 2))))),
        ("half a label", Arc::new(Float64Array::from(each(|row| if row == 40 { 0.5 } else { (row % 2) as f64 })))),
        (
            "NaN for a label",
            Arc::new(Float64Array::from(each(|row| if row == 40 { f64::NAN } else { (row % 2) as f64 }))),
        ),
        (
            "a label beyond 63 bits",
            Arc::new(UInt64Array::from(each(|row| if row == 40 { u64::MAX } else { row as u64 % 2 }))),
        ),
    ] {
        all.table(name, "a.parquet", file(vec![("text", texts()), ("label", label)]), "");
    }
    all.table("no column for the text", "a.parquet", file(vec![("film", texts()), ("label", labels())]), "");
    all.table("no column for the label", "a.parquet", file(vec![("text", texts()), ("stars", labels())]), "");
    all.table("no rows", "a.parquet", file(vec![("text", none.clone()), ("label", none)]), "");

    let words: ArrayRef = Arc::new(StringArray::from(each(|row| (row % 2).to_string())));
    for (shard, label) in [(0, labels()), (1, words)] {
        let path = all.sandbox().path(&format!("shards/train-0000{shard}-of-00002.parquet"));
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        std::fs::write(path, file(vec![("text", texts()), ("label", label)])).expect("writes");
    }
    all.fails("shards of different types", "prepare --dataset shards --model tiny --max-length 32");
    all.finish();
}
