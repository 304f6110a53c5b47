//! Sound files, changed byte by byte: a table or an error, and nothing else.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::{Compression, Encoding, ZstdLevel};
use ::parquet::file::properties::WriterProperties;
use arrow::array::{ArrayRef, Int64Array, ListArray, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::Int64Type;
use proptest::prelude::*;
use tempfile::TempDir;

use super::{Cell, Row, Table, TableError};

/// All rows of the columns `text` and `label`.
fn read(path: &Path) -> Result<Vec<Row>, TableError> {
    let table = Table::open(path)?;
    let named = |name: &str| table.columns().iter().position(|column| column.name == name);
    let (Some(text), Some(label)) = (named("text"), named("label")) else {
        return Err(TableError::file(path, "other columns"));
    };
    table.rows(&[text, label])?.collect()
}

fn texts_of(rows: Vec<Row>) -> Vec<String> {
    rows.into_iter().map(|row| row.cells[0].to_string()).collect()
}

/// Deterministic noise (SplitMix64).
struct Noise(u64);

impl Noise {
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
fn refused(name: &str, sound: &[u8], mutants: usize) -> usize {
    let desk = TempDir::new().expect("a temporary folder");
    let path = desk.path().join(name);
    fs::write(&path, sound).expect("written");
    let rows = read(&path).expect("the file is sound before it is changed").len();
    assert!(rows >= 3);
    let mut noise = Noise(name.len() as u64);
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

const CSV: &str =
    "id,text,label\n1,\"a \"\"fine\"\" film, really\",pos\n2,dull,neg\n3,\"two\nlines\",pos\n4,é 👍,neg\n";
const JSONL: &str = "{\"text\": \"a \\u00e9 film\", \"label\": 1, \"more\": {\"a\": [1, 2.5e3, null]}}\n\
                     {\"text\": \"dull\", \"label\": 0}\n{\"text\": \"\\ud83d\\ude00\", \"label\": 1}\n";

#[test]
fn changed_csv_never_panics() {
    assert!((500..3999).contains(&refused("sound.csv", CSV.as_bytes(), 4000)));
}

#[test]
fn changed_jsonl_never_panics() {
    assert!((500..3999).contains(&refused("sound.jsonl", JSONL.as_bytes(), 4000)));
}

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

/// Such a page says inside its packed bytes how many texts it has, and the library believes it.
#[test]
fn delta_encoded_texts_are_refused_with_the_way_out() {
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

/// Each format has the kinds of values that it can tell apart, and a row knows where it stood.
#[test]
fn values_are_what_their_files_say() {
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
        [Cell::Missing, Cell::Bool(true), Cell::Integer(-7), large.clone(), Cell::Float(0.5), text(""), list, object];
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
    assert_eq!(rows[0], Row { number: 1, line: None, cells: vec![text("a"), large] });
    assert_eq!(rows[1].cells, [Cell::Missing, Cell::Integer(3)]);
    let table = Table::open(&path).unwrap();
    assert_eq!(table.columns()[1].declared.as_ref().unwrap().type_name, "List(Int64)");
    let message = table.rows(&[1]).err().unwrap().to_string();
    assert!(message.contains("column \"list\" is List(Int64), not text"), "{message}");
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_a_csv_writer_writes_is_read_back(texts in prop::collection::vec("[a-z,\"\n\ré👍 ;]{1,12}", 1..20)) {
        let desk = TempDir::new().expect("a temporary folder");
        for (name, delimiter) in [("a.csv", b','), ("a.tsv", b'\t')] {
            let path = desk.path().join(name);
            let mut writer = ::csv::WriterBuilder::new().delimiter(delimiter).from_path(&path).expect("a writer");
            writer.write_record(["text", "label"]).expect("written");
            for text in &texts {
                writer.write_record([text.as_str(), "1"]).expect("written");
            }
            writer.flush().expect("flushed");
            prop_assert_eq!(&texts_of(read(&path).expect("a table")), &texts);
        }
    }

    #[test]
    fn what_json_writes_is_read_back(texts in prop::collection::vec(any::<String>(), 1..20)) {
        let desk = TempDir::new().expect("a temporary folder");
        let path = desk.path().join("a.jsonl");
        let lines: Vec<String> = texts.iter().map(|text| serde_json::json!({"text": text, "label": 1}).to_string()).collect();
        fs::write(&path, lines.join("\n")).expect("written");
        prop_assert_eq!(&texts_of(read(&path).expect("a table")), &texts);
    }
}
