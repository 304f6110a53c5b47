//! The results of a benchmark, for the table and for the JSON file.

use std::process::Command;

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::process::{Finished, shown};
use crate::statistics::Series;

/// A target of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    /// Our median over theirs.
    RatioAtLeast(f64),
    /// Our median over theirs.
    RatioAtMost(f64),
    /// Our median.
    OursAtLeast(f64),
    /// Our median.
    OursAtMost(f64),
}

/// The results of a peer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Peer {
    #[serde(rename = "peer")]
    pub name: String,
    /// One value per round; empty if the peer is not available.
    #[serde(flatten)]
    pub series: Series,
}

/// One comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct BenchComparison {
    pub suite: &'static str,
    pub model: String,
    pub what: String,
    pub unit: &'static str,
    /// One value per round.
    pub ours: Series,
    /// `None` if there is nothing to compare with.
    pub theirs: Option<Peer>,
    pub target: Option<Target>,
}

impl BenchComparison {
    /// Adds the results of a peer.
    pub(crate) fn against(mut self, name: &str, series: Series) -> BenchComparison {
        self.theirs = Some(Peer { name: name.to_owned(), series });
        self
    }

    /// Our median over theirs.
    pub(crate) fn ratio(&self) -> Option<f64> {
        let theirs = self.theirs.as_ref()?.series.median()?;
        (theirs > 0.0).then_some(self.ours.median()? / theirs)
    }

    /// Whether the target was met; `None` without a target or without results.
    pub(crate) fn met(&self) -> Option<bool> {
        Some(match self.target? {
            Target::RatioAtLeast(least) => self.ratio()? >= least,
            Target::RatioAtMost(most) => self.ratio()? <= most,
            Target::OursAtLeast(least) => self.ours.median()? >= least,
            Target::OursAtMost(most) => self.ours.median()? <= most,
        })
    }
}

/// A process with its results.
#[derive(Debug, Serialize)]
pub(crate) struct Process {
    /// The suite.
    pub part: &'static str,
    pub what: String,
    pub command: String,
    #[serde(flatten)]
    pub finished: Finished,
}

/// The results of all suites so far.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Results {
    /// The comparisons, in the order of the table.
    #[serde(serialize_with = "with_ratio")]
    pub rows: Vec<BenchComparison>,
    /// Further tables below the first, as text.
    #[serde(skip)]
    pub more: Vec<String>,
    /// Notes for the reader, such as what was skipped and why.
    pub notes: Vec<String>,
    /// Whether something of ours failed.
    #[serde(skip)]
    pub failed: bool,
    /// Further results of suites, by name.
    pub details: serde_json::Map<String, Value>,
    pub processes: Vec<Process>,
    /// The suite that runs.
    #[serde(skip)]
    pub part: &'static str,
}

/// Rows with their ratio and whether the target was met.
fn with_ratio<S: Serializer>(rows: &[BenchComparison], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct RowWithRatio<'a> {
        #[serde(flatten)]
        row: &'a BenchComparison,
        ratio: Option<f64>,
        met: Option<bool>,
    }
    serializer.collect_seq(rows.iter().map(|row| RowWithRatio { row, ratio: row.ratio(), met: row.met() }))
}

impl Results {
    /// Adds the results of a process, with its command.
    pub(crate) fn add_process(&mut self, what: &str, command: &Command, finished: &Finished) {
        let (what, command) = (what.to_owned(), shown(command));
        self.processes.push(Process { part: self.part, what, command, finished: finished.clone() });
    }

    /// Prints a note, now and below the table.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        eprintln!("note: {note}");
        self.notes.push(note);
    }

    /// The value of a success; an error becomes a note, and a failure of the benchmark if it was ours.
    pub(crate) fn record<T>(&mut self, ours: bool, result: anyhow::Result<T>) -> Option<T> {
        result
            .map_err(|error| {
                self.failed |= ours;
                self.note(format!("FAILED: {error:#}"));
            })
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(target: Option<Target>, theirs: &[f64]) -> BenchComparison {
        let theirs = Some(Peer { name: "Trainer".to_owned(), series: Series(theirs.to_vec()) });
        let ours = Series(vec![30.0, 10.0, 20.0]);
        BenchComparison { suite: "train", model: "m".to_owned(), what: "w".to_owned(), unit: "u", ours, theirs, target }
    }

    #[test]
    fn targets_are_held_against_medians() {
        for (target, met) in [
            (Target::RatioAtLeast(2.0), true),
            (Target::RatioAtLeast(2.1), false),
            (Target::RatioAtMost(2.0), true),
            (Target::RatioAtMost(1.9), false),
            (Target::OursAtLeast(20.0), true),
            (Target::OursAtLeast(21.0), false),
            (Target::OursAtMost(20.0), true),
            (Target::OursAtMost(19.0), false),
        ] {
            assert_eq!(row(Some(target), &[9.0, 10.0, 12.0]).met(), Some(met), "{target:?}");
        }
        assert_eq!(row(Some(Target::RatioAtLeast(1.0)), &[]).met(), None, "without a peer it isn't known");
        assert_eq!(row(None, &[1.0]).met(), None);
    }

    #[test]
    fn json_has_every_raw_value_and_every_command() {
        let mut results = Results { part: "train", ..Results::default() };
        results.rows.push(row(Some(Target::RatioAtLeast(2.0)), &[10.0]));
        let mut command = Command::new("/usr/bin/python");
        command.args(["peers/trainer.py", "--steps", "3"]);
        let (output, cpu_seconds, peak_mib) = (json!({ "peer": 1 }), Some(4.5), Some(7.0));
        let finished = Finished { output, seconds: 2.5, cpu_seconds, peak_mib, first_step: None };
        results.add_process("theirs", &command, &finished);
        let json = serde_json::to_value(&results).unwrap();
        assert_eq!(json["rows"][0]["ours"]["values"], json!([30.0, 10.0, 20.0]));
        assert_eq!(json["rows"][0]["theirs"]["peer"], "Trainer");
        assert_eq!(json["rows"][0]["target"], json!({ "ratio_at_least": 2.0 }));
        assert_eq!((&json["rows"][0]["ratio"], &json["rows"][0]["met"]), (&json!(2.0), &json!(true)));
        let expected = json!({
            "part": "train", "what": "theirs", "command": "python peers/trainer.py --steps 3", "seconds": 2.5,
            "cpu_seconds": 4.5, "peak_rss_mib": 7.0, "first_step_seconds": null, "output": { "peer": 1 },
        });
        assert_eq!(json["processes"], json!([expected]));
    }

    #[test]
    fn only_our_own_failures_fail_the_benchmark() {
        let mut results = Results::default();
        assert_eq!(results.record::<()>(false, Err(anyhow::anyhow!("no network"))), None);
        assert!(!results.failed);
        assert_eq!(results.record::<()>(true, Err(anyhow::anyhow!("a bug"))), None);
        assert!(results.failed);
        assert_eq!(results.record(true, Ok(3)), Some(3));
        assert_eq!(results.notes, ["FAILED: no network", "FAILED: a bug"]);
    }
}
