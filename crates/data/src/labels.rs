//! From the labels that files hold to class indices: one recorded mapping, made from the training rows alone.
//!
//! Names are sorted; numbers must be 0, 1, 2, ... without gaps, because a label set that starts at 1, skips a number or
//! holds -1 usually means something else than it seems. `--label-map` and `--labels-from` say what it means. Names of
//! classes that a file declares are its own: files in another order are matched by name.

mod classes;
mod column;
mod declared_names;
mod split_rows;

use std::collections::BTreeMap;

use crate::error::DataError;
use crate::loaded::{Loaded, Places};
use crate::record::{Record, Split};
pub(crate) use classes::{Classes, LabelOptions};
pub(crate) use column::Value;
pub(crate) use split_rows::{SplitRows, listed};

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

/// Maps every label to its class.
pub(crate) fn resolve(mut split_rows: SplitRows, classes: Classes) -> Result<Labeled, DataError> {
    let train = classes.apply(&mut split_rows, Split::Train)?;
    let mut counts = vec![0_usize; classes.names.len()];
    train.iter().filter_map(|record| record.label).for_each(|label| counts[label as usize] += 1);
    let mut notes = classes.file_notes().to_vec();
    notes.push(classes.note(&counts));
    refuse_one_class(&split_rows, &classes, &counts)?;
    notes.extend(classes.names.iter().zip(&counts).filter(|(_, count)| **count == 0).map(|(name, _)| {
        format!("no training row is labeled {name:?}; its class stays in the label list and is not learned")
    }));
    let validation = classes.apply(&mut split_rows, Split::Validation)?;
    let test = classes.apply(&mut split_rows, Split::Test)?;
    let unlabeled = test.iter().filter(|record| record.label.is_none()).count();
    if unlabeled > 0 {
        notes.push(format!("test: {unlabeled} rows without a label; they can be predicted, not scored"));
    }
    for (split, records) in [(Split::Validation, &validation), (Split::Test, &test)] {
        refuse_unlearned(&classes, &counts, split, records)?;
    }
    let places = split_rows.places();
    let values =
        classes.values.iter().map(|(value, class)| (value.to_string(), classes.names[*class as usize].clone()));
    let values = values.collect();
    Ok(Labeled { names: classes.names, values, train, validation, test, places, notes })
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
                "label {name:?} ({}) only in {}; no training row has it (hint: add training rows with this label, or map it \
                 to another name with --label-map)",
                column::rows(found),
                split.name()
            )));
        }
    }
    Ok(())
}
