//! What is known of a model beside its weights: what it was trained on and how good it is, as its run folder records it.
//!
//! Clients see it, so it names no path of this machine: of a path only the last part is kept.

use std::path::Path;

use run::{EvaluationResult, METRICS, RunMetrics};
use serde::Serialize;

/// What is known of a model. Of a folder that is no run, nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ModelRecord {
    training: Option<TrainingSummary>,
    /// The test split before all others.
    evaluations: Vec<EvaluationSummary>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct TrainingSummary {
    dataset: String,
    source: String,
    /// The pretrained model.
    model: String,
    epochs: f64,
    steps: u64,
    precision: String,
    device: String,
    notes: Vec<String>,
}

/// The scores of a split, each from 0 to 1 but for the loss.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct EvaluationSummary {
    split: String,
    dataset: String,
    examples: u64,
    accuracy: f64,
    /// Weighted by the classes' examples.
    f1: f64,
    loss: f64,
    label_names: Vec<String>,
    /// Rows are true classes, columns predicted ones; empty where it isn't recorded.
    confusion_matrix: Vec<Vec<u64>>,
    notes: Vec<String>,
}

impl ModelRecord {
    /// Reads the records of a run folder, and says which of them can't be read. Those that aren't there are no fault.
    pub fn read(run: &Path) -> (Self, Vec<String>) {
        let mut faults = Vec::new();
        let mut fault = |name: &str, error: &dyn std::fmt::Display| {
            faults.push(format!("the page says nothing of {name}: {error}"));
        };
        let metrics = match RunMetrics::read(run) {
            Ok(metrics) => Some(metrics),
            Err(error) => {
                if run.join(METRICS).exists() {
                    fault(METRICS, &error);
                }
                None
            }
        };
        let mut evaluations = Vec::new();
        for split in evaluated_splits(run) {
            match EvaluationResult::read(run, &split) {
                Ok(result) => evaluations.push(EvaluationSummary::of(result)),
                Err(error) => fault(&format!("the evaluation on {split}"), &error),
            }
        }
        // The scores of the best model in training, where no evaluation says more.
        let validation = metrics.as_ref().and_then(EvaluationSummary::of_training);
        evaluations
            .extend(validation.filter(|validation| evaluations.iter().all(|other| other.split != validation.split)));
        evaluations.sort_by_key(|evaluation| (evaluation.split != "test", evaluation.split == "validation"));
        (Self { training: metrics.map(TrainingSummary::of), evaluations }, faults)
    }
}

impl TrainingSummary {
    fn of(metrics: RunMetrics) -> Self {
        Self {
            dataset: without_folders(&metrics.dataset),
            source: without_folders(&metrics.source),
            model: without_folders(&metrics.model),
            epochs: metrics.epochs,
            steps: metrics.steps,
            precision: metrics.precision,
            device: metrics.device,
            notes: metrics.notes.iter().map(|note| without_folders(note)).collect(),
        }
    }
}

impl EvaluationSummary {
    fn of(result: EvaluationResult) -> Self {
        Self {
            split: without_folders(&result.split),
            dataset: without_folders(&result.dataset),
            examples: result.report.examples,
            accuracy: result.report.accuracy,
            f1: result.report.weighted.f1,
            loss: result.loss,
            label_names: result.label_names,
            confusion_matrix: result.confusion_matrix,
            notes: result.notes.iter().map(|note| without_folders(note)).collect(),
        }
    }

    fn of_training(metrics: &RunMetrics) -> Option<Self> {
        let validation = metrics.validation.as_ref()?;
        Some(Self {
            split: "validation".to_owned(),
            dataset: without_folders(&metrics.dataset),
            examples: validation.report.examples,
            accuracy: validation.report.accuracy,
            f1: validation.report.weighted.f1,
            loss: validation.loss,
            label_names: validation.report.per_class.iter().map(|class| class.label.clone()).collect(),
            confusion_matrix: Vec::new(),
            notes: Vec::new(),
        })
    }
}

/// The splits of the files `evaluation-SPLIT.json` in a folder, in order.
fn evaluated_splits(run: &Path) -> Vec<String> {
    let names =
        std::fs::read_dir(run).into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let split = |name: String| Some(name.strip_prefix("evaluation-")?.strip_suffix(".json")?.to_owned());
    let mut splits: Vec<String> = names.filter_map(split).collect();
    splits.sort();
    splits
}

/// A text in which each path that begins with `/`, `./`, `../` or `~/` is its last part. Names like `owner/model` stay.
fn without_folders(text: &str) -> String {
    let is_path = |word: &str| ["/", "./", "../", "~/"].iter().any(|start| word.starts_with(start));
    let shorter = |word: &str| {
        let begin = word.find(|c: char| !"\"'`(".contains(c)).unwrap_or(0);
        let (before, path) = word.split_at(begin);
        let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        if is_path(path) && !last.is_empty() { format!("{before}{last}") } else { word.to_owned() }
    };
    text.split(' ').map(shorter).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn paths_of_the_machine_are_not_told() {
        assert_eq!(without_folders("/home/ann/data/reviews.csv"), "reviews.csv");
        assert_eq!(without_folders("read \"/tmp/a b/c.csv\", not ../d/ (./e)"), "read \"a b/c.csv\", not d (e)");
        assert_eq!(without_folders("google/bert_uncased and 3 / 4"), "google/bert_uncased and 3 / 4");
    }

    /// The records of a run, as training and `evaluate` write them.
    fn write_records(folder: &Path) {
        let scores = |accuracy: f64| {
            let scores = json!({"precision": accuracy, "recall": accuracy, "f1": accuracy});
            let class = json!({"label": "bad", "precision": 1, "recall": 1, "f1": 1, "support": 2, "predicted": 2});
            json!({"examples": 4, "accuracy": accuracy, "matthews": 0.5, "weighted": scores, "macro": scores,
                "micro": scores, "per_class": [class], "loss": 0.5})
        };
        let with = |mut value: Value, more: Value| {
            value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            value
        };
        let evaluation = json!({"run": "/srv/runs/a", "data": "/srv/data", "dataset": "/srv/data/reviews.csv",
            "source": "files", "model": "tiny", "split": "test", "precision": "fp32", "device": "cpu", "seconds": 1,
            "first_batch_seconds": 1, "label_names": ["bad", "good"], "confusion_matrix": [[2, 0], [1, 1]], "notes": []});
        let metrics = json!({"reason": "finished", "steps": 10, "epochs": 2.0, "seconds": 1, "examples_per_second": 1,
            "peak_memory_bytes": null, "device": "cpu", "precision": "fp32", "threads": 1, "micro_batch_size": 16,
            "dataset": "reviews.csv", "source": "files", "model": "/srv/models/tiny",
            "notes": ["copied from /srv/secret/reviews.csv"], "best": null, "validation": scores(0.75)});
        let write = |name: &str, value: Value| std::fs::write(folder.join(name), value.to_string()).unwrap();
        write("metrics.json", metrics);
        write("evaluation-test.json", with(scores(0.7), evaluation.clone()));
        write("evaluation-more.json", with(scores(0.6), with(evaluation, json!({"split": "more"}))));
    }

    #[test]
    fn a_run_says_what_it_was_trained_on_and_how_good_it_is() {
        let folder = tempfile::tempdir().unwrap();
        write_records(folder.path());
        let (record, faults) = ModelRecord::read(folder.path());
        assert!(faults.is_empty(), "{faults:?}");
        let said = serde_json::to_value(&record).unwrap();
        let splits: Vec<_> = record.evaluations.iter().map(|evaluation| evaluation.split.as_str()).collect();
        assert_eq!(splits, ["test", "more", "validation"]);
        assert_eq!(said["evaluations"][0]["confusion_matrix"], json!([[2, 0], [1, 1]]));
        assert_eq!((&said["training"]["model"], &said["evaluations"][0]["accuracy"]), (&json!("tiny"), &json!(0.7)));
        assert!(!said.to_string().contains("/srv"), "{said}");
    }

    #[test]
    fn of_a_folder_that_is_no_run_nothing_is_known() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(ModelRecord::read(folder.path()), (ModelRecord::default(), Vec::new()));
        std::fs::write(folder.path().join("metrics.json"), "{\"eval_accuracy\": 0.9}").unwrap();
        let (record, faults) = ModelRecord::read(folder.path());
        assert_eq!((record, faults.len()), (ModelRecord::default(), 1), "{faults:?}");
        assert!(faults[0].starts_with("the page says nothing of metrics.json: "), "{faults:?}");
    }
}
