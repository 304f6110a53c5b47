//! Row 9 of the list of faults: a field of 100 MB is refused, in a process that isn't allowed to hold it. In the same process
//! tables of 100 MB are read whose rows are small, however their writer grouped them.
#![cfg(target_os = "linux")]

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use arrow::array::{ArrayRef, ListBuilder, RecordBatch, StringArray, StringDictionaryBuilder};
use arrow::datatypes::Int32Type;
use arrow::ipc::writer::FileWriter;
use flate2::write::GzEncoder;
use parquet::arrow::ArrowWriter;
use table::{ReadOptions, Table, TableError};

/// Size of the field.
const FIELD: usize = 100 << 20;
/// What the process may allocate, in KiB: a small part of the field.
const ALLOWED: usize = 48 << 10;
/// Names the file to the process that reads it: this program again, running one test.
const FILE: &str = "VERDICT_TABLE_FILE";

/// `start`, then a field without end, then `end`; in an archive if the name says so.
fn write(path: &Path, start: &str, end: &str) {
    let file = BufWriter::new(File::create(path).expect("a file"));
    let mut file: Box<dyn Write> = match path.extension().and_then(|ending| ending.to_str()) {
        Some("gz") => Box::new(GzEncoder::new(file, flate2::Compression::fast())),
        Some("zst") => Box::new(zstd::stream::write::Encoder::new(file, 1).expect("an encoder").auto_finish()),
        _ => Box::new(file),
    };
    file.write_all(start.as_bytes()).expect("written");
    let chunk = vec![b'x'; 1 << 20];
    (0..FIELD / chunk.len()).for_each(|_| file.write_all(&chunk).expect("written"));
    file.write_all(end.as_bytes()).expect("written");
    file.flush().expect("flushed");
}

fn read(path: &Path) -> Result<usize, TableError> {
    let table = Table::open(path, &ReadOptions::default())?;
    let all: Vec<usize> = (0..table.columns().len()).collect();
    table.rows(&all)?.try_fold(0, |rows, row| row.map(|_| rows + 1))
}

/// Reads the file that the other process names, and says how that ends.
#[test]
fn the_file_of_the_environment_is_read() {
    if let Some(path) = std::env::var_os(FILE) {
        match read(Path::new(&path)) {
            Ok(rows) => println!("{rows} rows"),
            Err(error) => println!("refused: {error}"),
        }
    }
}

#[test]
fn fault_9_a_field_of_100_mb_is_refused_in_little_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let small = folder.path().join("small.csv");
    std::fs::write(&small, "text,label\ngood,pos\n").expect("written");
    assert!(read_in_limited_process(&small).contains("1 rows"), "the process reads what fits");
    for (name, start, end, expected) in [
        ("plain.csv", "text,label\ngood,pos\n", ",neg\n", "line 3: a record of more than 4194304 bytes"),
        ("open.csv", "text,label\ngood,pos\n\"", "\",neg\n", "line 3: a quote opens here and is still open after"),
        ("one.tsv", "text\tlabel\n", "\tneg\n", "line 2: a record of more than 4194304 bytes"),
        ("head.csv", "", "\n", "line 1: "),
        ("value.json", "[{\"text\":\"", "\"}]", "line 1: column 2: a value of more than 4194304 bytes"),
        ("under.json", "{\"rows\":\n[{\"text\":\"", "\"}]}", "line 2: column 2: a value of more than 4194304 bytes"),
        ("line.txt", "one\n", "\n", "line 2: longer than 4194304 bytes"),
        ("one.csv.gz", "text,label\ngood,pos\n", ",neg\n", "line 3: a record of more than 4194304 bytes"),
        ("open.csv.zst", "text,label\ngood,pos\n\"", "\",neg\n", "line 3: a quote opens here and is still open after"),
        ("field.jsonl.gz", "{\"text\":\"", "\",\"label\":\"neg\"}\n", "line 1: longer than 4194304 bytes"),
        ("field.jsonl", "{\"text\":\"", "\",\"label\":\"neg\"}\n", "line 1: longer than 4194304 bytes"),
    ] {
        let path = folder.path().join(name);
        write(&path, start, end);
        let message = read_in_limited_process(&path);
        assert!(message.contains("refused: ") && message.contains(expected), "{name}: {message}");
        std::fs::remove_file(path).expect("removed");
    }
}

/// An array of rows is as large as its file; what is in memory is one of them, also where the array lies behind others
/// and where each column is an array.
#[test]
fn json_of_100_mb_is_streamed_in_little_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let value = "x".repeat(1 << 20);
    let (row, rows) = (format!("{{\"text\":\"{value}\"}},\n"), FIELD >> 20);
    let cell = format!("\"{value}\",");
    for (name, start, item, end) in [
        ("array.json", "[", &row, "{\"text\":1}]"),
        ("under.json", "{\"tags\":[1],\"rows\":[", &row, "{\"text\":1}],\"more\":{\"a\":[{}]}}"),
        ("columns.json", "{\"text\":[", &cell, "1]}"),
    ] {
        let path = folder.path().join(name);
        let mut file = BufWriter::new(File::create(&path).expect("a file"));
        let mut put = |text: &str| file.write_all(text.as_bytes()).expect("written");
        put(start);
        (1..rows).for_each(|_| put(item));
        put(end);
        file.flush().expect("flushed");
        let said = read_in_limited_process(&path);
        assert!(said.contains(&format!("\n{rows} rows")), "{name}: {said}");
        std::fs::remove_file(path).expect("removed");
    }
}

/// A batch of 100 rows of a megabyte each, or one whose lists repeat one text of a megabyte.
fn columns(folder: &Path, name: &str, column: ArrayRef) -> PathBuf {
    let path = folder.join(name);
    let batch = RecordBatch::try_from_iter([("text", column)]).expect("a batch");
    let file = File::create(&path).expect("a file");
    if name.ends_with("parquet") {
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("a writer");
        writer.write(&batch).expect("written");
        assert_eq!(writer.close().expect("closed").num_row_groups(), 1);
    } else {
        let mut writer = FileWriter::try_new(file, &batch.schema()).expect("a writer");
        writer.write(&batch).expect("written");
        writer.finish().expect("closed");
    }
    path
}

#[test]
fn a_table_in_one_row_group_is_read_in_little_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let long = "x".repeat(1 << 20);
    let rows: ArrayRef = Arc::new(StringArray::from_iter_values((0..100).map(|row| format!("{row} {long}"))));
    for name in ["large.parquet", "large.arrow"] {
        let said = read_in_limited_process(&columns(folder.path(), name, Arc::clone(&rows)));
        assert!(said.contains("100 rows"), "{name}: {said}");
    }
    // Three times a hundred megabytes, if each text were a copy.
    let mut words = ListBuilder::new(StringDictionaryBuilder::<Int32Type>::new());
    (0..300).for_each(|_| words.values().append_value(&long));
    words.append(true);
    let words: ArrayRef = Arc::new(words.finish());
    for name in ["repeated.parquet", "repeated.arrow"] {
        let said = read_in_limited_process(&columns(folder.path(), name, Arc::clone(&words)));
        let expected = "row 1, column \"text\": a value of 4194";
        assert!(said.contains("refused: ") && said.contains(expected), "{name}: {said}");
    }
}

/// Reads a file in a process with limited memory and returns its output.
fn read_in_limited_process(path: &Path) -> String {
    let output = Command::new("bash")
        .args(["-c", "ulimit -d \"$1\" && exec \"$2\" --exact the_file_of_the_environment_is_read --nocapture", "bash"])
        .arg(ALLOWED.to_string())
        .arg(std::env::current_exe().expect("this program"))
        .env(FILE, path)
        .output()
        .expect("the program starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// The bound above is one that holds: with the same limit, a program that wants the field's size is stopped.
#[test]
fn exceeding_the_memory_limit_fails() {
    let script = format!("ulimit -d {ALLOWED} && head -c {FIELD} /dev/zero | tail -n 1 > /dev/null");
    let output = Command::new("bash").args(["-o", "pipefail", "-c", &script]).output().expect("bash starts");
    assert!(!output.status.success(), "a field of 100 MB fits into the limit");
}
