//! Training: samples a second after the first steps, against Trainer in three shapes and against the machine's limit.

use super::Ground;
use super::models::{Kind, Model};
use super::options::Device;
use super::results::{Peer, Results, Row, Target};
use super::statistics::Series;
use super::trainings::{Pairs, Recipe, Training, Trainings};

/// Three epochs of SST-5 in 8 s are 5 ms a step.
const CUDA_STEP_MS: f64 = 5.0;

pub fn measure(ground: &Ground, results: &mut Results, trainings: &mut Trainings, models: &[Model]) {
    for model in models {
        let best = trainings.pairs(ground, results, model, Recipe::Best);
        speed_rows(ground, results, model, "bf16", "Trainer's best", &best, least(ground, model));
        limit_row(ground, results, model, &best);
        let fp32 = trainings.pairs(ground, results, model, Recipe::Fp32);
        let least = model.aim(ground.options.device, 2.0, 2.0);
        speed_rows(ground, results, model, "fp32", "Trainer fp32", &fp32, least);
        guide_row(ground, results, trainings, model, &best);
    }
}

/// How many times as quick as Trainer's best we want to be.
fn least(ground: &Ground, model: &Model) -> Option<f64> {
    match (ground.options.device, model.kind) {
        (Device::Cuda, Kind::BertBase) => Some(3.0),
        (device, _) => model.aim(device, 2.5, 2.0),
    }
}

/// Samples, and tokens beside them: the two sides draw other sentences, and a longer one costs more.
fn speed_rows(
    ground: &Ground,
    results: &mut Results,
    model: &Model,
    precision: &str,
    peer: &str,
    pairs: &Pairs,
    least: Option<f64>,
) {
    let mut row = |what: &str, unit: &'static str, value: fn(&Training) -> f64, target: Option<Target>| {
        let theirs = Peer { name: peer.to_owned(), series: pairs.theirs.iter().map(value).collect() };
        results.rows.push(Row {
            suite: "train",
            model: model.name.clone(),
            what: format!("{precision}{what}"),
            unit,
            ours: pairs.ours.iter().map(value).collect(),
            theirs: Some(theirs),
            target,
        });
    };
    row("", "samples/s", |training| training.timing.samples_per_second, least.map(Target::RatioAtLeast));
    row("", "tokens/s", |training| training.timing.tokens_per_second, None);
    if ground.options.device == Device::Cuda && precision == "bf16" {
        let most = (model.kind == Kind::BertBase).then_some(Target::OursAtMost(CUDA_STEP_MS));
        row(" step", "ms", |training| training.timing.seconds_per_step * 1000.0, most);
    }
}

/// The share of a step that the machine needs at least, at the same number of tokens.
fn limit_row(ground: &Ground, results: &mut Results, model: &Model, pairs: &Pairs) {
    let share = |(training, limit): (&Training, &super::trainings::Limit)| {
        100.0 * limit.seconds(training.timing.tokens_per_step) / training.timing.seconds_per_step
    };
    let ours: Series = pairs.ours.iter().zip(&pairs.limits).map(share).collect();
    if ours.0.is_empty() {
        return;
    }
    let target = model.aim(ground.options.device, 60.0, 80.0).map(Target::OursAtLeast);
    let (model, what) = (model.name.clone(), "bf16, of the machine's limit".to_owned());
    results.rows.push(Row { suite: "train", model, what, unit: "%", ours, theirs: None, target });
}

/// The tutorial's script against our best, which is what somebody who changes over gets.
fn guide_row(ground: &Ground, results: &mut Results, trainings: &mut Trainings, model: &Model, best: &Pairs) {
    if ground.options.quick && model.kind != Kind::MiniLm {
        results.note(format!("{}: the guide's own script is left out of --quick; a step takes a minute", model.name));
        return;
    }
    let guide = trainings.pairs(ground, results, model, Recipe::Guide);
    let speed = |training: &Training| training.timing.samples_per_second;
    let theirs = Peer { name: "the guide's script".to_owned(), series: guide.theirs.iter().map(speed).collect() };
    results.rows.push(Row {
        suite: "train",
        model: model.name.clone(),
        what: "bf16".to_owned(),
        unit: "samples/s",
        ours: best.ours.iter().map(speed).collect(),
        theirs: Some(theirs),
        target: model.aim(ground.options.device, 200.0, 120.0).map(Target::RatioAtLeast),
    });
}
