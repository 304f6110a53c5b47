//! `log.jsonl`: one JSON object a line, for whatever reads logs.
//!
//! The key `event` tells the kinds apart: `start`, `step`, `evaluation`, `end`; the other keys are the fields of
//! [`Start`], [`StepRecord`], [`EvaluationRecord`] (its scores among them by name) and [`End`]. What isn't finite is
//! `null`, since JSON has no such numbers.

use serde::Serialize;

use super::log_file::LogFile;
use super::{End, EvaluationRecord, Observer, Start, StepRecord};
use crate::error::Result;
use crate::run_directory::{LOG, RunDirectory};

/// Writes every record of a run to its `log.jsonl`.
pub struct JsonLines {
    log: LogFile,
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Event<'a> {
    Start(&'a Start),
    Step(&'a StepRecord),
    Evaluation(&'a EvaluationRecord),
    End(&'a End),
}

impl JsonLines {
    /// Opens the log of a run; what is already in it stays.
    ///
    /// # Errors
    /// A file that can't be opened.
    pub fn open(run: &RunDirectory) -> Result<Self> {
        Ok(Self { log: LogFile::open(&run.file(LOG))? })
    }

    fn write(&mut self, event: &Event<'_>) {
        match serde_json::to_vec(event) {
            Ok(mut line) => {
                line.push(b'\n');
                self.log.append(&line);
            }
            Err(error) => tracing::warn!("a record is left out of {LOG}: {error}"),
        }
    }
}

impl Observer for JsonLines {
    fn on_start(&mut self, start: &Start) {
        self.write(&Event::Start(start));
    }

    fn on_step(&mut self, step: &StepRecord) {
        self.write(&Event::Step(step));
    }

    fn on_evaluation(&mut self, evaluation: &EvaluationRecord) {
        self.write(&Event::Evaluation(evaluation));
    }

    fn on_end(&mut self, end: &End) {
        self.write(&Event::End(end));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::samples;
    use super::*;

    #[test]
    fn every_record_is_a_line_with_its_fields() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDirectory::create(Some(folder.path()), "sst2", "tiny").unwrap();
        let mut log = JsonLines::open(&run).unwrap();
        log.on_start(&samples::start());
        log.on_step(&samples::step(433));
        log.on_evaluation(&samples::evaluation());
        log.on_end(&samples::end());

        let text = std::fs::read_to_string(run.file(LOG)).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 4);
        assert_eq!((&lines[0]["event"], &lines[0]["total_steps"]), (&json!("start"), &json!(1299)));
        assert_eq!(
            lines[1],
            json!({"event": "step", "step": 433, "total_steps": 1299, "epoch": 1.0, "loss": 0.5,
                "learning_rate": 1.5e-5, "gradient_norm": 2.25, "examples": 16, "tokens": 400,
                "examples_per_second": 32.0, "tokens_per_second": 800.0, "seconds": 216.5})
        );
        assert_eq!(
            lines[2],
            json!({"event": "evaluation", "epoch": 1.0, "step": 433, "split": "validation", "loss": 0.375,
                "accuracy": 0.875, "f1": 0.8125, "value": 0.875, "seconds": 4.5, "best": true})
        );
        assert_eq!(
            lines[3],
            json!({"event": "end", "reason": "early_stopping", "step": 866, "epoch": 2.0, "seconds": 433.0,
                "best": {"metric": "accuracy", "value": 0.875, "step": 433, "epoch": 1.0}})
        );
    }

    #[test]
    fn what_is_not_finite_is_null_and_the_line_stays_json() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDirectory::create(Some(folder.path()), "sst2", "tiny").unwrap();
        let mut log = JsonLines::open(&run).unwrap();
        log.on_step(&StepRecord { loss: f64::NAN, gradient_norm: f64::INFINITY, ..samples::step(1) });
        let line: Value = serde_json::from_slice(&std::fs::read(run.file(LOG)).unwrap()).unwrap();
        assert_eq!((&line["loss"], &line["gradient_norm"]), (&Value::Null, &Value::Null));
        assert_eq!(line["step"], 1);
    }
}
