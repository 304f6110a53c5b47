//! Inference: samples a second over a split, sorted by length, in batches of 32.
//!
//! Both sides report the seconds of their forward passes, without loading and tokenization, and those of the first batch
//! apart: one-off costs fall into it, so it is left out on both sides. Both answer the same sentences with the same
//! fine-tuned weights, and in fp32 they must agree.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Ground;
use super::models::{Kind, Model};
use super::options::Device;
use super::results::{Peer, Results, Row, Target};
use super::statistics::Series;
use super::trainings::train_command;

const BATCH: usize = 32;
/// In fp32 both sides compute the same up to rounding: at most one sentence in 500 may be that close between classes.
const SAME_ACCURACY: f64 = 0.002;

/// A pass over the sentences.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Pass {
    samples_per_second: f64,
    accuracy: f64,
}

/// What is answered, and by which weights.
struct Exam<'a> {
    model: &'a Model,
    /// The fine-tuned model's folder.
    run: PathBuf,
    /// The sentences as the test split of prepared data.
    data: PathBuf,
    /// The same as a table.
    sentences: PathBuf,
    rows: usize,
}

pub fn measure(ground: &Ground, results: &mut Results, models: &[Model]) {
    for model in models {
        let done = measure_model(ground, results, model).with_context(|| format!("inference with {}", model.name));
        results.attempt(true, done);
    }
}

fn measure_model(ground: &Ground, results: &mut Results, model: &Model) -> Result<()> {
    let few = ground.options.device == Device::Cpu && (ground.options.quick || model.kind != Kind::MiniLm);
    let (file, rows) = if few { ("test.csv", ground.material.rows[1]) } else { ("all.csv", ground.material.rows[0]) };
    let data = if few { model.prepared.clone() } else { model.prepare(ground, results, "all", file)? };
    // Fine-tuned weights: evaluation takes a run, and a run is a model folder that Python opens.
    let run = ground.run_folder("inference")?;
    let train = train_command(ground, &model.prepared, &run, 1);
    ground.measure(results, &format!("{}, a run to answer with", model.name), train, None)?;

    let exam = Exam { model, run, data, sentences: ground.material.folder.join(file), rows };
    let (mut bf16, mut fp32) = (Vec::new(), Vec::new());
    let mut peers: Vec<(&str, &str, Vec<Pass>)> = [
        ("torch-bf16", "torch bf16"),
        ("torch-fp32", "torch fp32"),
        ("onnx-fp32", "ONNX Runtime fp32"),
        ("onnx-int8", "ONNX Runtime int8"),
    ]
    .map(|(engine, name)| (engine, name, Vec::new()))
    .into();
    for round in 1..=ground.options.rounds {
        bf16.extend(ours(ground, results, &exam, "bf16", round));
        for (engine, _, passes) in &mut peers {
            // What has no aim is measured once in a hurry.
            let hurry = ground.options.quick && round > 1;
            if *engine != "torch-bf16" && hurry {
                continue;
            }
            passes.extend(theirs(ground, results, &exam, engine, round));
            if *engine == "torch-bf16" && !hurry {
                fp32.extend(ours(ground, results, &exam, "fp32", round));
            }
        }
    }
    let least = model.aim(ground.options.device, 1.5, 1.4).map(Target::RatioAtLeast);
    for (engine, peer, passes) in &peers {
        let (precision, ours) = if engine.ends_with("fp32") { ("fp32", &fp32) } else { ("bf16", &bf16) };
        let target = least.filter(|_| *engine == "torch-bf16");
        // An engine that this device doesn't have isn't a row.
        if !passes.is_empty() || target.is_some() {
            results.rows.push(row(model, precision, ours, peer, passes, target));
        }
    }
    compare(results, model, &fp32, &peers[1].2);
    super::remove(&exam.run)
}

fn row(model: &Model, precision: &str, ours: &[Pass], peer: &str, theirs: &[Pass], target: Option<Target>) -> Row {
    let speed = |passes: &[Pass]| -> Series { passes.iter().map(|pass| pass.samples_per_second).collect() };
    Row {
        suite: "inference",
        model: model.name.clone(),
        what: precision.to_owned(),
        unit: "samples/s",
        ours: speed(ours),
        theirs: Some(Peer { name: peer.to_owned(), series: speed(theirs) }),
        target,
    }
}

/// Speed of wrong answers is worth nothing.
fn compare(results: &mut Results, model: &Model, ours: &[Pass], theirs: &[Pass]) {
    if let (Some(ours), Some(theirs)) = (ours.first(), theirs.first())
        && (ours.accuracy - theirs.accuracy).abs() > SAME_ACCURACY
    {
        let (ours, theirs) = (ours.accuracy, theirs.accuracy);
        results.failed = true;
        results.note(format!("{}: THE ANSWERS DIFFER: accuracy {ours:.4} in fp32, torch {theirs:.4}", model.name));
    }
}

fn ours(ground: &Ground, results: &mut Results, exam: &Exam<'_>, precision: &str, round: usize) -> Option<Pass> {
    let json = ground.folder.join("evaluation.json");
    let _ = std::fs::remove_file(&json);
    let mut command = ground.verdict(&["evaluate", "--split", "test", "--precision", precision]);
    command.args(["--batch-size", &BATCH.to_string(), "--device", ground.options.device.name()]);
    command.arg("--run").arg(&exam.run).arg("--data").arg(&exam.data).arg("--json").arg(&json);
    let what = format!("{} inference {precision}, round {round}, ours", exam.model.name);
    let pass = ground.measure(results, &what, command, None).and_then(|_| {
        let text = std::fs::read_to_string(&json).with_context(|| format!("could not read {}", json.display()))?;
        pass(&text, exam.rows).with_context(|| format!("{} lacks the figures of a pass", json.display()))
    });
    results.attempt(true, pass)
}

fn theirs(ground: &Ground, results: &mut Results, exam: &Exam<'_>, engine: &str, round: usize) -> Option<Pass> {
    let peers = ground.peers.as_ref()?;
    let onnx = engine.starts_with("onnx");
    if onnx && ground.options.device == Device::Cuda {
        return None;
    }
    if onnx && !(peers.has("onnx") && peers.has("onnxruntime")) {
        if round == 1 {
            results.note(format!("{engine} is left out: the peers' environment has no onnx and onnxruntime"));
        }
        return None;
    }
    let mut command = peers.script("inference.py");
    command.arg("--model").arg(&exam.run).arg("--sentences").arg(&exam.sentences).args(["--engine", engine]);
    command.args(["--batch-size", &BATCH.to_string(), "--device", ground.options.device.name()]);
    command.args(["--threads", &ground.threads.to_string()]);
    let what = format!("{} inference {engine}, round {round}, theirs", exam.model.name);
    let pass = ground.measure(results, &what, command, None).and_then(|finished| {
        let rows = serde_json::from_str::<Value>(finished.stdout.trim()).ok().and_then(|json| json["rows"].as_u64());
        let rows = rows.context("inference.py printed no JSON")?;
        pass(&finished.stdout, rows as usize).context("inference.py printed no figures of a pass")
    });
    results.attempt(false, pass)
}

/// The pass without its first batch.
fn pass(text: &str, rows: usize) -> Option<Pass> {
    let json: Value = serde_json::from_str(text.trim()).ok()?;
    let seconds = json["seconds"].as_f64()? - json["first_batch_seconds"].as_f64()?;
    let samples = rows.checked_sub(BATCH).filter(|rows| *rows > 0)?;
    Some(Pass { samples_per_second: samples as f64 / seconds, accuracy: json["accuracy"].as_f64()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_batch_is_left_out() {
        let text = "{\"seconds\": 3.0, \"first_batch_seconds\": 1.0, \"accuracy\": 0.5, \"rows\": 132}\n";
        assert_eq!(pass(text, 132), Some(Pass { samples_per_second: 50.0, accuracy: 0.5 }));
        assert_eq!(pass(text, 32), None);
        assert_eq!(pass("{\"seconds\": 3.0, \"accuracy\": 0.5}", 132), None);
    }
}
