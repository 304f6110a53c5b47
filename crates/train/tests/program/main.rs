//! The program `train`, which has the flags of `verdict train` and no other command: a group starts this program for its runs.

use std::fs;
use std::path::Path;
use std::process::Command;

use clap::Parser;
use data::prepare::{ModelLimits, PrepareArgs};
use model::{Config, Precision, SequenceClassifier};
use tch::Device;

const WORDS: [&str; 10] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "film", "plot", "the"];

#[derive(Parser)]
struct Prepare {
    #[command(flatten)]
    args: PrepareArgs,
}

/// A folder with a random BERT of one layer in `tiny` and eighty texts prepared for it in `data`.
fn prepared_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("tiny");
    fs::create_dir(&model).unwrap();
    fs::write(model.join("vocab.txt"), WORDS.join("\n") + "\n").unwrap();
    fs::write(model.join("tokenizer_config.json"), r#"{"do_lower_case": true}"#).unwrap();
    let config = r#"{"model_type": "bert", "vocab_size": 10, "hidden_size": 16, "num_hidden_layers": 1,
        "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 32, "initializer_range": 0.2}"#;
    let config = Config::from_json(config, Path::new("config.json")).unwrap();
    SequenceClassifier::random(config, Device::Cpu, Precision::Fp32, 5).save(&model).unwrap();
    let row = |row: usize| {
        let (word, label) = if row.is_multiple_of(2) { ("good", "positive") } else { ("bad", "negative") };
        let bits = (0..5).map(|bit| WORDS[7 + (row >> bit) % 3]).collect::<Vec<_>>().join(" ");
        format!("{bits} {word} {},{label}\n", "the ".repeat(row / 32))
    };
    fs::write(folder.path().join("texts.csv"), "text,label\n".to_owned() + &(0..80).map(row).collect::<String>())
        .unwrap();
    let [dataset, model, output] =
        ["texts.csv", "tiny", "data"].map(|name| folder.path().join(name).display().to_string());
    let line = ["prepare", "--dataset", &dataset, "--model", &model, "--output", &output, "--max-length", "32"];
    let line = line.into_iter().chain(["--max-leaked", "1", "--max-containing", "1"]);
    let limits = ModelLimits { vocab_size: WORDS.len(), positions: 32 };
    data::prepare::run(&Prepare::parse_from(line).args, |_| Ok(limits)).unwrap();
    folder
}

#[test]
fn a_group_starts_the_program_that_was_called() {
    let folder = prepared_folder();
    let train = |flags: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_train"));
        let shared = "--data data --threads 1 --precision fp32 --max-steps 4";
        command.current_dir(folder.path()).args(shared.split_whitespace()).args(flags.split_whitespace());
        let output = command.env("HF_HUB_OFFLINE", "1").output().unwrap();
        assert!(output.status.success(), "{flags}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(train("--seeds 2 --output group"), "group\n");
    assert_eq!(train("--seed 43 --output single"), "single\n");
    let model = |run: &str| fs::read(folder.path().join(run).join("model.safetensors")).unwrap();
    assert!(model("group/seed-43") == model("single"), "the run of the group is that of its seed");
    assert!(model("group/seed-42") != model("single"));
}
