//! Our trainings by several processes, which share the threads of the benchmark, or by one that has them all.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::context::{BenchContext, remove};
use crate::models::Model;
use crate::process::free_port;
use crate::timing::timing;
use crate::training::Training;
use crate::trainings::TrainingLength;

/// What is trained, and by how many processes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SharedTraining<'a> {
    pub processes: usize,
    /// By default if none is given.
    pub format: Option<&'a str>,
    /// Sentences in a step of all processes together.
    pub batch: usize,
    /// Batches of similar length, instead of random ones.
    pub by_length: bool,
    pub length: TrainingLength,
}

/// `profile.json` of a run: the mean step, in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StepProfile {
    pub step_ms: f64,
    pub phases: BTreeMap<String, f64>,
    /// `None` for a single process.
    #[serde(default)]
    pub sums: Option<SumProfile>,
}

/// What the sums of gradients cost.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct SumProfile {
    /// Of gradients, from each process.
    pub bytes: f64,
    /// From the start of the first sum to the end of the last one.
    pub ms: f64,
    /// The share of that time in which the process computed something else.
    pub hidden: f64,
}

impl StepProfile {
    fn read(run: &Path) -> Result<StepProfile> {
        let path = run.join(run::PROFILE);
        let text = std::fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is not a profile", path.display()))
    }
}

/// One training. A failure is recorded.
pub(crate) fn train(
    context: &mut BenchContext,
    model: &Model,
    shared: &SharedTraining<'_>,
    what: &str,
) -> Option<(Training, StepProfile)> {
    let found = measure(context, model, shared, what);
    context.results.record(true, found)
}

fn measure(
    context: &mut BenchContext,
    model: &Model,
    shared: &SharedTraining<'_>,
    what: &str,
) -> Result<(Training, StepProfile)> {
    let SharedTraining { processes, format, batch, by_length, length } = *shared;
    let run = context.run_folder("processes")?;
    let (threads, port) = ((context.threads / processes).max(1), free_port()?.to_string());
    let mut commands = Vec::new();
    for rank in 0..processes {
        let mut command = context.train_on(threads, &model.prepared, &run, length.steps);
        command.args(["--profile", "--batch-size", &batch.to_string()]);
        command.args(format.iter().flat_map(|format| ["--precision", format]));
        command.args(by_length.then_some("--group-by-length"));
        if processes > 1 {
            command.env("RANK", rank.to_string()).env("WORLD_SIZE", processes.to_string());
            command.env("MASTER_ADDR", "127.0.0.1").env("MASTER_PORT", &port);
        }
        commands.push(command);
    }
    let finished = context.measure_together(what, commands, Some(&run))?;
    let (timing, start, profile) = (timing(&run, length.excluded)?, run::last_start(&run), StepProfile::read(&run)?);
    remove(&run)?;
    let format = start.context("the log does not say which number format was used")?.precision;
    Ok((Training::measured(timing, format, &finished), profile))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_of_one_process_and_of_several_are_read() {
        let run = tempfile::tempdir().unwrap();
        let read = |text: &str| {
            std::fs::write(run.path().join(run::PROFILE), text).unwrap();
            StepProfile::read(run.path())
        };
        let one = read(r#"{ "steps": 9, "step_ms": 40.5, "phases": { "optimizer": 4.5, "gemm": 30.0 } }"#).unwrap();
        assert_eq!((one.step_ms, one.phases["optimizer"], one.sums), (40.5, 4.5, None));
        let sums = r#"{ "bytes": 44000000, "ms": 25.5, "hidden": 0.75 }"#;
        let several = read(&format!(r#"{{ "steps": 9, "step_ms": 40.5, "phases": {{}}, "sums": {sums} }}"#)).unwrap();
        assert_eq!(several.sums, Some(SumProfile { bytes: 44e6, ms: 25.5, hidden: 0.75 }));
        assert!(read("{}").unwrap_err().to_string().ends_with("profile.json is not a profile"));
    }
}
