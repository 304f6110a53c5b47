//! Trainings of both sides in turn. Speed, the first step and memory are measured on every training, so suites share
//! them, and each is run once.

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::context::{BenchContext, remove};
use crate::models::{Model, ModelKind};
use crate::options::{Device, Suite};
use crate::process::Finished;
use crate::timing::{Timing, timing};

/// The configuration of both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recipe {
    /// bf16, sentences of similar length together; Trainer at its best. Both sort blocks of 50 batches, longest first, so
    /// whole blocks are timed.
    Best,
    /// The same, but only long enough for the first step and peak memory.
    Brief,
    /// fp32, random batches.
    Fp32,
    /// Only theirs, as in tutorials: padded to 512 tokens, fp32.
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

/// The length of a training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TrainingLength {
    steps: usize,
    /// The first steps, which aren't timed.
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
    /// Only theirs.
    pub peak_before_saving_mib: Option<f64>,
}

/// The limit of the machine, measured between the trainings by limits.py.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub(crate) struct Limit {
    gflops: f64,
    linear_flops_per_token: f64,
    optimizer_seconds: f64,
}

impl Limit {
    /// The shortest possible time of a step over this many tokens, in seconds.
    pub(crate) fn seconds(&self, tokens: f64) -> f64 {
        self.linear_flops_per_token * tokens / (self.gflops * 1e9) + self.optimizer_seconds
    }
}

/// The trainings of both sides, one per round.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pairs {
    pub ours: Vec<Training>,
    pub theirs: Vec<Training>,
    pub limits: Vec<Limit>,
}

/// The trainings that were already run.
#[derive(Default)]
pub(crate) struct Trainings {
    done: Vec<(String, Recipe, Pairs)>,
}

impl Trainings {
    /// The trainings of a model by a recipe; runs them unless that was done.
    pub(crate) fn pairs(&mut self, context: &mut BenchContext, model: &Model, recipe: Recipe) -> Pairs {
        let known = |(name, done, _): &&(String, Recipe, Pairs)| *name == model.name && *done == recipe;
        if let Some((_, _, pairs)) = self.done.iter().find(known) {
            return pairs.clone();
        }
        let pairs = run(context, model, recipe);
        self.done.push((model.name.clone(), recipe, pairs.clone()));
        pairs
    }

    /// Some trainings by the best recipe: the timed ones if they were run, else short ones.
    pub(crate) fn any(&mut self, context: &mut BenchContext, model: &Model) -> Pairs {
        let timed = self.done.iter().any(|(name, recipe, _)| *name == model.name && *recipe == Recipe::Best);
        self.pairs(context, model, if timed { Recipe::Best } else { Recipe::Brief })
    }
}

/// The length by recipe, device and `--quick`.
fn length(context: &BenchContext, model: &Model, recipe: Recipe) -> TrainingLength {
    let (quick, rounds) = (context.options.quick, context.options.rounds());
    let cuda = context.options.device == Device::Cuda;
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

fn run(context: &mut BenchContext, model: &Model, recipe: Recipe) -> Pairs {
    let length = length(context, model, recipe);
    let mut pairs = Pairs::default();
    for round in 1..=length.rounds {
        let what = |side: &str| format!("{} {}, round {round} of {}, {side}", model.name, recipe.name(), length.rounds);
        if recipe != Recipe::Guide {
            let ours = ours(context, model, recipe, length, &what("ours"));
            pairs.ours.extend(context.results.record(true, ours));
        }
        if context.peers.is_none() {
            continue;
        }
        let theirs = theirs(context, model, recipe, length, &what("theirs"));
        pairs.theirs.extend(context.results.record(false, theirs));
        if recipe == Recipe::Best && context.options.suites().contains(&Suite::Train) {
            let limit = limit(context, model, &what("limit"));
            pairs.limits.extend(context.results.record(false, limit));
        }
    }
    pairs
}

fn ours(
    context: &mut BenchContext,
    model: &Model,
    recipe: Recipe,
    length: TrainingLength,
    what: &str,
) -> Result<Training> {
    let run = context.run_folder("train")?;
    let mut command = context.train(&model.prepared, &run, length.steps);
    command.args(match recipe {
        Recipe::Fp32 => ["--precision", "fp32"].as_slice(),
        _ => ["--precision", "bf16", "--group-by-length"].as_slice(),
    });
    let finished = context.measure(what, command, Some(&run))?;
    let timing = timing(&run, length.excluded)?;
    remove(&run)?;
    Ok(training(timing, &finished, None))
}

fn theirs(
    context: &mut BenchContext,
    model: &Model,
    recipe: Recipe,
    length: TrainingLength,
    what: &str,
) -> Result<Training> {
    let mut command = context.peer("trainer.py")?;
    let log = context.run_folder("peer")?;
    command.arg("--data").arg(&context.corpus.folder).arg("--model").arg(&model.folder).arg("--log").arg(&log);
    command.args(["--steps", &length.steps.to_string(), "--warmup-steps-excluded", &length.excluded.to_string()]);
    command.args(match recipe {
        Recipe::Best | Recipe::Brief => ["--recipe", "best", "--save"].as_slice(),
        Recipe::Fp32 => ["--recipe", "dynamic"].as_slice(),
        Recipe::Guide => ["--recipe", "guide"].as_slice(),
    });
    if recipe == Recipe::Best && context.options.device == Device::Cuda {
        command.arg("--compile");
    }
    let finished = context.measure(what, command, Some(&log))?;
    let peak_before_saving = finished.output["peak_rss_before_saving_mib"].as_f64();
    Ok(training(timing(&log, length.excluded)?, &finished, peak_before_saving))
}

fn training(timing: Timing, finished: &Finished, peak_before_saving_mib: Option<f64>) -> Training {
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

fn limit(context: &mut BenchContext, model: &Model, what: &str) -> Result<Limit> {
    let mut command = context.peer("limits.py")?;
    command.arg("--model").arg(&model.folder);
    context.measure(what, command, None)?.figures().context("limits.py")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_matrix_products_plus_optimizer() {
        let output =
            "{\"gflops\": 500.0, \"linear_flops_per_token\": 5e8, \"optimizer_seconds\": 0.05, \"tokens\": 400}\n";
        let limit: Limit = serde_json::from_str(output).unwrap();
        assert!((limit.seconds(400.0) - 0.45).abs() < 1e-12);
        assert!(serde_json::from_str::<Limit>("{\"gflops\": 500.0}").is_err());
    }
}
