//! Round trips and damaged files.

use super::*;
use arrow::array::StringArray;
use proptest::prelude::*;

type Row = (String, Option<u32>, Vec<u32>);

fn write(path: &Path, rows: &[Row]) -> Written {
    let mut writer = Writer::create(path).unwrap();
    for (text, label, ids) in rows {
        writer.push(text, *label, ids).unwrap();
    }
    writer.finish().unwrap()
}

fn read(examples: &Examples) -> Result<Vec<Row>, DataError> {
    let row = |row| Ok((examples.text(row)?.to_owned(), examples.label(row), examples.input_ids(row)?.to_vec()));
    (0..examples.len()).map(row).collect()
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (any::<String>(), prop::option::of(0u32..5), prop::collection::vec(any::<u32>(), 0..20));
    prop::collection::vec(row, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read(rows in rows()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train.arrow");
        let written = write(&path, &rows);
        let bytes = std::fs::read(&path).unwrap();
        prop_assert_eq!(written.bytes, bytes.len() as u64);
        prop_assert_eq!(written.sha256, disk::sha256_hex(&bytes));
        let examples = Examples::open(&path).unwrap();
        prop_assert_eq!(examples.token_counts(), rows.iter().map(|row| row.2.len() as u32).collect::<Vec<_>>());
        prop_assert_eq!(read(&examples).unwrap(), rows);
    }

    #[test]
    fn a_damaged_file_is_read_or_refused_but_never_panics(
        rows in rows(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train.arrow");
        write(&path, &rows);
        let mut bytes = std::fs::read(&path).unwrap();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        std::fs::write(&path, &bytes).unwrap();
        if let Ok(examples) = Examples::open(&path) {
            let _ = read(&examples);
            prop_assert_eq!(examples.token_counts().len(), examples.len());
        }
    }
}

fn small() -> (tempfile::TempDir, PathBuf, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("train.arrow");
    let row = |text: &str, label, ids: &[u32]| (text.to_owned(), label, ids.to_vec());
    write(
        &path,
        &[row("good", Some(1), &[101, 204, 102]), row("é", None, &[101, 102]), row("", Some(0), &[101, 9, 102])],
    );
    let bytes = std::fs::read(&path).unwrap();
    (folder, path, bytes)
}

#[test]
fn every_truncation_is_refused() {
    let (_folder, path, bytes) = small();
    for length in 0..bytes.len() {
        std::fs::write(&path, &bytes[..length]).unwrap();
        assert!(Examples::open(&path).is_err(), "cut to {length} of {} bytes", bytes.len());
    }
}

/// Every byte of the file, every bit of it: the header's lengths and offsets are all among them.
#[test]
fn every_flipped_bit_is_read_or_refused() {
    let (_folder, path, bytes) = small();
    let mut refused = 0;
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            std::fs::write(&path, &damaged).unwrap();
            refused += usize::from(Examples::open(&path).and_then(|examples| read(&examples)).is_err());
        }
    }
    assert!(refused > bytes.len(), "{refused} refusals over {} bytes", bytes.len());
}

#[test]
fn rows_are_found_across_record_batches() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("train.arrow");
    let rows: Vec<Row> = (0..2 * ROWS_PER_BATCH as u32 + 3)
        .map(|row| (format!("text {row}"), (row % 3 > 0).then_some(row % 3), (0..row % 7).map(|id| row + id).collect()))
        .collect();
    write(&path, &rows);
    let examples = Examples::open(&path).unwrap();
    assert_eq!(examples.chunks.len(), 3);
    assert_eq!(read(&examples).unwrap(), rows);
}

#[test]
fn ids_are_slices_of_the_memory_map() {
    let (_folder, path, _) = small();
    let examples = Examples::open(&path).unwrap();
    let copy = examples.clone();
    let ids = examples.input_ids(0).unwrap();
    assert_eq!(ids.as_ptr(), copy.input_ids(0).unwrap().as_ptr());
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let Some(line) = maps.lines().find(|line| line.ends_with("train.arrow") && inside(line, ids)) else {
        assert!(maps.is_empty(), "the ids don't lie in the mapped file");
        return test_support::skipped("this system has no /proc/self/maps");
    };
    assert!(inside(line, examples.text(0).unwrap().as_bytes()));
}

fn inside<T>(line: &str, slice: &[T]) -> bool {
    let Some((start, end)) = line.split_whitespace().next().and_then(|range| range.split_once('-')) else {
        return false;
    };
    let hex = |text| u64::from_str_radix(text, 16).unwrap_or(0);
    (hex(start)..hex(end)).contains(&(slice.as_ptr() as u64))
}

#[test]
fn a_damaged_row_is_reported_when_it_is_read() {
    let (_folder, path, bytes) = small();
    let at = bytes.windows(6).position(|window| window == "good\u{E9}".as_bytes()).unwrap();
    let mut damaged = bytes.clone();
    damaged[at] = 0xFF;
    std::fs::write(&path, damaged).unwrap();
    let examples = Examples::open(&path).unwrap();
    let message = examples.text(0).unwrap_err().to_string();
    assert!(message.contains("train.arrow") && message.contains("row 0 holds no text"), "{message}");
    assert_eq!((examples.text(1).unwrap(), examples.input_ids(0).unwrap()), ("\u{E9}", [101, 204, 102].as_slice()));
    std::fs::write(&path, bytes).unwrap();
    let examples = Examples::open(&path).unwrap().with_vocab_size(200);
    assert_eq!(examples.input_ids(1).unwrap(), [101, 102]);
    let message = examples.input_ids(0).unwrap_err().to_string();
    assert!(message.contains("row 0: token id 204 is not below the vocabulary's size 200 (hint"), "{message}");
}

#[test]
fn another_arrow_file_is_refused_with_its_columns() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.arrow");
    let batch = RecordBatch::try_from_iter([("sentence", Arc::new(StringArray::from(vec!["a"])) as ArrayRef)]).unwrap();
    let mut writer = FileWriter::try_new(File::create(&path).unwrap(), &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    let message = Examples::open(&path).unwrap_err().to_string();
    assert!(message.contains("sentence") && message.contains("prepare the data again"), "{message}");
}

#[test]
fn an_existing_file_is_not_overwritten() {
    let (_folder, path, bytes) = small();
    assert!(Writer::create(&path).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}
