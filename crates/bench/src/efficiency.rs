//! Two processes against one that has as many threads as both: the same batches in the same order, so that only the sums of
//! the gradients and the division of the work differ. What they show of a step is the base of the model of more hosts.

use std::collections::HashSet;

use anyhow::{Context, Result};
use data::manifest::Prepared;
use data::store::Examples;
use serde::Serialize;
use serde_json::Value;

use crate::context::BenchContext;
use crate::models::{Model, ModelKind};
use crate::network_model::{HOSTS, HostStep, ModeledStep, render, ring_bytes};
use crate::ranks::{self, SharedTraining, StepProfile};
use crate::results::{BenchComparison, Target};
use crate::statistics::median;
use crate::table::{grid, number};
use crate::train::{by_default, samples};
use crate::training::Training;
use crate::trainings::TrainingLength;

/// How many processes are measured.
pub(crate) const PROCESSES: usize = 2;

/// The sizes of batches, of all processes together.
const BATCHES: [usize; 2] = [16, 64];

/// Trainings with their profiles, one per round.
#[derive(Debug, Clone, Default)]
struct ProfiledTrainings {
    trainings: Vec<Training>,
    profiles: Vec<StepProfile>,
}

/// One process and [`PROCESSES`], with one size of batches in one number format.
struct ProcessComparison {
    model: String,
    /// `by default (bf16)`, or the format that was asked for.
    format: String,
    is_default: bool,
    batch: usize,
    one: ProfiledTrainings,
    several: ProfiledTrainings,
}

/// The JSON of a comparison; its samples a second are in the rows of the table.
#[derive(Serialize)]
struct ProcessRecord<'a> {
    model: &'a str,
    format: &'a str,
    batch: usize,
    one_process: &'a [StepProfile],
    processes: &'a [StepProfile],
    /// `None` where one of them failed.
    host: Option<HostStep>,
    modeled: Vec<ModeledStep>,
}

/// Medians of the profiles.
#[derive(Debug, Clone, Copy, PartialEq)]
struct StepCost {
    one_ms: f64,
    /// Of it, the gradients' norm and the update.
    update_ms: f64,
    /// With several processes.
    several_ms: f64,
    sum_bytes: f64,
    sums_ms: f64,
    hidden: f64,
}

/// Measures a model with each size of batches; by default, and in fp32 if that is not the default.
///
/// # Errors
/// Prepared data that can't be read.
pub(crate) fn measure(context: &mut BenchContext, model: &Model) -> Result<Vec<Value>> {
    let mut comparisons: Vec<ProcessComparison> = Vec::new();
    for batch in BATCHES {
        let by_default = compare(context, model, batch, None);
        let is_fp32 = by_default.as_ref().is_some_and(ProcessComparison::is_fp32);
        comparisons.extend(by_default);
        // Large batches in fp32 take the longest.
        let too_long = context.options.quick && batch > BATCHES[0];
        if !(is_fp32 || too_long) {
            comparisons.extend(compare(context, model, batch, Some("fp32")));
        }
    }
    let rows: Vec<_> = comparisons.iter().map(|comparison| comparison.row(context, model)).collect();
    context.results.rows.extend(rows);
    context.results.more.extend(sums_table(&comparisons));
    let mut records = Vec::new();
    for comparison in &comparisons {
        let host = comparison.cost().map(|cost| host_step(model, comparison.batch, &cost)).transpose()?;
        let modeled = host.iter().flat_map(HostStep::on_hosts).collect::<Vec<_>>();
        if let Some(host) = host.as_ref().filter(|_| comparison.is_default) {
            context.results.more.push(render(&comparison.name(), host, &modeled));
        }
        let ProcessComparison { model, format, batch, one, several, .. } = comparison;
        let (one_process, processes) = (&one.profiles, &several.profiles);
        let record = ProcessRecord { model, format, batch: *batch, one_process, processes, host, modeled };
        records.push(serde_json::to_value(record)?);
    }
    Ok(records)
}

/// Trainings by one process and by several, in turn; `None` if all failed.
fn compare(context: &mut BenchContext, model: &Model, batch: usize, format: Option<&str>) -> Option<ProcessComparison> {
    let (rounds, length) = (context.options.rounds(), length(context, model.kind, batch));
    let (mut one, mut several) = (ProfiledTrainings::default(), ProfiledTrainings::default());
    for round in 1..=rounds {
        for (processes, found) in [(1, &mut one), (PROCESSES, &mut several)] {
            let shared = SharedTraining { processes, format, batch, by_length: false, length };
            let what = format!(
                "{} {processes} of ours, {}, batches of {batch}, round {round} of {rounds}",
                model.name,
                format.unwrap_or("by default")
            );
            if let Some((training, profile)) = ranks::train(context, model, &shared, &what) {
                found.trainings.push(training);
                found.profiles.push(profile);
            }
        }
    }
    let is_default = format.is_none();
    let format = format.map_or_else(|| by_default(&one.trainings), str::to_owned);
    let is_measured = !(one.trainings.is_empty() && several.trainings.is_empty());
    is_measured.then(|| ProcessComparison { model: model.name.clone(), format, is_default, batch, one, several })
}

/// Both sides have the same batches, so few steps are enough.
fn length(context: &BenchContext, kind: ModelKind, batch: usize) -> TrainingLength {
    let (quick, rounds) = (context.options.quick, context.options.rounds());
    let (excluded, timed) = match (kind, batch > BATCHES[0]) {
        (ModelKind::MiniLm, false) => (10, if quick { 50 } else { 100 }),
        (ModelKind::MiniLm, true) => (6, if quick { 20 } else { 40 }),
        (_, false) => (6, 30),
        (_, true) => (6, 15),
    };
    TrainingLength { steps: excluded + timed, excluded, rounds }
}

impl ProcessComparison {
    fn name(&self) -> String {
        format!("{}, {}, batches of {}", self.model, self.format, self.batch)
    }

    fn is_fp32(&self) -> bool {
        self.one.trainings.iter().chain(&self.several.trainings).any(|training| training.format == "fp32")
    }

    fn row(&self, context: &BenchContext, model: &Model) -> BenchComparison {
        let row = BenchComparison {
            suite: "processes",
            model: self.model.clone(),
            what: format!("{PROCESSES} processes, {}, batches of {}", self.format, self.batch),
            unit: "samples/s",
            ours: samples(&self.several.trainings),
            theirs: None,
            target: model.target(context.options.device, 0.85, 0.85).map(Target::RatioAtLeast),
        };
        row.against("1 process, as many threads", samples(&self.one.trainings))
    }

    fn cost(&self) -> Option<StepCost> {
        let of = |found: &ProfiledTrainings, value: &dyn Fn(&StepProfile) -> Option<f64>| {
            median(&found.profiles.iter().filter_map(value).collect::<Vec<_>>())
        };
        Some(StepCost {
            one_ms: of(&self.one, &|profile| Some(profile.step_ms))?,
            update_ms: of(&self.one, &|profile| profile.phases.get("optimizer").copied())?,
            several_ms: of(&self.several, &|profile| Some(profile.step_ms))?,
            sum_bytes: of(&self.several, &|profile| Some(profile.sums?.bytes))?,
            sums_ms: of(&self.several, &|profile| Some(profile.sums?.ms))?,
            hidden: of(&self.several, &|profile| Some(profile.sums?.hidden))?,
        })
    }
}

impl StepCost {
    /// The time of a step in which gradients are summed and the process computes, if one process has the whole batch. The
    /// share of it is that of a step with several processes without its waiting, because the network's work takes time
    /// from both.
    fn overlap_ms(&self) -> f64 {
        let waited_ms = self.sums_ms * (1.0 - self.hidden);
        self.one_ms * self.sums_ms * self.hidden / (self.several_ms - waited_ms)
    }
}

/// Sums of all comparisons, or nothing if none was measured.
fn sums_table(comparisons: &[ProcessComparison]) -> Option<String> {
    let header =
        ["sums of gradients", "MiB a step", "on the wire, each way", "ms", "hidden", "step, ms", "1 process, ms"];
    let line = |comparison: &ProcessComparison| {
        let StepCost { one_ms, several_ms, sum_bytes, sums_ms, hidden, .. } = comparison.cost()?;
        let mib = |bytes: f64| number(bytes / f64::from(1 << 20));
        let wire = mib(ring_bytes(sum_bytes, PROCESSES));
        let (sums_ms, hidden) = (number(sums_ms), format!("{} %", number(100.0 * hidden)));
        let name = format!("  {}", comparison.name());
        Some(vec![name, mib(sum_bytes), wire, sums_ms, hidden, number(several_ms), number(one_ms)])
    };
    let lines: Vec<Vec<String>> = comparisons.iter().filter_map(line).collect();
    (!lines.is_empty()).then(|| grid(&[vec![header.map(str::to_owned).to_vec()], lines].concat()))
}

/// What the model of more hosts needs.
fn host_step(model: &Model, sentences: usize, cost: &StepCost) -> Result<HostStep> {
    let path = model.folder.join("config.json");
    let config = std::fs::read(&path).with_context(|| format!("failed to read {}", path.display()))?;
    let config: Value = serde_json::from_slice(&config).with_context(|| format!("{} is not JSON", path.display()))?;
    let width = config["hidden_size"].as_f64().with_context(|| format!("{} has no hidden_size", path.display()))?;
    let examples = Prepared::open(&model.prepared)?.split("train")?;
    let bytes_of = |sentences: usize| Ok::<_, anyhow::Error>(distinct_ids(&examples, sentences)? * width * 4.0);
    let row_bytes = bytes_of(sentences)?;
    let mut row_bytes_of_hosts = [0.0; HOSTS.len()];
    for (bytes, hosts) in row_bytes_of_hosts.iter_mut().zip(HOSTS) {
        *bytes = bytes_of(sentences * hosts)?;
    }
    Ok(HostStep {
        sentences,
        seconds: cost.one_ms / 1e3,
        update_seconds: cost.update_ms / 1e3,
        overlap_seconds: cost.overlap_ms() / 1e3,
        dense_bytes: cost.sum_bytes - row_bytes,
        row_bytes,
        row_bytes_of_hosts,
    })
}

/// How many words a batch of this size has, each counted once: the mean over batches from all of the split.
fn distinct_ids(examples: &Examples, sentences: usize) -> Result<f64> {
    // Neighbors may be alike, so the sentences of a batch lie far from each other.
    let sentences = sentences.min(examples.len());
    let batches = (examples.len() / sentences.max(1)).clamp(1, 100);
    let mut words = 0;
    for batch in 0..batches {
        let mut ids: HashSet<u32> = HashSet::new();
        for at in 0..sentences {
            ids.extend(examples.input_ids((batch + at * batches) % examples.len())?);
        }
        words += ids.len();
    }
    Ok(words as f64 / batches as f64)
}

#[cfg(test)]
mod tests {
    use data::store::Writer;

    use super::*;
    use crate::ranks::SumProfile;
    use crate::timing::Timing;

    fn training(step_ms: f64) -> Training {
        let timing = Timing {
            samples_per_second: 16e3 / step_ms,
            tokens_per_second: 1.0,
            tokens_per_step: 1.0,
            seconds_per_step: step_ms / 1e3,
            median_step_ms: step_ms,
        };
        let format = "bf16".to_owned();
        Training { timing, format, first_step: None, peak_mib: None, peak_before_saving_mib: None }
    }

    fn trainings(step_ms: &[f64], sums: Option<SumProfile>) -> ProfiledTrainings {
        let profile = |step_ms: &f64| StepProfile {
            step_ms: *step_ms,
            phases: [("optimizer".to_owned(), step_ms / 10.0)].into(),
            sums,
        };
        let trainings = step_ms.iter().map(|step_ms| training(*step_ms)).collect();
        ProfiledTrainings { trainings, profiles: step_ms.iter().map(profile).collect() }
    }

    fn comparison() -> ProcessComparison {
        let sums = Some(SumProfile { bytes: f64::from(40 << 20), ms: 20.0, hidden: 0.75 });
        ProcessComparison {
            model: "MiniLM-L6".to_owned(),
            format: "by default (bf16)".to_owned(),
            is_default: true,
            batch: 16,
            one: trainings(&[40.0, 50.0, 39.0], None),
            several: trainings(&[44.0, 45.0, 46.0], sums),
        }
    }

    #[test]
    fn the_costs_of_a_step_are_medians() {
        let cost = comparison().cost().unwrap();
        assert_eq!((cost.one_ms, cost.update_ms, cost.several_ms, cost.sums_ms), (40.0, 4.0, 45.0, 20.0));
        // Of 45 ms the process waits for 5 and computes beside sums for 15: three eighths of what it computes.
        assert_eq!(cost.overlap_ms(), 15.0);
        let failed = ProcessComparison { several: ProfiledTrainings::default(), ..comparison() };
        assert_eq!((failed.cost(), sums_table(&[failed])), (None, None));
    }

    #[test]
    fn the_table_says_what_travels_and_what_of_it_is_hidden() {
        let text = sums_table(&[comparison()]).unwrap();
        let line = text.lines().nth(1).unwrap();
        let cells: Vec<&str> = line.split("  ").filter(|cell| !cell.is_empty()).map(str::trim).collect();
        let expected =
            ["MiniLM-L6, by default (bf16), batches of 16", "40.0", "40.0", "20.0", "75.0 %", "45.0", "40.0"];
        assert_eq!(cells, expected);
    }

    #[test]
    fn words_are_counted_once_in_a_batch() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train.arrow");
        let mut writer = Writer::create(&path).unwrap();
        for ids in [[1, 5, 2], [1, 6, 2], [1, 7, 2], [1, 5, 2]] {
            writer.push("text", Some(0), &ids).unwrap();
        }
        writer.finish().unwrap();
        let examples = Examples::open(&path).unwrap();
        // The batches of two are the rows 0 and 2, and 1 and 3.
        let found = [1, 2, 4, 100].map(|sentences| distinct_ids(&examples, sentences).unwrap());
        assert_eq!(found, [3.0, 4.0, 5.0, 5.0]);
    }
}
