//! Tests of all data sets, and helpers shared by the tests of each.

mod docs;

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema};
use clap::Args as _;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use tempfile::TempDir;

use super::named::NamedDataset;
use super::{Dataset, Source, SourceChoice, load, own_files};
use crate::load_options::DatasetOptions;
use crate::loaded::Loaded;
use crate::record::{Record, Split, SplitHash};

/// A folder for one test's files.
pub(crate) struct TempDataset(TempDir);

impl TempDataset {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().expect("a temporary folder"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).expect("a folder");
        }
        fs::write(&path, content).expect("a written file");
        path
    }

    /// Loads a file, or the folder itself for an empty name.
    pub(crate) fn load(&self, name: &str, options: &DatasetOptions) -> Result<Loaded, String> {
        let path = if name.is_empty() { self.path().to_path_buf() } else { self.path().join(name) };
        load(&Dataset::File(path), &SourceChoice::Auto, options).map_err(|error| self.plain(&error.to_string()))
    }

    /// A message without this machine's folder in it.
    pub(crate) fn plain(&self, message: &str) -> String {
        let folder = self.path().display().to_string();
        message.replace(&format!("{folder}/"), "").replace(&folder, "FOLDER")
    }

    /// The error of loading `content` as the training file `name` beside a sound validation file.
    pub(crate) fn refusal(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let (options, name) = (self.beside_validation(), self.write(name, content));
        let name = name.file_name().expect("a name").to_string_lossy().into_owned();
        self.load(&name, &options).map(|loaded| format!("{loaded:?}")).expect_err("a refusal")
    }

    /// The data set of `content` as the training file `name` beside a sound validation file.
    pub(crate) fn accepted(&self, name: &str, content: impl AsRef<[u8]>) -> Loaded {
        let options = self.beside_validation();
        self.write(name, content);
        self.load(name, &options).expect("accepted")
    }

    pub(crate) fn beside_validation(&self) -> DatasetOptions {
        let file = self.write("other/validation.csv", "text,label\nquite good,pos\nquite bad,neg\n");
        DatasetOptions { validation_file: vec![file], ..DatasetOptions::default() }
    }
}

pub(super) fn texts(records: &[Record]) -> Vec<(&str, Option<u32>)> {
    records.iter().map(|record| (record.text.as_str(), record.label)).collect()
}

pub(super) fn dataset(name: &str) -> Dataset {
    name.parse().expect("a data set")
}

pub(super) fn parquet(path: PathBuf, columns: Vec<(&str, ArrayRef)>, metadata: &[(&str, &str)]) -> PathBuf {
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    let metadata: HashMap<String, String> =
        metadata.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
    let batch =
        RecordBatch::try_new(schema.clone(), columns.into_iter().map(|(_, array)| array).collect()).expect("a batch");
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut writer =
        ArrowWriter::try_new(File::create(&path).expect("a file"), schema, Some(properties)).expect("a writer");
    writer.write(&batch).expect("written");
    writer.close().expect("closed");
    path
}

pub(super) fn strings(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

pub(super) fn integers(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

#[test]
fn every_data_set_declares_what_is_needed() {
    let command = DatasetOptions::augment_args(clap::Command::new("prepare"));
    let known: Vec<String> = command.get_arguments().filter_map(|arg| Some(format!("--{}", arg.get_long()?))).collect();
    let mut names = Vec::new();
    for dataset in NamedDataset::all() {
        assert!(!dataset.name.is_empty() && !dataset.about.is_empty() && !dataset.license.is_empty());
        assert!(!names.contains(&dataset.name), "{} is there twice", dataset.name);
        names.push(dataset.name);
        assert!(dataset.label_names.len() >= 2, "{}", dataset.name);
        let help = Dataset::help();
        let line = help.lines().find(|line| line.trim_start().starts_with(&format!("{} ", dataset.name)));
        assert!(line.is_some_and(|line| line.ends_with(dataset.about)), "{help}");
        assert!(!dataset.downloads.is_empty(), "--source auto needs a source for {}", dataset.name);
        assert!(dataset.flags.iter().all(|flag| known.iter().any(|known| known == flag)), "{}", dataset.name);
    }
    for flag in &known {
        let taken = own_files::takes(flag) || NamedDataset::all().any(|dataset| dataset.flags.contains(&flag.as_str()));
        assert!(taken, "no data set takes {flag}");
    }
}

#[test]
fn classes_choose_among_the_forms_of_a_data_set() {
    let with = |name: &str, classes: u32| match dataset(name) {
        Dataset::Named(named) => named.with_classes(Some(classes)).map(|chosen| chosen.name),
        Dataset::File(_) | Dataset::Hub(_) => unreachable!(),
    };
    assert_eq!(with("reviews", 5).unwrap(), "reviews5");
    assert_eq!(with("reviews3", 2).unwrap(), "reviews");
    assert_eq!(
        with("reviews", 4).unwrap_err().to_string(),
        "--classes 4: --dataset reviews does not have that many classes (hint: choose 2, 3 or 5)"
    );
    let refused = |name: &str, classes: u32| {
        let options = DatasetOptions { classes: Some(classes), ..DatasetOptions::default() };
        load(&dataset(name), &SourceChoice::Auto, &options).unwrap_err().to_string()
    };
    assert_eq!(
        refused("sst2", 3),
        "--classes is not available for --dataset sst2 (hint: --dataset sst3 has 3 classes)"
    );
    let hint = "(hint: --dataset reviews, reviews3 or reviews5, or leave --classes out)";
    assert_eq!(refused("sst5", 4), format!("--classes is not available for --dataset sst5 {hint}"));
    assert_eq!(refused("a.csv", 3), format!("--classes is not available for --dataset a.csv {hint}"));
}

#[test]
fn names_are_read_and_written() {
    for name in [
        "sst2",
        "sst3",
        "sst5",
        "glue-sst2",
        "reviews",
        "reviews3",
        "reviews5",
        "my/own.csv",
        "org/name",
        "org/name:a b",
    ] {
        assert_eq!(name.parse::<Dataset>().expect("a data set").name(), name);
    }
    assert_eq!("stanford".parse::<SourceChoice>().expect("a source"), SourceChoice::Download(Source::Stanford));
    assert_eq!("trees".parse::<SourceChoice>().expect("a folder"), SourceChoice::Folder("trees".into()));
    assert!("".parse::<Dataset>().is_err() && "".parse::<SourceChoice>().is_err());
}

#[test]
fn the_hash_split_is_fixed_and_keeps_equal_texts_together() {
    // As Python's hashlib computes them: sha256(b"0\ntext 0"), its first eight bytes over 2^64, and so on.
    let splits: Vec<&str> =
        (0..12).map(|i| Split::of(SplitHash::new(&format!("text {i}"), 0), 0.25, 0.25).name()).collect();
    let expected =
        ["test", "train", "validation", "train", "train", "train", "test", "test", "train", "train", "train", "train"];
    assert_eq!(splits, expected);
    for i in 0..200 {
        let (plain, shouted) = (format!("so  good {i}"), format!(" SO good\t{i} "));
        assert_eq!(SplitHash::new(&plain, 7), SplitHash::new(&shouted, 7));
    }
    let share =
        |split: Split| (0..10_000).filter(|i| Split::of(SplitHash::new(&i.to_string(), 3), 0.1, 0.1) == split).count();
    assert!((900..1100).contains(&share(Split::Validation)) && (900..1100).contains(&share(Split::Test)));
}

#[test]
fn invalid_flags_and_sources_are_refused() {
    let refused = |dataset: &str, source: &str, options: &DatasetOptions| {
        let dataset: Dataset = dataset.parse().expect("a data set");
        load(&dataset, &source.parse().expect("a source"), options).expect_err("refused").to_string()
    };
    let plain = DatasetOptions::default();
    assert_eq!(
        refused("glue-sst2", "stanford", &plain),
        "--dataset glue-sst2 is not available from stanford (hint: --source hub)"
    );
    assert_eq!(
        refused("reviews", "hub", &plain),
        "--dataset reviews is not available from hub (hint: --source packaged or --source DIR with \
         movieReviewSnippets_GroundTruth.txt in it)"
    );
    assert!(refused("my.csv", "hub", &plain).contains("leave --source out"));
    let phrases = DatasetOptions { phrases: true, ..DatasetOptions::default() };
    assert_eq!(
        refused("glue-sst2", "auto", &phrases),
        "--phrases is not available for --dataset glue-sst2 (hint: --dataset sst2, sst3 or sst5, or leave --phrases \
         out)"
    );
    assert!(refused("sst2", "packaged", &phrases).starts_with("--phrases needs the treebank's trees"));
    let ratio = DatasetOptions { split_ratio: Some(0.1), ..DatasetOptions::default() };
    assert!(
        refused("sst2", "auto", &ratio).contains("(hint: --dataset FILE or OWNER/NAME, or leave --split-ratio out)")
    );
    let seed = DatasetOptions { seed: Some(0), ..DatasetOptions::default() };
    assert!(refused("glue-sst2", "auto", &seed).contains("(hint: --dataset FILE or OWNER/NAME, or leave --seed out)"));
    let drop_empty = DatasetOptions { drop_empty: true, ..DatasetOptions::default() };
    assert!(
        refused("reviews", "auto", &drop_empty).contains("(hint: --dataset glue-sst2, FILE or OWNER/NAME, or leave")
    );

    // Files that are split already need no ratio and no seed; a test split alone leaves validation to be taken.
    let temp = TempDataset::new();
    let rows: String = (0..60).map(|i| format!("text {i},{}\n", ["neg", "pos"][i % 2])).collect();
    temp.write("train.csv", format!("text,label\n{rows}"));
    temp.write("test.csv", format!("text,label\n{rows}"));
    temp.load("", &ratio).expect("validation is taken from train");
    temp.write("validation.csv", format!("text,label\n{rows}"));
    for (options, flag) in [(&ratio, "--split-ratio"), (&seed, "--seed")] {
        let message = temp.load("", options).expect_err("refused");
        assert!(message.starts_with(&format!("{flag} is for data without a validation split")), "{message}");
    }
    temp.load("", &DatasetOptions { drop_empty: true, ..DatasetOptions::default() })
        .expect("files may have empty rows");
}
