//! Flags, file and defaults together: who wins, what is saved, what is said.

use clap::{Args, FromArgMatches};

use super::*;

fn command() -> clap::Command {
    TrainArgs::augment_args(clap::Command::new("train"))
}

/// The arguments of a command line.
fn flags(line: &str) -> Result<TrainArgs, clap::Error> {
    let words = std::iter::once("train").chain(line.split_whitespace());
    command().try_get_matches_from(words).and_then(|matches| TrainArgs::from_arg_matches(&matches))
}

fn config(line: &str) -> Result<TrainConfig> {
    TrainConfig::from_args(&flags(line).unwrap())
}

/// A configuration file that is gone with the returned value.
fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

#[test]
fn nothing_asked_for_gives_the_defaults() {
    assert_eq!(config("").unwrap(), TrainConfig::default());
}

#[test]
fn every_flag_reaches_its_field() {
    let found = config(
        "--data d --model m --output o --epochs 2 --max-steps 90 --batch-size 8 --eval-batch-size 64 \
         --gradient-accumulation-steps 4 --group-by-length --seed 7 --precision BF16 --device CPU --threads 2 \
         --optimizer AdaFactor --learning-rate 5e-5 --weight-decay 0.1 --beta1 0.8 --beta2 0.98 --epsilon 1e-6 \
         --momentum 0.5 --max-grad-norm 0 --layer-decay 0.9 --schedule Polynomial --warmup-steps 10 \
         --polynomial-power 2 --hidden-dropout 0.2 --attention-dropout 0.3 --classifier-dropout 0.4 \
         --label-smoothing 0.1 --class-weights 1,2 --freeze-embeddings --freeze-layers 3 --reinit-layers 1 \
         --eval-steps 30 --best-metric macro-f1 --early-stopping-patience 5 --tensorboard=true",
    )
    .unwrap();
    let expected = TrainConfig {
        data: Some("d".into()),
        model: Some("m".to_owned()),
        output: Some("o".into()),
        epochs: 2,
        max_steps: Some(90),
        batch_size: 8,
        eval_batch_size: 64,
        gradient_accumulation_steps: 4,
        group_by_length: true,
        seed: 7,
        precision: Precision::Bf16,
        device: DeviceChoice::Cpu,
        threads: Some(2),
        optimizer: OptimizerKind::Adafactor,
        learning_rate: 5e-5,
        weight_decay: 0.1,
        beta1: 0.8,
        beta2: 0.98,
        epsilon: 1e-6,
        momentum: 0.5,
        max_grad_norm: 0.0,
        layer_decay: 0.9,
        schedule: ScheduleKind::Polynomial,
        warmup_steps: 10,
        warmup_ratio: 0.0,
        polynomial_power: 2.0,
        hidden_dropout: Some(0.2),
        attention_dropout: Some(0.3),
        classifier_dropout: Some(0.4),
        label_smoothing: 0.1,
        class_weights: ClassWeights::Values(vec![1.0, 2.0]),
        freeze_embeddings: true,
        freeze_layers: 3,
        reinit_layers: 1,
        eval_steps: Some(30),
        best_metric: Metric::F1(metrics::Average::Macro),
        early_stopping_patience: Some(5),
        save_every: None,
        save_total: 1,
        tensorboard: true,
    };
    assert_eq!(found, expected);

    // What is saved says the same, but for the folder of the run.
    let saved = file(&found.to_toml().unwrap());
    assert_eq!(TrainConfig::load(saved.path()).unwrap(), TrainConfig { output: None, ..expected });
}

#[test]
fn what_is_saved_by_default_can_be_given_again() {
    let saved = file(&TrainConfig::default().to_toml().unwrap());
    assert_eq!(TrainConfig::load(saved.path()).unwrap(), TrainConfig::default());
}

#[test]
fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
    let file = file("epochs = 5\nbatch_size = 8\ngroup_by_length = true\ntensorboard = true\n");
    let path = file.path().display();
    let found = config(&format!("--config {path} --epochs 2 --group-by-length=false")).unwrap();
    assert_eq!((found.epochs, found.batch_size, found.seed), (2, 8, 42));
    assert!(!found.group_by_length && found.tensorboard);
}

#[test]
fn a_warm_up_by_flag_replaces_the_files_whole_warm_up() {
    let file = file("warmup_steps = 100\n");
    let found = config(&format!("--config {} --warmup-ratio 0.1", file.path().display())).unwrap();
    assert_eq!((found.warmup_steps, found.warmup_ratio), (0, 0.1));
    assert_eq!(found.warmup(), Warmup::Ratio(0.1));
    assert!(config("--warmup-steps 100 --warmup-ratio 0.1").is_err());
    assert_eq!(config("--warmup-steps 100").unwrap().warmup(), Warmup::Steps(100));
}

#[test]
fn a_bad_value_is_blamed_on_where_it_came_from() {
    let file = file("epochs = 5\nbatch_size = 0\n");
    let path = file.path().display();
    let message = config(&format!("--config {path}")).unwrap_err().to_string();
    assert!(message.starts_with(&format!("{path}, line 2: batch_size = 0 is not allowed")), "{message}");
    let message = config(&format!("--config {path} --batch-size 4 --epochs 0")).unwrap_err().to_string();
    assert!(message.starts_with("--epochs 0 is not allowed"), "{message}");
}

#[test]
fn the_second_beta_follows_the_optimizer_unless_given() {
    assert_eq!(config("--optimizer lion").unwrap().beta2, 0.99);
    assert_eq!(config("--optimizer lion --beta2 0.95").unwrap().beta2, 0.95);
}

#[test]
fn what_the_parser_refuses_names_flag_and_value() {
    for (line, parts) in [
        ("--batch-size -1", ["'-1'", "--batch-size", "whole number"]),
        ("--epochs 2.5", ["'2.5'", "--epochs", "whole number"]),
        ("--learning-rate fast", ["'fast'", "--learning-rate", "must be a number"]),
        ("--precision fp8", ["'fp8'", "--precision", "auto, fp32, bf16"]),
        ("--optimizer adamq", ["'adamq'", "--optimizer", "similar value exists: 'adam'"]),
        ("--class-weights heavy", ["heavy", "--class-weights", "balanced"]),
        ("--best-metric f9", ["'f9'", "--best-metric", "accuracy"]),
        ("--learning-rat 1", ["--learning-rat", "similar", "--learning-rate"]),
    ] {
        let message = flags(line).unwrap_err().to_string();
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
    }
}

/// The help quotes defaults by hand; this holds them to the truth.
#[test]
fn the_help_tells_the_true_defaults() {
    let truth: toml::Table = toml::from_str(&TrainConfig::default().to_toml().unwrap()).unwrap();
    let mut told = 0;
    for argument in command().get_arguments() {
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        let quoted = help.split_once("[default: ").map(|(_, rest)| rest.trim_end_matches(']'));
        match (truth.get(argument.get_id().as_str()), quoted) {
            (Some(value), Some(quoted)) => {
                told += 1;
                let same = match value {
                    toml::Value::Float(number) => quoted.parse() == Ok(*number),
                    toml::Value::String(word) => word == quoted,
                    other => other.to_string() == quoted,
                };
                assert!(same, "{}: {value} is the default, {quoted} in the help", argument.get_id());
            }
            (Some(value), None) => panic!("{}: the help doesn't tell the default {value}", argument.get_id()),
            (None, _) => {}
        }
    }
    assert_eq!(told, truth.len());
}
