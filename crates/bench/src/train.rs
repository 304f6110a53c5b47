//! The suites that measure trainings: samples per second, ours by default against the fastest of Trainer's settings and
//! against the machine's limit, and in each number format; the time to the end of the first step; peak memory.

use crate::context::BenchContext;
use crate::limit::Limit;
use crate::models::{Model, ModelKind};
use crate::options::Device;
use crate::results::{BenchComparison, Target};
use crate::statistics::Series;
use crate::training::Training;
use crate::trainings::{self, FORMATS, FormatTrainings, SpeedTrainings, Trainings, WholeTrainings};

/// Three epochs of SST-5 in 8 s are 5 ms per step.
const CUDA_STEP_MS: f64 = 5.0;

pub(crate) fn speed(context: &mut BenchContext, trainings: &mut Trainings, models: &[Model]) {
    for model in models {
        let formats = Trainings::formats(context, model);
        let speed = trainings.speed(context, model, formats.theirs.fastest(None));
        speed_rows(context, model, &speed);
        limit_rows(context, model, &speed);
        for (format, ours) in FORMATS.into_iter().zip(&formats.ours) {
            format_rows(context, model, format, ours, &formats);
        }
        guide_row(context, model, &speed);
        context.results.more.extend(formats.theirs.render(&model.name));
        if let Some(limit) = speed.limits.last().or(formats.limits.last()) {
            context.results.note(format!("{}: this machine's limit: {}", model.name, limit.rates()));
        }
    }
}

/// Seconds from the start of the process to the end of the first training step, on the same clock for both. Trainer
/// tokenizes the sentences in that time, as its script does at every start; ours were prepared before.
pub(crate) fn start_up(context: &mut BenchContext, trainings: &mut Trainings, models: &[Model]) {
    for model in models {
        let found = trainings.whole(context, model);
        let seconds = |trainings: &[Training]| trainings.iter().filter_map(|one| one.first_step).collect();
        let target = model.target(context.options.device, 1.5, 3.0).map(Target::OursAtMost);
        let row = row("start-up", model, "to the end of the first step", "s", seconds(&found.ours), target);
        context.results.rows.push(row.against(&peer(&found), seconds(&found.theirs)));
    }
}

/// The peak memory of a whole training process, including the checkpoint at its end.
pub(crate) fn memory(context: &mut BenchContext, trainings: &mut Trainings, models: &[Model]) {
    for model in models {
        let found = trainings.whole(context, model);
        let peak = |trainings: &[Training]| trainings.iter().filter_map(|one| one.peak_mib).collect();
        let before_saving = found.theirs.iter().filter_map(|training| training.peak_before_saving_mib).collect();
        let most = model.target(context.options.device, 0.55, 0.65).map(Target::RatioAtMost);
        let row = row("memory", model, "peak of a training", "MiB", peak(&found.ours), None);
        let with_checkpoint = row.clone().against(&peer(&found), peak(&found.theirs));
        context.results.rows.push(BenchComparison { target: most, ..with_checkpoint });
        context.results.rows.push(row.against(&format!("{} before saving", peer(&found)), before_saving));
    }
}

fn peer(found: &WholeTrainings) -> String {
    found.setting.map_or("Trainer".to_owned(), |setting| setting.name())
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

pub(crate) fn samples(trainings: &[Training]) -> Series {
    trainings.iter().map(|training| training.timing.samples_per_second).collect()
}

/// `by default (bf16)`; the formats of all rounds, should they differ.
pub(crate) fn by_default(ours: &[Training]) -> String {
    let mut formats: Vec<&str> = ours.iter().map(|training| training.format.as_str()).collect();
    formats.sort_unstable();
    formats.dedup();
    format!("by default ({})", formats.join(" and "))
}

/// Samples, and also tokens, because the two sides draw different sentences and a longer one costs more.
fn speed_rows(context: &mut BenchContext, model: &Model, speed: &SpeedTrainings) {
    let device = context.options.device;
    let least = match (device, model.kind) {
        (Device::Cuda, ModelKind::BertBase) => Some(3.0),
        (Device::Cpu, ModelKind::MiniLm) => Some(2.1),
        _ => None,
    };
    let what = by_default(&speed.ours);
    let name = speed.setting.map_or("Trainer".to_owned(), |setting| setting.name());
    let mut add = |unit: &'static str, value: fn(&Training) -> f64, target: Option<Target>| {
        let row = row("train", model, &what, unit, speed.ours.iter().map(value).collect(), target);
        context.results.rows.push(row.against(&name, speed.theirs.iter().map(value).collect()));
    };
    add("samples/s", |training| training.timing.samples_per_second, least.map(Target::RatioAtLeast));
    add("tokens/s", |training| training.timing.tokens_per_second, None);
    if device == Device::Cuda {
        let most = (model.kind == ModelKind::BertBase).then_some(Target::OursAtMost(CUDA_STEP_MS));
        add("ms/step", |training| training.timing.seconds_per_step * 1000.0, most);
    }
}

/// What a program at the limit of the machine's faster format would reach, and ours as a share of it.
fn limit_rows(context: &mut BenchContext, model: &Model, speed: &SpeedTrainings) {
    let Some(format) = speed.limits.first().and_then(Limit::fastest_format) else { return };
    let shares = shares(&speed.ours, &speed.limits, format);
    let at_limit = |(training, share): (&Training, &f64)| training.timing.samples_per_second / share;
    let at_limit: Series = speed.ours.iter().zip(&shares).map(at_limit).collect();
    let name = speed.setting.map_or("Trainer".to_owned(), |setting| setting.name());
    let limit = row("train", model, &format!("at the machine's limit ({format})"), "samples/s", at_limit, None);
    context.results.rows.push(limit.against(&name, samples(&speed.theirs)));
    let target = model.target(context.options.device, 88.0, 92.0).map(Target::OursAtLeast);
    let what = format!("{}, share of that limit", by_default(&speed.ours));
    context.results.rows.push(row("train", model, &what, "%", percent(&shares), target));
}

/// Ours in one number format against Trainer's faster setting in it, and as a share of its limit.
fn format_rows(context: &mut BenchContext, model: &Model, format: &str, ours: &[Training], found: &FormatTrainings) {
    let row = |what: &str, unit: &'static str, series: Series| row("train", model, what, unit, series, None);
    let speed = row(format, "samples/s", samples(ours));
    let speed = match found.theirs.fastest(Some(format)) {
        Some(setting) => speed.against(&setting.name(), samples(found.theirs.of(setting))),
        None => speed,
    };
    context.results.rows.push(speed);
    let shares = shares(ours, &found.limits, format);
    if !shares.is_empty() {
        let what = format!("{format}, share of the limit in {format}");
        context.results.rows.push(row(&what, "%", percent(&shares)));
    }
}

/// The shortest possible time of a step on this machine in a format, over the measured time, by rounds.
fn shares(ours: &[Training], limits: &[Limit], format: &str) -> Vec<f64> {
    let share = |(training, limit): (&Training, &Limit)| {
        Some(limit.seconds(format, training.timing.tokens_per_step)? / training.timing.seconds_per_step)
    };
    ours.iter().zip(limits).filter_map(share).collect()
}

fn percent(shares: &[f64]) -> Series {
    shares.iter().map(|share| share * 100.0).collect()
}

/// The tutorial's script against ours by default, which is what a user who switches gets.
fn guide_row(context: &mut BenchContext, model: &Model, speed: &SpeedTrainings) {
    if context.options.quick && model.kind != ModelKind::MiniLm {
        let note = format!("{}: the guide's script is skipped with --quick, since a step takes a minute", model.name);
        return context.results.note(note);
    }
    let guide: Vec<Training> = trainings::guide(context, model).into_iter().collect();
    let target = model.target(context.options.device, 200.0, 120.0).map(Target::RatioAtLeast);
    let row = row("train", model, &by_default(&speed.ours), "samples/s", samples(&speed.ours), target);
    context.results.rows.push(row.against("the guide's script", samples(&guide)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timing::Timing;

    fn training(format: &str, seconds_per_step: f64) -> Training {
        let timing = Timing {
            samples_per_second: 16.0 / seconds_per_step,
            tokens_per_second: 400.0 / seconds_per_step,
            tokens_per_step: 400.0,
            seconds_per_step,
            median_step_ms: seconds_per_step * 1000.0,
        };
        Training { timing, format: format.to_owned(), first_step: None, peak_mib: None, peak_before_saving_mib: None }
    }

    #[test]
    fn the_share_is_that_of_the_formats_own_limit() {
        let gflops = r#""gflops": {"fp32": 400.0, "bf16": 800.0}"#;
        let text = format!(r#"{{{gflops}, "linear_flops_per_token": 1e8, "optimizer_seconds": 0.05}}"#);
        let limits: Vec<Limit> = vec![serde_json::from_str(&text).unwrap()];
        // At the limit a step takes 0.1 s in bf16 and 0.15 s in fp32.
        assert_eq!(percent(&shares(&[training("bf16", 0.125)], &limits, "bf16")), Series(vec![80.0]));
        let fp32 = percent(&shares(&[training("fp32", 0.2)], &limits, "fp32"));
        assert!((fp32.0[0] - 75.0).abs() < 1e-9);
        assert!(shares(&[training("bf16", 0.125)], &[], "bf16").is_empty(), "without peers the limit is not measured");
    }

    #[test]
    fn the_format_of_the_default_is_said_even_if_it_varies() {
        let (bf16, fp32) = (training("bf16", 1.0), training("fp32", 1.0));
        assert_eq!(by_default(&[fp32.clone(), fp32.clone()]), "by default (fp32)");
        assert_eq!(by_default(&[fp32, bf16]), "by default (bf16 and fp32)");
    }
}
