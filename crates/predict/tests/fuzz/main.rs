//! Damaged files in a run's folder, opened as prediction opens it. What must hold is in `test_support::fuzz`.

use std::fs;
use std::path::Path;

use model::{Config, Precision, SequenceClassifier};
use predict::Predictor;
use tch::Device;
use test_support::fuzz::{FuzzTarget, MemoryLimit, SeedFile, SeedFormat, check, temporary_folder};

/// libtorch allocates memory of its own, so the limit is on the process's pages.
const MEMORY_LIMIT: MemoryLimit = MemoryLimit { per_byte: 64, fixed: 192 << 20 };

const CONFIG: &str = r#"{"model_type": "bert", "vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 1,
    "num_attention_heads": 2, "intermediate_size": 12, "max_position_embeddings": 16,
    "id2label": {"0": "negative", "1": "neutral", "2": "positive"}}"#;
const VOCAB: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\ngood\nfilm\n##s\n.\n";
const DATA: &str = r#"{"format": 1, "dataset": "sst2", "vocab_size": 9, "max_length": 8, "label_names": ["a", "b"]}"#;

/// A run, made here.
fn run() -> tempfile::TempDir {
    let run = temporary_folder();
    let config = Config::from_json(CONFIG, Path::new("config.json")).unwrap();
    SequenceClassifier::random(config, Device::Cpu, Precision::Fp32, 7).save(run.path()).unwrap();
    fs::write(run.path().join("vocab.txt"), VOCAB).unwrap();
    fs::write(run.path().join("data.json"), DATA).unwrap();
    run
}

/// Opens the run and asks it something: the answer must be one of its labels, with probabilities that are ones.
fn answer(run: &Path) -> Result<(), String> {
    let predictor = Predictor::open(run, Device::Cpu, Precision::Fp32).map_err(|error| error.to_string())?;
    let texts = ["A good film.", "", "good films a a a a a a a a a a a a a a a a a a", "\u{1F600}"];
    for prediction in predictor.predict(&texts).map_err(|error| error.to_string())? {
        assert!(predictor.label_names().contains(&prediction.label), "{prediction:?}");
        let sum: f32 = prediction.probabilities.iter().map(|(_, p)| p).sum();
        assert!((sum - 1.0).abs() < 1e-3, "{prediction:?}");
    }
    Ok(())
}

/// Damages one file of a run.
fn damage(name: &'static str, file: &str, seeds: Vec<SeedFile>) {
    let run = run();
    check(&FuzzTarget { package: "predict", name, memory_limit: MEMORY_LIMIT }, seeds, |bytes| {
        fs::write(run.path().join(file), bytes).unwrap();
        answer(run.path())
    });
}

#[test]
fn config_json() {
    let seeds = vec![
        SeedFile::new(SeedFormat::Json, CONFIG),
        SeedFile::new(SeedFormat::Json, CONFIG.replace("neutral", "so \\u00e9")),
    ];
    damage("config_json", "config.json", seeds);
}

#[test]
fn vocabularies() {
    damage("vocabularies", "vocab.txt", vec![SeedFile::new(SeedFormat::Lines, VOCAB)]);
}

#[test]
fn data_json() {
    let run = run();
    let seeds = vec![SeedFile::new(SeedFormat::Json, DATA), SeedFile::new(SeedFormat::Json, "{\"max_length\": 4}")];
    // A folder of other making has no such file, so none is refused: what counts is that the answer stays sound.
    let parser = FuzzTarget { package: "predict", name: "data_json", memory_limit: MEMORY_LIMIT };
    check(&parser, seeds, |bytes| {
        fs::write(run.path().join("data.json"), bytes).unwrap();
        answer(run.path())
    });
}

#[test]
fn a_gap_in_the_label_names_is_refused() {
    let run = run();
    for (names, reason) in [
        (
            r#"{"0": "negative", "1": "neutral", "7": "positive"}"#,
            "at least two of them, found 0 = negative, 1 = neutral, 7 = positive",
        ),
        // What transformers takes as a regression.
        (r#"{"0": "negative"}"#, "id2label names only one class, \"negative\": a regression"),
    ] {
        let path = run.path().join("config.json");
        let old = r#"{"0": "negative", "1": "neutral", "2": "positive"}"#;
        fs::write(path, CONFIG.replace(old, names)).unwrap();
        let message = answer(run.path()).unwrap_err();
        assert!(message.contains(reason), "{message}");
    }
}

#[test]
fn ids_that_the_model_does_not_know_are_refused() {
    let run = run();
    fs::write(run.path().join("vocab.txt"), format!("{VOCAB}more\n")).unwrap();
    let message = answer(run.path()).unwrap_err();
    assert!(message.contains("the tokenizer has ids up to 9, but the model has 9 embeddings"), "{message}");
}
