//! A data set in memory, as [`crate::source::load`] returns it.

use std::collections::BTreeMap;

use crate::record::{Record, Split};

/// The license of the user's own files.
pub(crate) const OWN_LICENSE: &str = "your own";

/// A data set as read: three splits over one list of label names, and where they came from.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Loaded {
    /// The data set that was read, by its short name (`sst2`, `reviews`, a file's name).
    pub dataset: String,
    /// Which form of the data set this is, spelled out with its sizes.
    pub variant: String,
    /// What sets it apart from data sets that go by the same name; `None` for the user's own files.
    pub disambiguation: Option<String>,
    pub source: String,
    /// Its license, or what is known of it.
    pub license: String,
    /// Lower-case hex sha256 of each source file, by file name.
    pub source_sha256: BTreeMap<String, String>,
    pub label_names: Vec<String>,
    /// What the source's label column holds for each class: a value, and the name of its class. Empty if it has no such column.
    pub label_values: BTreeMap<String, String>,
    pub train: Vec<Record>,
    /// The validation split; may be empty.
    pub validation: Vec<Record>,
    /// The test split; may be empty or unlabeled.
    pub test: Vec<Record>,
    pub places: Places,
    /// Rows dropped for their null or empty text.
    pub empty_dropped: usize,
    /// Notes for the user: fallbacks, dropped rows, mapped values.
    pub notes: Vec<String>,
}

/// The files and rows that records come from, so that an example can be looked up.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Places {
    pub(crate) files: Vec<String>,
    /// For each split each record's file (an index into `files`) and its row there, from 1.
    pub(crate) rows: BTreeMap<Split, Vec<(usize, u64)>>,
}

impl Places {
    /// `reviews.csv row 17`, or `train row 17` if the source's rows are unknown. Both count from 1.
    pub fn name(&self, split: Split, record: usize) -> String {
        let known = self.rows.get(&split).and_then(|rows| rows.get(record));
        match known.and_then(|&(file, row)| Some((self.files.get(file)?, row))) {
            Some((file, row)) => format!("{file} row {row}"),
            None => format!("{} row {}", split.name(), record + 1),
        }
    }
}

impl Loaded {
    pub fn splits(&self) -> [(Split, &[Record]); 3] {
        [
            (Split::Train, self.train.as_slice()),
            (Split::Validation, self.validation.as_slice()),
            (Split::Test, self.test.as_slice()),
        ]
    }
}
