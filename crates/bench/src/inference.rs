//! Inference: samples per second over a split, sorted by length, in batches of 32.
//!
//! Both sides report the seconds of their forward passes, without loading and tokenization, and separately those of the
//! first batch, which is excluded because it has one-time costs. Both classify the same sentences with the same fine-tuned
//! weights, and in fp32 they must agree.

use std::path::PathBuf;

use anyhow::{Context, Result};
use run::EvaluationResult;
use serde::Deserialize;

use crate::context::{BenchContext, remove};
use crate::models::{Model, ModelKind};
use crate::options::Device;
use crate::results::{BenchComparison, Results, Target};
use crate::statistics::Series;

const BATCH: u64 = 32;
/// In fp32 both sides differ only by rounding: at most one sentence in 500 may get another label.
const ACCURACY_TOLERANCE: f64 = 0.002;

/// A pass over the sentences, as inference.py reports it.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
struct Pass {
    rows: u64,
    seconds: f64,
    first_batch_seconds: f64,
    accuracy: f64,
}

impl Pass {
    /// Without the first batch; `None` if it is the only one.
    fn samples_per_second(&self) -> Option<f64> {
        let samples = self.rows.checked_sub(BATCH).filter(|rows| *rows > 0)?;
        Some(samples as f64 / (self.seconds - self.first_batch_seconds))
    }
}

/// The sentences to classify, and the model.
struct InferenceTask<'a> {
    model: &'a Model,
    /// The fine-tuned model's folder.
    run: PathBuf,
    /// The sentences as the test split of prepared data.
    data: PathBuf,
    /// The same as a table.
    sentences: PathBuf,
}

/// One of the programs to compare with, and what was measured.
struct Engine {
    /// As inference.py names it.
    engine: &'static str,
    peer: &'static str,
    /// Ours.
    precision: &'static str,
    /// The least ratio to reach.
    target: Option<f64>,
    ours: Vec<Pass>,
    theirs: Vec<Pass>,
}

pub(crate) fn measure(context: &mut BenchContext, models: &[Model]) {
    for model in models {
        let done = measure_model(context, model).with_context(|| format!("inference with {}", model.name));
        context.results.record(true, done);
    }
}

fn measure_model(context: &mut BenchContext, model: &Model) -> Result<()> {
    let (device, quick) = (context.options.device, context.options.quick);
    let few = device == Device::Cpu && (quick || model.kind != ModelKind::MiniLm);
    let (file, data) =
        if few { ("test.csv", model.prepared.clone()) } else { ("all.csv", model.prepare(context, "all", "all.csv")?) };
    // Fine-tuned weights: evaluation takes a run, and a run is a model folder that Python opens.
    let run = context.run_folder("inference")?;
    let train = context.train(&model.prepared, &run, 1);
    context.measure(&format!("{}, a run for inference", model.name), train, None)?;

    let task = InferenceTask { model, run, data, sentences: context.corpus.folder.join(file) };
    let engine = |engine, peer, precision, targets: Option<(f64, f64)>| Engine {
        engine,
        peer,
        precision,
        target: targets.and_then(|(minilm, bert_base)| model.target(device, minilm, bert_base)),
        ours: Vec::new(),
        theirs: Vec::new(),
    };
    let mut engines = vec![
        engine("torch-bf16", "torch bf16", "bf16", Some((1.5, 1.4))),
        engine("torch-fp32", "torch fp32", "fp32", None),
        engine("onnx-fp32", "ONNX Runtime fp32", "fp32", None),
    ];
    if device == Device::Cpu {
        engines.push(engine("onnx-int8", "ONNX Runtime int8", "int8", Some((1.2, 1.1))));
    }
    for round in 1..=context.options.rounds() {
        for Engine { engine, precision, ours, theirs, .. } in &mut engines {
            // With --quick, all but the first are measured once.
            if quick && round > 1 && *engine != "torch-bf16" {
                continue;
            }
            ours.extend(measure_ours(context, &task, precision, round));
            theirs.extend(measure_theirs(context, &task, engine, round));
        }
    }
    let speed = |passes: &[Pass]| -> Series { passes.iter().filter_map(Pass::samples_per_second).collect() };
    for Engine { peer, precision, target, ours, theirs, .. } in &engines {
        // An engine that is not available on this device has no row.
        if !theirs.is_empty() || target.is_some() {
            let (model, what, unit) = (model.name.clone(), (*precision).to_owned(), "samples/s");
            let target = target.map(Target::RatioAtLeast);
            let row =
                BenchComparison { suite: "inference", model, what, unit, ours: speed(ours), theirs: None, target };
            context.results.rows.push(row.against(peer, speed(theirs)));
        }
    }
    check_same_accuracy(&mut context.results, model, &engines[1]);
    remove(&task.run)
}

/// The two sides must give the same predictions.
fn check_same_accuracy(results: &mut Results, model: &Model, Engine { ours, theirs, .. }: &Engine) {
    if let (Some(ours), Some(theirs)) = (ours.first(), theirs.first())
        && (ours.accuracy - theirs.accuracy).abs() > ACCURACY_TOLERANCE
    {
        let (ours, theirs) = (ours.accuracy, theirs.accuracy);
        results.failed = true;
        results.note(format!("{}: THE PREDICTIONS DIFFER: accuracy {ours:.4} in fp32, torch {theirs:.4}", model.name));
    }
}

fn measure_ours(context: &mut BenchContext, task: &InferenceTask<'_>, precision: &str, round: usize) -> Option<Pass> {
    let mut command = context.verdict(&["evaluate", "--split", "test", "--precision", precision]);
    command.args(["--batch-size", &BATCH.to_string(), "--device", context.options.device.name()]);
    command.arg("--run").arg(&task.run).arg("--data").arg(&task.data);
    let what = format!("{} inference {precision}, round {round}, ours", task.model.name);
    let pass = context.measure(&what, command, None).and_then(|_| {
        let EvaluationResult { seconds, first_batch_seconds, report, .. } = EvaluationResult::read(&task.run, "test")?;
        Ok(Pass { rows: report.examples, seconds, first_batch_seconds, accuracy: report.accuracy })
    });
    context.results.record(true, pass)
}

fn measure_theirs(context: &mut BenchContext, task: &InferenceTask<'_>, engine: &str, round: usize) -> Option<Pass> {
    let peers = context.peers.as_ref()?;
    let onnx = engine.starts_with("onnx");
    if onnx && context.options.device == Device::Cuda {
        return None;
    }
    if onnx && !(peers.has("onnx") && peers.has("onnxruntime")) {
        if round == 1 {
            let note = format!("{engine} is skipped: the peers' environment lacks onnx or onnxruntime");
            context.results.note(note);
        }
        return None;
    }
    let mut command = context.peer("inference.py").ok()?;
    command.arg("--model").arg(&task.run).arg("--sentences").arg(&task.sentences).args(["--engine", engine]);
    command.args(["--batch-size", &BATCH.to_string()]);
    let what = format!("{} inference {engine}, round {round}, theirs", task.model.name);
    let pass = context.measure(&what, command, None).and_then(|finished| finished.figures().context("inference.py"));
    context.results.record(false, pass)
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
