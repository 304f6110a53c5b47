//! `log.jsonl`: one JSON object a line.
//!
//! The key `event` tells the kinds apart: `start`, `step`, `evaluation`, `end`; the other keys are the fields of
//! [`StartRecord`], [`StepRecord`], [`EvaluationRecord`] (its scores among them by name) and [`EndRecord`]. A line that isn't an event
//! is skipped by every reader: it may be half a line after a full disk or a power cut.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use disk::DiskError;
use serde::{Deserialize, Serialize};

use crate::append_file::AppendFile;
use crate::folder::LOG;
use crate::records::{EndRecord, EvaluationRecord, StartRecord, StepRecord};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    Start(StartRecord),
    Step(StepRecord),
    Evaluation(EvaluationRecord),
    End(EndRecord),
}

#[derive(Debug)]
pub struct LogWriter {
    log: AppendFile,
}

impl LogWriter {
    /// Opens the log in the folder of a run; what is already in it stays.
    pub fn open(run: &Path) -> disk::Result<Self> {
        Ok(Self { log: AppendFile::open(&run.join(LOG))? })
    }

    /// Appends one event. A failed write is reported once, and nothing more is written.
    pub fn write(&mut self, event: &Event) {
        match serde_json::to_vec(event) {
            Ok(mut line) => {
                line.push(b'\n');
                self.log.append(&line);
            }
            Err(error) => tracing::warn!("a record could not be written to {LOG}: {error}"),
        }
    }
}

/// All events in the log of a run, in order; none if there is no log.
pub fn read_log(run: &Path) -> disk::Result<Vec<Event>> {
    let path = run.join(LOG);
    match fs::read(&path) {
        Ok(bytes) => Ok(events(&bytes).collect()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(DiskError::at("read", path)(error)),
    }
}

/// What the last process of a run knew before its first step; `None` where no process has come so far.
pub fn last_start(run: &Path) -> Option<StartRecord> {
    let starts = read_log(run).ok()?.into_iter();
    starts.filter_map(|event| if let Event::Start(start) = event { Some(start) } else { None }).next_back()
}

/// The last step in the log of a run, read from its end; `None` where there is none.
pub fn last_step(run: &Path) -> Option<u64> {
    /// More than the longest line.
    const TAIL: u64 = 8192;
    let mut file = File::open(run.join(LOG)).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL))).ok()?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail).ok()?;
    let steps = events(&tail).filter_map(|event| if let Event::Step(step) = event { Some(step.step) } else { None });
    steps.last()
}

/// The events in whole lines. What follows the last line's end is still being written.
pub(crate) fn events(bytes: &[u8]) -> impl Iterator<Item = Event> {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
    lines.filter_map(|line| serde_json::from_slice(line).ok())
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;
    use crate::records::NamedScores;
    use crate::samples;

    pub(crate) fn step(step: u64, seconds: f64) -> StepRecord {
        StepRecord { seconds, ..samples::step(step) }
    }

    /// An evaluation whose scores are not in alphabetical order.
    pub(crate) fn evaluation(step: u64, value: f64) -> EvaluationRecord {
        let scores = NamedScores(vec![("f1".to_owned(), 0.8125), ("accuracy".to_owned(), value)]);
        EvaluationRecord { step, scores, value, ..samples::evaluation() }
    }

    pub(crate) fn line(event: Event) -> String {
        serde_json::to_string(&event).unwrap() + "\n"
    }

    #[test]
    fn every_record_is_a_line_with_its_fields_and_is_read_as_it_was_written() {
        let run = tempfile::tempdir().unwrap();
        assert_eq!(read_log(run.path()).unwrap(), []);
        let events =
            [Event::Step(step(433, 0.1 + 0.2)), Event::Evaluation(evaluation(433, 0.875)), Event::End(samples::end())];
        let mut log = LogWriter::open(run.path()).unwrap();
        events.iter().for_each(|event| log.write(event));

        let text = fs::read_to_string(run.path().join(LOG)).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(
            lines,
            [
                json!({"event": "step", "step": 433, "total_steps": 1299, "epoch": 1.0, "loss": 0.5,
                    "learning_rate": 1.5e-5, "gradient_norm": 2.25, "examples": 16, "tokens": 400,
                    "examples_per_second": 32.0, "tokens_per_second": 800.0, "seconds": 0.1 + 0.2}),
                json!({"event": "evaluation", "epoch": 1.0, "step": 433, "split": "validation", "loss": 0.375,
                    "accuracy": 0.875, "f1": 0.8125, "value": 0.875, "seconds": 4.5, "best": true}),
                json!({"event": "end", "reason": "early_stopping", "step": 866, "epoch": 2.0, "seconds": 433.0,
                    "best": {"metric": "accuracy", "value": 0.875, "step": 433, "epoch": 1.0}}),
            ]
        );
        assert_eq!(read_log(run.path()).unwrap(), events);
    }

    #[test]
    fn non_finite_numbers_are_written_as_null_and_read_as_nan() {
        let infinite = StepRecord { loss: f64::NAN, gradient_norm: f64::INFINITY, ..step(1, 1.0) };
        let text = line(Event::Step(infinite)) + &line(Event::Evaluation(evaluation(2, f64::NAN)));
        assert_eq!(text.matches("null").count(), 4, "{text}");
        let read: Vec<Event> = events(text.as_bytes()).collect();
        let [Event::Step(step), Event::Evaluation(evaluation)] = &read[..] else { panic!("{read:?}") };
        assert!(step.loss.is_nan() && step.gradient_norm.is_nan() && step.learning_rate == 1.5e-5);
        assert!(evaluation.value.is_nan() && evaluation.scores.get("accuracy").unwrap().is_nan());
        assert_eq!(evaluation.scores.get("f1"), Some(0.8125));
    }

    #[test]
    fn incomplete_and_unknown_lines_are_skipped() {
        let run = tempfile::tempdir().unwrap();
        let whole = line(Event::Step(step(1, 0.1)));
        let torn = format!("{}{whole}not JSON\n{{\"event\":\"other\"}}\n{}", &whole[..20], &whole[..40]);
        fs::write(run.path().join(LOG), format!("{torn}\n{}{}", line(Event::Step(step(2, 0.2))), &whole[..30]))
            .unwrap();
        // The first line is half a record with a whole one behind it.
        assert_eq!(read_log(run.path()).unwrap(), [Event::Step(step(2, 0.2))]);
    }

    #[test]
    fn the_last_start_is_found_and_those_of_earlier_versions_are_read() {
        let run = tempfile::tempdir().unwrap();
        assert_eq!(last_start(run.path()), None);
        // Without rates: as runs of earlier versions, and those that measured nothing.
        let first = line(Event::Start(samples::start()));
        assert!(!first.contains("product_gflops"), "{first}");
        let rates = BTreeMap::from([("bf16".to_owned(), 860.5), ("fp32".to_owned(), 190.25)]);
        let second = StartRecord { steps_done: 433, product_gflops: rates, ..samples::start() };
        let step = line(Event::Step(step(434, 1.0)));
        fs::write(run.path().join(LOG), &first).unwrap();
        assert_eq!(last_start(run.path()), Some(samples::start()));
        fs::write(run.path().join(LOG), first + &line(Event::Start(second.clone())) + &step).unwrap();
        assert_eq!(last_start(run.path()), Some(second));
    }

    #[test]
    fn the_last_step_is_that_of_the_last_whole_line_about_one() {
        let run = tempfile::tempdir().unwrap();
        assert_eq!(last_step(run.path()), None);
        let mut log = LogWriter::open(run.path()).unwrap();
        log.write(&Event::End(samples::end()));
        assert_eq!(last_step(run.path()), None);
        (1..=200).for_each(|number| log.write(&Event::Step(step(number, 0.5))));
        log.write(&Event::Evaluation(evaluation(201, 0.5)));
        let torn = line(Event::Step(step(201, 0.5)));
        AppendFile::open(&run.path().join(LOG)).unwrap().append(&torn.as_bytes()[..50]);
        assert_eq!(last_step(run.path()), Some(200));
    }
}
