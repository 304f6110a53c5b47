//! CSV and TSV as people have them: right, or refused with the line and the flag that decides; never silently wrong.

mod encodings;
mod inputs;
mod round_trip;
mod streams;

use std::fs;
use std::path::Path;

use table::{Quoting, ReadOptions, Table, TableError};
use tempfile::TempDir;

/// A table as it was read.
struct Read {
    names: Vec<String>,
    rows: Vec<Vec<String>>,
    lines: Vec<u64>,
    notes: Vec<String>,
}

fn read(table: Table) -> Result<Read, TableError> {
    let names: Vec<String> = table.columns().iter().map(|column| column.name.clone()).collect();
    let notes = table.notes().to_vec();
    let all: Vec<usize> = (0..names.len()).collect();
    let (mut rows, mut lines) = (Vec::new(), Vec::new());
    for row in table.rows(&all)? {
        let row = row?;
        rows.push(row.cells.iter().map(ToString::to_string).collect());
        lines.push(row.line.expect("CSV has lines"));
    }
    Ok(Read { names, rows, lines, notes })
}

/// Reads a file of this name and content.
fn read_file(name: &str, content: &[u8], options: &ReadOptions) -> Result<Read, String> {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join(name);
    fs::write(&path, content).expect("written");
    let short = |error: TableError| error.to_string().replace(&format!("{}/", folder.path().display()), "");
    Table::open(Path::new(&path), options).and_then(read).map_err(short)
}

fn quoting(quoting: Quoting) -> ReadOptions {
    ReadOptions { quoting: Some(quoting), ..ReadOptions::default() }
}

fn encoding(name: &str) -> ReadOptions {
    ReadOptions { encoding: Some(name.into()), ..ReadOptions::default() }
}
