//! Trainings of both sides in turn. Speed, the first step and memory are measured on every training, so suites share
//! them, and each is run once.

use std::process::Command;

use anyhow::{Context, Result};

use crate::context::{BenchContext, remove};
use crate::limit::Limit;
use crate::models::{Model, ModelKind};
use crate::options::{BenchArgs, Device};
use crate::timing::timing;
use crate::trainer_setting::{MeasuredSettings, TrainerSetting};
use crate::training::Training;

/// The number formats that both sides train in.
pub(crate) const FORMATS: [&str; 2] = ["bf16", "fp32"];

/// The batches of a pool, which both sides sort by length.
const POOL: usize = 50;

/// What trainings are for, on which their length depends. Both sides sort pools of 50 batches by length, longest first, so
/// 50 batches in a row have the lengths of the data, wherever in a pool they begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TrainingPurpose {
    /// The speed of ours by default against the fastest of Trainer's settings.
    Speed,
    /// The comparison of number formats, and of Trainer's settings.
    Formats,
    /// Only the first step and peak memory.
    Start,
    /// The tutorials' script: padded to 512 tokens, fp32.
    Guide,
}

/// The length of a training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TrainingLength {
    pub steps: usize,
    /// The first steps, which aren't timed.
    pub excluded: usize,
    pub rounds: usize,
}

impl TrainingLength {
    /// With torch.compile the first pool is excluded: it compiles again for the first batch that has no padding.
    pub(crate) fn of_setting(self, setting: TrainerSetting) -> TrainingLength {
        let excluded = if setting.compiled { self.excluded.max(POOL) } else { self.excluded };
        TrainingLength { steps: self.steps - self.excluded + excluded, excluded, ..self }
    }
}

/// Ours by default and the fastest of Trainer's settings, one training per round.
#[derive(Debug, Clone, Default)]
pub(crate) struct SpeedTrainings {
    pub ours: Vec<Training>,
    /// `None` without peers.
    pub setting: Option<TrainerSetting>,
    pub theirs: Vec<Training>,
    pub limits: Vec<Limit>,
}

/// Ours in each number format, in the order of [`FORMATS`], and all of Trainer's settings.
#[derive(Debug, Clone, Default)]
pub(crate) struct FormatTrainings {
    pub ours: [Vec<Training>; FORMATS.len()],
    pub theirs: MeasuredSettings,
    pub limits: Vec<Limit>,
}

/// Trainings as whole processes: ours by default, and Trainer without torch.compile in the same format.
#[derive(Debug, Clone, Default)]
pub(crate) struct WholeTrainings {
    pub ours: Vec<Training>,
    pub setting: Option<TrainerSetting>,
    pub theirs: Vec<Training>,
}

/// The trainings that were already run, by the model's name.
#[derive(Default)]
pub(crate) struct Trainings {
    speed: Vec<(String, SpeedTrainings)>,
    whole: Vec<(String, WholeTrainings)>,
}

impl Trainings {
    /// Runs all number formats and settings.
    pub(crate) fn formats(context: &mut BenchContext, model: &Model) -> FormatTrainings {
        let length = length(&context.options, model.kind, TrainingPurpose::Formats);
        let mut found = FormatTrainings::default();
        for round in 1..=length.rounds {
            let what = |what: &str| format!("{} {what}, comparison {round} of {}", model.name, length.rounds);
            for (format, trainings) in FORMATS.iter().zip(&mut found.ours) {
                trainings.extend(ours(context, model, Some(format), length, &what(&format!("ours {format}"))));
            }
            for setting in TrainerSetting::ALL {
                // After all have run once, only the fastest of each format goes on.
                let goes_on = round == 1 || found.theirs.fastest(Some(setting.format)) == Some(setting);
                if goes_on && !(context.options.quick && found.theirs.is_hopeless(setting)) {
                    let training = trainer(context, model, setting, length, &what(&setting.name()));
                    found.theirs.add(setting, training);
                }
            }
            found.limits.extend(limit(context, model, &what("limit")));
        }
        found
    }

    /// Runs ours by default against this setting.
    pub(crate) fn speed(
        &mut self,
        context: &mut BenchContext,
        model: &Model,
        setting: Option<TrainerSetting>,
    ) -> SpeedTrainings {
        let length = length(&context.options, model.kind, TrainingPurpose::Speed);
        let mut found = SpeedTrainings { setting, ..SpeedTrainings::default() };
        for round in 1..=length.rounds {
            let what = |what: &str| format!("{} {what}, round {round} of {}", model.name, length.rounds);
            found.ours.extend(ours(context, model, None, length, &what("ours")));
            if let Some(setting) = setting {
                found.theirs.extend(trainer(context, model, setting, length, &what(&setting.name())));
                found.limits.extend(limit(context, model, &what("limit")));
            }
        }
        self.speed.push((model.name.clone(), found.clone()));
        found
    }

    /// Trainings for the first step and for memory: those for speed where they will do, else short ones.
    pub(crate) fn whole(&mut self, context: &mut BenchContext, model: &Model) -> WholeTrainings {
        if let Some((_, found)) = self.whole.iter().find(|(name, _)| *name == model.name) {
            return found.clone();
        }
        let speed = self.speed.iter().find(|(name, _)| *name == model.name).map(|(_, speed)| speed.clone());
        let speed = speed.unwrap_or_default();
        let length = length(&context.options, model.kind, TrainingPurpose::Start);
        let what = |round, side: &str| format!("{} start {round} of {}, {side}", model.name, length.rounds);
        let mut found = WholeTrainings { ours: speed.ours, ..WholeTrainings::default() };
        let ours_are_known = !found.ours.is_empty();
        for round in 1..=length.rounds {
            if !ours_are_known {
                found.ours.extend(ours(context, model, None, length, &what(round, "ours")));
            }
            found.setting = found.setting.or_else(|| eager(found.ours.first()?));
            let Some(setting) = found.setting.filter(|_| context.peers.is_some()) else { continue };
            if speed.setting == Some(setting) {
                found.theirs = speed.theirs;
                break;
            }
            found.theirs.extend(trainer(context, model, setting, length, &what(round, &setting.name())));
        }
        self.whole.push((model.name.clone(), found.clone()));
        found
    }
}

/// Trainer's setting without torch.compile, whose compiling would lengthen its start, in the format of ours.
fn eager(ours: &Training) -> Option<TrainerSetting> {
    TrainerSetting::ALL.into_iter().find(|setting| !setting.compiled && setting.format == ours.format)
}

/// The length by purpose, device and `--quick`.
fn length(options: &BenchArgs, kind: ModelKind, purpose: TrainingPurpose) -> TrainingLength {
    let (quick, rounds) = (options.quick, options.rounds());
    let cuda = options.device == Device::Cuda;
    match purpose {
        TrainingPurpose::Speed if cuda => TrainingLength { steps: 350, excluded: 50, rounds },
        TrainingPurpose::Speed if quick => TrainingLength { steps: 60, excluded: 10, rounds },
        TrainingPurpose::Speed if kind == ModelKind::MiniLm => TrainingLength { steps: 150, excluded: 50, rounds },
        TrainingPurpose::Speed => TrainingLength { steps: 100, excluded: 50, rounds },
        TrainingPurpose::Formats if cuda => TrainingLength { steps: 150, excluded: 50, rounds },
        // A round with a large model takes a quarter of an hour.
        TrainingPurpose::Formats if quick || kind != ModelKind::MiniLm => {
            TrainingLength { steps: 60, excluded: 10, rounds: 1 }
        }
        TrainingPurpose::Formats => TrainingLength { steps: 60, excluded: 10, rounds: rounds.min(2) },
        TrainingPurpose::Start => TrainingLength { steps: 20, excluded: 1, rounds },
        TrainingPurpose::Guide => TrainingLength { steps: if quick { 2 } else { 3 }, excluded: 1, rounds: 1 },
    }
}

/// One training of ours, in the format that is chosen by default if none is given. A failure is recorded.
fn ours(
    context: &mut BenchContext,
    model: &Model,
    format: Option<&str>,
    length: TrainingLength,
    what: &str,
) -> Option<Training> {
    let training = measure_ours(context, model, format, length, what);
    context.results.record(true, training)
}

fn measure_ours(
    context: &mut BenchContext,
    model: &Model,
    format: Option<&str>,
    length: TrainingLength,
    what: &str,
) -> Result<Training> {
    let run = context.run_folder("train")?;
    let mut command = context.train(&model.prepared, &run, length.steps);
    command.arg("--group-by-length");
    command.args(format.iter().flat_map(|format| ["--precision", format]));
    let finished = context.measure(what, command, Some(&run))?;
    let (timing, start) = (timing(&run, length.excluded)?, run::last_start(&run));
    remove(&run)?;
    let format = start.context("the log does not say which number format was used")?.precision;
    Ok(Training::measured(timing, format, &finished))
}

/// One training by Trainer. `None` without peers, and where it failed or is not available, which is recorded.
fn trainer(
    context: &mut BenchContext,
    model: &Model,
    setting: TrainerSetting,
    length: TrainingLength,
    what: &str,
) -> Option<Training> {
    let command = context.peer("trainer.py")?;
    let arguments = [&setting.arguments(&context.options)[..], &["--save"]].concat();
    by_peer(context, command, model, setting.format, &arguments, length.of_setting(setting), what)
}

/// The training by the tutorials' script.
pub(crate) fn guide(context: &mut BenchContext, model: &Model) -> Option<Training> {
    let length = length(&context.options, model.kind, TrainingPurpose::Guide);
    let mut arguments = vec!["--recipe", "guide"];
    if context.options.quick {
        // All sentences are padded to 512 tokens, so a smaller batch is as fast and takes less time.
        arguments.extend(["--batch-size", "4"]);
    }
    let command = context.peer("trainer.py")?;
    let what = format!("{} the guide's script", model.name);
    by_peer(context, command, model, "fp32", &arguments, length, &what)
}

/// One training by trainer.py, which `command` starts. `None` where it failed or is not available, which is recorded.
pub(crate) fn by_peer(
    context: &mut BenchContext,
    mut command: Command,
    model: &Model,
    format: &str,
    arguments: &[&str],
    length: TrainingLength,
    what: &str,
) -> Option<Training> {
    let log = context.run_folder("peer");
    let log = context.results.record(true, log)?;
    command.arg("--data").arg(&context.corpus.folder).arg("--model").arg(&model.folder).arg("--log").arg(&log);
    command.args(["--steps", &length.steps.to_string(), "--warmup-steps-excluded", &length.excluded.to_string()]);
    command.args(arguments);
    let finished = context.measure_peer(what, command, Some(&log))?;
    let timing = context.results.record(false, timing(&log, length.excluded))?;
    let peak_before_saving_mib = finished.output["peak_rss_before_saving_mib"].as_f64();
    Some(Training { peak_before_saving_mib, ..Training::measured(timing, format.to_owned(), &finished) })
}

fn limit(context: &mut BenchContext, model: &Model, what: &str) -> Option<Limit> {
    let mut command = context.peer("limits.py")?;
    command.arg("--model").arg(&model.folder);
    let finished = context.measure_peer(what, command, None)?;
    let limit: Limit = context.results.record(false, finished.figures().context("limits.py"))?;
    eprintln!("       {}", limit.rates());
    Some(limit)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::timing::Timing;

    #[test]
    fn whole_pools_are_timed_wherever_speeds_are_compared() {
        // A part of a pool, which is sorted by length, does not have the lengths of the data.
        for line in ["bench", "bench --quick", "bench --device cuda", "bench --quick --device cuda"] {
            let options = BenchArgs::parse_from(line.split(' '));
            for kind in [ModelKind::MiniLm, ModelKind::BertBase, ModelKind::Other] {
                for purpose in [TrainingPurpose::Speed, TrainingPurpose::Formats] {
                    for setting in TrainerSetting::ALL {
                        let TrainingLength { steps, excluded, .. } =
                            length(&options, kind, purpose).of_setting(setting);
                        let least = if setting.compiled { POOL } else { 10 };
                        assert!((steps - excluded) % POOL == 0 && excluded >= least, "{line}: {steps}, {excluded}");
                    }
                }
            }
        }
    }

    #[test]
    fn starts_are_compared_without_compiling_in_the_same_format() {
        let timing = Timing {
            samples_per_second: 1.0,
            tokens_per_second: 1.0,
            tokens_per_step: 1.0,
            seconds_per_step: 1.0,
            median_step_ms: 1.0,
        };
        for format in FORMATS {
            let ours = Training {
                timing,
                format: format.to_owned(),
                first_step: None,
                peak_mib: None,
                peak_before_saving_mib: None,
            };
            assert_eq!(eager(&ours), Some(TrainerSetting { format, compiled: false }));
        }
    }
}
