//! Row 9 of the list of faults: a field of 100 MB is refused, in a process that isn't allowed to hold it.
#![cfg(target_os = "linux")]

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;

/// Size of the field.
const FIELD: usize = 100 << 20;
/// What the process may allocate, in KiB: a small part of the field.
const ALLOWED: usize = 48 << 10;

/// `start`, then a field without end, then `end`.
fn write(path: &Path, start: &str, end: &str) {
    let mut file = BufWriter::new(File::create(path).expect("a file"));
    file.write_all(start.as_bytes()).expect("written");
    let chunk = vec![b'x'; 1 << 20];
    (0..FIELD / chunk.len()).for_each(|_| file.write_all(&chunk).expect("written"));
    file.write_all(end.as_bytes()).expect("written");
    file.flush().expect("flushed");
}

#[test]
fn fault_9_a_field_of_100_mb_is_refused_in_little_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, start, end, said) in [
        ("plain.csv", "text,label\ngood,pos\n", ",neg\n", "line 3: a record of more than 4194304 bytes"),
        ("open.csv", "text,label\ngood,pos\n\"", "\",neg\n", "line 3: a quote opens here and is still open after"),
        ("one.tsv", "text\tlabel\n", "\tneg\n", "line 2: a record of more than 4194304 bytes"),
        ("head.csv", "", "\n", "line 1: "),
        ("field.jsonl", "{\"text\":\"", "\",\"label\":\"neg\"}\n", "line 1: longer than 4194304 bytes"),
    ] {
        let path = folder.path().join(name);
        write(&path, start, end);
        let output = Command::new("bash")
            .args(["-c", "ulimit -d \"$1\" && exec \"$2\" --dataset \"$3\" --validation-file \"$3\"", "bash"])
            .arg(ALLOWED.to_string())
            .arg(env!("CARGO_BIN_EXE_prepare-data"))
            .arg(&path)
            .current_dir(folder.path())
            .output()
            .expect("the program starts");
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{name}: {error}");
        assert!(error.contains(said), "{name}: {error}");
        std::fs::remove_file(path).expect("removed");
    }
}

/// The bound above is one that holds: with the same limit, a program that wants the field's size is stopped.
#[test]
fn the_limit_stops_who_wants_more() {
    let script = format!("ulimit -d {ALLOWED} && head -c {FIELD} /dev/zero | tail -n 1 > /dev/null");
    let output = Command::new("bash").args(["-o", "pipefail", "-c", &script]).output().expect("bash starts");
    assert!(!output.status.success(), "a field of 100 MB fits into the limit");
}
