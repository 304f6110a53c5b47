//! Tables from a stream: each row comes as soon as its line is there.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use table::{FileFormat, ReadOptions, Row, Table, TableError};

use super::encodings::{gzip, zstandard};

/// What a program writes, as it writes it.
struct Pipe {
    pieces: Receiver<Vec<u8>>,
    rest: Vec<u8>,
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() {
            self.rest = self.pieces.recv().unwrap_or_default();
        }
        let length = self.rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.rest[..length]);
        self.rest.drain(..length);
        Ok(length)
    }
}

/// The rows of a pipe into which pieces are written.
fn pipe(format: &'static str, options: ReadOptions) -> (Sender<Vec<u8>>, Receiver<Result<Row, TableError>>) {
    let (pieces, receiver) = channel();
    let (rows, results) = channel();
    std::thread::spawn(move || {
        let format = FileFormat::named(format).expect("a format");
        let stream = Box::new(Pipe { pieces: receiver, rest: Vec::new() });
        let table = match Table::from_stream("standard input", format, stream, &options) {
            Ok(table) => table,
            Err(error) => return drop(rows.send(Err(error))),
        };
        let all: Vec<usize> = (0..table.columns().len()).collect();
        table.rows(&all).expect("columns").for_each(|row| drop(rows.send(row)));
    });
    (pieces, results)
}

fn next(rows: &Receiver<Result<Row, TableError>>) -> String {
    let row = rows.recv_timeout(Duration::from_secs(20)).expect("a row, though the pipe is open").expect("no error");
    row.cells.iter().map(ToString::to_string).collect::<Vec<_>>().join("/")
}

#[test]
fn a_row_comes_when_its_line_is_complete() {
    for (format, separator) in [("CSV", ","), ("CSV", ";"), ("TSV", "\t")] {
        let (pipe, rows) = pipe(format, ReadOptions::default());
        let write = |text: &str| pipe.send(text.replace(',', separator).into_bytes()).unwrap();
        write("te");
        write("xt,label\n");
        write("fine,pos\n");
        assert_eq!(next(&rows), "fine/pos");
        write("\"a");
        write("\nb\",neg\r");
        write("\n");
        assert_eq!(next(&rows), "a\nb/neg");
        write("very \"good\",");
        write("pos\n");
        assert_eq!(next(&rows), "very \"good\"/pos");
        write("last,neg");
        drop(pipe);
        assert_eq!(next(&rows), "last/neg");
        assert!(rows.recv().is_err(), "no more rows");
    }
}

#[test]
fn the_first_line_is_a_row_without_a_header() {
    let (pipe, rows) = pipe("TSV", ReadOptions { no_header: true, ..ReadOptions::default() });
    pipe.send(b"(\"Great\" film; really\t1\n".to_vec()).unwrap();
    assert_eq!(next(&rows), "(\"Great\" film; really/1");
    pipe.send("\"Great\" \u{1F600}\t0\n".into()).unwrap();
    assert_eq!(next(&rows), "\"Great\" \u{1F600}/0");
}

#[test]
fn lines_of_json_come_one_by_one() {
    let (pipe, rows) = pipe("JSONL", ReadOptions::default());
    pipe.send(b"{\"text\": \"fine\"}\n".to_vec()).unwrap();
    assert_eq!(next(&rows), "fine");
    pipe.send(b"{\"text\": \"dull\"}\n".to_vec()).unwrap();
    assert_eq!(next(&rows), "dull");
}

#[test]
fn characters_and_archives_may_arrive_in_pieces() {
    let text = "text,label\ncaf\u{E9} \u{1F600},pos\n";
    let utf16: Vec<u8> = [0xFEFF].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    for bytes in [text.as_bytes().to_vec(), utf16, gzip(text.as_bytes()), zstandard(text.as_bytes())] {
        let (pipe, rows) = pipe("CSV", ReadOptions::default());
        bytes.iter().for_each(|byte| pipe.send(vec![*byte]).unwrap());
        drop(pipe);
        assert_eq!(next(&rows), "caf\u{E9} \u{1F600}/pos");
        assert!(rows.recv().is_err(), "no more rows");
    }
}

#[test]
fn an_error_comes_behind_the_rows_before_it() {
    let (pipe, rows) = pipe("CSV", ReadOptions::default());
    pipe.send(b"text,label\nfine,pos\n".to_vec()).unwrap();
    assert_eq!(next(&rows), "fine/pos");
    pipe.send(b"caf\xE9,neg\n".to_vec()).unwrap();
    let error = rows.recv().unwrap().unwrap_err().to_string();
    assert_eq!(error, "standard input: byte 23 (line 3): 0xE9 is not UTF-8 (hint: --encoding windows-1252)");
    let (empty, rows) = self::pipe("CSV", ReadOptions::default());
    drop(empty);
    assert_eq!(rows.recv().unwrap().unwrap_err().to_string(), "standard input: the input is empty (0 bytes)");
    let (parquet, rows) = self::pipe("Parquet", ReadOptions::default());
    drop(parquet);
    assert!(rows.recv().unwrap().unwrap_err().to_string().contains("not from a pipe (hint: save it to a file first)"));
}
