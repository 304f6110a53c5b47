//! Everything that a benchmark found, for the table and for the JSON file.

use std::process::Command;

use serde_json::{Value, json};

use super::process::Finished;
use super::statistics::Series;
use crate::command::shown;

/// What is asked for, where something is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
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
#[derive(Debug, Clone, PartialEq)]
pub struct Peer {
    /// Which peer, in a word or two.
    pub name: String,
    /// Once a round; empty where the peer can't be had.
    pub series: Series,
}

/// One comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The suite's name.
    pub suite: &'static str,
    /// The model's name.
    pub model: String,
    /// What was measured.
    pub what: String,
    /// Its unit.
    pub unit: &'static str,
    /// Ours, once a round.
    pub ours: Series,
    /// Theirs; `None` where there is nothing to compare with.
    pub theirs: Option<Peer>,
    /// The aim.
    pub target: Option<Target>,
}

impl Row {
    /// Our median over theirs.
    pub fn ratio(&self) -> Option<f64> {
        let theirs = self.theirs.as_ref()?.series.median()?;
        (theirs > 0.0).then_some(self.ours.median()? / theirs)
    }

    /// Whether the aim was reached; `None` without an aim or without what it takes to tell.
    pub fn met(&self) -> Option<bool> {
        Some(match self.target? {
            Target::RatioAtLeast(least) => self.ratio()? >= least,
            Target::RatioAtMost(most) => self.ratio()? <= most,
            Target::OursAtLeast(least) => self.ours.median()? >= least,
            Target::OursAtMost(most) => self.ours.median()? <= most,
        })
    }

    fn to_json(&self) -> Value {
        let theirs = self.theirs.as_ref().map(|peer| {
            let mut json = peer.series.to_json();
            json["peer"] = json!(peer.name);
            json
        });
        let target = self.target.map(|target| match target {
            Target::RatioAtLeast(least) => json!({ "ratio_at_least": least }),
            Target::RatioAtMost(most) => json!({ "ratio_at_most": most }),
            Target::OursAtLeast(least) => json!({ "ours_at_least": least }),
            Target::OursAtMost(most) => json!({ "ours_at_most": most }),
        });
        json!({
            "suite": self.suite, "model": self.model, "what": self.what, "unit": self.unit, "ours": self.ours.to_json(),
            "theirs": theirs, "ratio": self.ratio(), "target": target, "met": self.met(),
        })
    }
}

/// What came of all suites so far.
#[derive(Debug, Default)]
pub struct Results {
    /// The comparisons, in the order of the table.
    pub rows: Vec<Row>,
    /// Tables of their own below the first, each ready to be printed.
    pub more: Vec<String>,
    /// What a reader has to know besides: what was left out, and why.
    pub notes: Vec<String>,
    /// Whether something of ours failed.
    pub failed: bool,
    /// What a suite found beyond its comparisons, by name.
    pub details: serde_json::Map<String, Value>,
    processes: Vec<Value>,
}

impl Results {
    /// Keeps what a process did, with the command that started it.
    pub fn keep(&mut self, what: &str, command: &Command, finished: &Finished) {
        let output = serde_json::from_str(finished.stdout.trim()).unwrap_or_else(|_| json!(finished.stdout.trim()));
        self.processes.push(json!({
            "what": what, "command": shown(command), "seconds": finished.seconds, "peak_rss_mib": finished.peak_mib,
            "first_step_seconds": finished.first_step, "output": output,
        }));
    }

    /// Says something now and again below the table.
    pub fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        eprintln!("note: {note}");
        self.notes.push(note);
    }

    /// The value of what went well; of what didn't a note, and a failure where it was ours.
    pub fn attempt<T>(&mut self, ours: bool, result: anyhow::Result<T>) -> Option<T> {
        result
            .map_err(|error| {
                self.failed |= ours;
                self.note(format!("FAILED: {error:#}"));
            })
            .ok()
    }

    /// All of it with what is known of the circumstances.
    pub fn to_json(&self, circumstances: Value) -> Value {
        let rows: Vec<Value> = self.rows.iter().map(Row::to_json).collect();
        let mut json = circumstances;
        json["format"] = json!(1);
        json["rows"] = json!(rows);
        json["details"] = json!(self.details);
        json["notes"] = json!(self.notes);
        json["processes"] = json!(self.processes);
        json
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(target: Option<Target>, theirs: &[f64]) -> Row {
        let theirs = Some(Peer { name: "Trainer".to_owned(), series: Series(theirs.to_vec()) });
        let ours = Series(vec![30.0, 10.0, 20.0]);
        Row { suite: "train", model: "m".to_owned(), what: "w".to_owned(), unit: "u", ours, theirs, target }
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
        let finished =
            Finished { stdout: "{\"peer\": 1}\n".to_owned(), seconds: 2.5, peak_mib: Some(7.0), first_step: None };
        results.keep("theirs", &command, &finished);
        let json = results.to_json(json!({ "date": "today" }));
        assert_eq!(json["date"], "today");
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
