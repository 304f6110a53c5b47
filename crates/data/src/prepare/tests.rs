//! The `prepare` command with a user's CSV files and a tiny model folder.

use super::*;
use crate::load_options::DatasetOptions;
use crate::record::Split;
use crate::source::{Dataset, SourceChoice};
use clap::Parser;
use disk::faults;
use std::fs;
use std::path::PathBuf;

mod vocabulary;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    prepare: PrepareArgs,
}

/// A user's folder: `data/{train,validation,test}.csv` and a model of 258 words.
pub(crate) struct TempWorkspace(tempfile::TempDir);

impl TempWorkspace {
    pub(crate) fn new() -> Self {
        let workspace = Self(tempfile::tempdir().unwrap());
        fs::create_dir(workspace.path("data")).unwrap();
        fs::create_dir(workspace.path("model")).unwrap();
        let split = |from: usize| -> String {
            let row = |row| format!("{} number{row} film,{}\n", ["good", "bad"][row % 2], ["pos", "neg"][row % 2]);
            "text,label\n".to_owned() + &(from..from + 30).map(row).collect::<String>()
        };
        fs::write(workspace.path("data/train.csv"), split(0)).unwrap();
        fs::write(workspace.path("data/validation.csv"), split(100)).unwrap();
        fs::write(workspace.path("data/test.csv"), split(200)).unwrap();
        workspace.vocabulary(&[]);
        fs::write(workspace.path("model/model.safetensors"), b"").unwrap();
        workspace.config(r#"{"model_type": "bert", "vocab_size": 300, "max_position_embeddings": 16}"#);
        workspace
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The special tokens, the words of the texts and `more`; `number250` and later are unknown.
    fn vocabulary(&self, more: &[&str]) {
        let words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "film"].map(String::from);
        let numbers = (0..250).map(|number| format!("number{number}"));
        let words = words.into_iter().chain(numbers).chain(more.iter().map(|word| word.to_string()));
        fs::write(self.path("model/vocab.txt"), words.map(|word| word + "\n").collect::<String>()).unwrap();
    }

    fn config(&self, json: &str) {
        fs::write(self.path("model/config.json"), json).unwrap();
    }

    pub(crate) fn prepare(&self, more: &[&str]) -> Result<PreparedSummary, DataError> {
        let place = |name| self.path(name).display().to_string();
        let (data, model, output) = (place("data"), place("model"), place("out/own"));
        let mut fixed = vec!["prepare", "--model", &model, "--output", &output];
        let dataset = ["--dataset", &data];
        fixed.extend_from_slice(if more.contains(&"--dataset") { &[] } else { &dataset });
        let args = Cli::parse_from(fixed.iter().chain(more)).prepare;
        prepare(&args, |folder| {
            let config: serde_json::Value = serde_json::from_slice(&fs::read(folder.join("config.json"))?)?;
            let size = |key: &str| config[key].as_u64().map(|size| size as usize).ok_or(format!("{key} is missing"));
            Ok(ModelLimits { vocab_size: size("vocab_size")?, positions: size("max_position_embeddings")? })
        })
    }

    /// The names in `out`, hidden ones too.
    fn out(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path("out"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

#[test]
fn a_file_becomes_prepared_data() {
    let workspace = TempWorkspace::new();
    let outcome = workspace.prepare(&["--max-length", "16"]).unwrap();
    assert!(!outcome.already_prepared);
    assert_eq!(workspace.out(), ["own"]);
    let manifest = &outcome.prepared.manifest;
    let names: Vec<&str> = manifest.splits.keys().map(String::as_str).collect();
    assert_eq!(names, ["test", "train", "validation"]);
    assert_eq!(
        (manifest.vocab_size, manifest.max_length, manifest.model.origin.clone()),
        (258, 16, fetch::ModelOrigin::Local)
    );
    let train = &manifest.splits["train"];
    assert_eq!((train.rows, train.labeled, train.tokens, train.longest, train.truncated), (30, 30, 150, 5, 0));
    assert_eq!(train.label_counts, [15, 15]);

    outcome.prepared.verify().unwrap();
    let examples = outcome.prepared.split("train").unwrap();
    let label = |name: &str| manifest.label_names.iter().position(|known| known == name).map(|at| at as u32);
    assert_eq!(examples.text(0).unwrap(), "good number0 film");
    assert_eq!(examples.input_ids(0).unwrap(), [2, 5, 8, 7, 3]);
    assert_eq!((examples.label(0), examples.label(1)), (label("pos"), label("neg")));
    assert!(examples.label(0).is_some());
}

#[test]
fn the_same_inputs_are_prepared_once() {
    let workspace = TempWorkspace::new();
    let first = workspace.prepare(&["--max-length", "16"]).unwrap();
    let written = fs::metadata(workspace.path("out/own/train.arrow")).unwrap().modified().unwrap();
    let second = workspace.prepare(&["--max-length", "16"]).unwrap();
    assert!(second.already_prepared);
    assert_eq!(second.prepared.manifest, first.prepared.manifest);
    assert_eq!(fs::metadata(workspace.path("out/own/train.arrow")).unwrap().modified().unwrap(), written);
    assert!(summary::render(&second).contains("already prepared from the same inputs"));

    let cut = workspace.prepare(&["--max-length", "4"]).unwrap();
    assert!(!cut.already_prepared);
    let train = &cut.prepared.manifest.splits["train"];
    assert_eq!((train.truncated, train.truncated_share, train.longest), (30, 1.0, 4));
    assert_eq!(workspace.out(), ["own"], "the older one is gone, and nothing is left beside");
    assert!(summary::render(&cut).contains("30 (100.0 %)"), "{}", summary::render(&cut));

    fs::remove_file(workspace.path("out/own/test.arrow")).unwrap();
    assert!(
        !workspace.prepare(&["--max-length", "4"]).unwrap().already_prepared,
        "a damaged directory is prepared again"
    );
}

/// The lines of a page, whatever their spacing.
fn lines(page: &str) -> Vec<String> {
    page.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn the_audit_is_written_and_printed() {
    let workspace = TempWorkspace::new();
    let outcome = workspace.prepare(&["--max-length", "4"]).unwrap();
    let audit = outcome.prepared.audit().unwrap();
    assert_eq!(audit, outcome.audit);
    let json: serde_json::Value =
        serde_json::from_slice(&fs::read(workspace.path("out/own/audit.json")).unwrap()).unwrap();
    assert!(json["variant"].as_str().unwrap().ends_with("30/30/30 rows, split by file"), "{json}");
    let train = &json["splits"]["train"];
    assert_eq!((train["rows"].as_u64(), train["labels"][0]["share"].as_f64()), (Some(30), Some(0.5)));
    assert_eq!((train["truncated"].as_u64(), train["truncated_share"].as_f64()), (Some(30), Some(1.0)));
    // Three words and two special tokens, as long as they were before the cut.
    assert_eq!((train["tokens"]["max"].as_u64(), train["words"]["median"].as_u64()), (Some(5), Some(3)));
    assert_eq!(json["splits"]["test"]["leaked"]["validation"]["exact"].as_u64(), Some(0));
    assert_eq!(
        (json["limits"]["max_leaked"].as_f64(), json["exceeded"].as_array().map(Vec::len)),
        (Some(0.05), Some(0))
    );

    let page = summary::render(&outcome);
    for line in [
        "train validation test limit",
        "neg 15 (50.0 %) 15 (50.0 %) 15 (50.0 %)",
        "largest to smallest class 1.00 1.00 1.00",
        "also in train - - 5.0 %",
        "truncated to 4 tokens 30 (100.0 %) 30 (100.0 %) 30 (100.0 %) none",
        "train 5 5 5 5 5 5 5 5 5.0",
        "audit no limit is exceeded",
    ] {
        assert!(lines(&page).iter().any(|found| found == line), "no line {line:?} in\n{page}");
    }
    assert!(page.lines().all(|line| line.chars().count() <= 110 || line.contains("/out/own")), "{page}");
}

#[test]
fn a_refusal_by_the_audit_writes_nothing_and_allowing_it_is_recorded() {
    let workspace = TempWorkspace::new();
    fs::copy(workspace.path("data/train.csv"), workspace.path("data/test.csv")).unwrap();
    let message = workspace.prepare(&["--max-length", "16"]).unwrap_err().to_string();
    let example = "such as \"good number0 film\" (test.csv row 1, train.csv row 1); up to 5.0 %";
    assert!(message.starts_with("test: 30 of 30 rows (100.0 %) are training rows too"), "{message}");
    assert!(message.contains(example), "{message}");
    assert!(!workspace.path("out").exists(), "nothing was written");

    let outcome = workspace.prepare(&["--max-length", "16", "--allow-leakage"]).unwrap();
    assert_eq!((outcome.audit.allowed, outcome.audit.exceeded.len()), (true, 1));
    let page = summary::render(&outcome);
    assert!(page.contains("30 (100.0 %) !") && page.contains("ALLOWED by --allow-leakage"), "{page}");
    assert!(page.contains("test: \"good number0 film\": test.csv row 1, also train.csv row 1"), "{page}");
    assert!(workspace.prepare(&["--max-length", "16", "--allow-leakage"]).unwrap().already_prepared);

    // Other limits are another audit of the same data.
    let laxer = workspace.prepare(&["--max-length", "16", "--max-leaked", "1"]).unwrap();
    assert!(!laxer.already_prepared && laxer.audit.exceeded.is_empty());
    assert_eq!(laxer.prepared.manifest.fingerprint, outcome.prepared.manifest.fingerprint);
    assert_eq!(laxer.prepared.audit().unwrap().limits.max_leaked, 1.0);
}

#[test]
fn too_many_cut_texts_are_refused_where_a_limit_says_so() {
    let workspace = TempWorkspace::new();
    workspace.prepare(&["--max-length", "16", "--max-truncated", "0"]).unwrap();
    let before = fs::read(workspace.path("out/own/manifest.json")).unwrap();
    let message = workspace.prepare(&["--max-length", "4", "--max-truncated", "0.5"]).unwrap_err().to_string();
    let cut =
        "train: 30 of 30 rows (100.0 %) are truncated to 4 tokens; up to 50.0 % is accepted (--max-truncated 0.5)";
    assert!(message.contains(cut) && message.contains("3 limits of the audit are exceeded"), "{message}");
    assert_eq!(fs::read(workspace.path("out/own/manifest.json")).unwrap(), before, "the older data is as it was");
    assert_eq!(workspace.out(), ["own"]);
}

#[test]
fn fault_3_texts_longer_than_max_length_are_cut_and_counted() {
    let workspace = TempWorkspace::new();
    let long = "film ".repeat(5000);
    let row = |row: usize| format!("{long} number{row},{}\n", ["pos", "neg"][row % 2]);
    let rows: String = (0..4).map(row).collect();
    fs::write(workspace.path("data/train.csv"), format!("text,label\ngood,pos\n{rows}")).unwrap();
    let outcome = workspace.prepare(&["--max-length", "16"]).unwrap();
    let train = outcome.prepared.split("train").unwrap();
    assert_eq!((0..5).map(|row| train.token_count(row)).collect::<Vec<_>>(), [3, 16, 16, 16, 16]);
    assert_eq!((train.input_ids(1).unwrap()[0], train.input_ids(1).unwrap()[15]), (2, 3), "[CLS] and [SEP] are kept");
    let found = &outcome.audit.splits[&Split::Train];
    assert_eq!((found.truncated, found.truncated_share), (4, 0.8));
    let page = summary::render(&outcome);
    assert!(lines(&page).iter().any(|line| line.starts_with("truncated to 16 tokens 4 (80.0 %) - -")), "{page}");
}

#[test]
fn the_audit_text_shows_limits_and_dropped_rows() {
    let workspace = TempWorkspace::new();
    let train = fs::read_to_string(workspace.path("data/train.csv")).unwrap();
    fs::write(workspace.path("data/train.csv"), train + "\"\",pos\nbad number1 film,neg\n").unwrap();
    let refused = workspace.prepare(&["--max-length", "16"]).unwrap_err().to_string();
    assert!(refused.contains("null or empty text in 1 of 32 rows: row 31 (hint: --drop-empty)"), "{refused}");
    let flags = ["--max-length", "16", "--drop-empty", "--max-imbalance", "0.6", "--max-duplicates", "0.1"];
    let outcome = workspace.prepare(&flags).unwrap();
    assert_eq!((outcome.audit.empty_dropped, outcome.prepared.audit().unwrap().empty_dropped), (1, 1));
    let page = summary::render(&outcome);
    for line in [
        "rows 31 30 30",
        "neg 16 (51.6 %) 15 (50.0 %) 15 (50.0 %)",
        "in the largest class 16 (51.6 %) 15 (50.0 %) 15 (50.0 %) 60.0 %",
        "repeat an earlier text 1 (3.2 %) - - 10.0 %",
        "dropped 1 row without text",
    ] {
        assert!(lines(&page).iter().any(|found| found == line), "no line {line:?} in\n{page}");
    }
    let message = workspace.prepare(&[&flags[..6], &["0"]].concat()).unwrap_err().to_string();
    assert!(
        message.starts_with("train: 1 of 31 rows (3.2 %) repeat an earlier row; up to 0.0 % is accepted"),
        "{message}"
    );
}

#[test]
fn data_of_format_1_is_prepared_again() {
    let workspace = TempWorkspace::new();
    let first = workspace.prepare(&["--max-length", "16"]).unwrap();
    fs::remove_file(workspace.path("out/own/audit.json")).unwrap();
    let path = workspace.path("out/own/manifest.json");
    let text = fs::read_to_string(&path).unwrap().replace("\"format\": 2", "\"format\": 1");
    let mut manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
    manifest["audit_sha256"] = serde_json::Value::Null;
    fs::write(&path, manifest.to_string()).unwrap();
    let message = Prepared::open(&workspace.path("out/own")).unwrap_err().to_string();
    assert!(message.contains("has format 1, but this program reads format 2"), "{message}");
    let again = workspace.prepare(&["--max-length", "16"]).unwrap();
    assert!(!again.already_prepared && workspace.path("out/own/audit.json").is_file());
    assert_eq!(again.prepared.manifest, first.prepared.manifest);
}

#[test]
fn another_label_is_another_input() {
    let workspace = TempWorkspace::new();
    workspace.prepare(&["--max-length", "16"]).unwrap();
    let train = fs::read_to_string(workspace.path("data/train.csv")).unwrap();
    fs::write(workspace.path("data/train.csv"), train.replacen("pos", "neg", 1)).unwrap();
    let outcome = workspace.prepare(&["--max-length", "16"]).unwrap();
    assert!(!outcome.already_prepared);
    let mut counts = outcome.prepared.manifest.splits["train"].label_counts.clone();
    counts.sort_unstable();
    assert_eq!(counts, [14, 16]);
}

#[test]
fn other_data_is_replaced_only_if_asked_for() {
    let workspace = TempWorkspace::new();
    let first = workspace.prepare(&["--max-length", "16"]).unwrap();
    // The same source with other rows replaces what was made of it before.
    let train = fs::read_to_string(workspace.path("data/train.csv")).unwrap();
    fs::write(workspace.path("data/train.csv"), train.replacen("good", "fine", 1)).unwrap();
    let second = workspace.prepare(&["--max-length", "16"]).unwrap();
    assert_ne!(first.prepared.manifest.fingerprint, second.prepared.manifest.fingerprint);

    // Another folder of the same name is another data set.
    fs::create_dir(workspace.path("other")).unwrap();
    fs::rename(workspace.path("data"), workspace.path("other/data")).unwrap();
    let train = fs::read_to_string(workspace.path("other/data/train.csv")).unwrap();
    fs::write(workspace.path("other/data/train.csv"), train.replacen("fine", "great", 1)).unwrap();
    let dataset = workspace.path("other/data").display().to_string();
    let prepare = |more: &[&str]| workspace.prepare(&[&["--max-length", "16", "--dataset", &dataset], more].concat());
    let before = fs::read(workspace.path("out/own/manifest.json")).unwrap();
    let message = prepare(&[]).unwrap_err().to_string();
    assert!(message.contains("holds the prepared data of data (") && message.contains("or --replace)"), "{message}");
    assert_eq!(fs::read(workspace.path("out/own/manifest.json")).unwrap(), before);
    assert!(!prepare(&["--replace"]).unwrap().already_prepared);
    assert!(prepare(&[]).unwrap().already_prepared);
}

#[test]
fn a_folder_with_other_things_is_left_alone() {
    let workspace = TempWorkspace::new();
    fs::create_dir_all(workspace.path("out/own")).unwrap();
    fs::write(workspace.path("out/own/thesis.tex"), "years").unwrap();
    let message = workspace.prepare(&["--max-length", "16"]).unwrap_err().to_string();
    assert!(message.contains("thesis.tex") && message.contains("--output"), "{message}");
    assert_eq!(fs::read_to_string(workspace.path("out/own/thesis.tex")).unwrap(), "years");
    assert_eq!(workspace.out(), ["own"]);
}

#[test]
fn a_failure_leaves_the_older_data() {
    let workspace = TempWorkspace::new();
    workspace.prepare(&["--max-length", "16"]).unwrap();
    let before = fs::read(workspace.path("out/own/train.arrow")).unwrap();
    // A directory in the way of the file that is to be written.
    let staging = StagedFolder::create(&workspace.path("out/own"), MANIFEST).unwrap();
    assert_eq!(workspace.out().len(), 2);
    fs::create_dir(staging.path().join("train.arrow")).unwrap();
    assert!(Writer::create(&staging.path().join("train.arrow")).is_err());
    drop(staging);
    assert_eq!(workspace.out(), ["own"]);
    assert_eq!(fs::read(workspace.path("out/own/train.arrow")).unwrap(), before);
}

/// The power is cut, or the process killed, at each call of a preparation, into a new folder and over older data.
#[test]
fn prepared_data_is_whole_or_not_there_after_a_power_cut() {
    let workspace = TempWorkspace::new();
    let (out, own) = (workspace.path("out"), workspace.path("out/own"));
    fs::create_dir(&out).unwrap();
    // The fingerprint of what is there, if its files are what its manifest says.
    let published = |state: &str| {
        let manifest = Prepared::open(&own).ok()?.manifest;
        for (split, written) in &manifest.splits {
            let sum = disk::sha256_file(&own.join(manifest::file_name(split))).unwrap();
            assert_eq!(sum, written.sha256, "{split}: {state}");
        }
        Some(manifest.fingerprint)
    };
    let prepare = |length| workspace.prepare(&["--max-length", length]);
    let fingerprint = |length| prepare(length).unwrap().prepared.manifest.fingerprint;
    let (newer, older) = (fingerprint("16"), fingerprint("8"));
    let states = faults::power_cuts(
        &out,
        || {},
        || prepare("16"),
        |outcome, state| match published(state) {
            Some(found) => assert_eq!(found, newer),
            None => assert!(outcome.is_err() && !own.exists(), "{state}"),
        },
    );
    assert!(states > 50, "{states}");
    let states = faults::power_cuts(
        &out,
        || drop(prepare("8").unwrap()),
        || prepare("16"),
        |outcome, state| {
            let found = published(state).expect(state);
            assert!(found == newer || (found == older && outcome.is_err()), "{state}");
        },
    );
    assert!(states > 50, "{states}");
}

#[test]
fn a_link_stays_a_link() {
    let workspace = TempWorkspace::new();
    fs::create_dir_all(workspace.path("big-disk/own")).unwrap();
    fs::create_dir(workspace.path("out")).unwrap();
    std::os::unix::fs::symlink(workspace.path("big-disk/own"), workspace.path("out/own")).unwrap();
    workspace.prepare(&["--max-length", "16"]).unwrap();
    assert!(workspace.path("out/own").is_symlink());
    assert!(workspace.path("big-disk/own/manifest.json").is_file());
}

#[test]
fn what_the_model_cannot_take_is_refused() {
    let workspace = TempWorkspace::new();
    let message = workspace.prepare(&[]).unwrap_err().to_string();
    assert!(message.contains("--max-length 512") && message.contains("16 positions"), "{message}");
    workspace.config(r#"{"model_type": "bert", "vocab_size": 257, "max_position_embeddings": 16}"#);
    let message = workspace.prepare(&["--max-length", "16"]).unwrap_err().to_string();
    assert!(message.contains("model: its vocab_size is 257") && message.contains("ids up to 257"), "{message}");
    workspace.config(r#"{"model_type": "bert", "vocab_size": 258}"#);
    let message = workspace.prepare(&["--max-length", "16"]).unwrap_err().to_string();
    assert_eq!(message, "max_position_embeddings is missing", "what the model's reader says comes through");
}

#[test]
fn flags_are_parsed() {
    let args = |more: &[&str]| Cli::try_parse_from(["prepare"].iter().chain(more)).map(|cli| cli.prepare);
    let plain = args(&[]).unwrap();
    assert_eq!(
        (plain.dataset.clone(), plain.source.clone(), plain.max_length),
        ("sst2".parse::<Dataset>().unwrap(), SourceChoice::Auto, 512)
    );
    assert_eq!(plain.load_options, DatasetOptions::default());
    let mapped = args(&["--label-map", "0=negative, 1 = positive"]).unwrap().load_options.label_map.unwrap();
    assert_eq!(mapped.0, [("0".into(), "negative".into()), ("1".into(), "positive".into())]);
    assert!(args(&["--label-map", "negative"]).is_err());
    let reviews = args(&["--dataset", "reviews", "--classes", "5"]).unwrap();
    assert_eq!((reviews.dataset.name(), reviews.load_options.classes), ("reviews".into(), Some(5)));
}

#[test]
fn data_set_names_become_safe_folder_names() {
    for (dataset, folder) in [
        ("sst2", "sst2"),
        ("my reviews.csv", "my-reviews.csv"),
        ("o/n:en", "o-n-en"),
        ("cafe\u{301}.csv", "café.csv"),
        ("отзывы.csv", "отзывы.csv"),
        ("评论.csv", "评论.csv"),
        ("हिन्दी.csv", "हिन्दी.csv"),
        ("..", "own"),
    ] {
        assert_eq!(directory::name(dataset), folder, "{dataset}");
        assert!(directory::name(&dataset.repeat(100)).len() <= 200);
    }
}
