//! Data sets of a Hub on this machine.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array};
use fetch::hub::{HubSettings, HubToken};
use tempfile::TempDir;
use test_support::{COMMIT, HubBehavior, HubServer, NEXT_COMMIT};

use super::*;
use crate::source::tests::{TempDataset, integers, parquet, strings, texts};
use crate::source::{Dataset, SourceChoice};

const NAMES: &str = r#"{"info": {"features": {"label": {"names": ["bad", "good"], "_type": "ClassLabel"}}}}"#;

/// A server with the data set `org/name`, and a cache.
struct Hubs {
    server: HubServer,
    cache: TempDir,
}

impl Hubs {
    fn new(files: &[(&str, Vec<u8>)]) -> Self {
        let files: BTreeMap<String, Vec<u8>> =
            files.iter().map(|(path, bytes)| ((*path).into(), bytes.clone())).collect();
        let repos = vec![("datasets/org/name".to_owned(), BRANCH.to_owned(), files)];
        let server = HubServer::start(HubBehavior { repos, large: ".parquet", ..HubBehavior::default() });
        Self { server, cache: TempDir::new().expect("a cache") }
    }

    fn hub(&self, change: impl FnOnce(&mut HubSettings)) -> Hub {
        let endpoint = self.server.endpoint.clone();
        let mut settings = HubSettings { endpoint, ..HubSettings::with_cache(self.cache.path()) };
        change(&mut settings);
        Hub::new(settings).expect("a hub")
    }

    fn load(&self, name: &str, options: &DatasetOptions) -> Result<Loaded, String> {
        self.load_from(&self.hub(|_| ()), name, options)
    }

    /// The data set, or the error without this machine's folder and port in it.
    fn load_from(&self, hub: &Hub, name: &str, options: &DatasetOptions) -> Result<Loaded, String> {
        let dataset = HubDataset::parse(name).unwrap_or_else(|| panic!("{name} is no name of the Hub"));
        dataset.load_from(hub, options).map_err(|error| {
            let cache = self.cache.path().display().to_string();
            error.to_string().replace(&cache, "CACHE").replace(&self.server.endpoint, "HOST")
        })
    }

    fn refusal(&self, name: &str) -> String {
        self.load(name, &DatasetOptions::default()).expect_err(name)
    }
}

fn file(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let temp = TempDataset::new();
    fs::read(parquet(temp.path().join("a.parquet"), columns, &[("huggingface", NAMES)])).expect("written")
}

/// Rows `PREFIX 0`, `PREFIX 1`, ... with these labels.
fn rows(prefix: &str, labels: &[i64]) -> Vec<u8> {
    let texts: Vec<String> = (0..labels.len()).map(|row| format!("{prefix} {row}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let index = Int32Array::from_iter_values(0..labels.len() as i32);
    file(vec![("idx", Arc::new(index)), ("sentence", strings(&texts)), ("label", integers(labels))])
}

fn alternating(rows: usize) -> Vec<i64> {
    (0..rows as i64).map(|row| row % 2).collect()
}

#[test]
fn shards_become_a_data_set_whose_validation_is_made_by_hash() {
    let hubs = Hubs::new(&[
        ("plain_text/train/0000.parquet", rows("first", &alternating(60))),
        ("plain_text/train/0001.parquet", rows("second", &alternating(40))),
        ("plain_text/test/0000.parquet", rows("test", &[-1, -1])),
        ("plain_text/unsupervised/0000.parquet", rows("more", &[-1, -1, -1])),
    ]);
    let loaded = hubs.load("org/name", &DatasetOptions::default()).expect("a data set");
    assert_eq!(loaded.label_names, ["bad", "good"]);
    assert_eq!(loaded.train.len() + loaded.validation.len(), 100);
    assert!((4..20).contains(&loaded.validation.len()), "{}", loaded.validation.len());
    assert_eq!(texts(&loaded.test), [("test 0", None), ("test 1", None)]);
    let odd = loaded.train.iter().chain(&loaded.validation).all(|record| {
        let row: u32 = record.text.split(' ').nth(1).and_then(|row| row.parse().ok()).expect("a number");
        record.label == Some(row % 2)
    });
    assert!(odd, "labels have left their texts");

    assert_eq!(loaded.dataset, "org/name");
    assert_eq!(
        loaded.source,
        format!("Hugging Face Hub, org/name@refs/convert/parquet, configuration plain_text ({COMMIT})")
    );
    let how = "rows, validation taken from train by hash of the text, a share of 0.1 each, seed 0";
    assert!(loaded.variant.starts_with("org/name: ") && loaded.variant.ends_with(how), "{}", loaded.variant);
    let files = ["plain_text/test/0000.parquet", "plain_text/train/0000.parquet", "plain_text/train/0001.parquet"];
    assert_eq!(loaded.source_sha256.keys().collect::<Vec<_>>(), files);
    assert_eq!(loaded.places.name(Split::Test, 1), "plain_text/test/0000.parquet row 2");
    assert_eq!(loaded.notes[0], "org/name: split \"unsupervised\" is not used");
    assert_eq!(
        loaded.notes[1],
        "found by name: the text is column \"sentence\", the label is column \"label\" (hint: --text-column, --label-column)"
    );
    let requests = hubs.server.seen();
    assert!(!requests.iter().any(|seen| seen.path.contains("unsupervised")), "an unused split was downloaded");

    // A second time, the network is not asked, and there may be none.
    let same = DatasetOptions {
        text_column: Some("sentence".into()),
        label_column: Some("label".into()),
        ..DatasetOptions::default()
    };
    let offline = hubs.hub(|settings| settings.offline = true);
    let again = hubs.load_from(&offline, "org/name:plain_text", &same).expect("from the cache");
    assert_eq!((again.train, again.dataset, again.source), (loaded.train, loaded.dataset, loaded.source));
    assert!(!again.notes.iter().any(|note| note.contains("the text is column")), "nothing was guessed");
    hubs.load("org/name", &DatasetOptions::default()).expect("again");
    assert!(hubs.server.seen().is_empty());
    let seed = DatasetOptions { seed: Some(1), ..DatasetOptions::default() };
    assert_ne!(hubs.load("org/name", &seed).expect("another seed").validation, loaded.validation);
}

#[test]
fn offline_a_data_set_of_which_a_shard_is_missing_is_refused() {
    let train = [0, 1].map(|shard| rows(&format!("shard {shard}"), &alternating(40)));
    let [first, second] = train;
    let hubs = Hubs::new(&[("default/train/0000.parquet", first), ("default/train/0001.parquet", second)]);
    hubs.load("org/name", &DatasetOptions::default()).expect("a data set");
    let folder = hubs.cache.path().join("datasets--org--name/snapshots").join(COMMIT);
    fs::remove_file(folder.join("default/train/0001.parquet")).expect("removed");
    let offline = hubs.hub(|settings| settings.offline = true);
    let message = hubs.load_from(&offline, "org/name", &DatasetOptions::default()).expect_err("half a data set");
    assert!(message.starts_with("hub: default/train/0001.parquet of org/name at revision "), "{message}");
}

#[test]
fn a_branch_that_has_moved_on_is_read_at_its_new_commit_alone() {
    let labels = alternating(40);
    let hubs =
        Hubs::new(&[("a/train/0000.parquet", rows("old", &labels)), ("b/train/0000.parquet", rows("b", &labels))]);
    hubs.load("org/name:a", &DatasetOptions::default()).expect("the old commit");
    hubs.server.change(|behavior| {
        behavior.commit = NEXT_COMMIT.into();
        behavior.repos[0].2.insert("b/train/0000.parquet".into(), rows("new", &labels));
        behavior.repos[0].2.insert("b/train/0001.parquet".into(), rows("more", &labels));
    });
    let loaded = hubs.load("org/name:b", &DatasetOptions::default()).expect("the new commit");
    assert!(loaded.source.ends_with(&format!("configuration b ({NEXT_COMMIT})")), "{}", loaded.source);
    let records = loaded.train.iter().chain(&loaded.validation).chain(&loaded.test);
    assert_eq!(records.filter(|record| record.text.starts_with("b ")).count(), 0);
    assert_eq!(loaded.source_sha256.len(), 2);
}

#[test]
fn a_configuration_is_named_where_there_are_several() {
    let train = rows("train", &alternating(40));
    let dev = rows("dev", &[1, 0]);
    let hubs = Hubs::new(&[
        ("de/training/0000.parquet", train.clone()),
        ("de/dev/0000.parquet", dev.clone()),
        ("en/train/0000.parquet", train.clone()),
        ("README.md", b"no data".to_vec()),
    ]);
    assert_eq!(
        hubs.refusal("org/name"),
        "--dataset org/name: org/name has several configurations: de, en (hint: --dataset org/name:de)"
    );
    assert_eq!(
        hubs.refusal("org/name:fr"),
        "--dataset org/name:fr: org/name has no configuration \"fr\", only de, en (hint: --dataset org/name:de)"
    );
    let loaded = hubs.load("org/name:de", &DatasetOptions::default()).expect("a data set");
    assert_eq!(loaded.dataset, "org/name:de");
    assert_eq!(texts(&loaded.validation), [("dev 0", Some(1)), ("dev 1", Some(0))]);
    assert_eq!((loaded.train.len(), loaded.test.len()), (40, 0));
    let seed = DatasetOptions { seed: Some(1), ..DatasetOptions::default() };
    let message = hubs.load("org/name:de", &seed).expect_err("nothing is split");
    assert_eq!(message, "--seed is for data without a validation split, and this data has one (hint: leave it out)");

    let hubs = Hubs::new(&[("default/train/0000.parquet", train.clone()), ("other/train/0000.parquet", dev)]);
    let loaded = hubs.load("org/name", &DatasetOptions::default()).expect("the default");
    assert_eq!((loaded.dataset.as_str(), loaded.source_sha256.len()), ("org/name", 1));
    let many: Vec<String> = (10..35).map(|number| format!("c{number}/train/0000.parquet")).collect();
    let many: Vec<(&str, Vec<u8>)> = many.iter().map(|path| (path.as_str(), train.clone())).collect();
    let message = Hubs::new(&many).refusal("org/name");
    assert!(message.ends_with("c28, c29 and 5 more (hint: --dataset org/name:c10)"), "{message}");
}

#[test]
fn splits_are_found_by_name_and_what_is_not_whole_is_said() {
    let labels = alternating(40);
    let hubs = Hubs::new(&[("a/test/0000.parquet", rows("a", &labels)), ("a/raw/0000.parquet", rows("b", &labels))]);
    assert_eq!(
        hubs.refusal("org/name"),
        "--dataset org/name: no split is called train or training, only raw, test (hint: download the file to train on \
         and give --dataset its path)"
    );
    let hubs = Hubs::new(&[
        ("plain_text/some-name-train-00000-of-00002.parquet", rows("a", &labels)),
        ("plain_text/some-name-train-00001-of-00002.parquet", rows("b", &labels)),
        ("plain_text/some-name-validation.parquet", rows("c", &labels)),
    ]);
    let loaded = hubs.load("org/name", &DatasetOptions::default()).expect("older names");
    assert_eq!((loaded.train.len(), loaded.validation.len()), (80, 40));
    let hubs = Hubs::new(&[
        ("default/partial-train/0000.parquet", rows("a", &labels)),
        ("default/validation/0000.parquet", rows("b", &labels)),
        ("default/dev/0000.parquet", rows("c", &labels)),
        ("default/b\u{7}d/0000.parquet", rows("d", &labels)),
    ]);
    let loaded = hubs.load("org/name", &DatasetOptions::default()).expect("the beginning");
    assert_eq!(loaded.notes[0], "org/name: split \"dev\" is not used");
    assert_eq!(
        loaded.notes[1],
        "NOT THE WHOLE DATA SET: the Hub's Parquet files of org/name hold only the beginning of it"
    );
    assert!(loaded.validation.iter().all(|record| record.text.starts_with("b ")));
}

#[test]
fn what_the_hub_refuses_is_said_with_the_way_in() {
    let hubs = Hubs::new(&[("default/train/0000.parquet", rows("a", &alternating(40)))]);
    let offline = hubs.hub(|settings| settings.offline = true);
    let refused = |hub: &Hub, name: &str| hubs.load_from(hub, name, &DatasetOptions::default()).expect_err(name);
    assert_eq!(
        refused(&offline, "org/name"),
        "--dataset org/name is no file or folder here, and as a data set of the Hub: the list of files of org/name at \
         revision refs/convert/parquet is not in the cache CACHE and HF_HUB_OFFLINE is set (hint: unset it, or run once \
         with a network)"
    );
    let begin = "--dataset org/nothing is no file or folder here, and as a data set of the Hub: ";
    let message = refused(&hubs.hub(|_| ()), "org/nothing");
    assert!(
        message.starts_with(&format!("{begin}HOST has no datasets/org/nothing (hint: check the spelling; ")),
        "{message}"
    );
    hubs.server.change(|behavior| behavior.token = Some("hf_right"));
    let message = refused(&hubs.hub(|_| ()), "org/nothing");
    let expected = "HOST refuses access to datasets/org/nothing (status 401): it does not exist, is private or is gated, \
         and no token was sent (hint: check the spelling; a public repository needs no token; ";
    assert!(message.starts_with(&format!("{begin}{expected}")), "{message}");
    let stale = hubs.hub(|settings| settings.token = Some(HubToken::new("hf_old", "the file TOKEN")));
    let message = refused(&stale, "org/name");
    let expected = "(status 401): the token in the file TOKEN is not valid; it may be expired, revoked or mistyped";
    assert!(message.contains(expected) && message.contains("a public repository needs no token"), "{message}");

    hubs.server.change(|behavior| (behavior.token, behavior.repos[0].1) = (None, "main".into()));
    assert_eq!(
        refused(&hubs.hub(|_| ()), "org/name"),
        "--dataset org/name: the Hub has no Parquet files of this data set, as for those that a script loads (hint: \
         download its files and give --dataset their path)"
    );
    hubs.server.change(|behavior| {
        let files = (0..50_000).map(|number| (format!("default/train/{number}.parquet"), Vec::new()));
        behavior.repos[0] = ("datasets/org/large".into(), BRANCH.into(), files.collect());
    });
    let message = refused(&hubs.hub(|_| ()), "org/large");
    assert!(message.contains("the Hub lists 50,000 Parquet files, and there may be more"), "{message}");
    let empty = Hubs::new(&[("README.md", Vec::new())]);
    assert!(empty.refusal("org/name").contains("has no Parquet files"));
}

#[test]
fn a_damaged_shard_and_unknown_columns_are_errors_of_their_file() {
    let hubs = Hubs::new(&[("default/train/0000.parquet", b"PAR1 and no more".to_vec())]);
    let message = hubs.refusal("org/name");
    assert!(message.contains("default/train/0000.parquet: Parquet's mark at its end is missing"), "{message}");
    let columns = vec![("premise", strings(&["a"])), ("gold", integers(&[0]))];
    let hubs = Hubs::new(&[("default/train/0000.parquet", file(columns))]);
    let message = hubs.refusal("org/name");
    assert!(message.contains("(hint: --text-column NAME)") && message.contains("premise"), "{message}");
    let hubs = Hubs::new(&[("default/train/0000.parquet", rows("few", &[0, 1]))]);
    let message = hubs.refusal("org/name");
    assert!(message.ends_with("(hint: a larger --split-ratio or another --seed)"), "{message}");
}

#[test]
fn a_path_that_is_there_comes_before_a_name() {
    let read = |name: &str| name.parse::<Dataset>().expect("a data set");
    // Tests run in the package's folder.
    assert_eq!(read("src/source"), Dataset::File("src/source".into()));
    assert_eq!(
        Dataset::note_on_name(Path::new("src/source")).as_deref(),
        Some("src/source is a folder here, so it is not looked up on the Hub")
    );
    for path in ["./src/source", "/data/reviews", "src/source.rs/x", "train.csv", "data/train.csv", "data/a.txt", "a"] {
        assert_eq!(Dataset::note_on_name(Path::new(path)), None, "{path}");
        assert_eq!(read(path), Dataset::File(path.into()), "{path}");
    }
    for name in ["org/name", "org/name:config", "org/c4.en", "org/name.csv:20220301.en"] {
        assert!(matches!(read(name), Dataset::Hub(_)), "{name}");
        assert_eq!(read(name).name(), name);
    }
}

#[test]
fn flags_of_files_are_refused() {
    let refused = |source: &str, options: &DatasetOptions| {
        let dataset: Dataset = "org/name:en".parse().expect("a data set");
        crate::source::load(&dataset, &source.parse().expect("a source"), options).expect_err("refused").to_string()
    };
    let message = refused("hub", &DatasetOptions::default());
    assert!(
        message.ends_with("and --dataset org/name:en is read from the Hub (hint: leave --source out)"),
        "{message}"
    );
    let test_file = DatasetOptions { test_file: vec!["test.csv".into()], ..DatasetOptions::default() };
    assert_eq!(
        refused("auto", &test_file),
        "--test-file is not available for --dataset org/name:en (hint: --dataset FILE, or leave --test-file out)"
    );
    assert_eq!("auto".parse::<SourceChoice>().expect("a source"), SourceChoice::Auto);
}
