//! Complete training runs of a tiny model: too little memory, class weights of 0, a warm-up that is too long.

mod out_of_memory;

use std::fs;
use std::path::Path;

use clap::Parser;
use data::prepare::{ModelLimits, PrepareArgs};
use model::{Config, Precision, SequenceClassifier};
use run::{Event, METRICS, MODEL, RunFolder, read_log};
use serde_json::Value;
use tch::Device;

use crate::error::Result;
use crate::options::TrainArgs;

const WORDS: [&str; 14] =
    ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "film", "plot", "the", "a", "story", "with", "is"];

#[derive(Parser)]
struct Prepare {
    #[command(flatten)]
    args: PrepareArgs,
}

#[derive(Parser)]
struct Train {
    #[command(flatten)]
    args: TrainArgs,
}

/// A folder with a random BERT of two layers and eighty texts prepared for it.
fn prepared_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("tiny");
    fs::create_dir(&model).unwrap();
    fs::write(model.join("vocab.txt"), WORDS.join("\n") + "\n").unwrap();
    fs::write(model.join("tokenizer_config.json"), r#"{"do_lower_case": true}"#).unwrap();
    let config = r#"{"model_type": "bert", "vocab_size": 14, "hidden_size": 16, "num_hidden_layers": 2,
        "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 32, "initializer_range": 0.2}"#;
    let config = Config::from_json(config, Path::new("config.json")).unwrap();
    SequenceClassifier::random(config, Device::Cpu, Precision::Fp32, 5).save(&model).unwrap();
    let mut texts = "text,label\n".to_owned();
    for row in 0..80 {
        let (adjective, label) = if row % 2 == 0 { ("good", "positive") } else { ("bad", "negative") };
        let word = |step: usize| WORDS[7 + (row / step) % 7];
        texts += &format!("{} {} {} is {adjective},{label}\n", word(1), word(7), word(49));
    }
    fs::write(folder.path().join("texts.csv"), texts).unwrap();
    let [dataset, model, output] =
        ["texts.csv", "tiny", "data"].map(|name| folder.path().join(name).display().to_string());
    let line = ["prepare", "--dataset", &dataset, "--model", &model, "--output", &output, "--max-length", "32"];
    let limits = ModelLimits { vocab_size: WORDS.len(), positions: 32 };
    data::prepare::run(&Prepare::parse_from(line).args, |_| Ok(limits)).unwrap();
    folder
}

/// Trains five steps into `name`.
fn train(folder: &Path, name: &str, flags: &str) -> Result<RunFolder> {
    let [data, output] = ["data", name].map(|name| folder.join(name).display().to_string());
    let line = format!(
        "train --max-steps 5 --precision fp32 --threads 1 --hidden-dropout 0 --attention-dropout 0 \
         --classifier-dropout 0 {flags}"
    );
    let line = line.split_whitespace().chain(["--data", &data, "--output", &output]);
    crate::train(&Train::parse_from(line).args)
}

/// Trains into `name` and returns the losses of the steps.
fn losses(folder: &Path, name: &str, flags: &str) -> Vec<f64> {
    train(folder, name, flags).unwrap();
    losses_of(&folder.join(name))
}

/// The losses of the steps of a run.
fn losses_of(run: &Path) -> Vec<f64> {
    let events = read_log(run).unwrap().into_iter();
    events.filter_map(|event| if let Event::Step(step) = event { Some(step.loss) } else { None }).collect()
}

fn metrics_of(run: &Path) -> Value {
    serde_json::from_slice(&fs::read(run.join(METRICS)).unwrap()).unwrap()
}

#[test]
fn a_step_whose_examples_all_have_weight_0_has_loss_0() {
    let folder = prepared_folder();
    let losses = losses(folder.path(), "weights", "--batch-size 1 --class-weights 0,1");
    assert_eq!(losses.len(), 5);
    assert!(losses.iter().all(|loss| loss.is_finite()), "{losses:?}");
    assert!(losses.contains(&0.0) && losses.iter().any(|loss| *loss > 0.0), "{losses:?}");
}

/// A save brings all rows of the word embeddings up to date. Between saves, a pass must find the rows that it reads as
/// if there had been one after every step.
#[test]
fn rows_that_catch_up_give_the_same_training_as_rows_that_are_always_up_to_date() {
    let folder = prepared_folder();
    for optimizer in ["adamw", "adam"] {
        let flags = format!("--batch-size 1 --learning-rate 0.01 --weight-decay 0.5 --optimizer {optimizer}");
        let [each, none] = [("each", "--save-every 1"), ("none", "")].map(|(name, saves)| {
            let name = format!("{optimizer}-{name}");
            let losses = losses(folder.path(), &name, &format!("{flags} {saves}"));
            (losses, fs::read(folder.path().join(&name).join(MODEL)).unwrap())
        });
        assert_eq!(each.0, none.0, "{optimizer}");
        assert!(each.1 == none.1, "{optimizer}: the weights differ");
    }
}

#[test]
fn a_warm_up_longer_than_the_run_is_refused_before_the_folder_is_created() {
    let folder = prepared_folder();
    let [data, output] = ["data", "none"].map(|name| folder.path().join(name).display().to_string());
    let flags = |steps| ["train", "--data", &data, "--output", &output, "--batch-size", "40", "--warmup-steps", steps];
    let error = crate::train(&Train::parse_from(flags("500")).args).unwrap_err().to_string();
    assert!(error.contains("--warmup-steps 500 ") && error.contains("than the 6 steps of the run"), "{error}");
    assert!(!Path::new(&output).exists());
}

#[test]
fn a_training_that_can_not_have_worked_says_so_in_its_metrics() {
    let folder = prepared_folder();
    losses(folder.path(), "warm", "--learning-rate 1e-6 --warmup-steps 5");
    let metrics = metrics_of(&folder.path().join("warm"));
    let notes: Vec<&str> = metrics["notes"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let warning = "the learning rate rose to 8.00e-7 and never reached its peak of 1.00e-6";
    assert!(notes.iter().any(|note| note.starts_with(warning)), "{notes:?}");
}
