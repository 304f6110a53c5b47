//! Checkpoints with damaged files whose sums are computed after the damage, so that the parsers behind the check of the
//! sums are tested. Unit tests show that the sums detect every damage.

use std::fs;
use std::path::Path;

use model::write_tensors;
use tch::Tensor;
use test_support::fuzz::{FuzzTarget, SeedFile, SeedFormat, check, temporary_folder};
use train::checkpoint::check as read;

use super::MEMORY_LIMIT;

const FILES: [&str; 3] = ["model.safetensors", "optimizer.safetensors", "trainer.json"];

const STATE: &str = r#"{"format": 2, "step": 120, "epoch": 1, "step_in_epoch": 20, "evaluated": true,
    "best": {"metric": "accuracy", "value": 0.875, "step": 100, "epoch": 1.0, "loss": 0.375,
        "confusion": [[5, 1], [1, 9]]},
    "evaluations_without_better": 0, "micro_batch_parts": 1, "seconds": 60.5,
    "logs": {"log.jsonl": 12345, "events.out.tfevents.1.host.2.0": 678},
    "config": {"epochs": 3, "learning_rate": 2e-5, "data": "data/prepared/sst2", "class_weights": [1.0, 2.5],
        "precision": "bf16", "threads": null, "save_every": 20, "save_total": 1},
    "identity": {"train_sha256": "aa", "validation_sha256": null, "label_names": ["negative", "positive"],
        "tokenizer_sha256": "bb", "base_config_sha256": "cc", "base_weights_sha256": "dd", "device": "cpu",
        "precision": "bf16", "threads": 2}}"#;

fn tensors(count: i64) -> Vec<u8> {
    let named: Vec<_> = (1..=count)
        .map(|size| (format!("layer.{size}.weight"), Tensor::arange(6 * size, tch::kind::FLOAT_CPU).view([size, 6])))
        .collect();
    let mut bytes = Vec::new();
    write_tensors(&mut bytes, named.iter().map(|(name, tensor)| (name.as_str(), tensor))).unwrap();
    bytes
}

/// Writes a checkpoint's files and their sums.
fn write(checkpoint: &Path, files: [&[u8]; 3]) {
    let mut text = String::new();
    for (name, bytes) in FILES.into_iter().zip(files) {
        fs::write(checkpoint.join(name), bytes).unwrap();
        text += &format!("{}  {name}\n", disk::sha256_hex(bytes));
    }
    fs::write(checkpoint.join("SHA256SUMS"), text).unwrap();
}

#[test]
fn trainer_json() {
    let folder = temporary_folder();
    let (weights, optimizer) = (tensors(2), tensors(1));
    let seeds = vec![
        SeedFile::new(SeedFormat::Json, STATE),
        SeedFile::new(SeedFormat::Json, STATE.replace("0.375", "\"inf\"")),
    ];
    check(
        &FuzzTarget { package: "train", name: "checkpoints::trainer_json", memory_limit: MEMORY_LIMIT },
        seeds,
        |bytes| {
            write(folder.path(), [&weights, &optimizer, bytes]);
            read(folder.path()).map(drop).map_err(|error| error.to_string())
        },
    );
}

#[test]
fn tensor_files() {
    let folder = temporary_folder();
    let weights = tensors(2);
    let seeds = [1, 3].map(|count| SeedFile::new(SeedFormat::Binary, tensors(count))).into();
    check(
        &FuzzTarget { package: "train", name: "checkpoints::tensor_files", memory_limit: MEMORY_LIMIT },
        seeds,
        |bytes| {
            write(folder.path(), [&weights, bytes, STATE.as_bytes()]);
            read(folder.path()).map(drop).map_err(|error| error.to_string())
        },
    );
}
