//! Everything that a benchmark found, for the table and for the JSON file.

use std::process::Command;

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::process::{Finished, shown};
use crate::statistics::Series;

/// What is asked for, where something is.
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

/// What the other side reached.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Peer {
    /// Which peer, in a word or two.
    #[serde(rename = "peer")]
    pub name: String,
    /// Once a round; empty where the peer is not available.
    #[serde(flatten)]
    pub series: Series,
}

/// One comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct BenchComparison {
    pub suite: &'static str,
    /// The model's name.
    pub model: String,
    /// What was measured.
    pub what: String,
    pub unit: &'static str,
    /// Once a round.
    pub ours: Series,
    /// `None` where there is nothing to compare with.
    pub theirs: Option<Peer>,
    pub target: Option<Target>,
}

impl BenchComparison {
    /// Ours beside a peer.
    pub(crate) fn against(mut self, name: &str, series: Series) -> BenchComparison {
        self.theirs = Some(Peer { name: name.to_owned(), series });
        self
    }

    /// Our median over theirs.
    pub(crate) fn ratio(&self) -> Option<f64> {
        let theirs = self.theirs.as_ref()?.series.median()?;
        (theirs > 0.0).then_some(self.ours.median()? / theirs)
    }

    /// Whether the aim was reached; `None` without an aim or without what it takes to tell.
    pub(crate) fn met(&self) -> Option<bool> {
        Some(match self.target? {
            Target::RatioAtLeast(least) => self.ratio()? >= least,
            Target::RatioAtMost(most) => self.ratio()? <= most,
            Target::OursAtLeast(least) => self.ours.median()? >= least,
            Target::OursAtMost(most) => self.ours.median()? <= most,
        })
    }
}

/// A process, and what it did.
#[derive(Debug, Serialize)]
struct Process {
    what: String,
    command: String,
    #[serde(flatten)]
    finished: Finished,
}

/// What came of all suites so far.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Results {
    /// The comparisons, in the order of the table.
    #[serde(serialize_with = "judged")]
    pub rows: Vec<BenchComparison>,
    /// Tables of their own below the first, each ready to be printed.
    #[serde(skip)]
    pub more: Vec<String>,
    /// What a reader has to know besides: what was left out, and why.
    pub notes: Vec<String>,
    /// Whether something of ours failed.
    #[serde(skip)]
    pub failed: bool,
    /// What a suite found beyond its comparisons, by name.
    pub details: serde_json::Map<String, Value>,
    processes: Vec<Process>,
}

/// Rows with what follows from them.
fn judged<S: Serializer>(rows: &[BenchComparison], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Judged<'a> {
        #[serde(flatten)]
        row: &'a BenchComparison,
        ratio: Option<f64>,
        met: Option<bool>,
    }
    serializer.collect_seq(rows.iter().map(|row| Judged { row, ratio: row.ratio(), met: row.met() }))
}

impl Results {
    /// Keeps what a process did, with the command that started it.
    pub(crate) fn keep(&mut self, what: &str, command: &Command, finished: &Finished) {
        let (what, command) = (what.to_owned(), shown(command));
        self.processes.push(Process { what, command, finished: finished.clone() });
    }

    /// Says something now and again below the table.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        eprintln!("note: {note}");
        self.notes.push(note);
    }

    /// The value of what went well; of what didn't a note, and a failure where it was ours.
    pub(crate) fn attempt<T>(&mut self, ours: bool, result: anyhow::Result<T>) -> Option<T> {
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
        let mut results = Results::default();
        results.rows.push(row(Some(Target::RatioAtLeast(2.0)), &[10.0]));
        let mut command = Command::new("/usr/bin/python");
        command.args(["peers/trainer.py", "--steps", "3"]);
        let finished = Finished { output: json!({ "peer": 1 }), seconds: 2.5, peak_mib: Some(7.0), first_step: None };
        results.keep("theirs", &command, &finished);
        let json = serde_json::to_value(&results).unwrap();
        assert_eq!(json["rows"][0]["ours"]["values"], json!([30.0, 10.0, 20.0]));
        assert_eq!(json["rows"][0]["theirs"]["peer"], "Trainer");
        assert_eq!(json["rows"][0]["target"], json!({ "ratio_at_least": 2.0 }));
        assert_eq!((&json["rows"][0]["ratio"], &json["rows"][0]["met"]), (&json!(2.0), &json!(true)));
        let expected = json!({
            "what": "theirs", "command": "python peers/trainer.py --steps 3", "seconds": 2.5, "peak_rss_mib": 7.0,
            "first_step_seconds": null, "output": { "peer": 1 },
        });
        assert_eq!(json["processes"], json!([expected]));
    }

    #[test]
    fn only_our_own_failures_fail_the_benchmark() {
        let mut results = Results::default();
        assert_eq!(results.attempt::<()>(false, Err(anyhow::anyhow!("no network"))), None);
        assert!(!results.failed);
        assert_eq!(results.attempt::<()>(true, Err(anyhow::anyhow!("a bug"))), None);
        assert!(results.failed);
        assert_eq!(results.attempt(true, Ok(3)), Some(3));
        assert_eq!(results.notes, ["FAILED: no network", "FAILED: a bug"]);
    }
}
