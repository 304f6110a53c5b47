//! What a label column holds: one kind of value, spelled one way.

use std::collections::BTreeMap;
use std::fmt;

use table::{Cell, ending, quoted};

use super::SplitRows;
use crate::error::DataError;
use crate::labeled_table::LabeledRow;

/// A label as it counts: `" pos "` is `pos`; `1`, `1.0`, `"1"` and `"1.0"` are all 1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Value {
    Number(i64),
    Word(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Word(word) => f.write_str(word),
        }
    }
}

impl Value {
    /// The value of a cell; `None` where it holds none, or a number that isn't whole.
    pub(crate) fn of(cell: &Cell) -> Option<Self> {
        match cell {
            Cell::Missing | Cell::Nested(_) => None,
            Cell::Text(text) => Some(Self::of_text(text)),
            Cell::Integer(number) => Some(Self::Number(*number)),
            Cell::Float(number) => whole(*number).map(Self::Number),
            Cell::Bool(value) => Some(Self::Word(value.to_string())),
        }
    }

    /// The value of a text: a number where it reads as a whole one.
    pub(crate) fn of_text(text: &str) -> Self {
        let text = text.trim();
        match number(text).and_then(whole) {
            Some(number) => Self::Number(number),
            None => Self::Word(text.to_string()),
        }
    }
}

/// The number that a text writes in digits; words like `nan` and `inf` are words.
fn number(text: &str) -> Option<f64> {
    let digits = text.trim_start_matches(['-', '+']);
    if text.len() > 40 || !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

fn whole(number: f64) -> Option<i64> {
    // Up to 2^53 every whole number has a double of its own.
    (number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0).then_some(number as i64)
}

/// `1 row`, `41 rows`.
pub(super) fn rows(count: usize) -> String {
    if count == 1 { "1 row".into() } else { format!("{count} rows") }
}

/// The row's label, or the error that names it.
pub(super) fn value(split_rows: &SplitRows, row: &LabeledRow) -> Result<Value, DataError> {
    Value::of(&row.label).ok_or_else(|| {
        let found = match &row.label {
            Cell::Float(number) => number.to_string(),
            other => other.kind().to_string(),
        };
        split_rows.refuse(row, format!("label {found} {}", not_a_class(&row.label)))
    })
}

/// Refuses a column whose type changes, within a file or between files of one format, and one that mixes numbers with
/// words. A given mapping names every value, so this isn't checked then.
pub(super) fn check_kinds<'a>(
    split_rows: &SplitRows,
    rows: impl Iterator<Item = &'a LabeledRow>,
) -> Result<(), DataError> {
    let mut typed: BTreeMap<String, &LabeledRow> = BTreeMap::new();
    let mut number_at: Option<&LabeledRow> = None;
    let mut word_at: Option<&LabeledRow> = None;
    for row in rows.filter(|row| row.label != Cell::Missing) {
        let first = typed.entry(ending(&split_rows.files[row.file].path)).or_insert(row);
        if first.label.kind() != row.label.kind() {
            return Err(split_rows.refuse(
                row,
                format!(
                    "{} is {}; {} is {} at {} (hint: write every label the same way)",
                    spelled(&row.label),
                    row.label.kind(),
                    spelled(&first.label),
                    first.label.kind(),
                    split_rows.files[first.file].place(first)
                ),
            ));
        }
        match Value::of(&row.label) {
            Some(Value::Word(word)) if number(word.trim()).is_none() => word_at = word_at.or(Some(row)),
            Some(Value::Word(_)) => return Err(not_whole(split_rows, row)),
            Some(Value::Number(_)) => number_at = number_at.or(Some(row)),
            None => return Err(not_whole(split_rows, row)),
        }
        if let (Some(number), Some(word)) = (number_at, word_at) {
            return Err(split_rows.refuse(
                word,
                format!(
                    "{} is a word; {} is a number at {} (hint: write every label the same way)",
                    spelled(&word.label),
                    spelled(&number.label),
                    split_rows.files[number.file].place(number)
                ),
            ));
        }
    }
    Ok(())
}

fn not_whole(split_rows: &SplitRows, row: &LabeledRow) -> DataError {
    split_rows.refuse(row, format!("{} {}", spelled(&row.label), not_a_class(&row.label)))
}

/// Why a number can't be a label.
fn not_a_class(cell: &Cell) -> &'static str {
    let number = match cell {
        Cell::Float(number) => Some(*number),
        Cell::Text(text) => number(text.trim()),
        _ => None,
    };
    match number {
        Some(number) if number.fract() == 0.0 => "is too large for a label (hint: is --label-column right?)",
        _ => "is not a whole number (hint: convert ratings into classes first)",
    }
}

fn spelled(cell: &Cell) -> String {
    match cell {
        Cell::Missing => "nothing".into(),
        Cell::Text(text) => quoted(text),
        other => other.to_string(),
    }
}

/// Refuses `Positive` beside `positive`: one of them is probably the other.
pub(super) fn check_spelling(split_rows: &SplitRows, seen: &BTreeMap<Value, &LabeledRow>) -> Result<(), DataError> {
    let mut folded: BTreeMap<String, (&Value, &LabeledRow)> = BTreeMap::new();
    for (value, row) in seen {
        if let Some((other, first)) = folded.insert(value.to_string().to_lowercase(), (value, row)) {
            return Err(split_rows.refuse(
                row,
                format!(
                    "label \"{value}\" differs from \"{other}\" (row {}) only in case (hint: use one spelling, or \
                     --label-map {value}=NAME,{other}=NAME,...)",
                    first.row
                ),
            ));
        }
    }
    Ok(())
}

/// Refuses numbers that are not 0, 1, 2, ...: a gap, a 1-based set, a negative one.
pub(super) fn check_numbers(split_rows: &SplitRows, seen: &BTreeMap<Value, &LabeledRow>) -> Result<(), DataError> {
    for (index, (value, row)) in seen.iter().enumerate() {
        let Value::Number(number) = value else {
            return Ok(());
        };
        if usize::try_from(*number) == Ok(index) {
            continue;
        }
        let all: Vec<String> = seen.keys().take(20).map(ToString::to_string).collect();
        let problem = match (index, number) {
            (0, 1..) => format!("the smallest label is {number}"),
            (0, _) => format!("label {number} is negative"),
            _ => format!("label {} is missing", index),
        };
        let example: Vec<String> = all.iter().take(3).map(|value| format!("{value}=NAME")).collect();
        return Err(split_rows.refuse(
            row,
            format!(
                "{problem}; labels found: {}; numbers must be 0, 1, 2, ... (hint: --label-map {},...)",
                all.join(", "),
                example.join(",")
            ),
        ));
    }
    Ok(())
}
