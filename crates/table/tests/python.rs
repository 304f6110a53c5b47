//! Real `datasets`, pandas and pyarrow at the other end of a file: what they write is read here, and they read what is
//! written here.
//!
//! They are looked for in the virtual environment that `VERDICT_PEERS` names, in `target/peers/venv`, `target/venv` and
//! `target/datasets-venv`. Where they aren't, these tests say so and end. The script is `python_peer.py`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value, json};
use table::{Cell, Column, DeclaredType, ReadOptions, Row, Table, TableWriter, ValueType, dataset_dict_splits};
use test_support::python_with;

fn python() -> Option<PathBuf> {
    python_with("datasets, pandas, pyarrow", "datasets pandas pyarrow", "datasets-venv")
}

fn ask<T: serde::de::DeserializeOwned>(python: &Path, command: &str, paths: &[PathBuf]) -> T {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python_peer.py");
    let mut peer = Command::new(python);
    peer.arg(script).arg(command).args(paths).env("HF_HUB_OFFLINE", "1");
    let output = peer.output().expect("Python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn read(path: &Path) -> (Vec<Column>, Vec<Row>) {
    let table = Table::open(path, &ReadOptions::default()).unwrap_or_else(|error| panic!("{error}"));
    let columns = table.columns().to_vec();
    let all: Vec<usize> = (0..columns.len()).collect();
    let rows = table.rows(&all).and_then(Iterator::collect).unwrap_or_else(|error| panic!("{error}"));
    (columns, rows)
}

/// A row as JSON; numbers beyond 64 bits, which are texts here, become numbers.
fn as_json(columns: &[Column], row: &Row) -> Value {
    let value = |(column, cell): (&Column, &Cell)| {
        let is_integer = column.declared.as_ref().is_some_and(|declared| declared.values == ValueType::Integer);
        let value = match cell {
            Cell::Missing => Value::Null,
            Cell::Text(digits) if is_integer => json!(digits.parse::<u64>().unwrap()),
            Cell::Text(text) => json!(text),
            Cell::Integer(number) => json!(number),
            Cell::Float(number) => json!(number),
            Cell::Bool(value) => json!(value),
            Cell::Nested(json) => serde_json::from_str(json).unwrap(),
        };
        (column.name.clone(), value)
    };
    Value::Object(columns.iter().zip(&row.cells).map(value).collect::<Map<_, _>>())
}

#[test]
fn what_datasets_and_pandas_write_is_read() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let written: BTreeMap<String, Vec<Value>> = ask(&python, "write", &[folder.path().to_owned()]);
    assert_eq!(written.len(), 15);
    for (name, expected) in &written {
        let (columns, rows) = read(&folder.path().join(name));
        let found: Vec<Value> = rows.iter().map(|row| as_json(&columns, row)).collect();
        assert_eq!(found.len(), expected.len(), "{name}");
        for (found, expected) in found.iter().zip(expected) {
            assert_eq!(found, expected, "{name}");
        }
        // Of `datasets`; the folders have no ending.
        if name == "datasets.parquet" || !name.contains('.') {
            let label = columns.iter().find(|column| column.name == "label").expect("a label");
            let names = label.declared.as_ref().and_then(|declared| declared.class_names.clone());
            assert_eq!(names.expect("names of classes"), ["negative", "positive"], "{name}");
        }
    }
    let splits = dataset_dict_splits(&folder.path().join("splits")).expect("a data set with splits").unwrap();
    assert_eq!(splits, ["train", "test"]);
}

#[test]
fn datasets_and_pandas_read_what_is_written() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let declared = |values, class_names: Option<&[&str]>| {
        let class_names = class_names.map(|names| names.iter().map(|&name| name.to_owned()).collect());
        Some(DeclaredType { values, type_name: String::new(), class_names })
    };
    let columns = [
        ("text", declared(ValueType::Text, None)),
        ("label", declared(ValueType::Integer, Some(&["bad", "good"]))),
        ("score", declared(ValueType::Float, None)),
        ("marked", declared(ValueType::Bool, None)),
        ("other", None),
    ];
    let columns = columns.map(|(name, declared)| Column { name: name.into(), declared });
    let rows: Vec<[Cell; 5]> = (0..40_i32)
        .map(|row| {
            let text = Cell::Text(format!("line {row}\nof \"text\" \u{1F600}"));
            let missing = |cell: Cell| if row % 7 == 3 { Cell::Missing } else { cell };
            let (label, score) = (Cell::Integer(i64::from(row % 2)), Cell::Float(f64::from(row) / 8.0));
            let other = Cell::Nested(format!("[{row}]"));
            [missing(text), label, missing(score), Cell::Bool(row % 3 == 0), missing(other)]
        })
        .collect();
    let expected: Vec<Value> = rows
        .iter()
        .map(|cells| {
            let mut shown = as_json(&columns, &Row { number: 1, line: None, cells: cells.to_vec() });
            shown["other"] = if cells[4] == Cell::Missing { Value::Null } else { json!(cells[4].to_string()) };
            shown
        })
        .collect();
    let paths = ["a.parquet", "b.arrow", "c.feather"].map(|name| folder.path().join(name));
    for path in &paths {
        let mut writer = TableWriter::create(path, &columns).unwrap();
        rows.iter().for_each(|cells| writer.write(cells).unwrap());
        writer.finish().unwrap();
    }
    let read: Vec<Value> = ask(&python, "read", &paths);
    for (found, path) in read.iter().zip(paths) {
        assert_eq!(found["datasets"], json!(expected), "{}", path.display());
        assert_eq!(found["pandas"], json!(expected), "{}", path.display());
        assert_eq!(found["names"], json!(["bad", "good"]), "{}", path.display());
    }
}
