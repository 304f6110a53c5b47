//! Trainings of both sides in turn. Several suites look at the same ones: speed, the first step and memory are all
//! measured on every training, so each is run once.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Ground;
use super::log::{self, Timing};
use super::models::{Kind, Model};
use super::options::{Device, Suite};
use super::process::Finished;
use super::results::Results;

/// How both sides train.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recipe {
    /// bf16, sentences of similar length together; Trainer at its best. Both sort blocks of 50 batches, longest first, so
    /// whole blocks are timed.
    Best,
    /// The same, only long enough to see the first step and the most memory.
    Brief,
    /// fp32, random batches.
    Fp32,
    /// Theirs alone, as tutorials have it: padded to 512 tokens, fp32.
    Guide,
}

/// How far a training goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    steps: usize,
    /// First steps that aren't timed.
    excluded: usize,
    rounds: usize,
}

/// A measured training.
#[derive(Debug, Clone)]
pub struct Training {
    pub timing: Timing,
    pub first_step: Option<f64>,
    /// With the checkpoint at its end.
    pub peak_mib: Option<f64>,
    /// Theirs says it; ours saves while it goes on training.
    pub peak_before_saving_mib: Option<f64>,
}

/// What the machine can do at most, measured between the trainings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    flops_per_second: f64,
    flops_per_token: f64,
    optimizer_seconds: f64,
}

impl Limit {
    /// The least seconds that a step over this many tokens takes.
    pub fn seconds(&self, tokens: f64) -> f64 {
        self.flops_per_token * tokens / self.flops_per_second + self.optimizer_seconds
    }

    fn parse(output: &str) -> Option<Limit> {
        let json: Value = serde_json::from_str(output.trim()).ok()?;
        let number = |key: &str| json[key].as_f64();
        Some(Limit {
            flops_per_second: number("gflops")? * 1e9,
            flops_per_token: number("linear_flops_per_token")?,
            optimizer_seconds: number("optimizer_seconds")?,
        })
    }
}

/// Both sides, as many times as there were rounds.
#[derive(Debug, Clone, Default)]
pub struct Pairs {
    pub ours: Vec<Training>,
    pub theirs: Vec<Training>,
    pub limits: Vec<Limit>,
}

/// Those that were run already.
#[derive(Default)]
pub struct Trainings {
    done: Vec<(String, Recipe, Pairs)>,
}

impl Trainings {
    /// The trainings of a model by a recipe; runs them unless that was done.
    pub fn pairs(&mut self, ground: &Ground, results: &mut Results, model: &Model, recipe: Recipe) -> Pairs {
        let known = |(name, done, _): &&(String, Recipe, Pairs)| *name == model.name && *done == recipe;
        if let Some((_, _, pairs)) = self.done.iter().find(known) {
            return pairs.clone();
        }
        let pairs = run(ground, results, model, recipe);
        self.done.push((model.name.clone(), recipe, pairs.clone()));
        pairs
    }

    /// Some trainings by the best recipe: the timed ones if they were run, else short ones.
    pub fn any(&mut self, ground: &Ground, results: &mut Results, model: &Model) -> Pairs {
        let timed = self.done.iter().any(|(name, recipe, _)| *name == model.name && *recipe == Recipe::Best);
        self.pairs(ground, results, model, if timed { Recipe::Best } else { Recipe::Brief })
    }
}

/// How far, by recipe, device and patience.
fn extent(ground: &Ground, model: &Model, recipe: Recipe) -> Extent {
    let (quick, rounds) = (ground.options.quick, ground.options.rounds);
    let cuda = ground.options.device == Device::Cuda;
    match recipe {
        Recipe::Best if cuda => Extent { steps: 350, excluded: 50, rounds },
        Recipe::Best if quick || model.kind != Kind::MiniLm => Extent { steps: 100, excluded: 50, rounds },
        Recipe::Best => Extent { steps: 150, excluded: 50, rounds },
        Recipe::Brief => Extent { steps: 20, excluded: 1, rounds },
        Recipe::Fp32 if quick => Extent { steps: 20, excluded: 5, rounds: 1 },
        Recipe::Fp32 => Extent { steps: 60, excluded: 10, rounds },
        Recipe::Guide if quick => Extent { steps: 2, excluded: 1, rounds: 1 },
        Recipe::Guide => Extent { steps: 3, excluded: 1, rounds: 1 },
    }
}

fn run(ground: &Ground, results: &mut Results, model: &Model, recipe: Recipe) -> Pairs {
    let extent = extent(ground, model, recipe);
    let mut pairs = Pairs::default();
    for round in 1..=extent.rounds {
        let what = |side: &str| format!("{} {recipe:?}, round {round} of {}, {side}", model.name, extent.rounds);
        if recipe != Recipe::Guide {
            let ours = ours(ground, results, model, recipe, extent, &what("ours"));
            pairs.ours.extend(results.attempt(true, ours));
        }
        if ground.peers.is_none() {
            continue;
        }
        let theirs = theirs(ground, results, model, recipe, extent, &what("theirs"));
        pairs.theirs.extend(results.attempt(false, theirs));
        if recipe == Recipe::Best && ground.options.suites.contains(&Suite::Train) {
            let limit = limit(ground, results, model, &what("limit"));
            pairs.limits.extend(results.attempt(false, limit));
        }
    }
    pairs
}

fn ours(
    ground: &Ground,
    results: &mut Results,
    model: &Model,
    recipe: Recipe,
    extent: Extent,
    what: &str,
) -> Result<Training> {
    let run = ground.run_folder("train")?;
    let mut command = train_command(ground, &model.prepared, &run, extent.steps);
    command.args(match recipe {
        Recipe::Fp32 => ["--precision", "fp32"].as_slice(),
        _ => ["--precision", "bf16", "--group-by-length"].as_slice(),
    });
    let log = run.join("log.jsonl");
    let finished = ground.measure(results, what, command, Some(&log))?;
    let timing = log::timing(&log, extent.excluded)?;
    super::remove(&run)?;
    Ok(told(timing, &finished, None))
}

/// `train` on some prepared data, with everything else as it is for everybody.
pub fn train_command(ground: &Ground, data: &Path, run: &Path, steps: usize) -> Command {
    let mut command = ground.verdict(&["train", "--device", ground.options.device.name()]);
    command.arg("--data").arg(data).arg("--output").arg(run);
    command.args(["--max-steps", &steps.to_string(), "--threads", &ground.threads.to_string()]);
    command
}

fn theirs(
    ground: &Ground,
    results: &mut Results,
    model: &Model,
    recipe: Recipe,
    extent: Extent,
    what: &str,
) -> Result<Training> {
    let mut command = ground.peers.as_ref().context("no peers")?.script("trainer.py");
    let log = ground.folder.join("peer-log.jsonl");
    let _ = std::fs::remove_file(&log);
    command.arg("--data").arg(&ground.material.folder).arg("--model").arg(&model.folder).arg("--log").arg(&log);
    command.args(["--device", ground.options.device.name(), "--threads", &ground.threads.to_string()]);
    command.args(["--steps", &extent.steps.to_string(), "--warmup-steps-excluded", &extent.excluded.to_string()]);
    command.args(match recipe {
        Recipe::Best | Recipe::Brief => ["--recipe", "best", "--save"].as_slice(),
        Recipe::Fp32 => ["--recipe", "dynamic"].as_slice(),
        Recipe::Guide => ["--recipe", "guide"].as_slice(),
    });
    if recipe == Recipe::Best && ground.options.device == Device::Cuda {
        command.arg("--compile");
    }
    let finished = ground.measure(results, what, command, Some(&log))?;
    let timing = log::timing(&log, extent.excluded)?;
    let json: Value = serde_json::from_str(finished.stdout.trim()).context("trainer.py printed no JSON")?;
    Ok(told(timing, &finished, json["peak_rss_before_saving_mib"].as_f64()))
}

fn told(timing: Timing, finished: &Finished, peak_before_saving_mib: Option<f64>) -> Training {
    let Finished { first_step, peak_mib, .. } = *finished;
    eprintln!(
        "       {:.1} samples/s, {:.0} tokens/s, first step after {:.2} s, {:.0} MiB",
        timing.samples_per_second,
        timing.tokens_per_second,
        first_step.unwrap_or(f64::NAN),
        peak_mib.unwrap_or(f64::NAN)
    );
    Training { timing, first_step, peak_mib, peak_before_saving_mib }
}

fn limit(ground: &Ground, results: &mut Results, model: &Model, what: &str) -> Result<Limit> {
    let mut command = ground.peers.as_ref().context("no peers")?.script("limits.py");
    command.arg("--model").arg(&model.folder);
    command.args(["--device", ground.options.device.name(), "--threads", &ground.threads.to_string()]);
    let finished = ground.measure(results, what, command, None)?;
    Limit::parse(&finished.stdout).context("limits.py printed no limits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_products_and_optimizer() {
        let output =
            "{\"gflops\": 500.0, \"linear_flops_per_token\": 5e8, \"optimizer_seconds\": 0.05, \"tokens\": 400}\n";
        let limit = Limit::parse(output).unwrap();
        assert!((limit.seconds(400.0) - 0.45).abs() < 1e-12);
        assert_eq!(Limit::parse("{\"gflops\": 500.0}"), None);
    }
}
