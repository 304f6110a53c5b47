//! The suites that measure trainings: samples per second after the first steps, against Trainer in three configurations
//! and against the machine's limit; the time to the end of the first step; peak memory.

use crate::context::BenchContext;
use crate::models::{Model, ModelKind};
use crate::options::Device;
use crate::results::{BenchComparison, Target};
use crate::statistics::Series;
use crate::trainings::{Limit, Pairs, Recipe, Training, Trainings};

/// Three epochs of SST-5 in 8 s are 5 ms per step.
const CUDA_STEP_MS: f64 = 5.0;

pub(crate) fn speed(context: &mut BenchContext, trainings: &mut Trainings, models: &[Model]) {
    let device = context.options.device;
    for model in models {
        let best = trainings.pairs(context, model, Recipe::Best);
        // The target ratio to Trainer's best.
        let least = match (device, model.kind) {
            (Device::Cuda, ModelKind::BertBase) => Some(3.0),
            _ => model.target(device, 2.5, 2.0),
        };
        speed_rows(context, model, "bf16", "Trainer's best", &best, least);
        limit_row(context, model, &best);
        let fp32 = trainings.pairs(context, model, Recipe::Fp32);
        speed_rows(context, model, "fp32", "Trainer fp32", &fp32, model.target(device, 2.0, 2.0));
        guide_row(context, trainings, model, &best);
    }
}

/// Seconds from the start of the process to the end of the first training step, on the same clock for both. Trainer
/// tokenizes the sentences in that time, as its script does at every start; ours were prepared before.
pub(crate) fn start_up(context: &mut BenchContext, trainings: &mut Trainings, models: &[Model]) {
    for model in models {
        let Pairs { ours, theirs, .. } = trainings.any(context, model);
        let seconds =
            |trainings: &[Training]| -> Series { trainings.iter().filter_map(|one| one.first_step).collect() };
        let target = model.target(context.options.device, 1.5, 3.0).map(Target::OursAtMost);
        let row = row("start-up", model, "to the end of the first step", "s", seconds(&ours), target);
        context.results.rows.push(row.against("Trainer", seconds(&theirs)));
    }
}

/// The peak memory of a whole training process, including the checkpoint at its end.
pub(crate) fn memory(context: &mut BenchContext, trainings: &mut Trainings, models: &[Model]) {
    for model in models {
        let Pairs { ours, theirs, .. } = trainings.any(context, model);
        let peak = |trainings: &[Training]| -> Series { trainings.iter().filter_map(|one| one.peak_mib).collect() };
        let before_saving = theirs.iter().filter_map(|training| training.peak_before_saving_mib).collect();
        let most = model.target(context.options.device, 0.7, 0.7).map(Target::RatioAtMost);
        let row = row("memory", model, "peak of a training", "MiB", peak(&ours), None);
        context.results.rows.push(BenchComparison { target: most, ..row.clone().against("Trainer", peak(&theirs)) });
        context.results.rows.push(row.against("Trainer before saving", before_saving));
    }
}

fn row(
    suite: &'static str,
    model: &Model,
    what: &str,
    unit: &'static str,
    ours: Series,
    target: Option<Target>,
) -> BenchComparison {
    BenchComparison { suite, model: model.name.clone(), what: what.to_owned(), unit, ours, theirs: None, target }
}

/// Samples, and also tokens, because the two sides draw different sentences and a longer one costs more.
fn speed_rows(
    context: &mut BenchContext,
    model: &Model,
    precision: &str,
    peer: &str,
    pairs: &Pairs,
    least: Option<f64>,
) {
    let mut add = |what: &str, unit: &'static str, value: fn(&Training) -> f64, target: Option<Target>| {
        let ours = pairs.ours.iter().map(value).collect();
        let row = row("train", model, &format!("{precision}{what}"), unit, ours, target);
        context.results.rows.push(row.against(peer, pairs.theirs.iter().map(value).collect()));
    };
    add("", "samples/s", |training| training.timing.samples_per_second, least.map(Target::RatioAtLeast));
    add("", "tokens/s", |training| training.timing.tokens_per_second, None);
    if context.options.device == Device::Cuda && precision == "bf16" {
        let most = (model.kind == ModelKind::BertBase).then_some(Target::OursAtMost(CUDA_STEP_MS));
        add(" step", "ms", |training| training.timing.seconds_per_step * 1000.0, most);
    }
}

/// The shortest possible time of a step on this machine, as a share of the measured time.
fn limit_row(context: &mut BenchContext, model: &Model, pairs: &Pairs) {
    let share = |(training, limit): (&Training, &Limit)| {
        100.0 * limit.seconds(training.timing.tokens_per_step) / training.timing.seconds_per_step
    };
    let ours: Series = pairs.ours.iter().zip(&pairs.limits).map(share).collect();
    if !ours.0.is_empty() {
        let target = model.target(context.options.device, 60.0, 80.0).map(Target::OursAtLeast);
        context.results.rows.push(row("train", model, "bf16, of the machine's limit", "%", ours, target));
    }
}

/// The tutorial's script against our best, which is what a user who switches gets.
fn guide_row(context: &mut BenchContext, trainings: &mut Trainings, model: &Model, best: &Pairs) {
    if context.options.quick && model.kind != ModelKind::MiniLm {
        let note = format!("{}: the guide's script is skipped with --quick, since a step takes a minute", model.name);
        return context.results.note(note);
    }
    let guide = trainings.pairs(context, model, Recipe::Guide);
    let speed = |training: &Training| training.timing.samples_per_second;
    let target = model.target(context.options.device, 200.0, 120.0).map(Target::RatioAtLeast);
    let row = row("train", model, "bf16", "samples/s", best.ours.iter().map(speed).collect(), target);
    context.results.rows.push(row.against("the guide's script", guide.theirs.iter().map(speed).collect()));
}
