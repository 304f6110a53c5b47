//! `out-of-fold.csv`: each training row with the probabilities of the one model of a group that did not train on it.
//!
//! Columns are `row` (in the training split, from 0), `fold` (from 1), `text`, `label`, `predicted_label`, and
//! `probability_NAME` for each class. Numbers are written with the fewest digits that are read back to the same bits. The
//! member of a fold writes a file of the same form with its own rows, [`HELD_OUT`].

use std::path::Path;

use csv::{ReaderBuilder, WriterBuilder};
use disk::{DiskError, write_atomic};

use crate::error::{Result, RunError};

/// The predictions of all training rows, in the folder of a group.
pub const OUT_OF_FOLD: &str = "out-of-fold.csv";
/// The same for the rows that one fold holds out, in the folder of its run.
pub const HELD_OUT: &str = "held-out.csv";

const COLUMNS: [&str; 5] = ["row", "fold", "text", "label", "predicted_label"];
const PROBABILITY: &str = "probability_";

/// Rows in order, each with a prediction by a model that did not train on it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OutOfFold {
    pub label_names: Vec<String>,
    pub rows: Vec<OutOfFoldRow>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct OutOfFoldRow {
    /// The row of the training split, from 0.
    pub row: u64,
    /// The fold that holds it out, from 1.
    pub fold: u32,
    pub text: String,
    /// The label in the data, an index into the label names.
    pub label: u32,
    /// The probability of each class.
    pub probabilities: Vec<f32>,
}

impl OutOfFoldRow {
    /// The class with the highest probability; of equal ones the first.
    pub fn prediction(&self) -> u32 {
        let mut best = 0;
        for (class, p) in self.probabilities.iter().enumerate() {
            if *p > self.probabilities[best] {
                best = class;
            }
        }
        best as u32
    }
}

impl OutOfFold {
    /// The true class of each row.
    pub fn truth(&self) -> Vec<u32> {
        self.rows.iter().map(|row| row.label).collect()
    }

    pub fn predictions(&self) -> Vec<u32> {
        self.rows.iter().map(OutOfFoldRow::prediction).collect()
    }

    /// For each row the probability of each class.
    pub fn probabilities(&self) -> Vec<Vec<f32>> {
        self.rows.iter().map(|row| row.probabilities.clone()).collect()
    }

    /// The rows of several files in the order of the training split.
    ///
    /// # Errors
    /// Names the first row, of `0..count`, that isn't there exactly once; other label names.
    pub fn merge(parts: Vec<Self>, count: usize) -> Result<Self, String> {
        let Some(label_names) = parts.first().map(|part| part.label_names.clone()) else { return Ok(Self::default()) };
        if parts.iter().any(|part| part.label_names != label_names) {
            return Err("folds have different labels".to_owned());
        }
        let mut rows: Vec<OutOfFoldRow> = parts.into_iter().flat_map(|part| part.rows).collect();
        rows.sort_by_key(|row| (row.row, row.fold));
        let misplaced = rows.iter().zip(0..).find(|(row, at)| row.row != *at).map(|(row, at)| (row.row, at));
        match misplaced {
            Some((found, expected)) if found < expected => Err(format!("training row {found} was held out twice")),
            Some((_, expected)) => Err(format!("training row {expected} was never held out")),
            None if rows.len() != count => Err(format!("expected {count} training rows, found {}", rows.len())),
            None => Ok(Self { label_names, rows }),
        }
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// A folder that can't be written to, a full disk.
    pub fn write(&self, path: &Path) -> Result<()> {
        let fail = |error: csv::Error| DiskError::at("write", path)(error.into());
        let mut csv = WriterBuilder::new().from_writer(Vec::new());
        let probabilities = self.label_names.iter().map(|name| format!("{PROBABILITY}{name}"));
        csv.write_record(COLUMNS.map(str::to_owned).into_iter().chain(probabilities)).map_err(fail)?;
        for row in &self.rows {
            let [label, predicted] =
                [row.label, row.prediction()].map(|class| self.label_names[class as usize].clone());
            let fixed = [row.row.to_string(), row.fold.to_string(), row.text.clone(), label, predicted];
            csv.write_record(fixed.into_iter().chain(row.probabilities.iter().map(f32::to_string))).map_err(fail)?;
        }
        let bytes = csv.into_inner().map_err(|error| DiskError::at("write", path)(error.into_error()))?;
        Ok(write_atomic(path, bytes)?)
    }

    /// Reads the file.
    ///
    /// # Errors
    /// A file that isn't there; the line that isn't as it was written.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(DiskError::at("read", path))?;
        parse(&bytes).map_err(|message| RunError::Predictions { path: path.to_owned(), message })
    }
}

fn parse(bytes: &[u8]) -> Result<OutOfFold, String> {
    let mut csv = ReaderBuilder::new().from_reader(bytes);
    let header = csv.headers().map_err(|error| error.to_string())?.clone();
    let (fixed, names) = (header.iter().take(COLUMNS.len()), header.iter().skip(COLUMNS.len()));
    let label_names: Option<Vec<String>> =
        names.map(|name| name.strip_prefix(PROBABILITY).map(str::to_owned)).collect();
    let label_names = match label_names {
        Some(names) if fixed.eq(COLUMNS) && names.len() >= 2 => names,
        _ => {
            let found = header.iter().collect::<Vec<_>>().join(", ");
            return Err(format!("expected the columns {} and probability_..., found {found}", COLUMNS.join(", ")));
        }
    };
    let mut rows = Vec::new();
    for record in csv.records() {
        let record = record.map_err(|error| error.to_string())?;
        let line = record.position().map_or(0, csv::Position::line);
        let bad = |column: usize| {
            let name = header.get(column).unwrap_or_default();
            format!("line {line}, column {name:?}: found {:?}", record.get(column).unwrap_or_default())
        };
        let class = label_names.iter().position(|name| Some(name.as_str()) == record.get(3)).ok_or_else(|| bad(3))?;
        let probability =
            |column: usize| record.get(column).and_then(|text| text.parse().ok()).ok_or_else(|| bad(column));
        rows.push(OutOfFoldRow {
            row: record.get(0).and_then(|text| text.parse().ok()).ok_or_else(|| bad(0))?,
            fold: record.get(1).and_then(|text| text.parse().ok()).ok_or_else(|| bad(1))?,
            text: record.get(2).unwrap_or_default().to_owned(),
            label: class as u32,
            probabilities: (COLUMNS.len()..header.len()).map(probability).collect::<Result<_, _>>()?,
        });
    }
    Ok(OutOfFold { label_names, rows })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(row: u64, fold: u32, text: &str, probabilities: [f32; 2]) -> OutOfFoldRow {
        OutOfFoldRow {
            row,
            fold,
            text: text.to_owned(),
            label: (row % 2) as u32,
            probabilities: probabilities.to_vec(),
        }
    }

    fn part(rows: Vec<OutOfFoldRow>) -> OutOfFold {
        OutOfFold { label_names: vec!["bad, or \"so so\"".to_owned(), "good".to_owned()], rows }
    }

    #[test]
    fn predictions_are_read_to_the_bit_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(OUT_OF_FOLD);
        let third = 1.0_f32 / 3.0;
        let odd = "a \"quote\", a\nline, \r and ü\u{200B}";
        let written = part(vec![
            row(0, 2, odd, [third, 1.0 - third]),
            row(1, 1, "", [f32::MIN_POSITIVE, 1.0]),
            row(2, 1, " spaces ", [0.5, 0.5]),
        ]);
        written.write(&path).unwrap();
        let read = OutOfFold::read(&path).unwrap();
        assert_eq!(read, written);
        assert_eq!((read.truth(), read.predictions()), (vec![0, 1, 0], vec![1, 1, 0]));
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("row,fold,text,label,predicted_label,\"probability_bad, or"), "{text}");
    }

    #[test]
    fn merged_folds_hold_each_row_once() {
        let of = |rows: &[(u64, u32)]| part(rows.iter().map(|(at, fold)| row(*at, *fold, "t", [0.5, 0.5])).collect());
        let merged = OutOfFold::merge(vec![of(&[(1, 1), (3, 1)]), of(&[(0, 2), (2, 2)])], 4).unwrap();
        assert_eq!(
            merged.rows.iter().map(|row| (row.row, row.fold)).collect::<Vec<_>>(),
            [(0, 2), (1, 1), (2, 2), (3, 1)]
        );
        for (parts, words) in [
            (vec![of(&[(0, 1)]), of(&[(0, 2), (1, 2)])], "row 0 was held out twice"),
            (vec![of(&[(0, 1)]), of(&[(2, 2)])], "row 1 was never held out"),
            (vec![of(&[(0, 1)])], "expected 2 training rows, found 1"),
        ] {
            assert!(OutOfFold::merge(parts, 2).unwrap_err().contains(words), "{words}");
        }
    }

    #[test]
    fn a_damaged_file_is_refused_with_its_line() {
        let header = "row,fold,text,label,predicted_label,probability_bad,probability_good\n";
        for (text, words) in [
            ("text,label\n".to_owned(), "expected the columns row, fold"),
            (format!("{header}0,1,t,worse,bad,0.5,0.5\n"), "line 2, column \"label\": found \"worse\""),
            (format!("{header}0,1,t,bad,bad,0.5,0.5\n1,1,t,bad,bad,0.5,half\n"), "line 3, column \"probability_good\""),
            (format!("{header}0,1,t,bad,bad,0.5\n"), "line"),
        ] {
            let message = parse(text.as_bytes()).unwrap_err();
            assert!(message.contains(words), "{message}");
        }
    }
}
