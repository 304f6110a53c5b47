//! Parquet: damaged files, and columns that hold something else than a text and a label.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, Float64Array, Int32Array, Int64Array, ListArray, NullArray, RecordBatch, StringArray,
    TimestampSecondArray, UInt64Array,
};
use arrow::datatypes::Int32Type;
use parquet::arrow::ArrowWriter;

use super::Catalogue;
use crate::house::House;

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

fn texts() -> ArrayRef {
    Arc::new(StringArray::from(vec!["fine", "dull", "warm"]))
}

fn labels() -> ArrayRef {
    Arc::new(Int64Array::from(vec![1, 0, 1]))
}

#[test]
fn parquet_files() {
    let mut all = Catalogue::new("parquet", "Parquet", House::new());
    let good = file(vec![("text", texts()), ("label", labels())]);
    let with_text = |column: ArrayRef| file(vec![("text", column), ("label", labels())]);
    let with_label = |column: ArrayRef| file(vec![("text", texts()), ("label", column)]);

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

    all.table("no column for the text", "a.parquet", file(vec![("film", texts()), ("label", labels())]), "");
    all.table("no column for the label", "a.parquet", file(vec![("text", texts()), ("stars", labels())]), "");
    all.table(
        "no rows",
        "a.parquet",
        {
            let none: ArrayRef = Arc::new(StringArray::from(Vec::<&str>::new()));
            file(vec![("text", none.clone()), ("label", none)])
        },
        "",
    );
    all.table("numbers for texts", "a.parquet", with_text(labels()), "");
    all.table("bytes for texts", "a.parquet", with_text(Arc::new(BinaryArray::from(vec![b"a" as &[u8]; 3]))), "");
    all.table("a null text", "a.parquet", with_text(Arc::new(StringArray::from(vec![Some("a"), None, Some("b")]))), "");
    let long = "a".repeat(5 << 20);
    all.table("a text of 5 MiB", "a.parquet", with_text(Arc::new(StringArray::from(vec!["a", &long, "b"]))), "");
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>((0..3).map(|n| Some([Some(n)])));
    all.table("lists for labels", "a.parquet", with_label(Arc::new(list)), "");
    all.table("times for labels", "a.parquet", with_label(Arc::new(TimestampSecondArray::from(vec![1, 2, 3]))), "");
    all.table("nothing but nulls for labels", "a.parquet", with_label(Arc::new(NullArray::new(3))), "");
    all.table("a null label", "a.parquet", with_label(Arc::new(Int32Array::from(vec![Some(1), None, Some(0)]))), "");
    all.table("half a label", "a.parquet", with_label(Arc::new(Float64Array::from(vec![0.0, 0.5, 1.0]))), "");
    all.table("NaN for a label", "a.parquet", with_label(Arc::new(Float64Array::from(vec![0.0, f64::NAN, 1.0]))), "");
    all.table("labels beyond 63 bits", "a.parquet", with_label(Arc::new(UInt64Array::from(vec![0, 1, u64::MAX]))), "");

    for (shard, column) in [("0", labels()), ("1", Arc::new(StringArray::from(vec!["1", "0", "1"])) as ArrayRef)] {
        let path = all.house().path(&format!("shards/train-0000{shard}-of-00002.parquet"));
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        std::fs::write(path, with_label(column)).expect("writes");
    }
    all.refused("shards of different types", "prepare --dataset shards --model tiny --max-length 32");
    all.finish();
}
