//! Tests of all formats, and helpers shared by the tests of each.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use arrow::array::{ArrayRef, ListArray, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::Int64Type;
use tempfile::TempDir;

use super::{Cell, ReadOptions, Row, Table, TableError};

/// All rows of the columns `text` and `label`.
pub(crate) fn read(path: &Path) -> Result<Vec<Row>, TableError> {
    let table = Table::open(path, &ReadOptions::default())?;
    let named = |name: &str| table.columns().iter().position(|column| column.name == name);
    let (Some(text), Some(label)) = (named("text"), named("label")) else {
        return Err(TableError::file(path, "other columns"));
    };
    table.rows(&[text, label])?.collect()
}

/// All rows of all columns.
pub(crate) fn rows_of(path: &Path) -> Result<Vec<Row>, TableError> {
    let table = Table::open(path, &ReadOptions::default())?;
    let all: Vec<usize> = (0..table.columns().len()).collect();
    table.rows(&all)?.collect()
}

pub(crate) fn texts_of(rows: Vec<Row>) -> Vec<String> {
    rows.into_iter().map(|row| row.cells[0].to_string()).collect()
}

/// Deterministic noise (SplitMix64).
struct RandomBytes(u64);

impl RandomBytes {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// One to four changes: a byte flipped or set to an edge value, a piece removed, repeated or cut off.
    fn mutate(&mut self, sound: &[u8]) -> Vec<u8> {
        let mut bytes = sound.to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len());
            let end = (at + 1 + self.below(8)).min(bytes.len());
            match self.below(6) {
                _ if bytes.is_empty() => {}
                0 => bytes[at] ^= 1 << self.below(8),
                1 => bytes[at] = [0, 0xFF, 0x7F, 0x80, b'"', b'\n', b',', b'{'][self.below(8)],
                2 => drop(bytes.drain(at..end)),
                3 => {
                    let piece = bytes[at..end].to_vec();
                    bytes.splice(at..at, piece);
                }
                4 if self.below(8) == 0 => bytes.truncate(at),
                _ => bytes[at] = self.next() as u8,
            }
        }
        bytes
    }
}

/// Reads `mutants` changes of a file; how many were refused.
pub(crate) fn refused(name: &str, sound: &[u8], mutants: usize) -> usize {
    let desk = TempDir::new().expect("a temporary folder");
    let path = desk.path().join(name);
    fs::write(&path, sound).expect("written");
    let rows = read(&path).expect("the file is sound before it is changed").len();
    assert!(rows >= 3);
    let mut noise = RandomBytes(name.len() as u64);
    let mut refused = 0;
    for _ in 0..mutants {
        // A new file: some file systems flush one that is cut to nothing and written again.
        fs::remove_file(&path).expect("removed");
        fs::write(&path, noise.mutate(sound)).expect("written");
        match read(&path) {
            Ok(read) => assert!(read.len() <= rows + 40, "{} rows out of {rows}", read.len()),
            Err(error) => {
                assert!(error.to_string().contains(name), "{error}");
                refused += 1;
            }
        }
    }
    refused
}

/// Each format has the kinds of values that it can tell apart, and a row knows where it stood.
#[test]
fn values_are_read_as_written() {
    let desk = TempDir::new().unwrap();
    let text = |text: &str| Cell::Text(text.into());
    let path = desk.path().join("a.csv");
    fs::write(&path, "text,label\n\"two\nlines\",1\n,\n").unwrap();
    let rows = read(&path).unwrap();
    assert_eq!(rows[0], Row { number: 1, line: Some(2), cells: vec![text("two\nlines"), text("1")] });
    assert_eq!(rows[1], Row { number: 2, line: Some(4), cells: vec![text(""), text("")] });

    let path = desk.path().join("a.jsonl");
    let values = "[null, true, -7, 18446744073709551615, 0.5, \"\", [1, {}], {\"a\": null}]";
    let values: Vec<serde_json::Value> = serde_json::from_str(values).unwrap();
    let lines = values.iter().map(|value| format!("\n{}", serde_json::json!({"text": "x", "label": value})));
    fs::write(&path, lines.collect::<String>()).unwrap();
    let rows = read(&path).unwrap();
    assert_eq!((rows[7].number, rows[7].line), (8, Some(9)));
    let cells: Vec<Cell> = rows.into_iter().map(|mut row| row.cells.remove(1)).collect();
    let (list, object) = (Cell::Nested("[1,{}]".into()), Cell::Nested("{\"a\":null}".into()));
    assert_eq!((list.kind(), object.kind()), ("an array", "an object"));
    let large = Cell::Float(18_446_744_073_709_551_615.0);
    let expected =
        [Cell::Missing, Cell::Bool(true), Cell::Integer(-7), large, Cell::Float(0.5), text(""), list, object];
    assert_eq!(cells, expected);

    let path = desk.path().join("a.parquet");
    let words: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None]));
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(1)]), None]);
    let counts: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX, 3]));
    let columns = [("label", counts), ("list", Arc::new(lists)), ("text", words)];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(fs::File::create(&path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let rows = read(&path).unwrap();
    assert_eq!(rows[0], Row { number: 1, line: None, cells: vec![text("a"), text("18446744073709551615")] });
    assert_eq!(rows[1].cells, [Cell::Missing, Cell::Integer(3)]);
    let table = Table::open(&path, &ReadOptions::default()).unwrap();
    assert_eq!(table.columns()[1].declared.as_ref().unwrap().type_name, "List(Int64)");
    let lists: Vec<Row> = table.rows(&[1]).unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(lists[0].cells, [Cell::Nested("[1]".into())]);
    assert_eq!(lists[1].cells, [Cell::Missing]);
}
