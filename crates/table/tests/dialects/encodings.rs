//! Encodings and compression of text files.

use std::io::Write;

use flate2::write::GzEncoder;
use table::{FileFormat, ReadOptions, ending, stem};

use super::{encoding, read_file};

const TEXT: &str = "text,label\ncaf\u{E9} \u{1F600},pos\n\"two\nlines\",neg\n";

fn utf16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(to_bytes).collect()
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn zstandard(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 1).unwrap()
}

#[track_caller]
fn reads(file: &str, content: &[u8], options: &ReadOptions, notes: &[&str]) {
    let read = read_file(file, content, options).expect("it is read");
    assert_eq!(read.names, ["text", "label"]);
    assert_eq!(read.rows, [["caf\u{E9} \u{1F600}", "pos"], ["two\nlines", "neg"]]);
    assert_eq!((read.lines, read.notes), (vec![2, 3], notes.iter().map(ToString::to_string).collect()));
}

#[track_caller]
fn refused(file: &str, content: &[u8], options: &ReadOptions, expected: &str) {
    let message = read_file(file, content, options).err().expect("it is refused");
    assert!(message.contains(expected), "{message}");
}

#[test]
fn byte_order_marks_are_believed() {
    let default = ReadOptions::default();
    let (little, big) = (utf16(TEXT, u16::to_le_bytes), utf16(TEXT, u16::to_be_bytes));
    reads("a.csv", format!("\u{FEFF}{TEXT}").as_bytes(), &default, &[]);
    let mark = "UTF-16 (little-endian), by its byte-order mark";
    reads("a.csv", &[b"\xFF\xFE", &little[..]].concat(), &default, &[mark]);
    reads("a.csv", &[b"\xFF\xFE", &little[..]].concat(), &encoding("utf-16"), &[mark]);
    let mark = "UTF-16 (big-endian), by its byte-order mark";
    reads("a.csv", &[b"\xFE\xFF", &big[..]].concat(), &default, &[mark]);
    reads("a.csv", &little, &encoding("utf-16le"), &[]);
    reads("a.csv", &big, &encoding("UTF-16BE"), &[]);
    refused("a.csv", &little, &default, "(hint: --encoding utf-16le)");
    refused("a.csv", &big, &default, "(hint: --encoding utf-16be)");
    refused("a.csv", &[b"\xFF\xFE", &little[..]].concat(), &encoding("latin1"), "(hint: leave out --encoding)");
    let odd = [b"\xFF\xFE", &little[..], b"\x00"].concat();
    refused("a.csv", &odd, &default, &format!("byte {}", 2 + little.len()));
}

#[test]
fn other_encodings_are_named_by_the_refusal_and_read_by_the_flag() {
    for (name, text) in [
        ("windows-1252", "text,label\ngood,pos\ncaf\u{E9} au lait,neg\n"),
        ("windows-1251", "text,label\nОтличный фильм\u{2014}очень понравился,pos\nСкучно и долго,neg\n"),
        ("shift_jis", "text,label\nとても良い映画でした。また見たいです。,pos\n退屈な二時間。,neg\n"),
        ("gbk", "text,label\n这部电影非常好看我很喜欢,pos\n太无聊了浪费时间,neg\n"),
    ] {
        let bytes = encoding_rs::Encoding::for_label(name.as_bytes()).unwrap().encode(text).0;
        refused("a.csv", &bytes, &ReadOptions::default(), &format!("is not UTF-8 (hint: --encoding {name})"));
        let read = read_file("a.csv", &bytes, &encoding(name)).unwrap();
        let expected: Vec<Vec<&str>> = text.lines().skip(1).map(|line| line.split(',').collect()).collect();
        assert_eq!(read.rows, expected, "{name}");
        assert_eq!(read.notes, Vec::<String>::new());
    }
}

#[test]
fn an_encoding_that_would_spoil_utf8_is_questioned() {
    let read = read_file("a.csv", TEXT.as_bytes(), &encoding("latin1")).unwrap();
    assert_eq!(read.notes, ["its start is valid UTF-8 as well; is --encoding windows-1252 right?"]);
    assert_eq!(read_file("a.csv", b"text,label\na,b\n", &encoding("latin1")).unwrap().notes, Vec::<String>::new());
}

#[test]
fn bytes_that_are_not_of_the_encoding_are_refused_with_their_place() {
    let default = ReadOptions::default();
    refused("a.csv", b"text,label\ngood,pos\ncaf\xE9,neg\n", &default, "a.csv: byte 23 (line 3): 0xE9 is not UTF-8");
    refused("a.csv", b"text,label\ngood,pos\xE2\x82", &default, "byte 19 (line 2): 0xE2 is not UTF-8");
    refused("a.csv", b"text,label\ngood,pos\xE2\x82", &default, "unless the file is cut off here");
    // In text that is UTF-8 elsewhere, another encoding would spoil the rest.
    let mixed = [TEXT.repeat(20).as_bytes(), b"caf\xE9,pos\n"].concat();
    refused("a.csv", &mixed, &default, "the text before it is UTF-8");
    // Far behind what is read first.
    let long = ["text,label\n".as_bytes(), "good,pos\n".repeat(300_000).as_bytes(), b"\xE9t\xE9,neg\n"].concat();
    refused("a.csv", &long, &default, "byte 2700011 (line 300002): 0xE9 is not UTF-8 (hint: --encoding windows-1252)");
    refused("a.csv", &long, &encoding("euc-jp"), "byte 2700011 (line 300002): not EUC-JP, which --encoding names");
    refused("a.csv", b"text,label\na,\x81\xFF\n", &encoding("shift_jis"), "byte 13 (line 2): not Shift_JIS");
    refused("a.csv", TEXT.as_bytes(), &encoding("klingon"), "--encoding: not a known encoding (hint: utf-8, ");
}

#[test]
fn archives_are_unpacked_by_their_content() {
    let default = ReadOptions::default();
    for (name, archive) in [("gz", gzip(TEXT.as_bytes())), ("zst", zstandard(TEXT.as_bytes()))] {
        reads(&format!("a.csv.{name}"), &archive, &default, &[]);
        reads(&format!("A.CSV.{}", name.to_uppercase()), &archive, &default, &[]);
        let full = if name == "gz" { "gzip, by its content" } else { "Zstandard, by its content" };
        reads("a.csv", &archive, &default, &[full]);
        // What only has the ending is read as well.
        reads(&format!("a.csv.{name}"), TEXT.as_bytes(), &default, &[]);
        // Archives may stand behind one another.
        let two = [archive.clone(), archive.clone()].concat();
        let read = read_file(&format!("a.csv.{name}"), &two, &default).unwrap();
        assert_eq!(read.rows.len(), 5);
        for cut in [3, archive.len() / 2, archive.len() - 1] {
            let message = read_file(&format!("a.csv.{name}"), &archive[..cut], &default).err().unwrap();
            assert!(message.starts_with(&format!("a.csv.{name}: ")), "{message}");
            assert!(cut == 3 || message.contains("archive is cut off after"), "{cut}: {message}");
        }
        let mut damaged = archive.clone();
        damaged[archive.len() / 2] ^= 0x55;
        assert!(read_file(&format!("a.csv.{name}"), &damaged, &default).is_err() || name == "zst");
    }
    let marked = gzip(&[b"\xFF\xFE", &utf16(TEXT, u16::to_le_bytes)[..]].concat());
    reads("a.csv.gz", &marked, &default, &["UTF-16 (little-endian), by its byte-order mark"]);
    let late = gzip(&[&b"text,label\n"[..], "good,pos\n".repeat(300_000).as_bytes()].concat());
    refused("a.csv.gz", &late[..late.len() - 9], &default, "a.csv.gz: the gzip archive is cut off after ");
}

#[test]
fn what_is_no_text_is_refused_inside_archives_too() {
    let default = ReadOptions::default();
    for (content, expected) in [
        (&b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n"[..], "a Git LFS pointer"),
        (b"<!DOCTYPE html>\n<html>\n", "a web page"),
        (&[0; 100], "only zero bytes"),
        (b"PAR1....", "Parquet, not text"),
        (b"PK\x03\x04....", "a spreadsheet"),
        (b"\xFD7zXZ\0\0\0", "`xz -d FILE`"),
    ] {
        refused("a.csv", content, &default, expected);
        refused("a.csv.gz", &gzip(content), &default, expected);
        refused("a.jsonl.zst", &zstandard(content), &default, expected);
    }
    refused("a.csv", b"PK\x03\x04....", &encoding("latin1"), "a spreadsheet");
    refused("a.csv", &utf16(TEXT, u16::to_le_bytes), &encoding("latin1"), "(hint: --encoding utf-16le)");
    refused("a.csv.gz", &gzip(&gzip(TEXT.as_bytes())), &default, "an archive inside an archive");
    refused("a.csv.gz", &gzip(b""), &default, "the gzip archive is empty");
    refused("a.csv", b"", &default, "the file is empty (0 bytes)");
    refused("a.parquet.gz", &gzip(b"PAR1...."), &default, "`gzip -d FILE` unpacks it");
}

#[test]
fn the_inner_ending_is_that_of_the_format() {
    let format = |name: &str| FileFormat::of(name.as_ref()).map(|format| format.name);
    assert_eq!(format("a.csv.gz"), Some("CSV"));
    assert_eq!(format("a.TSV.ZST"), Some("TSV"));
    assert_eq!(format("a.b.jsonl.gz"), Some("JSONL"));
    assert_eq!(format("a.parquet.gz"), Some("Parquet"));
    assert_eq!(format("a.gz"), None);
    assert_eq!((ending("a.gz".as_ref()), ending("a.xlsx.gz".as_ref())), ("gz".into(), "xlsx".into()));
    assert_eq!(stem("x/train.csv.gz".as_ref()).as_deref(), Some("train"));
    assert_eq!(stem("x/train.csv".as_ref()).as_deref(), Some("train"));
}
