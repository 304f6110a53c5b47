//! Trainings of both sides in turn. Several suites look at the same ones: speed, the first step and memory are all
//! measured on every training, so each is run once.

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::measuring::{Measuring, remove};
use crate::models::{Model, ModelKind};
use crate::options::{Device, Suite};
use crate::process::Finished;
use crate::timing::{Timing, timing};

/// How both sides train.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recipe {
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

impl Recipe {
    fn name(self) -> &'static str {
        match self {
            Recipe::Best => "best",
            Recipe::Brief => "brief",
            Recipe::Fp32 => "fp32",
            Recipe::Guide => "guide",
        }
    }
}

/// How far a training goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TrainingLength {
    steps: usize,
    /// First steps that aren't timed.
    excluded: usize,
    rounds: usize,
}

/// A measured training.
#[derive(Debug, Clone)]
pub(crate) struct Training {
    pub timing: Timing,
    pub first_step: Option<f64>,
    /// With the checkpoint at its end.
    pub peak_mib: Option<f64>,
    /// Theirs says it; ours saves while it goes on training.
    pub peak_before_saving_mib: Option<f64>,
}

/// What the machine can do at most, measured between the trainings by limits.py.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub(crate) struct Limit {
    gflops: f64,
    linear_flops_per_token: f64,
    optimizer_seconds: f64,
}

impl Limit {
    /// The least seconds that a step over this many tokens takes.
    pub(crate) fn seconds(&self, tokens: f64) -> f64 {
        self.linear_flops_per_token * tokens / (self.gflops * 1e9) + self.optimizer_seconds
    }
}

/// Both sides, as many times as there were rounds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pairs {
    pub ours: Vec<Training>,
    pub theirs: Vec<Training>,
    pub limits: Vec<Limit>,
}

/// Those that were run already.
#[derive(Default)]
pub(crate) struct Trainings {
    done: Vec<(String, Recipe, Pairs)>,
}

impl Trainings {
    /// The trainings of a model by a recipe; runs them unless that was done.
    pub(crate) fn pairs(&mut self, measuring: &mut Measuring, model: &Model, recipe: Recipe) -> Pairs {
        let known = |(name, done, _): &&(String, Recipe, Pairs)| *name == model.name && *done == recipe;
        if let Some((_, _, pairs)) = self.done.iter().find(known) {
            return pairs.clone();
        }
        let pairs = run(measuring, model, recipe);
        self.done.push((model.name.clone(), recipe, pairs.clone()));
        pairs
    }

    /// Some trainings by the best recipe: the timed ones if they were run, else short ones.
    pub(crate) fn any(&mut self, measuring: &mut Measuring, model: &Model) -> Pairs {
        let timed = self.done.iter().any(|(name, recipe, _)| *name == model.name && *recipe == Recipe::Best);
        self.pairs(measuring, model, if timed { Recipe::Best } else { Recipe::Brief })
    }
}

/// How far, by recipe, device and patience.
fn extent(measuring: &Measuring, model: &Model, recipe: Recipe) -> TrainingLength {
    let (quick, rounds) = (measuring.options.quick, measuring.options.rounds());
    let cuda = measuring.options.device == Device::Cuda;
    match recipe {
        Recipe::Best if cuda => TrainingLength { steps: 350, excluded: 50, rounds },
        Recipe::Best if quick || model.kind != ModelKind::MiniLm => TrainingLength { steps: 100, excluded: 50, rounds },
        Recipe::Best => TrainingLength { steps: 150, excluded: 50, rounds },
        Recipe::Brief => TrainingLength { steps: 20, excluded: 1, rounds },
        Recipe::Fp32 if quick => TrainingLength { steps: 20, excluded: 5, rounds: 1 },
        Recipe::Fp32 => TrainingLength { steps: 60, excluded: 10, rounds },
        Recipe::Guide if quick => TrainingLength { steps: 2, excluded: 1, rounds: 1 },
        Recipe::Guide => TrainingLength { steps: 3, excluded: 1, rounds: 1 },
    }
}

fn run(measuring: &mut Measuring, model: &Model, recipe: Recipe) -> Pairs {
    let extent = extent(measuring, model, recipe);
    let mut pairs = Pairs::default();
    for round in 1..=extent.rounds {
        let what = |side: &str| format!("{} {}, round {round} of {}, {side}", model.name, recipe.name(), extent.rounds);
        if recipe != Recipe::Guide {
            let ours = ours(measuring, model, recipe, extent, &what("ours"));
            pairs.ours.extend(measuring.results.attempt(true, ours));
        }
        if measuring.peers.is_none() {
            continue;
        }
        let theirs = theirs(measuring, model, recipe, extent, &what("theirs"));
        pairs.theirs.extend(measuring.results.attempt(false, theirs));
        if recipe == Recipe::Best && measuring.options.suites().contains(&Suite::Train) {
            let limit = limit(measuring, model, &what("limit"));
            pairs.limits.extend(measuring.results.attempt(false, limit));
        }
    }
    pairs
}

fn ours(
    measuring: &mut Measuring,
    model: &Model,
    recipe: Recipe,
    extent: TrainingLength,
    what: &str,
) -> Result<Training> {
    let run = measuring.run_folder("train")?;
    let mut command = measuring.train(&model.prepared, &run, extent.steps);
    command.args(match recipe {
        Recipe::Fp32 => ["--precision", "fp32"].as_slice(),
        _ => ["--precision", "bf16", "--group-by-length"].as_slice(),
    });
    let finished = measuring.measure(what, command, Some(&run))?;
    let timing = timing(&run, extent.excluded)?;
    remove(&run)?;
    Ok(told(timing, &finished, None))
}

fn theirs(
    measuring: &mut Measuring,
    model: &Model,
    recipe: Recipe,
    extent: TrainingLength,
    what: &str,
) -> Result<Training> {
    let mut command = measuring.peer("trainer.py")?;
    let log = measuring.run_folder("peer")?;
    command.arg("--data").arg(&measuring.material.folder).arg("--model").arg(&model.folder).arg("--log").arg(&log);
    command.args(["--steps", &extent.steps.to_string(), "--warmup-steps-excluded", &extent.excluded.to_string()]);
    command.args(match recipe {
        Recipe::Best | Recipe::Brief => ["--recipe", "best", "--save"].as_slice(),
        Recipe::Fp32 => ["--recipe", "dynamic"].as_slice(),
        Recipe::Guide => ["--recipe", "guide"].as_slice(),
    });
    if recipe == Recipe::Best && measuring.options.device == Device::Cuda {
        command.arg("--compile");
    }
    let finished = measuring.measure(what, command, Some(&log))?;
    let peak_before_saving = finished.output["peak_rss_before_saving_mib"].as_f64();
    Ok(told(timing(&log, extent.excluded)?, &finished, peak_before_saving))
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

fn limit(measuring: &mut Measuring, model: &Model, what: &str) -> Result<Limit> {
    let mut command = measuring.peer("limits.py")?;
    command.arg("--model").arg(&model.folder);
    measuring.measure(what, command, None)?.figures().context("limits.py")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_products_and_optimizer() {
        let output =
            "{\"gflops\": 500.0, \"linear_flops_per_token\": 5e8, \"optimizer_seconds\": 0.05, \"tokens\": 400}\n";
        let limit: Limit = serde_json::from_str(output).unwrap();
        assert!((limit.seconds(400.0) - 0.45).abs() < 1e-12);
        assert!(serde_json::from_str::<Limit>("{\"gflops\": 500.0}").is_err());
    }
}
