use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use tempfile::TempDir;

use crate::tests::{refused, rows_of};
use crate::{Cell, Column, FileFormat, ReadOptions, Row, Table, TableError, TableWriter};

struct Shelf(TempDir);

impl Shelf {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// Columns, then the rows with their lines, then notes, one a line.
    fn read_with(&self, content: impl AsRef<[u8]>, options: &ReadOptions) -> Result<String, TableError> {
        let table = Table::open(&self.file("a.json", content), options)?;
        let names: Vec<&str> = table.columns().iter().map(|column| column.name.as_str()).collect();
        let mut said = vec![names.join("|")];
        let notes = table.notes().to_vec();
        let all: Vec<usize> = (0..names.len()).collect();
        for row in table.rows(&all)? {
            let row = row?;
            let line = row.line.map(|line| format!("{line}:")).unwrap_or_default();
            said.push(format!("{line}{}", row.cells.iter().map(Cell::to_string).collect::<Vec<_>>().join("|")));
        }
        Ok([said, notes].concat().join(" / "))
    }

    fn read(&self, content: impl AsRef<[u8]>) -> String {
        self.read_with(content, &ReadOptions::default()).unwrap()
    }

    /// Why a file is refused, without its path.
    fn refusal(&self, content: impl AsRef<[u8]>) -> String {
        let message = self.read_with(content, &ReadOptions::default()).unwrap_err().to_string();
        message.split_once("a.json: ").unwrap().1.to_owned()
    }
}

#[test]
fn rows_are_found_in_every_layout() {
    let shelf = Shelf::new();
    for (content, expected) in [
        ("[{\"text\": \"a\", \"label\": 1}, {\"text\": \"b\", \"label\": 0}]", "text|label / 1:a|1 / 1:b|0"),
        (
            "\u{FEFF}[\r\n  {\r\n \"text\": \"a\\n,b\",\r\n \"label\": 1\r\n  },\r\n{\"label\":0,\"text\":\"]}\\\"\"}\r\n]\r\n",
            "text|label / 2:a\n,b|1 / 6:]}\"|0",
        ),
        ("\n\n[{\"text\":\"a\"}]", "text / 3:a"),
        // Lines, as a file of this ending was read before.
        ("{\"text\":\"a\",\"x\":[{}]}\n\n{\"text\":\"b\",\"x\":1}\n", "text|x / 1:a|[{}] / 3:b|1"),
        ("{\"text\": \"a\", \"label\": [\"x\"]}", "text|label / 1:a|[\"x\"]"),
        ("{\n  \"text\": \"a\"\n}\n{\n  \"text\": \"b\"\n}", "text / 1:a / 4:b"),
        // An array under a field, also behind others and before others.
        (
            "{\"version\": \"1\", \"tags\": [\"a\", [{}]], \"data\": [\n{\"text\": \"a\"},\n{\"text\": \"b\"}], \"n\": {\"k\": [1]}}\n",
            "text / 2:a / 3:b / rows are the array under \"data\"",
        ),
        // As pandas writes `orient="table"`.
        (
            "{\"schema\":{\"fields\":[{\"name\":\"text\"}],\"primaryKey\":[\"index\"]},\"data\":[{\"index\":0,\"text\":\"a\"}]}",
            "index|text / 1:0|a / rows are the array under \"data\"",
        ),
        // Columns: arrays, and objects by row number, the default of pandas.
        (
            "{\"text\": [\"a\", \"b\"],\n \"label\": [1, null], \"tags\": [[\"x\"], []]}",
            "text|label|tags / a|1|[\"x\"] / b||[] / each field is a column",
        ),
        (
            "{\"text\":{\"0\":\"a\",\"7\":\"b\"},\"label\":{\"0\":1.5,\"7\":null}}",
            "text|label / a|1.5 / b| / each field is a column",
        ),
        // What is nested keeps its order and its digits.
        (
            "[{\"x\": {\"b\": [1.0, 2e400, \"\\u00e9\\n\"], \"a\": {}}}]"
                .replace("2e400", "18446744073709551615")
                .leak(),
            "x / 1:{\"b\":[1.0,18446744073709551615,\"é\\n\"],\"a\":{}}",
        ),
        ("[{\"id\": -9223372036854775808, \"f\": 0.1, \"g\": true}]", "id|f|g / 1:-9223372036854775808|0.1|true"),
        ("[{}, {\"a\": 1}]", " / 1: / 1:"),
    ] {
        assert_eq!(shelf.read(content), expected, "{content}");
    }
}

#[test]
fn the_field_is_chosen_by_flag() {
    let shelf = Shelf::new();
    let several = "{\"train\": [{\"text\": \"a\"}], \"n\": 3,\n\"test\": [{\"text\": \"b\"}]}";
    assert_eq!(
        shelf.refusal(several),
        "2 fields are arrays of objects: \"train\", \"test\" (hint: --json-field NAME says which holds the rows)"
    );
    let options = |field: &str| ReadOptions { json_field: Some(field.into()), ..ReadOptions::default() };
    assert_eq!(shelf.read_with(several, &options("test")).unwrap(), "text / 2:b");
    assert_eq!(shelf.read_with(several, &options("train")).unwrap(), "text / 1:a");
    for (content, field, expected) in [
        (several, "n", "the field \"n\" is not an array of objects; fields that are: \"train\", \"test\""),
        (several, "dev", "the field \"dev\" is not there; fields that are: \"train\", \"test\""),
        ("[{\"text\": \"a\"}]", "data", "an array, not an object with a field \"data\" (hint: omit --json-field)"),
        (
            "{\"data\":[{}]}\n{\"data\":[{}]}\n",
            "data",
            "line 2: column 1: --json-field is for a file of one object, here",
        ),
    ] {
        let message = shelf.read_with(content, &options(field)).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn what_is_no_table_is_refused_with_its_place_and_a_hint() {
    let shelf = Shelf::new();
    for (content, expected) in [
        ("", "the file is empty (0 bytes)"),
        (" \n ", "only blank lines"),
        ("[]", "an empty array: no rows"),
        (
            "text,label\na,1\n",
            "not JSON rows; it starts with \"text\" (hint: an array of objects, or one object a line)",
        ),
        (
            "[[\"text\", \"label\"], [\"a\", 1]]",
            "line 1: column 2: row 1 is not an object; it starts with \"[\\\"text\\\"",
        ),
        ("[\n\"a\",\n\"b\"]", "line 2: column 1: row 1 is not an object; it starts with \"\\\"a\\\"\" (hint: rows are"),
        ("[{\"text\": \"a\"},\n 7]", "line 2: column 2: row 2 is not an object; it starts with \"7\""),
        ("[{\"text\": \"a\"},\n]", "line 2: column 1: a comma with no value behind it (hint: remove the comma)"),
        ("[{\"text\": \"a\",\n}]", "line 2: row 1 is not a JSON object, column 1: trailing comma"),
        ("[{\"text\": \"a\"}\n\n{\"text\": \"b\"}]", "line 3: column 1: expected a comma or ], found \"{\\\"text\\\""),
        ("[,{\"text\": \"a\"}]", "line 1: column 2: expected a value, found a comma"),
        (
            "[{\"text\": \"a\",\n\"label\": NaN}]",
            "line 2: row 1 is not a JSON object, column 10: NaN or Infinity, which",
        ),
        (
            "[{\"text\": \"a\"},\n{'text': 'a'}]",
            "line 2: row 2 is not a JSON object, column 2: a name in single quotes",
        ),
        ("[\n// good\n{\"text\": \"a\"}]", "line 2: column 1: row 1 is not an object; it starts with \"//\""),
        (
            "[{\"text\": \"a\" // good\n}]",
            "line 1: row 1 is not a JSON object, column 15: a comment, which JSON doesn't have",
        ),
        ("[{\"text\": \"a\"}", "line 1: column 15: the file ends before the JSON does (hint: is the file cut off?)"),
        (
            "[{\"text\": \"a\"},\n{\"text\": \"",
            "line 2: row 2 is not a JSON object, column 10: the file ends before the",
        ),
        (
            "[{\"text\": \"a},\n{\"text\": \"b\"}]",
            "line 1: row 1 is not a JSON object, column 15: a text that doesn't end on its line (hint: is a quote",
        ),
        ("[{\"text\": \"a\"}]\n\n[{\"text\": \"b\"}]", "line 3: column 1: more behind the rows"),
        ("[{\"text\": \"a\"}]\n{\"text\": \"b\"}\n", "line 2: column 1: more behind the rows"),
        ("{\"data\": [{\"a\": 1}]}\n,", "line 2: column 1: a comma behind an object (hint: an array is in [ and ])"),
        ("{\"text\": \"a\"}\n7\n", "line 2: column 1: row 2 is not an object; it starts with \"7\""),
        (
            "{\"text\": \"a\"}\n{\"text\": \"b\"\n{\"text\": \"c\"}\n",
            "line 3: row 2 is not a JSON object, column 1: expected `,` or `}`",
        ),
        ("{\"text\": \"a\"}\n{\"text\": \"b\"", "line 2: row 2 is not a JSON object, column 12: the file ends before"),
        ("[{\"a\": 1,\n \"a\": 2}]", "line 2: row 1 is not a JSON object, column 8: the name \"a\" occurs twice"),
        ("{\"d\": [{}],\n\"d\": [{}]}", "line 2: column 1: the name \"d\" occurs twice"),
        ("[{\"a\": 1e999}]", "line 1: row 1 is not a JSON object, column 12: number out of range"),
        ("[{\"a\": 01}]", "line 1: row 1 is not a JSON object, column 9: invalid number"),
        ("{\"a\": 1, b: 2}\n", "line 1: column 10: expected a name in double quotes, found \"b\""),
        ("{\"a\" 1}\n", "line 1: column 6: expected a colon behind the name, found \"1"),
        ("{\"a\": }\n", "line 1: column 7: expected a value, found \"}"),
        ("{\"a\": [1, nul]}", "line 1: not JSON, column 11: expected a value, found \"nul\""),
        (
            "[{\"text\":\"a\",\"n\":1},\n\n{\"text\":\"b\"}]",
            "row 2 (line 3) has no column \"n\", row 1 has; columns found: text",
        ),
        ("{\"a\":[1,2],\"b\":[1]}", "an object of arrays, of which \"a\" has 2 elements and \"b\" has 1 (hint:"),
        (
            "{\"a\":{\"0\":1},\"b\":{\"1\":1}}",
            "columns \"a\" and \"b\" have different row numbers (hint: pandas writes",
        ),
        // The other layouts of pandas: split, index.
        (
            "{\"columns\":[\"text\",\"label\"],\"index\":[0,1],\"data\":[[\"a\",1],[\"b\",0]]}",
            "an object with columns and data apart (hint: pandas writes an array of rows with `to_json(FILE, orient=\"rec",
        ),
        (
            "{\"0\":{\"text\":\"a\"},\"1\":{\"text\":\"b\"}}",
            "an object of objects, in which no array of rows was found",
        ),
        (
            "{\"data\":{\"rows\":[{\"text\":\"a\"}]}}",
            "an object of objects, in which no array of rows was found (hint: rows",
        ),
    ] {
        let refusal = shelf.refusal(content);
        assert!(refusal.starts_with(expected), "{content}\n{refusal}\n{expected}");
    }
    let many: String = (0..10_001).map(|n| format!("\n\"{n}\":{{\"text\":\"a\"}},")).collect();
    assert!(
        shelf.refusal(format!("{{{many}")).starts_with("line 10002: column 1: an object of more than 10000 fields")
    );
    let deep = format!("[{{\"a\": {}1{}}}]", "[".repeat(100_000), "]".repeat(100_000));
    assert!(shelf.refusal(deep).starts_with("line 1: row 1 is not a JSON object, column 134: nested deeper than 128"));
    assert!(shelf.refusal(b"[{\"text\":\n\"caf\xE9\"}]").starts_with("byte 14 (line 2): 0xE9 is not UTF-8"));
}

/// A stream is read once: of an object that isn't small the field must be named.
#[test]
fn every_layout_is_read_from_a_stream() {
    let read = |content: String, field: Option<&str>| -> Result<(Vec<Row>, Vec<String>), TableError> {
        let options = ReadOptions { json_field: field.map(str::to_owned), ..ReadOptions::default() };
        let stream = Box::new(std::io::Cursor::new(content));
        let table = Table::from_stream("input", FileFormat::named("JSON").unwrap(), stream, &options)?;
        let (notes, all) = (table.notes().to_vec(), (0..table.columns().len()).collect::<Vec<_>>());
        Ok((table.rows(&all)?.collect::<Result<_, _>>()?, notes))
    };
    let many = |count: usize| ",\n{\"text\": \"more\"}".repeat(count);
    for (start, end, field, notes, line) in [
        ("[{\"text\": \"a\"}", "]", None, &[][..], Some(3)),
        (
            "\n{\"n\": [1],\n\"data\": [{\"text\": \"a\"}",
            "], \"m\": {}}",
            None,
            &["rows are the array under \"data\""],
            Some(5),
        ),
        ("{\"n\": [{}], \"data\":\n[{\"text\": \"a\"}", "], \"m\": {}}", Some("data"), &[], Some(4)),
    ] {
        let (rows, said) = read(format!("{start}{}{end}", many(2)), field).unwrap();
        assert_eq!((rows.len(), rows[2].line), (3, line), "{start}");
        assert_eq!(said, notes);
        let long = read(format!("{start}{}{end}", many(300_000)), field).map(|(rows, _)| rows.len());
        match long {
            Ok(rows) => assert_eq!(rows, 300_001),
            Err(error) => assert_eq!(
                error.to_string(),
                "input: line 2: column 1: an object of more than 4194304 bytes, from a pipe (hint: --json-field NAME says which \
                 field holds the rows, or save it to a file first)"
            ),
        }
    }
    let (rows, notes) = read("\n{\"text\": [\"a\", \"b\"], \"label\": [1, 0]}".into(), None).unwrap();
    assert_eq!((rows.len(), notes.len()), (2, 1));
    let (rows, _) = read("{\"text\": \"a\"}\n\n{\"text\": \"b\"}\n".into(), None).unwrap();
    assert_eq!((rows[1].number, rows[1].line), (2, Some(3)));
    let (rows, _) = read("{\"text\": \"a\"}".into(), None).unwrap();
    assert_eq!(rows.len(), 1);
    for (content, expected) in [
        (
            "{\"n\": [{}],\n\"data\": 1}",
            "input: line 2: column 9: the field \"data\" is not an array (hint: --json-field)",
        ),
        ("{\"n\": [{}]}", "input: the field \"data\" is not there (hint: --json-field)"),
        ("{\"data\": [{}],\n\"data\": []}", "input: line 2: column 1: the name \"data\" occurs twice"),
    ] {
        assert_eq!(read(content.into(), Some("data")).unwrap_err().to_string(), expected);
    }
}

#[test]
fn json_is_decoded_and_unpacked() {
    let shelf = Shelf::new();
    let text: Vec<u8> =
        "\u{FEFF}{\"é\": [\"a\"],\n \"n\": [\"ж\"]}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(
        shelf.read(&text),
        "é|n / a|ж / UTF-16 (little-endian), by its byte-order mark / each field is a column"
    );
    let options = ReadOptions { encoding: Some("windows-1252".into()), ..ReadOptions::default() };
    assert_eq!(shelf.read_with(b"[\n{\"text\": \"caf\xE9\"}]", &options).unwrap(), "text / 2:café");
    assert!(
        shelf
            .refusal(b"[\n{\"text\": \"caf\xE9\"}]")
            .contains("(line 2): 0xE9 is not UTF-8 (hint: --encoding windows-1252")
    );
    let path = shelf.0.path().join("a.json.gz");
    let mut writer = TableWriter::create(&path, &columns(&["text".into()])).unwrap();
    writer.write(&[Cell::Text("a".into())]).unwrap();
    writer.finish().unwrap();
    assert!(fs::read(&path).unwrap().starts_with(b"\x1F\x8B"));
    assert_eq!(rows_of(&path).unwrap()[0].cells, [Cell::Text("a".into())]);
}

/// A value may be as long as a record; what is longer is refused where it starts, and a missing quote where it shows.
#[test]
fn long_values_are_refused_where_they_start() {
    let shelf = Shelf::new();
    let long = |length: usize| format!("[{{\"text\": \"a\"}},\n {{\"text\": \"{}\"}}]", "x".repeat(length));
    assert!(shelf.read(long(4_000_000)).len() > 4_000_000);
    let refusal = shelf.refusal(long(5_000_000));
    assert!(
        refusal.starts_with("line 2: column 2: a value of more than 4194304 bytes, the most that is read"),
        "{refusal}"
    );
    let rows = ",\n{\"text\": \"more\"}".repeat(400_000);
    let refusal = shelf.refusal(format!("[{{\"text\": \"a\"}},\n{{\"text\": \"b}}{rows}]"));
    assert!(refusal.starts_with("line 2: not JSON, column 14: a text that doesn't end on its line"), "{refusal}");
}

#[test]
fn changed_json_never_panics() {
    let array = "[{\"text\": \"a \\u00e9 film\", \"label\": 1, \"more\": {\"a\": [1, 2.5e3, null]}},\n\
                 {\"text\": \"dull\", \"label\": 0},\n{\"text\": \"\\ud83d\\ude00\", \"label\": 1}]\n";
    let columns = "{\"text\": [\"a\", \"b\", \"c\"], \"label\": [0, 1, 0]}";
    for sound in [array.to_owned(), format!("{{\"n\": 1, \"data\": {array}, \"m\": []}}"), columns.to_owned()] {
        assert!((500..1999).contains(&refused("sound.json", sound.as_bytes(), 2000)), "{sound}");
    }
}

fn cells() -> impl Strategy<Value = Cell> {
    let nested = ["[]", "{}", "[1,{\"b\":null,\"a\":\"\\n\"}]", "{\"z\":[true,-0.5],\"a\":\"é\"}"];
    prop_oneof![
        Just(Cell::Missing),
        any::<String>().prop_map(Cell::Text),
        any::<i64>().prop_map(Cell::Integer),
        any::<f64>().prop_filter("JSON has none", |float| float.is_finite()).prop_map(Cell::Float),
        any::<bool>().prop_map(Cell::Bool),
        prop::sample::select(nested.to_vec()).prop_map(|json| Cell::Nested(json.into())),
    ]
}

fn columns(names: &[String]) -> Vec<Column> {
    names.iter().map(|name| Column { name: name.clone(), declared: None }).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_written_is_read_back(
        names in prop::collection::hash_set(any::<String>(), 1..4),
        rows in prop::collection::vec(prop::collection::vec(cells(), 3), 1..10),
    ) {
        let shelf = Shelf::new();
        let names: Vec<String> = names.into_iter().collect();
        for ending in ["json", "jsonl"] {
            let path = shelf.0.path().join(format!("a.{ending}"));
            let mut writer = TableWriter::create(&path, &columns(&names)).unwrap();
            for row in &rows {
                writer.write(&row[..names.len()]).unwrap();
            }
            writer.finish().unwrap();
            let table = Table::open(&path, &ReadOptions::default()).unwrap();
            prop_assert_eq!(table.columns(), columns(&names));
            let read = rows_of(&path).unwrap();
            prop_assert_eq!(read.len(), rows.len());
            for (read, row) in read.iter().zip(&rows) {
                prop_assert_eq!(&read.cells, &row[..names.len()]);
            }
        }
    }
}

#[test]
fn what_json_cannot_say_is_refused_or_null() {
    let shelf = Shelf::new();
    let path = shelf.0.path().join("a.json");
    let names = ["a", "b", "a"].map(str::to_owned);
    let message = TableWriter::create(&path, &columns(&names)).err().unwrap().to_string();
    assert!(message.ends_with(
        "two columns are called \"a\", and an object has each name once (hint: rename one of them, or write CSV)"
    ));
    let mut writer = TableWriter::create(&path, &columns(&names[1..])).unwrap();
    writer.write(&[Cell::Float(f64::NAN), Cell::Nested("[1,\n 2]".into())]).unwrap();
    let message = writer.write(&[Cell::Missing, Cell::Float(f64::INFINITY)]).unwrap_err().to_string();
    assert!(message.ends_with("row 2, \"a\": inf, which JSON doesn't have (hint: write CSV)"), "{message}");
    assert!(writer.write(&[Cell::Missing, Cell::Nested("[1".into())]).is_err());
    writer.write(&[Cell::Integer(1), Cell::Text("\u{2028}\u{0}\"".into())]).unwrap();
    writer.finish().unwrap();
    let written = "[\n{\"b\":null,\"a\":[1,2]},\n{\"b\":1,\"a\":\"\u{2028}\\u0000\\\"\"}\n]\n";
    assert_eq!(fs::read_to_string(&path).unwrap(), written);
    TableWriter::create(&path, &columns(&names[1..])).unwrap().finish().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "[]\n");
}
