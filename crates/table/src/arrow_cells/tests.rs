//! Values of every type, as each format that has them reads them.

use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

use ::parquet::arrow::ArrowWriter;
use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, DurationSecondArray,
    FixedSizeBinaryArray, FixedSizeListArray, Float16Array, Float32Array, Float64Array, Int8Array, Int32Array,
    Int64Array, LargeStringArray, ListArray, ListViewArray, MapBuilder, NullArray, RecordBatch, RunArray, StringArray,
    StringBuilder, StringViewArray, StructArray, Time64MicrosecondArray, TimestampMillisecondArray, UInt8Array,
    UInt64Array, UnionArray,
};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::{DataType, Field, Int8Type, Int32Type, Int64Type, UnionFields, UnionMode};
use arrow::ipc::writer::{FileWriter, StreamWriter};

use crate::{Cell, ReadOptions, Table, TableError, ValueType};

fn batch(column: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable([("c", column, true)]).expect("a batch")
}

fn write_parquet(path: &Path, batch: &RecordBatch) {
    let mut writer = ArrowWriter::try_new(fs::File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}

fn write_file(path: &Path, batch: &RecordBatch) {
    let mut writer = FileWriter::try_new(fs::File::create(path).unwrap(), &batch.schema()).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
}

fn write_stream(path: &Path, batch: &RecordBatch) {
    let mut writer = StreamWriter::try_new(fs::File::create(path).unwrap(), &batch.schema()).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
}

fn read(path: &Path) -> Result<(ValueType, Vec<Cell>), TableError> {
    let table = Table::open(path, &ReadOptions::default())?;
    let values = table.columns()[0].declared.as_ref().map(|declared| declared.values).expect("a type");
    let cells = table.rows(&[0])?.map(|row| row.map(|mut row| row.cells.remove(0))).collect::<Result<_, _>>()?;
    Ok((values, cells))
}

/// What a column is read as by Arrow, and by Parquet if that has the type.
fn check(column: ArrayRef, parquet: bool, values: ValueType, expected: &[Cell]) {
    let folder = tempfile::tempdir().unwrap();
    let kind = column.data_type().clone();
    // A slice's positions are not those of its buffers.
    let twice = arrow::compute::concat(&[column.as_ref(), column.as_ref()]).unwrap_or_else(|_| column.clone());
    let sliced = twice.slice(twice.len() - column.len(), column.len());
    for (at, column) in [column, sliced].into_iter().enumerate() {
        let batch = batch(column);
        let (path, file, stream) =
            (folder.path().join("a.parquet"), folder.path().join("a.arrow"), folder.path().join("a.ipc"));
        write_file(&file, &batch);
        write_stream(&stream, &batch);
        assert_eq!(read(&file).unwrap(), (values, expected.to_vec()), "{kind} {at}");
        assert_eq!(read(&stream).unwrap(), (values, expected.to_vec()), "{kind} {at}");
        if parquet {
            write_parquet(&path, &batch);
            assert_eq!(read(&path).unwrap(), (values, expected.to_vec()), "{kind} {at}");
        }
    }
}

fn text(text: &str) -> Cell {
    Cell::Text(text.into())
}

fn json(text: &str) -> Cell {
    Cell::Nested(text.into())
}

#[test]
fn texts() {
    let expected = [text("good"), Cell::Missing, text("a text that is longer than twelve bytes \u{E9}"), text("")];
    let texts = [Some("good"), None, Some("a text that is longer than twelve bytes \u{E9}"), Some("")];
    let keyed: DictionaryArray<Int32Type> = texts.into_iter().collect();
    let kinds: [ArrayRef; 4] = [
        Arc::new(StringArray::from(texts.to_vec())),
        Arc::new(LargeStringArray::from(texts.to_vec())),
        Arc::new(StringViewArray::from(texts.to_vec())),
        Arc::new(keyed),
    ];
    for column in kinds {
        check(column, true, ValueType::Text, &expected);
    }
    // A dictionary's own values may be null.
    let values: ArrayRef = Arc::new(StringArray::from(vec![Some("x"), None]));
    let keys = Int8Array::from(vec![Some(0), Some(1), None, Some(0)]);
    let keyed = DictionaryArray::<Int8Type>::try_new(keys, values).unwrap();
    check(Arc::new(keyed), false, ValueType::Text, &[text("x"), Cell::Missing, Cell::Missing, text("x")]);
}

#[test]
fn numbers_and_booleans() {
    let number = Cell::Integer;
    check(Arc::new(Int8Array::from(vec![Some(-128), None])), true, ValueType::Integer, &[number(-128), Cell::Missing]);
    check(Arc::new(UInt8Array::from(vec![255])), true, ValueType::Integer, &[number(255)]);
    check(Arc::new(Int64Array::from(vec![i64::MIN])), true, ValueType::Integer, &[number(i64::MIN)]);
    let large = UInt64Array::from(vec![u64::MAX, 1 << 63, 3]);
    let expected = [text("18446744073709551615"), text("9223372036854775808"), number(3)];
    check(Arc::new(large), true, ValueType::Integer, &expected);
    let keyed: DictionaryArray<Int32Type> =
        DictionaryArray::try_new(Int32Array::from(vec![1, 0]), Arc::new(Int64Array::from(vec![7, 8]))).unwrap();
    check(Arc::new(keyed), true, ValueType::Integer, &[number(8), number(7)]);
    check(
        Arc::new(Float32Array::from(vec![0.5, -2.0])),
        true,
        ValueType::Float,
        &[Cell::Float(0.5), Cell::Float(-2.0)],
    );
    check(Arc::new(Float64Array::from(vec![0.1])), true, ValueType::Float, &[Cell::Float(0.1)]);
    let half = Float16Array::from_iter_values([arrow::datatypes::ArrowNativeType::usize_as(0)]);
    check(Arc::new(half), true, ValueType::Float, &[Cell::Float(0.0)]);
    check(
        Arc::new(BooleanArray::from(vec![true, false])),
        true,
        ValueType::Bool,
        &[Cell::Bool(true), Cell::Bool(false)],
    );
}

#[test]
fn dates_times_decimals_and_bytes_are_texts() {
    let other = ValueType::Other;
    check(Arc::new(Date32Array::from(vec![Some(19_782), None])), true, other, &[text("2024-02-29"), Cell::Missing]);
    let times = TimestampMillisecondArray::from(vec![1_709_208_000_500]);
    check(Arc::new(times.clone()), true, other, &[text("2024-02-29T12:00:00.500")]);
    for zone in ["UTC", "+00:00", "Europe/Berlin"] {
        check(Arc::new(times.clone().with_timezone(zone)), true, other, &[text("2024-02-29T12:00:00.500Z")]);
    }
    check(Arc::new(Time64MicrosecondArray::from(vec![3_600_000_000])), true, other, &[text("01:00:00")]);
    let prices = Decimal128Array::from(vec![1250, -5]).with_precision_and_scale(10, 2).unwrap();
    check(Arc::new(prices), true, other, &[text("12.50"), text("-0.05")]);
    check(Arc::new(DurationSecondArray::from(vec![90])), true, other, &[text("PT90S")]);
    check(Arc::new(BinaryArray::from(vec![&b"\xFF\x00ab"[..], b""])), true, other, &[text("/wBhYg=="), text("")]);
    let fixed = FixedSizeBinaryArray::try_from_iter([b"ab", b"cd"].into_iter()).unwrap();
    check(Arc::new(fixed), true, other, &[text("YWI="), text("Y2Q=")]);
}

#[test]
fn nothing_is_missing() {
    check(Arc::new(NullArray::new(3)), true, ValueType::Other, &[Cell::Missing, Cell::Missing, Cell::Missing]);
    let folder = tempfile::tempdir().unwrap();
    let empty = batch(Arc::new(StringArray::from(Vec::<&str>::new())));
    let paths = ["a.parquet", "a.arrow", "a.ipc"].map(|name| folder.path().join(name));
    write_parquet(&paths[0], &empty);
    write_file(&paths[1], &empty);
    write_stream(&paths[2], &empty);
    for path in paths {
        assert_eq!(read(&path).unwrap(), (ValueType::Text, Vec::new()));
    }
}

#[test]
fn lists_structs_and_maps_are_json() {
    let other = ValueType::Other;
    let lists = [Some(vec![Some(1), None]), None, Some(vec![]), Some(vec![Some(-3)])];
    let expected = [json("[1,null]"), Cell::Missing, json("[]"), json("[-3]")];
    check(Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(lists.clone())), true, other, &expected);
    check(Arc::new(ListViewArray::from_iter_primitive::<Int32Type, _, _>(lists)), false, other, &expected);
    let pairs = FixedSizeListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), Some(2)]), None], 2);
    check(Arc::new(pairs), true, other, &[json("[1,2]"), Cell::Missing]);

    let field = |name: &str, kind: DataType| Arc::new(Field::new(name, kind, true));
    let words: ArrayRef = Arc::new(StringArray::from(vec![Some("say \"no\"\n"), None]));
    let scores: ArrayRef = Arc::new(Float32Array::from(vec![0.1, f32::NAN]));
    let raw: ArrayRef = Arc::new(BinaryArray::from(vec![&b"abc"[..], b""]));
    let day: ArrayRef = Arc::new(Date32Array::from(vec![0, 1]));
    let fields = [("a \"word\"", words), ("score", scores), ("bytes", raw), ("day", day)];
    let fields = fields.map(|(name, column)| (field(name, column.data_type().clone()), column));
    let expected = [
        json(r#"{"a \"word\"":"say \"no\"\n","score":0.1,"bytes":"YWJj","day":"1970-01-01"}"#),
        json(r#"{"a \"word\"":null,"score":null,"bytes":"","day":"1970-01-02"}"#),
    ];
    let structs = StructArray::from(fields.to_vec());
    check(Arc::new(structs), true, other, &expected);

    let mut maps = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    maps.keys().append_value("k");
    maps.values().append_value("v");
    maps.keys().append_value("l");
    maps.values().append_null();
    maps.append(true).unwrap();
    maps.append(false).unwrap();
    check(Arc::new(maps.finish()), true, other, &[json(r#"{"k":"v","l":null}"#), Cell::Missing]);

    let words = arrow::array::ListBuilder::new(arrow::array::StringDictionaryBuilder::<Int32Type>::new());
    let mut words = words;
    words.values().append_value("repeated");
    words.values().append_value("repeated");
    words.append(true);
    check(Arc::new(words.finish()), true, other, &[json(r#"["repeated","repeated"]"#)]);
}

#[test]
fn runs_and_unions_are_their_values() {
    let runs: RunArray<Int32Type> = ["a", "a", "b"].into_iter().collect();
    check(Arc::new(runs), false, ValueType::Text, &[text("a"), text("a"), text("b")]);
    let fields = UnionFields::try_new(
        [0, 1],
        [Field::new("number", DataType::Int64, true), Field::new("text", DataType::Utf8, true)],
    )
    .unwrap();
    let children: Vec<ArrayRef> =
        vec![Arc::new(Int64Array::from(vec![5])), Arc::new(StringArray::from(vec![Some("x"), None]))];
    let (kinds, offsets) = (ScalarBuffer::from(vec![1_i8, 0, 1]), ScalarBuffer::from(vec![0, 0, 1]));
    let union = UnionArray::try_new(fields, kinds, Some(offsets), children).unwrap();
    assert!(matches!(union.data_type(), DataType::Union(_, UnionMode::Dense)));
    check(Arc::new(union), false, ValueType::Other, &[text("x"), Cell::Integer(5), Cell::Missing]);
}

/// A value beyond the bound is an error with its row and column, whether it is one text or the JSON of many.
#[test]
fn a_value_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let long = "x".repeat(crate::text::MAX_RECORD + 1);
    let words: ArrayRef = Arc::new(StringArray::from(vec!["a", long.as_str()]));
    let lists: ArrayRef =
        Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![]), Some(vec![Some(1000); 1 << 20])]));
    for (name, column) in [("a.parquet", &words), ("a.arrow", &words), ("b.parquet", &lists), ("b.arrow", &lists)] {
        let (path, batch) = (folder.path().join(name), batch(Arc::clone(column)));
        if name.ends_with("arrow") {
            write_file(&path, &batch)
        } else {
            write_parquet(&path, &batch)
        }
        let message = read(&path).unwrap_err().to_string();
        assert!(message.contains("row 2, column \"c\": a value of 419430") && message.contains("(hint: "), "{message}");
    }
}

/// A date that no calendar has is an error, and none of the library's words is one of Rust.
#[test]
fn a_date_beyond_the_calendar_is_named() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("a.arrow");
    write_file(&path, &batch(Arc::new(Date32Array::from(vec![0, i32::MAX]))));
    let message = read(&path).unwrap_err().to_string();
    assert!(message.contains("a.arrow: row 2, column \"c\": "), "{message}");
    Ok(())
}
