//! Row 9 of the list of faults: a field of 100 MB is refused, in a process that isn't allowed to hold it.
#![cfg(target_os = "linux")]

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;

use flate2::write::GzEncoder;
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
    Ok(table.rows(&all)?.collect::<Result<Vec<_>, _>>()?.len())
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
    assert!(said(&small).contains("1 rows"), "the process reads what fits");
    for (name, start, end, expected) in [
        ("plain.csv", "text,label\ngood,pos\n", ",neg\n", "line 3: a record of more than 4194304 bytes"),
        ("open.csv", "text,label\ngood,pos\n\"", "\",neg\n", "line 3: a quote opens here and is still open after"),
        ("one.tsv", "text\tlabel\n", "\tneg\n", "line 2: a record of more than 4194304 bytes"),
        ("head.csv", "", "\n", "line 1: "),
        ("one.csv.gz", "text,label\ngood,pos\n", ",neg\n", "line 3: a record of more than 4194304 bytes"),
        ("open.csv.zst", "text,label\ngood,pos\n\"", "\",neg\n", "line 3: a quote opens here and is still open after"),
        ("field.jsonl.gz", "{\"text\":\"", "\",\"label\":\"neg\"}\n", "line 1: longer than 4194304 bytes"),
        ("field.jsonl", "{\"text\":\"", "\",\"label\":\"neg\"}\n", "line 1: longer than 4194304 bytes"),
    ] {
        let path = folder.path().join(name);
        write(&path, start, end);
        let said = said(&path);
        assert!(said.contains("refused: ") && said.contains(expected), "{name}: {said}");
        std::fs::remove_file(path).expect("removed");
    }
}

/// What a process under the limit says of a file.
fn said(path: &Path) -> String {
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
fn the_limit_stops_who_wants_more() {
    let script = format!("ulimit -d {ALLOWED} && head -c {FIELD} /dev/zero | tail -n 1 > /dev/null");
    let output = Command::new("bash").args(["-o", "pipefail", "-c", &script]).output().expect("bash starts");
    assert!(!output.status.success(), "a field of 100 MB fits into the limit");
}
