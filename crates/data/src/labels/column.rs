//! What a label column holds: one kind of value, spelled one way.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use table::{Cell, SEVERAL_LABELS, ending, quoted};

use super::split_rows::{SplitRows, listed};
use crate::error::DataError;
use crate::label_map::{LabelMap, for_flag};
use crate::labeled_table::LabeledRow;
use crate::record::Split;

/// More different fractions than this are scores.
const MAX_FRACTIONS: usize = 2;

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
            Some(Value::Word(word)) if is_list(&word) => {
                return Err(split_rows.refuse(row, format!("{} is a list: {SEVERAL_LABELS}", quoted(&word))));
            }
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
    let scores: BTreeSet<String> = split_rows
        .rows()
        .filter(|row| fraction(&row.label).is_some_and(|number| number.fract() != 0.0))
        .map(|row| row.label.to_string())
        .collect();
    if scores.len() > MAX_FRACTIONS {
        return split_rows.refuse(
            row,
            format!(
                "{} is one of {} different numbers that are not whole: these are scores, not classes, and predicting a \
                 score is not supported (hint: write a column of classes, such as negative for a score below the middle \
                 and positive above it, or name another column by --label-column)",
                spelled(&row.label),
                scores.len()
            ),
        );
    }
    split_rows.refuse(row, format!("{} {}", spelled(&row.label), not_a_class(&row.label)))
}

/// The number of a label, whole or not.
fn fraction(cell: &Cell) -> Option<f64> {
    match cell {
        Cell::Float(number) => Some(*number),
        Cell::Text(text) => number(text.trim()),
        _ => None,
    }
}

/// Why a number can't be a label.
fn not_a_class(cell: &Cell) -> &'static str {
    match fraction(cell) {
        Some(number) if number.fract() == 0.0 => "is too large for a label (hint: is --label-column right?)",
        _ => "is not a whole number (hint: convert ratings into classes first)",
    }
}

/// Whether a text is a list as Python or JSON writes it: `['funny', 'long']`.
fn is_list(word: &str) -> bool {
    let inside = word.strip_prefix('[').and_then(|word| word.strip_suffix(']'));
    inside.is_some_and(|inside| inside.contains(['\'', '"', ',']))
}

fn spelled(cell: &Cell) -> String {
    match cell {
        Cell::Missing => "nothing".into(),
        Cell::Text(text) => quoted(text),
        other => other.to_string(),
    }
}

/// The first row with each label.
pub(super) fn first_rows<'a>(rows: impl Iterator<Item = &'a LabeledRow>) -> BTreeMap<Value, &'a LabeledRow> {
    let mut seen = BTreeMap::new();
    for row in rows {
        if let Some(value) = Value::of(&row.label) {
            seen.entry(value).or_insert(row);
        }
    }
    seen
}

/// Refuses `Positive` beside `positive`: one of them is probably the other.
pub(super) fn check_spelling(split_rows: &SplitRows, seen: &BTreeMap<Value, &LabeledRow>) -> Result<(), DataError> {
    let mut folded: BTreeMap<String, (&Value, &LabeledRow)> = BTreeMap::new();
    for (value, row) in seen {
        if let Some((other, first)) = folded.insert(value.to_string().to_lowercase(), (value, row)) {
            let place = match first.file == row.file {
                true => format!("row {}", first.row),
                false => format!("{} row {}", split_rows.files[first.file].name(), first.row),
            };
            let (one, two) = (for_flag(&value.to_string()), for_flag(&other.to_string()));
            return Err(split_rows.refuse(
                row,
                format!(
                    "label \"{value}\" differs from \"{other}\" ({place}) only in case (hint: use one spelling, or \
                     --label-map {one}=NAME,{two}=NAME,...)"
                ),
            ));
        }
    }
    Ok(())
}

/// Refuses numbers that are not `first`, `first` + 1, ... from 0 on by default: a gap, a 1-based set, a negative one.
pub(super) fn check_numbers(
    split_rows: &SplitRows,
    seen: &BTreeMap<Value, &LabeledRow>,
    first: Option<i64>,
) -> Result<(), DataError> {
    let numbers = seen.iter().filter_map(|(value, row)| match value {
        Value::Number(number) => Some((*number, *row)),
        Value::Word(_) => None,
    });
    let (numbers, rows): (Vec<i64>, Vec<&LabeledRow>) = numbers.unzip();
    if numbers.len() < seen.len() {
        return match (first, seen.iter().find(|(value, _)| matches!(value, Value::Word(_)))) {
            (Some(first), Some((word, row))) => Err(split_rows.refuse(
                row,
                format!("label \"{word}\" is a word, and --labels-from {first} is for numbers (hint: leave it out)"),
            )),
            _ => Ok(()),
        };
    }
    let start = first.unwrap_or(0);
    let Some((expected, at)) = (start..).zip(0..numbers.len()).find(|(expected, at)| numbers[*at] != *expected) else {
        return Ok(());
    };
    let number = numbers[at];
    let problem = match at {
        0 if number > start => format!("the smallest label is {number}"),
        0 if number < 0 => format!("label {number} is negative"),
        0 => format!("label {number} is smaller than {start}"),
        _ => format!("label {expected} is missing"),
    };
    let all: Vec<String> = numbers.iter().take(20).map(ToString::to_string).collect();
    let example: Vec<String> = all.iter().take(3).map(|value| format!("{value}=NAME")).collect();
    let without_gaps = (1..).zip(&numbers).all(|(expected, number)| expected == *number);
    let from_one = if without_gaps && first.is_none() { "--labels-from 1, or " } else { "" };
    Err(split_rows.refuse(
        rows[at],
        format!(
            "{problem}; labels found: {}; numbers must be {start}, {}, {}, ... (hint: {from_one}--label-map {},...)",
            all.join(", "),
            start + 1,
            start + 2,
            example.join(",")
        ),
    ))
}

/// Refuses rows without a label, but for a test split that has none at all, and rows marked by -1 in one whose classes
/// are `declared`.
pub(super) fn check_unlabeled(split_rows: &SplitRows, map: Option<&LabelMap>, declared: bool) -> Result<(), DataError> {
    let minus_one_is_a_class =
        map.is_some_and(|map| map.0.iter().any(|(value, _)| Value::of_text(value) == Value::Number(-1)));
    for split in Split::ALL {
        let rows = split_rows.split(split);
        let without = |row: &&LabeledRow| match Value::of(&row.label) {
            Some(Value::Number(-1)) => !minus_one_is_a_class,
            Some(_) => false,
            None => !matches!(row.label, Cell::Float(_)),
        };
        let bare: Vec<&LabeledRow> = rows.iter().filter(without).collect();
        let Some(first) = bare.first() else { continue };
        let minus_one = Value::of(&first.label) == Some(Value::Number(-1));
        let marked = declared && bare.iter().all(|row| Value::of(&row.label) == Some(Value::Number(-1)));
        if split == Split::Test && (bare.len() == rows.len() || marked) {
            continue;
        }
        let what = if minus_one { "label -1, which marks a row as unlabeled," } else { "no label" };
        let hint = if minus_one {
            "label the rows or remove them; where -1 is a class, --label-map -1=negative,1=positive"
        } else {
            "label the rows or remove them"
        };
        return Err(split_rows.refuse(
            first,
            format!(
                "{what} in {} of {} rows of {}: {} (hint: {hint})",
                bare.len(),
                rows.len(),
                split.name(),
                listed(&bare)
            ),
        ));
    }
    Ok(())
}
