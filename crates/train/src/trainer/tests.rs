//! Complete training runs of a tiny model: a GPU that is too small for a batch, simulated on the CPU, where the result
//! of a step must not change; class weights of 0; a warm-up that is too long.

use std::fs;
use std::path::Path;

use clap::Parser;
use data::prepare::{ModelLimits, PrepareArgs};
use model::{Config, Precision, SequenceClassifier};
use run::{Event, METRICS, read_log};
use serde_json::Value;
use tch::Device;

use crate::checkpoint::LoadedCheckpoint;
use crate::options::TrainArgs;
use crate::step::tests::with_memory_for;

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

/// Trains into `name` and returns the losses of the steps.
fn losses(folder: &Path, name: &str, flags: &str) -> Vec<f64> {
    let [data, output] = ["data", name].map(|name| folder.join(name).display().to_string());
    let line = format!(
        "train --max-steps 5 --precision fp32 --threads 1 --hidden-dropout 0 --attention-dropout 0 \
         --classifier-dropout 0 {flags}"
    );
    let line = line.split_whitespace().chain(["--data", &data, "--output", &output]);
    crate::train(&Train::parse_from(line).args).unwrap();
    let events = read_log(&folder.join(name)).unwrap().into_iter();
    events.filter_map(|event| if let Event::Step(step) = event { Some(step.loss) } else { None }).collect()
}

#[test]
fn too_little_gpu_memory_halves_the_micro_batches_and_does_not_change_the_result() {
    let folder = prepared_folder();
    let large_memory = losses(folder.path(), "large_memory", "--batch-size 12 --gradient-accumulation-steps 2");
    // Memory for four examples: parts of 6 are still too large, parts of 3 fit.
    let small_memory =
        with_memory_for(4, || losses(folder.path(), "small_memory", "--batch-size 12 --gradient-accumulation-steps 2"));
    assert_eq!((large_memory.len(), small_memory.len()), (5, 5));
    for (step, (a, b)) in large_memory.iter().zip(&small_memory).enumerate() {
        assert!((a - b).abs() < 1e-5, "step {step}: {a} and {b}");
    }
    let metrics: Value =
        serde_json::from_slice(&fs::read(folder.path().join("small_memory").join(METRICS)).unwrap()).unwrap();
    assert_eq!(metrics["micro_batch_size"], 3);
    let found = LoadedCheckpoint::newest(&folder.path().join("small_memory")).unwrap().unwrap();
    assert_eq!(found.state.micro_batch_parts, 4, "a resumed run starts with the same micro-batches");
}

#[test]
fn too_little_memory_for_one_example_is_an_error() {
    let folder = prepared_folder();
    let [data, output] = ["data", "none"].map(|name| folder.path().join(name).display().to_string());
    let line = ["train", "--data", &data, "--output", &output, "--max-steps", "2", "--threads", "1"];
    let error = with_memory_for(0, || crate::train(&Train::parse_from(line).args)).unwrap_err().to_string();
    assert!(error.starts_with("step 1: the GPU's memory is too small for one example at a time"), "{error}");
}

#[test]
fn a_step_whose_examples_all_have_weight_0_has_loss_0() {
    let folder = prepared_folder();
    let losses = losses(folder.path(), "weights", "--batch-size 1 --class-weights 0,1");
    assert_eq!(losses.len(), 5);
    assert!(losses.iter().all(|loss| loss.is_finite()), "{losses:?}");
    assert!(losses.contains(&0.0) && losses.iter().any(|loss| *loss > 0.0), "{losses:?}");
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
    let metrics: Value = serde_json::from_slice(&fs::read(folder.path().join("warm").join(METRICS)).unwrap()).unwrap();
    let notes: Vec<&str> = metrics["notes"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let warning = "the learning rate rose to 8.00e-7 and never reached its peak of 1.00e-6";
    assert!(notes.iter().any(|note| note.starts_with(warning)), "{notes:?}");
}
