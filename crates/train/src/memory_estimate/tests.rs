//! Tests of the estimate, of the largest batch, and of the error message. The measured peaks are in the
//! documentation of the module.

use std::path::Path;

use model::Precision;

use super::*;
use crate::optim::OptimizerKind;
use crate::options::{OptimizerOptions, RegularizationOptions};

/// BERT-base with five classes.
fn bert_base() -> model::Config {
    let json = r#"{"model_type": "bert", "vocab_size": 30522, "hidden_size": 768, "num_hidden_layers": 12,
        "num_attention_heads": 12, "intermediate_size": 3072, "max_position_embeddings": 512,
        "id2label": {"0": "a", "1": "b", "2": "c", "3": "d", "4": "e"}}"#;
    model::Config::from_json(json, Path::new("config.json")).unwrap()
}

fn estimate(config: &TrainConfig, precision: Precision, train: &[u32], validation: &[u32]) -> MemoryEstimate {
    MemoryEstimate::of(
        &MemoryPlan { config, model: &bert_base(), precision: precision.into(), train, validation },
        150_000_000,
    )
}

/// 109,486,085 parameters, 23,440,896 of them in the word embeddings, 38,400 in layer norms, 594,437 in the head.
const PARAMETERS: u64 = 109_486_085;
const WORDS: u64 = 30_522 * 768;
/// Weights of the encoder layers, which compute in bf16.
const MATRICES: u64 = 12 * (4 * 768 * 768 + 2 * 768 * 3072);

#[test]
fn weights_optimizer_and_gradients_of_bert_base() {
    let (config, rows) = (TrainConfig::default(), [20; 64]);
    let fp32 = estimate(&config, Precision::Fp32, &rows, &[]);
    assert_eq!((fp32.weights, fp32.compute, fp32.optimizer), (4 * PARAMETERS, 0, 8 * PARAMETERS));
    let touched = 16 * 20 * 768;
    assert_eq!(fp32.gradients, 4 * (PARAMETERS - WORDS + touched));
    let bf16 = estimate(&config, Precision::Bf16, &rows, &[]);
    assert_eq!(bf16.compute, 2 * (PARAMETERS - 38_400 - 594_437));
    let summed = TrainConfig { gradient_accumulation_steps: 4, ..config.clone() };
    assert_eq!(bf16.gradients, fp32.gradients - 2 * MATRICES);
    for (precision, one) in [(Precision::Fp32, &fp32), (Precision::Bf16, &bf16)] {
        let more = estimate(&summed, precision, &rows, &[]).gradients - one.gradients;
        assert_eq!(more, 4 * PARAMETERS, "the sums are dense and in fp32");
    }
    let one_batch = estimate(&summed, Precision::Fp32, &rows[..16], &[]);
    assert_eq!(one_batch.gradients, fp32.gradients, "there is nothing to add to it");
    let sgd = TrainConfig {
        optimizer: OptimizerOptions {
            kind: <OptimizerKind as clap::ValueEnum>::from_str("sgd", false).unwrap(),
            ..Default::default()
        },
        ..config
    };
    assert_eq!(estimate(&sgd, Precision::Fp32, &rows, &[]).optimizer, 4 * PARAMETERS);
}

#[test]
fn an_update_needs_temporary_memory_for_the_table_or_for_a_piece() {
    let parameters = bert_base().parameters();
    let bytes = |name: &str, with_table: bool| {
        let kind = <OptimizerKind as clap::ValueEnum>::from_str(name, false).unwrap();
        kind.update_bytes(parameters.iter().filter(|one| with_table || !one.has_row_gradient()))
    };
    assert_eq!((bytes("adamw", true), bytes("sgd", true)), (0, 2 * 4 * WORDS));
    assert_eq!(bytes("lion", false), 3 * (32 << 20));
    assert_eq!(bytes("adafactor", false), 4 * 4 * 768 * 3072, "it updates one parameter at a time");
}

#[test]
fn frozen_parameters_have_no_state_and_no_gradient() {
    let freezing = |freeze_embeddings, freeze_layers| TrainConfig {
        regularization: RegularizationOptions { freeze_embeddings, freeze_layers, ..Default::default() },
        ..Default::default()
    };
    let config = freezing(true, 12);
    let frozen = estimate(&config, Precision::Fp32, &[20; 64], &[]);
    assert_eq!((frozen.optimizer, frozen.gradients), (8 * 594_437, 4 * 594_437));
    let lowest_two = freezing(false, 2);
    let frozen =
        bert_base().parameters().into_iter().filter(|parameter| lowest_two.regularization.freezes(parameter.role));
    assert_eq!(frozen.count(), 2 * 16, "layers 10 and 11 aren't layer 1");
}

#[test]
fn the_largest_batch_is_a_batch_of_the_training_run() {
    let mut rows = vec![10; 63];
    rows.push(400);
    let config = TrainConfig { batch_size: 8, group_by_length: true, max_steps: Some(1), ..TrainConfig::default() };
    let first = estimate(&config, Precision::Fp32, &rows, &[]);
    assert_eq!(first.batch, BatchShape { sentences: 8, tokens: 470, longest: 400 });
    // Without grouping the long row is at a random step of the epoch.
    let alone = |steps| TrainConfig { batch_size: 1, max_steps: Some(steps), ..TrainConfig::default() };
    assert_eq!(estimate(&alone(64), Precision::Fp32, &rows, &[]).batch.longest, 400);
    let place = BatchSampler::new(rows.clone(), 1, 42, false).epoch(0).iter().position(|batch| batch == [63]).unwrap();
    assert!(place > 0);
    assert_eq!(estimate(&alone(place as u64), Precision::Fp32, &rows, &[]).batch.longest, 10);
    assert_eq!(estimate(&alone(place as u64 + 1), Precision::Fp32, &rows, &[]).batch.longest, 400);
}

#[test]
fn a_large_evaluation_batch_determines_the_peak() {
    let config = TrainConfig { batch_size: 1, eval_batch_size: 512, ..TrainConfig::default() };
    let small = estimate(&config, Precision::Fp32, &[10; 4], &[10; 8]);
    let large = estimate(&config, Precision::Fp32, &[10; 4], &[500; 512]);
    assert!(small.evaluation < small.activations);
    let difference = large.total() - small.total();
    let expected = 1.05 * (large.evaluation - small.activations) as f64;
    assert!((difference as f64 - expected).abs() < 2.0, "{difference} is not {expected}");
}

/// Limits of a machine without swap.
fn memory(memory: u64) -> AvailableMemory {
    AvailableMemory { memory, with_swap: memory }
}

#[test]
fn a_run_that_does_not_fit_is_refused_with_flags_that_would_fit() {
    let (config, model) = (TrainConfig { batch_size: 64, ..TrainConfig::default() }, bert_base());
    let rows = [256; 640];
    let plan = MemoryPlan {
        config: &config,
        model: &model,
        precision: Precision::Fp32.into(),
        train: &rows,
        validation: &rows,
    };
    let estimate = MemoryEstimate::of(&plan, 150_000_000);
    assert_eq!(check_against(&plan, &estimate, 150_000_000, memory(estimate.total())).unwrap(), None);
    let limits = memory(estimate.total() - 1);
    let message = check_against(&plan, &estimate, 150_000_000, limits).unwrap_err().to_string();
    let total = disk::human_bytes(estimate.total());
    assert!(message.starts_with(&format!("training needs about {total} of memory, and ")), "{message}");
    assert!(message.contains("weights 437.9 MB, optimizer 875.9 MB, gradients "), "{message}");
    assert!(message.contains("the pass over 64 texts of up to 256 tokens "), "{message}");
    assert!(
        message.contains("(hint: --batch-size 32 --gradient-accumulation-steps 2; or prepare the data"),
        "{message}"
    );
    assert!(
        message.contains("--max-length than 256; or --skip-memory-check trains anyway, and the system"),
        "{message}"
    );
}

#[test]
fn swap_and_the_flag_turn_a_refusal_into_a_warning() {
    let (config, model) = (TrainConfig { batch_size: 64, ..TrainConfig::default() }, bert_base());
    let rows = [256; 640];
    let plan =
        MemoryPlan { config: &config, model: &model, precision: Precision::Fp32.into(), train: &rows, validation: &[] };
    let estimate = MemoryEstimate::of(&plan, 0);
    let total = estimate.total();
    let limits = AvailableMemory { memory: total - 2_000_000_000, with_swap: total };
    let warning = check_against(&plan, &estimate, 0, limits).unwrap().unwrap();
    assert!(warning.contains(" is available, and 2.0 GB of swap: weights 437.9 MB"), "{warning}");
    assert!(
        warning.contains("; it fits with swap, which may make it many times slower (hint: --batch-size "),
        "{warning}"
    );
    let limits = AvailableMemory { with_swap: total - 1, ..limits };
    let refusal = check_against(&plan, &estimate, 0, limits).unwrap_err().to_string();
    assert!(refusal.contains(", and 2.0 GB of swap: ") && refusal.contains("; or --skip-memory-check "), "{refusal}");
    let config = TrainConfig { skip_memory_check: true, ..config.clone() };
    let plan = MemoryPlan { config: &config, ..plan };
    let warning = check_against(&plan, &estimate, 0, limits).unwrap().unwrap();
    assert!(
        warning.ends_with("because of --skip-memory-check, and the system may end it without a message"),
        "{warning}"
    );
    assert_eq!(check_against(&plan, &estimate, 0, memory(total)).unwrap(), None);
}

#[test]
fn the_suggested_flags_fit() {
    let (config, model) =
        (TrainConfig { batch_size: 120, eval_batch_size: 1024, ..TrainConfig::default() }, bert_base());
    let rows = vec![256; 2048];
    let plan = MemoryPlan {
        config: &config,
        model: &model,
        precision: Precision::Bf16.into(),
        train: &rows,
        validation: &rows,
    };
    let limit = 6_000_000_000;
    let estimate = MemoryEstimate::of(&plan, 0);
    assert!(check_against(&plan, &estimate, 0, memory(limit)).is_err(), "it can't fit");
    let flags = shortage::flags_that_fit(&plan, 0, limit).unwrap();
    let words: Vec<&str> = flags.split(' ').collect();
    let value = |flag: &str| words[words.iter().position(|word| *word == flag).unwrap() + 1].parse::<usize>().unwrap();
    let better = TrainConfig {
        batch_size: value("--batch-size"),
        gradient_accumulation_steps: value("--gradient-accumulation-steps"),
        eval_batch_size: value("--eval-batch-size"),
        ..TrainConfig::default()
    };
    assert_eq!(better.batch_size * better.gradient_accumulation_steps, 120);
    assert!(MemoryEstimate::of(&MemoryPlan { config: &better, ..plan }, 0).total() <= limit);
}

#[test]
fn no_batch_size_is_suggested_if_none_fits() {
    let (config, model) = (TrainConfig::default(), bert_base());
    let plan = MemoryPlan {
        config: &config,
        model: &model,
        precision: Precision::Fp32.into(),
        train: &[20; 64],
        validation: &[],
    };
    let estimate = MemoryEstimate::of(&plan, 0);
    let message = check_against(&plan, &estimate, 0, memory(1_000_000_000)).unwrap_err().to_string();
    assert!(message.contains("(hint: free some memory, or take a smaller model; or --skip-memory-check"), "{message}");
}
