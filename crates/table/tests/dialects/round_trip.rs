//! Any table in any dialect, encoding and compression is read back as it was written.

use std::fs;

use proptest::prelude::*;
use table::{Cell, Column, FileFormat, Quoting, ReadOptions, Table, TableWriter};
use tempfile::TempDir;

use super::encodings::{gzip, zstandard};
use super::{Read, quoting, read, read_file};

/// Fields as a program writes them that knows the dialect; the header's names are never a value.
fn written(rows: &[Vec<String>], separator: char, all_quoted: bool) -> String {
    let line = |row: &Vec<String>| {
        let field = |text: &String| {
            let alone = row.len() == 1;
            if all_quoted || alone || text.contains([separator, '"', '\r', '\n']) {
                format!("\"{}\"", text.replace('"', "\"\""))
            } else {
                text.clone()
            }
        };
        row.iter().map(field).collect::<Vec<_>>().join(&separator.to_string()) + "\n"
    };
    rows.iter().map(line).collect()
}

fn encoded(text: &str, encoding: usize) -> Vec<u8> {
    match encoding {
        0 => text.into(),
        1 => format!("\u{FEFF}{text}").into(),
        2 => format!("\u{FEFF}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect(),
        _ => format!("\u{FEFF}{text}").encode_utf16().flat_map(u16::to_be_bytes).collect(),
    }
}

fn compressed(bytes: Vec<u8>, compression: usize) -> Vec<u8> {
    match compression {
        0 => bytes,
        1 => gzip(&bytes),
        _ => zstandard(&bytes),
    }
}

fn tables() -> impl Strategy<Value = Vec<Vec<String>>> {
    (1_usize..5).prop_flat_map(|columns| {
        let row = prop::collection::vec("[a-d0-2,;|\t\"\n\r\u{E9}\u{1F600} ]{0,8}", columns);
        prop::collection::vec(row, 1..12)
    })
}

/// Equal; or, where each line of a text may be a row of its own, refused with the flag that decides.
fn check(result: Result<Read, String>, names: &[String], rows: &[Vec<String>], separator: char, certain: bool) {
    let like_rows = |field: &String| field.contains(separator) && field.contains('\n');
    match result {
        Ok(read) => assert_eq!((&read.names[..], &read.rows[..]), (names, rows)),
        Err(message) => {
            assert!(
                !certain && rows.iter().flatten().any(like_rows) && message.contains("--quoting double"),
                "{message}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn any_dialect_is_read_back(
        rows in tables(),
        separator in prop::sample::select(vec![',', ';', '\t', '|']),
        all_quoted: bool,
        header: bool,
        encoding in 0_usize..4,
        compression in 0_usize..3,
    ) {
        let names: Vec<String> = (0..rows[0].len()).map(|column| format!("name {column}")).collect();
        let own = if separator == '\t' { "a.tsv" } else { "a.csv" };
        let all: Vec<Vec<String>> =
            if header { [std::slice::from_ref(&names), &rows[..]].concat() } else { rows.clone() };
        let bytes = compressed(encoded(&written(&all, separator, all_quoted), encoding), compression);
        let names = if header { names } else { (1..=rows[0].len()).map(|number| number.to_string()).collect() };
        // With every flag, nothing is left to be found.
        let given = ReadOptions {
            separator: Some(separator as u8),
            no_header: !header,
            ..quoting(Quoting::Double)
        };
        check(read_file(own, &bytes, &given), &names, &rows, separator, true);
        // Without flags, where nothing but the names of columns could be taken for another separator.
        let others = |field: &String| field.contains([',', ';', '\t', '|']);
        let sure = ",\t".contains(separator) || (rows[0].len() > 1 && !rows.iter().flatten().any(others));
        if header && sure {
            check(read_file(own, &bytes, &ReadOptions::default()), &names, &rows, separator, false);
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

    /// Another reader of RFC 4180, which accepts more, reads the same in whatever is accepted here.
    #[test]
    fn what_is_accepted_is_read_as_others_read_it(body in "([ab,\"\n]|\"a\"|\"\"|\r\n){0,30}") {
        let content = format!("x,y\n{body}");
        let options = ReadOptions { separator: Some(b','), ..quoting(Quoting::Double) };
        if let Ok(read) = read_file("a.csv", content.as_bytes(), &options) {
            let mut reader = csv::Reader::from_reader(content.as_bytes());
            let rows: Vec<Vec<String>> = reader
                .records()
                .map(|record| record.expect("accepted").iter().map(str::to_owned).collect())
                .collect();
            prop_assert_eq!(read.rows, rows);
        }
    }

    /// Quotes that are characters: no row of a file of tabs is lost, whatever its texts are.
    #[test]
    fn tab_separated_lines_are_rows(
        texts in prop::collection::vec("[ab\" ]{1,8}", 2..12),
        labels in prop::collection::vec("[01]", 12),
    ) {
        // Doubled quotes, and a column that is in quotes throughout, are as a writer of quoted fields leaves them.
        let mut rows: Vec<Vec<String>> = texts.into_iter().zip(labels).map(|(text, label)| vec![text, label]).collect();
        rows[0][0].insert(0, 'a');
        for row in &mut rows {
            while row[0].contains("\"\"") {
                row[0] = row[0].replace("\"\"", "\"");
            }
        }
        let content: String = rows.iter().map(|row| format!("{}\t{}\n", row[0], row[1])).collect();
        match read_file("a.tsv", format!("text\tlabel\n{content}").as_bytes(), &ReadOptions::default()) {
            Ok(read) => prop_assert_eq!(read.rows, rows),
            Err(message) => prop_assert!(message.contains("--quoting none"), "{message}"),
        }
    }
}

// Each case syncs five files.
proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn what_is_written_is_read_back(rows in tables(), missing in 0_usize..12) {
        let folder = TempDir::new().unwrap();
        let names: Vec<String> = (0..rows[0].len()).map(|column| format!("name {column}")).collect();
        let columns: Vec<Column> =
            names.iter().map(|name| Column { name: name.clone(), declared: None }).collect();
        for name in ["a.csv", "a.tsv", "a.csv.gz", "a.tsv.zst", "a.csv.zst"] {
            let path = folder.path().join(name);
            let mut writer = TableWriter::create(&path, &columns).unwrap();
            let mut expected = rows.clone();
            for (row, number) in expected.iter_mut().zip(0..) {
                let mut cells: Vec<Cell> = row.iter().cloned().map(Cell::Text).collect();
                if number == missing {
                    cells[0] = Cell::Missing;
                    row[0].clear();
                }
                writer.write(&cells).unwrap();
            }
            prop_assert!(!path.exists(), "it appears when it is complete");
            writer.finish().unwrap();
            let table = Table::open(&path, &ReadOptions::default()).and_then(read);
            let separator = if name.contains("tsv") { '\t' } else { ',' };
            check(table.map_err(|error| error.to_string()), &names, &expected, separator, false);
            let table = Table::open(&path, &quoting(Quoting::Double)).and_then(read);
            check(table.map_err(|error| error.to_string()), &names, &expected, separator, true);
        }
    }
}

#[test]
fn values_of_every_kind_are_written_as_they_are_shown() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.csv");
    let columns = ["a", "b", "c", "d", "e"].map(|name| Column { name: name.into(), declared: None });
    let mut writer = TableWriter::create(&path, &columns).unwrap();
    let nested = Cell::Nested("[\"x\"]".into());
    writer.write(&[Cell::Integer(-7), Cell::Float(0.5), Cell::Bool(true), Cell::Missing, nested]).unwrap();
    writer.write(&["", " b ", "c", "\u{E9}", "e\r\n"].map(|text| Cell::Text(text.into()))).unwrap();
    writer.finish().unwrap();
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "a,b,c,d,e\n-7,0.5,true,,\"[\"\"x\"\"]\"\n, b ,c,\u{E9},\"e\r\n\"\n"
    );
    for name in ["a.csv.gz", "a.csv.zst"] {
        let path = folder.path().join(name);
        let mut writer = TableWriter::create(&path, &columns[..2]).unwrap();
        writer.write(&[Cell::Integer(1), Cell::Missing]).unwrap();
        writer.finish().unwrap();
        let bytes = fs::read(&path).unwrap();
        assert!(bytes.starts_with(if name.ends_with("gz") { b"\x1F\x8B" } else { b"\x28\xB5" }));
        assert_eq!(read(Table::open(&path, &ReadOptions::default()).unwrap()).unwrap().rows, [["1", ""]]);
    }
    assert!(FileFormat::written().starts_with("CSV, TSV") || FileFormat::written() == "CSV or TSV");
}
