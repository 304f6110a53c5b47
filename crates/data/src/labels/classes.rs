//! The classes of a data set and the labels that stand for each.

use std::collections::BTreeMap;

use table::Cell;

use super::column::{self, Value};
use super::declared_names::DeclaredNames;
use super::split_rows::SplitRows;
use crate::error::DataError;
use crate::label_map::LabelMap;
use crate::labeled_table::LabeledRow;
use crate::record::{Record, Split};

/// More names than this are not classes: the column holds something else.
const MAX_CLASSES: usize = 1000;

/// What is said of the labels outside of the files.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LabelOptions<'a> {
    pub(crate) map: Option<&'a LabelMap>,
    /// The number of the first class; `None`: 0.
    pub(crate) first: Option<i64>,
    /// The names of classes 0, 1, ... if the source states them.
    pub(crate) declared: Option<&'a [&'a str]>,
}

/// Refuses a map with two names for one value.
fn refuse_duplicates(LabelMap(pairs): &LabelMap) -> Result<(), DataError> {
    for (index, (value, name)) in pairs.iter().enumerate() {
        let earlier = pairs[..index].iter().find(|(known, _)| Value::of_text(known) == Value::of_text(value));
        if let Some((_, before)) = earlier {
            return Err(DataError::Request(format!(
                "--label-map: {value:?} is mapped twice, to {before:?} and to {name:?} (hint: keep one)"
            )));
        }
    }
    Ok(())
}

/// Label names and the value of each.
pub(crate) struct Classes {
    pub(super) names: Vec<String>,
    pub(super) values: BTreeMap<Value, u32>,
    /// The mapping was given, so that another value is an error of its own.
    given: bool,
    /// The class names of each file that declares some.
    files: DeclaredNames,
}

impl Classes {
    /// What the labels of a data set mean, of whose training rows none has been dealt to another split yet. Errors within
    /// train are reported before those of the other splits.
    pub(crate) fn of(split_rows: &SplitRows, options: LabelOptions<'_>) -> Result<Self, DataError> {
        let LabelOptions { map, first, declared } = options;
        match (map, first) {
            (Some(_), Some(first)) => {
                let hint = "leave --labels-from out";
                return Err(DataError::Request(format!("--labels-from {first} beside --label-map (hint: {hint})")));
            }
            (Some(map), None) => refuse_duplicates(map)?,
            (None, _) => column::check_kinds(split_rows, split_rows.split(Split::Train).iter())?,
        }
        let (names, files) = DeclaredNames::find(split_rows, declared)?;
        column::check_unlabeled(split_rows, map, names.is_some())?;
        let classes = match (map, names) {
            (Some(map), _) => Self::mapped(map, files),
            (None, Some(names)) => match first {
                None => Self::declared(names, files),
                Some(first) => {
                    let names = names.join(", ");
                    return Err(DataError::Request(format!(
                        "--labels-from {first}: the data names its classes already: {names} (hint: leave it out)"
                    )));
                }
            },
            (None, None) => Self::learned(split_rows, first)?,
        };
        if map.is_none() {
            column::check_kinds(split_rows, split_rows.rows())?;
        }
        if !classes.given {
            column::check_spelling(split_rows, &column::first_rows(split_rows.rows()))?;
        }
        Ok(classes)
    }

    /// The class of a row's label; `None` if it has none.
    pub(crate) fn class_of(&self, row: &LabeledRow) -> Option<u32> {
        let value = Value::of(&row.label)?;
        let [by_name, by_number] = self.files.meanings(row.file, value);
        let class = |value: Option<Value>| self.values.get(&value?).copied();
        class(by_name).or_else(|| class(by_number))
    }

    /// Whether a row of a test split is marked as unlabeled: with no label, or -1 where that isn't a class.
    pub(super) fn is_unlabeled(&self, row: &LabeledRow) -> bool {
        match Value::of(&row.label) {
            Some(Value::Number(-1)) => !self.values.contains_key(&Value::Number(-1)),
            Some(_) => false,
            None => !matches!(row.label, Cell::Float(_)),
        }
    }

    pub(crate) fn name(&self, class: u32) -> &str {
        &self.names[class as usize]
    }

    pub(super) fn file_notes(&self) -> &[String] {
        &self.files.notes
    }

    fn mapped(map: &LabelMap, files: DeclaredNames) -> Self {
        let mut names: Vec<String> = Vec::new();
        let mut values = BTreeMap::new();
        for (value, name) in &map.0 {
            let index = names.iter().position(|known| known == name).unwrap_or_else(|| {
                names.push(name.clone());
                names.len() - 1
            });
            values.insert(Value::of_text(value), index as u32);
        }
        Self { names, values, given: true, files }
    }

    fn declared(names: Vec<String>, files: DeclaredNames) -> Self {
        let values = (0..names.len() as u32).map(|index| (Value::Number(i64::from(index)), index)).collect();
        Self { names, values, given: true, files }
    }

    /// From the training rows: sorted names, or numbers that are `first`, `first` + 1, ...
    fn learned(split_rows: &SplitRows, first: Option<i64>) -> Result<Self, DataError> {
        let mut seen: BTreeMap<Value, &LabeledRow> = BTreeMap::new();
        for row in split_rows.split(Split::Train) {
            seen.entry(column::value(split_rows, row)?).or_insert(row);
            if seen.len() > MAX_CLASSES {
                let reason = format!("more than {MAX_CLASSES} different labels (hint: is --label-column right?)");
                return Err(split_rows.refuse(row, reason));
            }
        }
        column::check_spelling(split_rows, &seen)?;
        column::check_numbers(split_rows, &seen, first)?;
        let names = seen.keys().map(ToString::to_string).collect();
        let values = seen.into_keys().zip(0..).collect();
        Ok(Self { names, values, given: false, files: DeclaredNames::default() })
    }

    /// The records of a split, whose rows keep everything but their texts.
    pub(super) fn apply(&self, split_rows: &mut SplitRows, split: Split) -> Result<Vec<Record>, DataError> {
        let mut labels = Vec::with_capacity(split_rows.split(split).len());
        for row in split_rows.split(split) {
            if split == Split::Test && self.is_unlabeled(row) {
                labels.push(None);
                continue;
            }
            let value = column::value(split_rows, row)?;
            let Some(label) = self.class_of(row) else {
                return Err(self.unknown(split_rows, split, row, &value));
            };
            labels.push(Some(label));
        }
        Ok(split_rows.take_texts(split).zip(labels).map(|(text, label)| Record { text, label }).collect())
    }

    fn unknown(&self, split_rows: &SplitRows, split: Split, row: &LabeledRow, value: &Value) -> DataError {
        let count = split_rows.split(split).iter().filter(|row| Value::of(&row.label).as_ref() == Some(value)).count();
        let known: Vec<String> = self.values.keys().take(20).map(ToString::to_string).collect();
        let known = known.join(", ");
        let reason = if self.given {
            format!("label \"{value}\" is not one of {known} (hint: --label-map)")
        } else {
            format!(
                "label \"{value}\" ({}) only in {}; train has {known} (hint: add training rows with this label, or map it \
                 with --label-map)",
                column::rows(count),
                split.name()
            )
        };
        split_rows.refuse(row, reason)
    }

    pub(super) fn note(&self, counts: &[usize]) -> String {
        let mut parts = Vec::new();
        for (index, (name, count)) in self.names.iter().zip(counts).enumerate() {
            let values = self.values.iter().filter(|(_, label)| **label as usize == index);
            let values: Vec<String> = values.map(|(value, _)| format!("\"{value}\"")).collect();
            parts.push(format!("{index} = {name} (from {}, {})", values.join(", "), column::rows(*count)));
        }
        format!("labels: {}", parts.join("; "))
    }
}
