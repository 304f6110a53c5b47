//! From the labels that files hold to class indices: one recorded mapping, made from the training split alone.
//!
//! Names are sorted; numbers must be 0, 1, 2, ... without gaps, because a label set that starts at 1, skips a number or
//! holds -1 usually means something else than it seems. `--label-map` says what it means.

mod column;

use std::collections::BTreeMap;

use table::{Cell, TableError};

use crate::error::DataError;
use crate::labeled_table::{LabeledRow, LabeledTable, SourceFile};
use crate::loaded::{Loaded, Places};
use crate::record::{Record, Split};
pub(crate) use column::Value;

/// More names than this are not classes: the column holds something else.
const MAX_CLASSES: usize = 1000;
/// Row numbers that a message lists before it says how many more there are.
const LISTED: usize = 10;

/// Refuses a map with two names for one value.
fn refuse_duplicates(pairs: &[(String, String)]) -> Result<(), DataError> {
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

/// The rows of a data set's files by split.
#[derive(Debug, Default)]
pub(crate) struct SplitRows {
    pub(crate) files: Vec<SourceFile>,
    splits: [Vec<LabeledRow>; 3],
}

impl SplitRows {
    pub(crate) fn split(&self, split: Split) -> &[LabeledRow] {
        &self.splits[split as usize]
    }

    /// Adds all rows of a file to `split`.
    pub(crate) fn add(&mut self, split: Split, table: LabeledTable) {
        let file = self.files.len();
        self.files.push(table.file);
        self.splits[split as usize].extend(table.rows.into_iter().map(|row| LabeledRow { file, ..row }));
    }

    /// Distributes the rows of train over the splits.
    pub(crate) fn resplit_train(&mut self, split_of: impl Fn(&LabeledRow) -> Split) {
        for row in std::mem::take(&mut self.splits[Split::Train as usize]) {
            self.splits[split_of(&row) as usize].push(row);
        }
    }

    /// The texts of a split, which its rows lose: a second copy of all would be as large as everything else.
    fn take_texts(&mut self, split: Split) -> impl Iterator<Item = String> {
        self.splits[split as usize].iter_mut().map(|row| row.text.take().unwrap_or_default())
    }

    fn places(&self) -> Places {
        let name =
            |file: &SourceFile| file.path.file_name().unwrap_or(file.path.as_os_str()).to_string_lossy().into_owned();
        let rows = |split| (split, self.split(split).iter().map(|row| (row.file, row.row)).collect());
        Places { files: self.files.iter().map(name).collect(), rows: Split::ALL.map(rows).into() }
    }

    fn rows(&self) -> impl Iterator<Item = &LabeledRow> {
        self.splits.iter().flatten()
    }

    fn refuse(&self, row: &LabeledRow, reason: String) -> DataError {
        let file = &self.files[row.file];
        let column = file.label_column.clone().unwrap_or_default();
        TableError::Value { place: file.place(row), column, reason }.into()
    }
}

/// A data set whose labels are class indices.
#[derive(Debug)]
pub(crate) struct Labeled {
    pub(crate) names: Vec<String>,
    /// What the label column holds for each class: a value, and the name of its class.
    pub(crate) values: BTreeMap<String, String>,
    pub(crate) train: Vec<Record>,
    pub(crate) validation: Vec<Record>,
    pub(crate) test: Vec<Record>,
    pub(crate) places: Places,
    pub(crate) notes: Vec<String>,
}

impl From<Labeled> for Loaded {
    /// The splits with their labels; the caller fills in the rest.
    fn from(Labeled { names, values, train, validation, test, places, notes }: Labeled) -> Self {
        Self { label_names: names, label_values: values, train, validation, test, places, notes, ..Self::default() }
    }
}

/// Maps every label to its class. Errors within train are reported before those of the other splits. `declared` are the
/// names of classes 0, 1, ... if the source states them.
pub(crate) fn resolve(
    mut split_rows: SplitRows,
    map: Option<&[(String, String)]>,
    declared: Option<&[&str]>,
) -> Result<Labeled, DataError> {
    match map {
        Some(map) => refuse_duplicates(map)?,
        None => column::check_kinds(&split_rows, split_rows.split(Split::Train).iter())?,
    }
    let unlabeled = unlabeled_test(&split_rows, map)?;
    let classes = match (map, declared_names(&split_rows, declared)) {
        (Some(map), _) => Classes::mapped(map),
        (None, Some(names)) => Classes::declared(names),
        (None, None) => Classes::learned(&split_rows)?,
    };
    if map.is_none() {
        column::check_kinds(&split_rows, split_rows.rows())?;
    }
    let train = classes.apply(&mut split_rows, Split::Train)?;
    let mut counts = vec![0_usize; classes.names.len()];
    train.iter().filter_map(|record| record.label).for_each(|label| counts[label as usize] += 1);
    let mut notes = vec![classes.note(&counts)];
    refuse_one_class(&split_rows, &classes, &counts)?;
    notes.extend(classes.names.iter().zip(&counts).filter(|(_, count)| **count == 0).map(|(name, _)| {
        format!("no training row is labelled {name:?}; its class stays in the label list and is not learned")
    }));
    let validation = classes.apply(&mut split_rows, Split::Validation)?;
    let test = if unlabeled {
        notes.push(format!(
            "test: {} rows without a label; they can be predicted, not scored",
            split_rows.split(Split::Test).len()
        ));
        split_rows.take_texts(Split::Test).map(|text| Record { text, label: None }).collect()
    } else {
        classes.apply(&mut split_rows, Split::Test)?
    };
    for (split, records) in [(Split::Validation, &validation), (Split::Test, &test)] {
        refuse_unlearned(&classes, &counts, split, records)?;
    }
    let places = split_rows.places();
    let values =
        classes.values.iter().map(|(value, class)| (value.to_string(), classes.names[*class as usize].clone()));
    let values = values.collect();
    Ok(Labeled { names: classes.names, values, train, validation, test, places, notes })
}

/// Refuses rows without a label, but for a test split that has none at all; whether it is one.
fn unlabeled_test(split_rows: &SplitRows, map: Option<&[(String, String)]>) -> Result<bool, DataError> {
    let minus_one_is_a_class =
        map.is_some_and(|map| map.iter().any(|(value, _)| Value::of_text(value) == Value::Number(-1)));
    for split in Split::ALL {
        let rows = split_rows.split(split);
        let without = |row: &&LabeledRow| match Value::of(&row.label) {
            Some(Value::Number(-1)) => !minus_one_is_a_class,
            Some(_) => false,
            None => !matches!(row.label, Cell::Float(_)),
        };
        let bare: Vec<&LabeledRow> = rows.iter().filter(without).collect();
        let Some(first) = bare.first() else { continue };
        if split == Split::Test && bare.len() == rows.len() {
            return Ok(true);
        }
        let minus_one = Value::of(&first.label) == Some(Value::Number(-1));
        let what = if minus_one { "label -1, which marks a row as unlabelled," } else { "no label" };
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
    Ok(false)
}

/// `rows 3, 4, 9 and 31 more`.
pub(crate) fn listed(rows: &[&LabeledRow]) -> String {
    let shown: Vec<String> = rows.iter().take(LISTED).map(|row| row.row.to_string()).collect();
    let more = rows.len() - shown.len();
    let word = if rows.len() == 1 { "row" } else { "rows" };
    if more == 0 {
        format!("{word} {}", shown.join(", "))
    } else {
        format!("{word} {} and {more} more", shown.join(", "))
    }
}

/// The source's own names, else those that the training files declare.
fn declared_names(split_rows: &SplitRows, declared: Option<&[&str]>) -> Option<Vec<String>> {
    match declared {
        Some(names) => Some(names.iter().map(|name| name.to_string()).collect()),
        None => split_rows.split(Split::Train).first().and_then(|row| split_rows.files[row.file].class_names.clone()),
    }
}

/// Label names and the value of each.
struct Classes {
    names: Vec<String>,
    values: BTreeMap<Value, u32>,
    /// The mapping was given, so that another value is an error of its own.
    given: bool,
}

impl Classes {
    fn mapped(map: &[(String, String)]) -> Self {
        let mut names: Vec<String> = Vec::new();
        let mut values = BTreeMap::new();
        for (value, name) in map {
            let index = names.iter().position(|known| known == name).unwrap_or_else(|| {
                names.push(name.clone());
                names.len() - 1
            });
            values.insert(Value::of_text(value), index as u32);
        }
        Self { names, values, given: true }
    }

    fn declared(names: Vec<String>) -> Self {
        let values = (0..names.len() as u32).map(|index| (Value::Number(i64::from(index)), index)).collect();
        Self { names, values, given: true }
    }

    /// From the training rows: sorted names, or numbers that are 0, 1, 2, ...
    fn learned(split_rows: &SplitRows) -> Result<Self, DataError> {
        let mut seen: BTreeMap<Value, &LabeledRow> = BTreeMap::new();
        for row in split_rows.split(Split::Train) {
            seen.entry(column::value(split_rows, row)?).or_insert(row);
            if seen.len() > MAX_CLASSES {
                let reason = format!("more than {MAX_CLASSES} different labels (hint: is --label-column right?)");
                return Err(split_rows.refuse(row, reason));
            }
        }
        column::check_spelling(split_rows, &seen)?;
        column::check_numbers(split_rows, &seen)?;
        let names = seen.keys().map(ToString::to_string).collect();
        let values = seen.into_keys().zip(0..).collect();
        Ok(Self { names, values, given: false })
    }

    /// The records of a split, whose rows keep everything but their texts.
    fn apply(&self, split_rows: &mut SplitRows, split: Split) -> Result<Vec<Record>, DataError> {
        let mut labels = Vec::with_capacity(split_rows.split(split).len());
        for row in split_rows.split(split) {
            let value = column::value(split_rows, row)?;
            let Some(label) = self.values.get(&value) else {
                return Err(self.unknown(split_rows, split, row, &value));
            };
            labels.push(Some(*label));
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
                "label \"{value}\" ({}) only in {}; train has {known} (hint: label some training rows so, or map it \
                 with --label-map)",
                column::rows(count),
                split.name()
            )
        };
        split_rows.refuse(row, reason)
    }

    fn note(&self, counts: &[usize]) -> String {
        let mut parts = Vec::new();
        for (index, (name, count)) in self.names.iter().zip(counts).enumerate() {
            let values = self.values.iter().filter(|(_, label)| **label as usize == index);
            let values: Vec<String> = values.map(|(value, _)| format!("\"{value}\"")).collect();
            parts.push(format!("{index} = {name} (from {}, {})", values.join(", "), column::rows(*count)));
        }
        format!("labels: {}", parts.join("; "))
    }
}

fn refuse_one_class(split_rows: &SplitRows, classes: &Classes, counts: &[usize]) -> Result<(), DataError> {
    let with_rows: Vec<usize> = (0..counts.len()).filter(|class| counts[*class] > 0).collect();
    let path = || split_rows.files.first().map(|file| file.path.clone()).unwrap_or_default();
    match with_rows[..] {
        [] => Err(DataError::content(path(), "train has no rows (hint: a smaller --split-ratio)")),
        [only] => Err(DataError::content(
            path(),
            format!(
                "train has one class, {:?} ({}); at least two are needed (hint: is --label-column right?)",
                classes.names[only],
                column::rows(counts[only])
            ),
        )),
        _ => Ok(()),
    }
}

/// A class of a given mapping that validation or test has and train hasn't.
fn refuse_unlearned(classes: &Classes, counts: &[usize], split: Split, records: &[Record]) -> Result<(), DataError> {
    for (class, name) in classes.names.iter().enumerate().filter(|(class, _)| counts[*class] == 0) {
        let found = records.iter().filter(|record| record.label == Some(class as u32)).count();
        if found > 0 {
            return Err(DataError::Request(format!(
                "label {name:?} ({}) only in {}; no training row has it (hint: label some training rows so, or map it \
                 to another name with --label-map)",
                column::rows(found),
                split.name()
            )));
        }
    }
    Ok(())
}
