//! What is written as Parquet or Arrow is read back as it was, or refused with its row and column.

use std::path::Path;

use proptest::prelude::*;

use crate::column::{Column, DeclaredType, ValueType};
use crate::{Cell, ReadOptions, Row, Table, TableError, TableWriter};

const FORMATS: [&str; 2] = ["a.parquet", "a.arrow"];

fn column(name: &str, declared: Option<(ValueType, &str)>) -> Column {
    let declared =
        declared.map(|(values, type_name)| DeclaredType { values, type_name: type_name.into(), class_names: None });
    Column { name: name.into(), declared }
}

fn write(path: &Path, columns: &[Column], rows: &[Vec<Cell>]) -> Result<(), TableError> {
    let mut writer = TableWriter::create(path, columns)?;
    rows.iter().try_for_each(|cells| writer.write(cells))?;
    writer.finish()
}

fn read(path: &Path) -> (Vec<Column>, Vec<Row>) {
    let table = Table::open(path, &ReadOptions::default()).unwrap();
    let columns = table.columns().to_vec();
    let all: Vec<usize> = (0..columns.len()).collect();
    (columns, table.rows(&all).unwrap().collect::<Result<_, _>>().unwrap())
}

fn value(kind: usize) -> BoxedStrategy<Cell> {
    let filled = match kind {
        0 => any::<String>().prop_map(Cell::Text).boxed(),
        1 => any::<i64>().prop_map(Cell::Integer).boxed(),
        2 => (-1e300..1e300).prop_map(Cell::Float).boxed(),
        3 => any::<bool>().prop_map(Cell::Bool).boxed(),
        _ => any::<u64>()
            .prop_map(|number| i64::try_from(number).map_or(Cell::Text(number.to_string()), Cell::Integer))
            .boxed(),
    };
    prop_oneof![4 => filled, 1 => Just(Cell::Missing)].boxed()
}

const KINDS: [(ValueType, &str); 5] = [
    (ValueType::Text, "Utf8"),
    (ValueType::Integer, "Int64"),
    (ValueType::Float, "Float64"),
    (ValueType::Bool, "Boolean"),
    (ValueType::Integer, "UInt64"),
];

fn tables() -> impl Strategy<Value = (Vec<usize>, Vec<Vec<Cell>>)> {
    prop::collection::vec(0..KINDS.len(), 1..6).prop_flat_map(|kinds| {
        let row: Vec<_> = kinds.iter().map(|&kind| value(kind)).collect();
        (Just(kinds), prop::collection::vec(row, 0..60))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_table_is_read_back((kinds, rows) in tables()) {
        let columns: Vec<Column> =
            kinds.iter().enumerate().map(|(at, &kind)| column(&format!("column {at}"), Some(KINDS[kind]))).collect();
        let folder = tempfile::tempdir().unwrap();
        for name in FORMATS {
            let path = folder.path().join(name);
            write(&path, &columns, &rows).unwrap();
            let (found, read) = read(&path);
            prop_assert_eq!(&found, &columns);
            prop_assert!(read.iter().map(|row| row.number).eq(1..=rows.len() as u64));
            prop_assert_eq!(read.into_iter().map(|row| row.cells).collect::<Vec<_>>(), rows.clone());
        }
    }
}

/// More rows than a batch and a row group hold.
#[test]
fn many_rows_are_read_back_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let columns = [column("n", Some(KINDS[1])), column("text", None)];
    for name in FORMATS {
        let path = folder.path().join(name);
        let mut writer = TableWriter::create(&path, &columns).unwrap();
        for row in 0..70_000 {
            writer.write(&[Cell::Integer(row), Cell::Text(format!("text {row}"))]).unwrap();
        }
        assert!(!path.exists(), "it appears when it is complete");
        writer.finish().unwrap();
        let (_, rows) = read(&path);
        assert_eq!(rows.len(), 70_000);
        assert!(rows.iter().zip(0..).all(|(row, at)| row.cells[0] == Cell::Integer(at)));
    }
    let groups = ::parquet::file::metadata::ParquetMetaDataReader::new()
        .parse_and_finish(&std::fs::File::open(folder.path().join(FORMATS[0])).unwrap())
        .unwrap();
    assert_eq!(groups.num_row_groups(), 2);
}

/// Long texts end a batch and a row group early.
#[test]
fn row_groups_are_bounded_in_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FORMATS[0]);
    let mut writer = TableWriter::create(&path, &[column("text", None)]).unwrap();
    // Letters at random, which don't compress.
    let mut state = 1_u32;
    let mut letter = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'!' + (state >> 24) as u8 % 90)
    };
    for _ in 0..20 {
        let text: String = (0..4 << 20).map(|_| letter()).collect();
        writer.write(&[Cell::Text(text)]).unwrap();
    }
    writer.finish().unwrap();
    let groups = ::parquet::file::metadata::ParquetMetaDataReader::new()
        .parse_and_finish(&std::fs::File::open(&path).unwrap())
        .unwrap();
    assert!(groups.num_row_groups() > 1, "{} row groups", groups.num_row_groups());
    assert!(groups.row_groups().iter().all(|group| group.total_byte_size() < 100 << 20));
    assert_eq!(read(&path).1.len(), 20);
}

#[test]
fn a_column_without_a_type_has_its_values_as_displayed() {
    let folder = tempfile::tempdir().unwrap();
    let columns = [column("any", None), column("list", Some((ValueType::Other, "List(Int64)")))];
    let cells = |any: Cell| vec![any, Cell::Nested("[1,2]".into())];
    let values = [Cell::Integer(7), Cell::Float(0.5), Cell::Bool(true), Cell::Missing, Cell::Text(String::new())];
    for name in FORMATS {
        let path = folder.path().join(name);
        write(&path, &columns, &values.clone().map(cells)).unwrap();
        let (found, rows) = read(&path);
        assert!(found.iter().all(|column| column.declared.as_ref().unwrap().type_name == "Utf8"));
        let text = |text: &str| Cell::Text(text.into());
        let any: Vec<Cell> = rows.iter().map(|row| row.cells[0].clone()).collect();
        assert_eq!(any, [text("7"), text("0.5"), text("true"), Cell::Missing, text("")]);
        assert!(rows.iter().all(|row| row.cells[1] == text("[1,2]")));
    }
}

#[test]
fn class_names_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut label = column("label", Some(KINDS[1]));
    label.declared.as_mut().unwrap().class_names = Some(vec!["bad".into(), "good".into()]);
    let columns = [column("text", Some(KINDS[0])), label];
    for name in FORMATS {
        let path = folder.path().join(name);
        write(&path, &columns, &[vec![Cell::Text("a".into()), Cell::Integer(1)]]).unwrap();
        assert_eq!(read(&path).0, columns);
    }
}

#[test]
fn what_does_not_fit_is_refused_with_its_row_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let text = |text: &str| Cell::Text(text.into());
    let cases = [
        (KINDS[0], Cell::Integer(7), "expected text, found a number \"7\""),
        (KINDS[1], text("7"), "expected a whole number of 64 bits, found text \"7\""),
        (KINDS[1], Cell::Float(7.0), "expected a whole number of 64 bits, found a number \"7\""),
        (KINDS[2], text("x"), "expected a number, found text \"x\""),
        (
            KINDS[2],
            Cell::Integer((1 << 53) + 1),
            "expected a number that 64-bit floats have, found a number \"9007199254740993\"",
        ),
        (KINDS[2], Cell::Integer(i64::MAX), "expected a number that 64-bit floats have"),
        (KINDS[3], Cell::Integer(1), "expected true or false, found a number \"1\""),
        (KINDS[4], Cell::Integer(-1), "expected a whole number from 0, found a number \"-1\""),
        (KINDS[4], text("18446744073709551616"), "expected a whole number from 0, found text"),
        (KINDS[0], text(&"x".repeat((4 << 20) + 1)), "a value of 4194305 bytes; the most that is written is 4194304"),
    ];
    for (kind, cell, expected) in cases {
        for name in FORMATS {
            let path = folder.path().join(name);
            let columns = [column("first", None), column("second", Some(kind))];
            let rows = [vec![text("a"), Cell::Missing], vec![text("b"), cell.clone()]];
            let message = write(&path, &columns, &rows).unwrap_err().to_string();
            assert!(message.contains(&format!("{name}: row 2, column \"second\": {expected}")), "{message}");
            assert!(!path.exists());
        }
    }
    for name in FORMATS {
        let message = write(&folder.path().join(name), &[column("a", None), column("a", None)], &[]).unwrap_err();
        assert!(message.to_string().contains("two columns are called \"a\""), "{message}");
    }
}

#[test]
fn whole_numbers_fit_a_column_of_floats() {
    let folder = tempfile::tempdir().unwrap();
    for name in FORMATS {
        let path = folder.path().join(name);
        write(&path, &[column("n", Some(KINDS[2]))], &[vec![Cell::Integer(-3)], vec![Cell::Integer(1 << 60)]]).unwrap();
        let cells: Vec<Cell> = read(&path).1.into_iter().map(|mut row| row.cells.remove(0)).collect();
        assert_eq!(cells, [Cell::Float(-3.0), Cell::Float((1_i64 << 60) as f64)]);
    }
}

/// Who closes the pipe is told apart from a full disk.
#[test]
fn a_closed_pipe_stays_one() {
    struct Closed;
    impl std::io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    for name in ["Parquet", "Arrow"] {
        let format = crate::FileFormat::named(name).unwrap();
        let columns = [column("a", None)];
        let end = TableWriter::stream("standard output", format, Box::new(Closed), &columns).and_then(|mut writer| {
            writer.write(&[Cell::Missing])?;
            writer.finish()
        });
        let Err(TableError::Io { source, .. }) = end else { panic!("{end:?}") };
        assert_eq!(source.kind(), std::io::ErrorKind::BrokenPipe, "{name}: {source}");
    }
}
