//! A calibration makes a run as sure as it is right for every program that reads it, moves no label, and is neither lost nor applied
//! twice without a word; likely label errors can be corrected and trained on.

use std::collections::BTreeMap;
use std::fs;

use judge::{Mistakes, RowFacts, ScoredRows};
use model::read_tensors;
use serde_json::Value;
use table::{Cell, Column, TableWriter};

use crate::support::{Sandbox, names};

const CALIBRATION: &str = "run/calibration.json";
const MODEL: &str = "run/model.safetensors";

/// The label of each row of a file and the probabilities of all labels, by `predict`.
fn predictions(sandbox: &Sandbox, run: &str) -> Vec<(String, BTreeMap<String, f64>)> {
    let lines = sandbox.succeeds(&format!("predict --run {run} --file clean.csv --json"));
    let prediction = |line: &str| {
        let line: Value = serde_json::from_str(line).expect("JSON");
        let probabilities = serde_json::from_value(line["probabilities"].clone()).expect("probabilities");
        (line["label"].as_str().expect("a label").to_owned(), probabilities)
    };
    lines.lines().map(prediction).collect()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn a_calibrated_run_has_the_same_labels_and_better_probabilities() {
    let sandbox = Sandbox::trained_on_wrong_labels();
    let checkpoint = sandbox.read(&sandbox.in_newest("run", "model.safetensors"));
    let weights = || -> BTreeMap<String, Vec<f32>> {
        let tensors = read_tensors(&sandbox.path(MODEL)).expect("reads");
        tensors
            .into_iter()
            .map(|(name, tensor)| (name, Vec::try_from(tensor.flatten(0, -1)).expect("floats")))
            .collect()
    };
    let (labels_before, weights_before) = (predictions(&sandbox, "run"), weights());
    let printed = sandbox.succeeds("calibrate --run run");
    let record = sandbox.json(CALIBRATION);
    let temperature = number(&record["temperature"]);
    assert!((temperature - 1.0).abs() > 0.05, "{printed}");
    assert!(printed.starts_with(&format!("temperature  {temperature:.4}\n\nvalidation: ")), "{printed}");
    assert!(printed.contains(" rows, held out\n") && printed.contains("ECE "), "{printed}");

    // Weight and bias of the classifier are divided by the temperature, and nothing else changes.
    let weights_after = weights();
    let changed = weights_before.iter().filter(|(name, before)| weights_after[*name] != **before);
    let changed: Vec<(&String, &Vec<f32>)> = changed.collect();
    let changed_names: Vec<&str> = changed.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(changed_names, ["classifier.bias", "classifier.weight"]);
    for (name, before) in changed {
        for (before, after) in before.iter().zip(&weights_after[name]) {
            let expected = (f64::from(*before) * (1.0 / temperature)) as f32;
            assert_eq!(*after, expected, "{name}");
        }
    }
    assert!(sandbox.read(&sandbox.in_newest("run", "model.safetensors")) == checkpoint, "a checkpoint has changed");

    // Labels stay; the odds are those from before to the power of 1 / T.
    let labels_after = predictions(&sandbox, "run");
    assert_eq!(labels_before.len(), labels_after.len());
    let odds = |probabilities: &BTreeMap<String, f64>| (probabilities["positive"] / probabilities["negative"]).ln();
    for ((label, before), (label_after, after)) in labels_before.iter().zip(&labels_after) {
        assert_eq!(label, label_after);
        assert!((odds(before) / temperature - odds(after)).abs() < 1e-3, "{before:?} {after:?}");
    }

    // What is recorded is what an evaluation finds.
    for (key, split) in [("fitted_on", "validation"), ("held_out", "test")] {
        let recorded = &record[key];
        assert_eq!(recorded["split"], split);
        sandbox.succeeds(&format!("evaluate --run run --split {split}"));
        let evaluation = sandbox.json(&format!("run/evaluation-{split}.json"));
        assert_eq!(recorded["rows"], evaluation["examples"]);
        let log_loss = |when: &str| number(&recorded[when]["log_loss"]["value"]);
        assert!((log_loss("after") - number(&evaluation["loss"])).abs() < 1e-5, "{recorded}");
        assert!(split != "validation" || log_loss("after") < log_loss("before"), "{recorded}");
        for figure in ["log_loss", "brier", "ece"] {
            let figure = &recorded["after"][figure];
            assert!(number(&figure["low"]) < number(&figure["high"]), "{figure}");
        }
    }
}

#[test]
fn a_run_is_calibrated_once_unless_it_is_forced() {
    let sandbox = Sandbox::trained_on_wrong_labels();
    let trained = sandbox.read(MODEL);
    sandbox.succeeds("calibrate --run run");
    let (once, record) = (sandbox.read(MODEL), sandbox.json(CALIBRATION));
    let temperature = number(&record["temperature"]);
    let error = sandbox.fails("calibrate --run run");
    assert!(error.contains(&format!("run is calibrated already, with a temperature of {temperature:.3}")), "{error}");
    assert!(sandbox.read(MODEL) == once, "the model has changed");
    // The same rows have nothing to add.
    let error = sandbox.fails("calibrate --run run --force");
    assert!(error.contains("can't tell the model's probabilities from calibrated ones"), "{error}");
    assert!(sandbox.read(MODEL) == once && sandbox.json(CALIBRATION) == record, "the model has changed");
    // A run whose weights are others than those of its record is not calibrated.
    fs::write(sandbox.path(MODEL), trained).expect("writes");
    sandbox.succeeds("calibrate --run run");
    assert!(sandbox.read(MODEL) == once, "the same data give the same temperature");
}

#[test]
fn a_finished_run_stays_calibrated_and_one_that_is_trained_further_begins_at_its_trained_weights() {
    let sandbox = Sandbox::trained_on_wrong_labels();
    sandbox.copy_run("run", "never", 99.min(sandbox.checkpoints("run").len()));
    sandbox.succeeds("calibrate --run run");
    let calibrated = sandbox.read(MODEL);
    let output = sandbox.run("train --resume run");
    assert!(output.code == 0 && output.err.contains("nothing to do"), "{}", output.err);
    assert!(sandbox.read(MODEL) == calibrated && sandbox.path(CALIBRATION).is_file(), "the calibration is lost");

    let further = "--epochs 8 --allow-change";
    let output = sandbox.run(&format!("train --resume run {further}"));
    assert!(output.code == 0 && output.err.contains("holds the model as it was trained again"), "{}", output.err);
    assert!(!sandbox.path(CALIBRATION).exists());
    sandbox.succeeds(&format!("train --resume never {further}"));
    sandbox.assert_same("never", "run");
    sandbox.succeeds("calibrate --run run");
}

#[test]
fn a_calibrated_copy_leaves_its_run_as_it_is() {
    let sandbox = Sandbox::trained_on_wrong_labels();
    sandbox.succeeds("evaluate --run run --split test");
    let content = |folder: &str| -> Vec<(String, Vec<u8>)> {
        let files = names(&sandbox.path(folder)).into_iter().filter(|name| sandbox.path(folder).join(name).is_file());
        files.map(|name| (name.clone(), sandbox.read(&format!("{folder}/{name}")))).collect()
    };
    let before = content("run");
    let output = sandbox.run("calibrate --run run --output new/copy");
    assert!(output.code == 0 && output.err.ends_with("wrote new/copy\n"), "{}", output.err);
    assert!(content("run") == before, "the run has changed");
    assert_eq!(names(&sandbox.path("new")), ["copy"], "nothing unfinished is left");
    let copied = names(&sandbox.path("new/copy"));
    assert!(copied.contains(&"calibration.json".to_owned()) && copied.contains(&"metrics.json".to_owned()));
    assert!(
        !copied.iter().any(|name| name.starts_with("evaluation-")),
        "an evaluation of other probabilities: {copied:?}"
    );
    let odds = |run: &str| {
        let (_, probabilities) = predictions(&sandbox, run).remove(0);
        (probabilities["positive"] / probabilities["negative"]).ln()
    };
    let temperature = number(&sandbox.json("new/copy/calibration.json")["temperature"]);
    assert!((odds("run") / temperature - odds("new/copy")).abs() < 1e-3);
    sandbox.succeeds("evaluate --run new/copy");
    let output = sandbox.run("train --resume new/copy");
    assert!(output.code == 0 && output.err.contains("nothing to do"), "{}", output.err);
    let error = sandbox.fails("calibrate --run run --output new/copy");
    assert!(error.contains("--output: new/copy is not an empty folder"), "{error}");
}

#[test]
fn what_was_measured_before_a_calibration_says_so() {
    let sandbox = Sandbox::trained_on_wrong_labels();
    sandbox.succeeds("evaluate --run run --split test");
    // Also where all other tests run without the kernels.
    let is_compared = || {
        let line = "predict --run run --precision int8 lovely";
        sandbox.run_with(&[("VERDICT_KERNELS", "on")], line).err.contains("comparing int8 with fp32")
    };
    assert!(is_compared() && !is_compared(), "it is compared once");
    let output = sandbox.run("calibrate --run run");
    assert!(output.err.contains("run/evaluation-test.json is of the model before"), "{}", output.err);
    let evaluation = sandbox.json("run/evaluation-test.json");
    let notes: Vec<&str> = evaluation["notes"].as_array().expect("notes").iter().filter_map(Value::as_str).collect();
    let outdated =
        |notes: &[&str]| notes.iter().filter(|note| note.contains("was calibrated after this evaluation")).count();
    assert_eq!(outdated(&notes), 1, "{notes:?}");
    assert!(is_compared(), "the comparison was of other weights");
    sandbox.succeeds("evaluate --run run --split test");
    let evaluation = sandbox.json("run/evaluation-test.json").to_string();
    assert!(!evaluation.contains("was calibrated after"), "{evaluation}");
}

#[test]
fn a_model_without_mistakes_has_no_temperature_and_stays_as_it_is() {
    let sandbox = Sandbox::trained(12);
    let before = sandbox.read(MODEL);
    let error = sandbox.fails("calibrate --run run");
    assert!(error.contains("makes no mistakes there, or hardly any") && error.contains("hint: --data DIR"), "{error}");
    assert!(sandbox.read(MODEL) == before && !sandbox.path(CALIBRATION).exists());
}

#[test]
fn the_best_model_of_a_study_stays_calibrated_when_the_study_goes_on() {
    let sandbox = Sandbox::trained_on_wrong_labels();
    sandbox.write("space.toml", "learning_rate = { low = 3e-3, high = 3.001e-3 }\nepochs = [6]\n");
    let tune = "tune --data data --study study --space space.toml --sampler random --pruner none --trials 1";
    sandbox.succeeds(tune);
    let trained = sandbox.read("study/best/model.safetensors");
    sandbox.succeeds("calibrate --run study/best");
    let calibrated = sandbox.read("study/best/model.safetensors");
    assert!(trained != calibrated);
    sandbox.succeeds(tune);
    assert!(sandbox.read("study/best/model.safetensors") == calibrated, "the calibration is lost");
    assert!(sandbox.read("study/trials/0000/model.safetensors") == trained, "the trial's own model has changed");
}

#[test]
fn likely_label_errors_can_be_corrected_and_fed_back() {
    let sandbox = Sandbox::new();
    let label_names = ["negative".to_owned(), "positive".to_owned()];
    let texts: Vec<String> = (0..60)
        .map(|row| format!("{} film number {row}, with \"quotes\"\nand a line", ["a dull", "a lovely"][row % 2]))
        .collect();
    // The model is sure and right but for every third label, which is wrong.
    let truth: Vec<u32> = (0..60).map(|row| (row % 2 + usize::from(row % 3 == 0)) as u32 % 2).collect();
    let predictions: Vec<u32> = (0..60).map(|row| row % 2).collect();
    let probabilities: Vec<Vec<f32>> =
        (0..60).map(|row| if row % 2 == 0 { vec![0.75, 0.25] } else { vec![0.125, 0.875] }).collect();
    let facts: Vec<RowFacts> = texts.iter().map(|text| RowFacts { text, ..RowFacts::default() }).collect();
    let rows = ScoredRows {
        label_names: &label_names,
        truth: &truth,
        predictions: &predictions,
        probabilities: &probabilities,
        facts: &facts,
    };
    let mistakes = Mistakes::of(&rows);
    assert_eq!((mistakes.label_issues_found, mistakes.label_issues.len()), (20, 20));

    let columns = Mistakes::COLUMNS.map(|name| Column { name: name.to_owned(), declared: None });
    let mut writer = TableWriter::create(&sandbox.path("label-issues.csv"), &columns).expect("begins");
    let label = Mistakes::COLUMNS.iter().position(|name| *name == "label").expect("a column");
    for mut cells in mistakes.table() {
        // A person agrees with the model.
        cells[label] = cells[label + 1].clone();
        writer.write(&cells.map(Cell::Text)).expect("writes");
    }
    writer.finish().expect("is written");
    sandbox.succeeds("prepare --dataset label-issues.csv --model tiny --max-length 32 --allow-leakage --output fed");
    let manifest = sandbox.json("fed/manifest.json");
    assert_eq!(manifest["label_names"], serde_json::json!(label_names));
    let splits = manifest["splits"].as_object().expect("splits");
    let counts =
        |label: usize| splits.values().map(|split| split["label_counts"][label].as_u64().unwrap_or(0)).sum::<u64>();
    assert_eq!((counts(0), counts(1)), (10, 10), "{manifest}");
}
