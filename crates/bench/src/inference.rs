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
/// Of ours: the choice of the number format by measurement, and each format.
const CHOICES: [&str; 4] = ["auto", "fp32", "bf16", "int8"];
/// With `--quick`, what is measured after the first round, beside the fastest of all peers.
const EVERY_ROUND: [&str; 3] = ["auto", "int8", "onnx-int8"];

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
    /// The number format.
    format: &'static str,
    peer: &'static str,
    /// For MiniLM and BERT-base.
    targets: Option<(f64, f64)>,
    passes: Vec<Pass>,
}

/// What was measured of ours.
#[derive(Default)]
struct Ours {
    /// With the number format that was chosen in each round.
    by_default: Vec<(String, Pass)>,
    fp32: Vec<Pass>,
    bf16: Vec<Pass>,
    int8: Vec<Pass>,
}

impl Ours {
    fn of(&mut self, format: &str) -> &mut Vec<Pass> {
        match format {
            "fp32" => &mut self.fp32,
            "bf16" => &mut self.bf16,
            _ => &mut self.int8,
        }
    }
}

fn engines(device: Device) -> Vec<Engine> {
    let engine = |engine, format, peer, targets| Engine { engine, format, peer, targets, passes: Vec::new() };
    let mut engines = vec![
        engine("torch-fp32", "fp32", "torch fp32", Some((1.35, 1.15))),
        engine("torch-bf16", "bf16", "torch bf16", None),
    ];
    if device == Device::Cpu {
        engines.extend([
            engine("torch-int8", "int8", "torch int8", None),
            engine("onnx-fp32", "fp32", "ONNX Runtime fp32", Some((1.35, 1.15))),
            engine("onnx-bf16", "bf16", "ONNX Runtime bf16", None),
            engine("onnx-int8", "int8", "ONNX Runtime int8", Some((1.2, 1.1))),
        ]);
    }
    engines
}

pub(crate) fn measure(context: &mut BenchContext, models: &[Model]) {
    for model in models {
        let done = measure_model(context, model).with_context(|| format!("inference with {}", model.name));
        context.results.record(true, done);
    }
}

fn measure_model(context: &mut BenchContext, model: &Model) -> Result<()> {
    let (device, quick) = (context.options.device, context.options.quick);
    let (file, data) = match (device, model.kind) {
        (Device::Cuda, _) => ("all.csv", model.prepare(context, "all", "all.csv")?),
        (Device::Cpu, ModelKind::MiniLm) => ("test.csv", model.prepared.clone()),
        // A pass of a large model over all of them takes a minute.
        (Device::Cpu, _) => ("half.csv", model.prepare(context, "half", "half.csv")?),
    };
    // Fine-tuned weights: evaluation takes a run, and a run is a model folder that Python opens.
    let run = context.run_folder("inference")?;
    let train = context.train(&model.prepared, &run, 1);
    context.measure(&format!("{}, a run for inference", model.name), train, None)?;

    let task = InferenceTask { model, run, data, sentences: context.corpus.folder.join(file) };
    let (mut ours, mut engines) = (Ours::default(), engines(device));
    for round in 1..=context.options.rounds() {
        let fastest = fastest(&engines).map(|engine| engine.engine);
        let is_measured = |name: &str| !quick || round == 1 || EVERY_ROUND.contains(&name) || fastest == Some(name);
        let choices =
            CHOICES.into_iter().filter(|choice| is_measured(choice) && (*choice, device) != ("int8", Device::Cuda));
        measure_ours(context, &task, &mut ours, choices, round);
        engines.retain_mut(|engine| {
            if is_measured(engine.engine) {
                engine.passes.extend(measure_theirs(context, &task, engine.engine, round));
            }
            // One that does not exist here isn't tried again.
            !engine.passes.is_empty()
        });
    }
    let rows = rows(model, device, ours, &engines, &mut context.results);
    context.results.rows.extend(rows);
    remove(&task.run)
}

/// Ours by default against the fastest of all peers, then each format against each peer that has it, the fastest first.
fn rows(
    model: &Model,
    device: Device,
    mut ours: Ours,
    engines: &[Engine],
    results: &mut Results,
) -> Vec<BenchComparison> {
    let row = |what: String, passes: &[Pass]| BenchComparison {
        suite: "inference",
        model: model.name.clone(),
        what,
        unit: "samples/s",
        ours: speed(passes),
        theirs: None,
        target: None,
    };
    // A peer that was measured in fewer rounds is compared with ours of the same rounds, which are the first ones.
    let against = |row: BenchComparison, engine: Option<&Engine>| match engine {
        Some(engine) => {
            let rounds = engine.passes.len().max(1);
            let ours = row.ours.0.iter().copied().take(rounds).collect();
            BenchComparison { ours, ..row }.against(engine.peer, speed(&engine.passes))
        }
        None => row,
    };
    let mut formats: Vec<&str> = ours.by_default.iter().map(|(format, _)| format.as_str()).collect();
    formats.sort_unstable();
    formats.dedup();
    let what = format!("by default ({})", formats.join(" and "));
    let passes: Vec<Pass> = ours.by_default.iter().map(|(_, pass)| *pass).collect();
    let mut rows = vec![against(row(what, &passes), fastest(engines))];
    for format in ["fp32", "bf16", "int8"] {
        let passes = ours.of(format).clone();
        let mut peers: Vec<&Engine> = engines.iter().filter(|engine| engine.format == format).collect();
        peers.sort_by(|one, other| median(other).total_cmp(&median(one)));
        if passes.is_empty() && peers.is_empty() {
            continue;
        }
        if peers.is_empty() {
            rows.push(row(format.to_owned(), &passes));
        }
        for (rank, engine) in peers.into_iter().enumerate() {
            // The target in fp32 is held against the faster peer, that in int8 against ONNX Runtime.
            let targets = engine.targets.filter(|_| rank == 0 || format == "int8");
            let target = targets.and_then(|(minilm, bert_base)| model.target(device, minilm, bert_base));
            let row = against(row(format.to_owned(), &passes), Some(engine));
            rows.push(BenchComparison { target: target.map(Target::RatioAtLeast), ..row });
        }
    }
    let torch = engines.iter().find(|engine| engine.engine == "torch-fp32");
    check_same_accuracy(results, model, &ours.fp32, torch.map_or(&[], |torch| &torch.passes));
    rows
}

fn speed(passes: &[Pass]) -> Series {
    passes.iter().filter_map(Pass::samples_per_second).collect()
}

fn median(engine: &Engine) -> f64 {
    speed(&engine.passes).median().unwrap_or(0.0)
}

/// The fastest engine of those that were measured.
fn fastest(engines: &[Engine]) -> Option<&Engine> {
    let measured = engines.iter().filter(|engine| median(engine) > 0.0);
    measured.max_by(|one, other| median(one).total_cmp(&median(other)))
}

/// The two sides must give the same predictions.
fn check_same_accuracy(results: &mut Results, model: &Model, ours: &[Pass], theirs: &[Pass]) {
    if let (Some(ours), Some(theirs)) = (ours.first(), theirs.first())
        && (ours.accuracy - theirs.accuracy).abs() > ACCURACY_TOLERANCE
    {
        let (ours, theirs) = (ours.accuracy, theirs.accuracy);
        results.failed = true;
        results.note(format!("{}: THE PREDICTIONS DIFFER: accuracy {ours:.4} in fp32, torch {theirs:.4}", model.name));
    }
}

/// One round of ours. What `auto` chose is not measured again by its name.
fn measure_ours(
    context: &mut BenchContext,
    task: &InferenceTask<'_>,
    ours: &mut Ours,
    choices: impl Iterator<Item = &'static str>,
    round: usize,
) {
    let mut chosen = None;
    for choice in choices {
        if chosen.as_deref() == Some(choice) {
            continue;
        }
        let Some((format, pass)) = measure_one(context, task, choice, round) else { continue };
        ours.of(&format).push(pass);
        if choice == "auto" {
            ours.by_default.push((format.clone(), pass));
            chosen = Some(format);
        }
    }
}

fn measure_one(
    context: &mut BenchContext,
    task: &InferenceTask<'_>,
    choice: &str,
    round: usize,
) -> Option<(String, Pass)> {
    let mut command = context.verdict(&["evaluate", "--split", "test", "--precision", choice]);
    command.args(["--batch-size", &BATCH.to_string(), "--device", context.options.device.name()]);
    command.arg("--run").arg(&task.run).arg("--data").arg(&task.data);
    let what = format!("{} inference {choice}, round {round}, ours", task.model.name);
    let pass = context.measure(&what, command, None).and_then(|_| {
        let EvaluationResult { precision, seconds, first_batch_seconds, report, .. } =
            EvaluationResult::read(&task.run, "test")?;
        Ok((precision, Pass { rows: report.examples, seconds, first_batch_seconds, accuracy: report.accuracy }))
    });
    context.results.record(true, pass)
}

fn measure_theirs(context: &mut BenchContext, task: &InferenceTask<'_>, engine: &str, round: usize) -> Option<Pass> {
    let peers = context.peers.as_ref()?;
    if engine.starts_with("onnx") && !(peers.has("onnx") && peers.has("onnxruntime")) {
        let note = format!("{engine} is skipped: the peers' environment lacks onnx or onnxruntime");
        context.results.note(note);
        return None;
    }
    let mut command = context.peer("inference.py")?;
    command.arg("--model").arg(&task.run).arg("--sentences").arg(&task.sentences).args(["--engine", engine]);
    command.args(["--batch-size", &BATCH.to_string()]);
    let what = format!("{} inference {engine}, round {round}, theirs", task.model.name);
    let finished = context.measure_peer(&what, command, None)?;
    context.results.record(false, finished.figures().context("inference.py"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(samples_per_second: f64) -> Pass {
        Pass { rows: 132, seconds: 1.0 + 100.0 / samples_per_second, first_batch_seconds: 1.0, accuracy: 0.5 }
    }

    #[test]
    fn the_first_batch_is_left_out() {
        let parse = |text| serde_json::from_str::<Pass>(text);
        let text = "{\"seconds\": 3.0, \"first_batch_seconds\": 1.0, \"accuracy\": 0.5, \"rows\": 132}\n";
        let pass = parse(text).unwrap();
        assert_eq!((pass.samples_per_second(), pass.accuracy), (Some(50.0), 0.5));
        assert_eq!(Pass { rows: 32, ..pass }.samples_per_second(), None);
        assert!(parse("{\"seconds\": 3.0, \"accuracy\": 0.5}").is_err());
    }

    #[test]
    fn targets_are_held_against_the_faster_peer_and_the_default_against_the_fastest_of_all() {
        let model = Model::mini_lm("folder".into(), "prepared".into());
        let ours = Ours {
            by_default: vec![("bf16".to_owned(), pass(1300.0))],
            fp32: vec![pass(400.0)],
            bf16: vec![pass(1300.0), pass(1500.0)],
            int8: vec![pass(1900.0)],
        };
        let mut engines = engines(Device::Cpu);
        engines.retain(|engine| engine.engine != "onnx-bf16");
        for (engine, speed) in engines.iter_mut().zip([300.0, 880.0, 1500.0, 650.0, 1400.0]) {
            engine.passes.push(pass(speed));
        }
        let rows = rows(&model, Device::Cpu, ours, &engines, &mut Results::default());
        let shown: Vec<_> = rows
            .iter()
            .map(|row| (row.what.as_str(), row.theirs.as_ref().map_or("", |peer| &peer.name), row.target))
            .collect();
        let at_least = |ratio| Some(Target::RatioAtLeast(ratio));
        assert_eq!(
            shown,
            [
                ("by default (bf16)", "torch int8", None),
                ("fp32", "ONNX Runtime fp32", at_least(1.35)),
                ("fp32", "torch fp32", None),
                ("bf16", "torch bf16", None),
                ("int8", "torch int8", None),
                ("int8", "ONNX Runtime int8", at_least(1.2)),
            ]
        );
        assert_eq!(rows[3].ours.0.len(), 1, "the second round has no peer");
    }

    #[test]
    fn different_predictions_in_fp32_fail_the_benchmark() {
        let model = Model::mini_lm("folder".into(), "prepared".into());
        for (accuracy, fails) in [(0.5, false), (0.501, false), (0.51, true)] {
            let mut results = Results::default();
            check_same_accuracy(&mut results, &model, &[pass(1.0)], &[Pass { accuracy, ..pass(1.0) }]);
            assert_eq!(results.failed, fails, "{accuracy}");
        }
    }
}
