//! Which data set, from where, under which options, and what comes of it; [`crate::source::load`] does the reading.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

use crate::error::DataError;
use crate::record::{Record, Split};

/// A data set that can be asked for by name, or a person's own file or folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dataset {
    /// The treebank's sentences, positive or negative; neutral ones left out.
    Sst2,
    /// The treebank's sentences: negative, neutral, positive.
    Sst3,
    /// The treebank's sentences in five classes.
    Sst5,
    /// GLUE's form of the treebank: 67,349 phrases to train on and an unlabelled test split.
    GlueSst2,
    /// The packaged movie-review sentences, rated by people.
    Reviews {
        /// How many classes the rating is cut into: 2, 3 or 5.
        classes: u32,
    },
    /// A CSV, TSV, JSONL or Parquet file, or a folder of split files.
    File(PathBuf),
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SourceChoice {
    /// The Hub, then Stanford, then the packaged sentences.
    #[default]
    Auto,
    Hub,
    /// The official archive of the treebank.
    Stanford,
    /// The packaged movie-review sentences.
    Packaged,
    Folder(PathBuf),
}

/// A data set as read: three splits over one list of label names, and where they came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The data set that was read, by its short name (`sst2`, `reviews`, a file's name).
    pub dataset: String,
    /// Which form of the data set this is, spelled out with its sizes.
    pub variant: String,
    /// What sets it apart from data sets that go by the same name; `None` for a person's own files.
    pub disambiguation: Option<String>,
    pub source: String,
    /// Its licence, or what is known of it.
    pub licence: String,
    /// Lower-case hex sha256 of each source file, by file name.
    pub source_sha256: BTreeMap<String, String>,
    pub label_names: Vec<String>,
    pub train: Vec<Record>,
    /// The validation split; may be empty.
    pub validation: Vec<Record>,
    /// The test split; may be empty or unlabelled.
    pub test: Vec<Record>,
    pub places: Places,
    /// Rows dropped for their null or empty text.
    pub empty_dropped: usize,
    /// What a person should be told: fallbacks taken, rows dropped, values mapped.
    pub notes: Vec<String>,
}

/// Where the records of a data set stood, so that an example can be looked up.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Places {
    pub(crate) files: Vec<String>,
    /// For each split each record's file (an index into `files`) and its row there, from 1.
    pub(crate) rows: BTreeMap<Split, Vec<(usize, u64)>>,
}

impl Places {
    /// `reviews.csv row 17`, or `train row 17` where the rows of the source are not known. Both count from 1.
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

/// The data sets that have a name.
const NAMED: [(&str, Dataset); 7] = [
    ("sst2", Dataset::Sst2),
    ("sst3", Dataset::Sst3),
    ("sst5", Dataset::Sst5),
    ("glue-sst2", Dataset::GlueSst2),
    ("reviews", Dataset::Reviews { classes: 2 }),
    ("reviews3", Dataset::Reviews { classes: 3 }),
    ("reviews5", Dataset::Reviews { classes: 5 }),
];

impl FromStr for Dataset {
    type Err = DataError;

    fn from_str(name: &str) -> Result<Self, DataError> {
        if name.is_empty() {
            let empty = "--dataset is empty: sst2, sst3, sst5, glue-sst2, reviews or a path";
            return Err(DataError::Request(empty.into()));
        }
        let named = NAMED.into_iter().find(|(known, _)| *known == name);
        Ok(named.map_or_else(|| Self::File(PathBuf::from(name)), |(_, dataset)| dataset))
    }
}

impl Dataset {
    /// The name it is asked for by, or its path.
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            named => NAMED.iter().find(|(_, known)| known == named).map_or("reviews", |(name, _)| name).into(),
        }
    }
}

impl FromStr for SourceChoice {
    type Err = DataError;

    fn from_str(name: &str) -> Result<Self, DataError> {
        Ok(match name {
            "" => {
                return Err(DataError::Request("--source is empty: auto, hub, stanford, packaged or a folder".into()));
            }
            "auto" => Self::Auto,
            "hub" => Self::Hub,
            "stanford" => Self::Stanford,
            "packaged" => Self::Packaged,
            folder => Self::Folder(PathBuf::from(folder)),
        })
    }
}
