//! Inference: samples a second over a split, sorted by length, in batches of 32.
//!
//! Both sides report the seconds of their forward passes, without loading and tokenization, and those of the first batch
//! apart: one-off costs fall into it, so it is left out on both sides. Both answer the same sentences with the same
//! fine-tuned weights, and in fp32 they must agree.

use std::path::PathBuf;

use anyhow::{Context, Result};
use run::EvaluationResult;
use serde::Deserialize;

use crate::measuring::{Measuring, remove};
use crate::models::{Model, ModelKind};
use crate::options::Device;
use crate::results::{BenchComparison, Results, Target};
use crate::statistics::Series;

const BATCH: u64 = 32;
/// In fp32 both sides compute the same up to rounding: at most one sentence in 500 may be that close between classes.
const SAME_ACCURACY: f64 = 0.002;

/// A pass over the sentences, as inference.py reports it.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
struct Pass {
    rows: u64,
    seconds: f64,
    first_batch_seconds: f64,
    accuracy: f64,
}

impl Pass {
    /// Without the first batch; `None` where there was no other.
    fn samples_per_second(&self) -> Option<f64> {
        let samples = self.rows.checked_sub(BATCH).filter(|rows| *rows > 0)?;
        Some(samples as f64 / (self.seconds - self.first_batch_seconds))
    }
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
}

pub(crate) fn measure(measuring: &mut Measuring, models: &[Model]) {
    for model in models {
        let done = measure_model(measuring, model).with_context(|| format!("inference with {}", model.name));
        measuring.results.attempt(true, done);
    }
}

fn measure_model(measuring: &mut Measuring, model: &Model) -> Result<()> {
    let (device, quick) = (measuring.options.device, measuring.options.quick);
    let few = device == Device::Cpu && (quick || model.kind != ModelKind::MiniLm);
    let (file, data) = if few {
        ("test.csv", model.prepared.clone())
    } else {
        ("all.csv", model.prepare(measuring, "all", "all.csv")?)
    };
    // Fine-tuned weights: evaluation takes a run, and a run is a model folder that Python opens.
    let run = measuring.run_folder("inference")?;
    let train = measuring.train(&model.prepared, &run, 1);
    measuring.measure(&format!("{}, a run to answer with", model.name), train, None)?;

    let exam = Exam { model, run, data, sentences: measuring.material.folder.join(file) };
    let (mut bf16, mut fp32) = (Vec::new(), Vec::new());
    let mut peers: [(&str, &str, Vec<Pass>); 4] = [
        ("torch-bf16", "torch bf16", Vec::new()),
        ("torch-fp32", "torch fp32", Vec::new()),
        ("onnx-fp32", "ONNX Runtime fp32", Vec::new()),
        ("onnx-int8", "ONNX Runtime int8", Vec::new()),
    ];
    for round in 1..=measuring.options.rounds() {
        bf16.extend(ours(measuring, &exam, "bf16", round));
        for (engine, _, passes) in &mut peers {
            // What has no aim is measured once in a hurry.
            let hurry = quick && round > 1;
            if *engine != "torch-bf16" && hurry {
                continue;
            }
            passes.extend(theirs(measuring, &exam, engine, round));
            if *engine == "torch-bf16" && !hurry {
                fp32.extend(ours(measuring, &exam, "fp32", round));
            }
        }
    }
    let least = model.aim(device, 1.5, 1.4).map(Target::RatioAtLeast);
    let speed = |passes: &[Pass]| -> Series { passes.iter().filter_map(Pass::samples_per_second).collect() };
    for (engine, peer, passes) in &peers {
        let (precision, ours) = if engine.ends_with("fp32") { ("fp32", &fp32) } else { ("bf16", &bf16) };
        let target = least.filter(|_| *engine == "torch-bf16");
        // An engine that this device doesn't have isn't a row.
        if !passes.is_empty() || target.is_some() {
            let (model, what, unit) = (model.name.clone(), precision.to_owned(), "samples/s");
            let row =
                BenchComparison { suite: "inference", model, what, unit, ours: speed(ours), theirs: None, target };
            measuring.results.rows.push(row.against(peer, speed(passes)));
        }
    }
    compare(&mut measuring.results, model, &fp32, &peers[1].2);
    remove(&exam.run)
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

fn ours(measuring: &mut Measuring, exam: &Exam<'_>, precision: &str, round: usize) -> Option<Pass> {
    let mut command = measuring.verdict(&["evaluate", "--split", "test", "--precision", precision]);
    command.args(["--batch-size", &BATCH.to_string(), "--device", measuring.options.device.name()]);
    command.arg("--run").arg(&exam.run).arg("--data").arg(&exam.data);
    let what = format!("{} inference {precision}, round {round}, ours", exam.model.name);
    let pass = measuring.measure(&what, command, None).and_then(|_| {
        let EvaluationResult { seconds, first_batch_seconds, report, .. } = EvaluationResult::read(&exam.run, "test")?;
        Ok(Pass { rows: report.examples, seconds, first_batch_seconds, accuracy: report.accuracy })
    });
    measuring.results.attempt(true, pass)
}

fn theirs(measuring: &mut Measuring, exam: &Exam<'_>, engine: &str, round: usize) -> Option<Pass> {
    let peers = measuring.peers.as_ref()?;
    let onnx = engine.starts_with("onnx");
    if onnx && measuring.options.device == Device::Cuda {
        return None;
    }
    if onnx && !(peers.has("onnx") && peers.has("onnxruntime")) {
        if round == 1 {
            let note = format!("{engine} is left out: the peers' environment has no onnx and onnxruntime");
            measuring.results.note(note);
        }
        return None;
    }
    let mut command = measuring.peer("inference.py").ok()?;
    command.arg("--model").arg(&exam.run).arg("--sentences").arg(&exam.sentences).args(["--engine", engine]);
    command.args(["--batch-size", &BATCH.to_string()]);
    let what = format!("{} inference {engine}, round {round}, theirs", exam.model.name);
    let pass = measuring.measure(&what, command, None).and_then(|finished| finished.figures().context("inference.py"));
    measuring.results.attempt(false, pass)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_batch_is_left_out() {
        let parse = |text| serde_json::from_str::<Pass>(text);
        let text = "{\"seconds\": 3.0, \"first_batch_seconds\": 1.0, \"accuracy\": 0.5, \"rows\": 132}\n";
        let pass = parse(text).unwrap();
        assert_eq!((pass.samples_per_second(), pass.accuracy), (Some(50.0), 0.5));
        assert_eq!(Pass { rows: 32, ..pass }.samples_per_second(), None);
        assert!(parse("{\"seconds\": 3.0, \"accuracy\": 0.5}").is_err());
    }
}
