//! Training by several processes on this machine: against PyTorch's DistributedDataParallel, and against one process.

use anyhow::Result;
use serde_json::Value;

use crate::context::BenchContext;
use crate::efficiency::{self, PROCESSES};
use crate::models::Model;
use crate::options::Device;
use crate::process::free_port;
use crate::ranks::{self, SharedTraining};
use crate::results::{BenchComparison, Target};
use crate::train::by_default;
use crate::trainer_setting::{MeasuredSettings, TrainerSetting};
use crate::training::Training;
use crate::trainings::{TrainingLength, by_peer};

/// The batch of all processes together, on both sides.
const BATCH: usize = 16;

/// Ours by default and in fp32, and the settings of Trainer, each by several processes.
#[derive(Default)]
struct DdpTrainings {
    by_default: Vec<Training>,
    /// Empty if that is the default.
    fp32: Vec<Training>,
    theirs: MeasuredSettings,
}

pub(crate) fn measure(context: &mut BenchContext, models: &[Model]) -> Result<()> {
    let refusal = match context.options.device {
        Device::Cuda => Some("several processes are measured on a CPU only".to_owned()),
        Device::Cpu if context.threads < PROCESSES => {
            Some(format!("several processes need {PROCESSES} threads, and there are {}", context.threads))
        }
        Device::Cpu => None,
    };
    if let Some(refusal) = refusal {
        context.results.note(refusal);
        return Ok(());
    }
    let mut records = Vec::new();
    for model in models {
        let found = against_ddp(context, model);
        let rows = found.rows(context.options.device, model);
        context.results.rows.extend(rows);
        context.results.more.extend(found.theirs.render(&format!("{}, DDP,", model.name)));
        records.extend(efficiency::measure(context, model)?);
    }
    context.results.details.insert("processes".to_owned(), Value::Array(records));
    Ok(())
}

/// Both sides in turn. Both sort pools of 50 batches by length, the longest first; DDP's are those of one process, half as
/// large. So the timed steps are one pool of ours and two of theirs.
fn against_ddp(context: &mut BenchContext, model: &Model) -> DdpTrainings {
    let length = TrainingLength { steps: 60, excluded: 10, rounds: context.options.rounds() };
    let mut found = DdpTrainings::default();
    for round in 1..=length.rounds {
        let what =
            |side: &str| format!("{} {side}, {PROCESSES} processes, round {round} of {}", model.name, length.rounds);
        let shared = SharedTraining { processes: PROCESSES, format: None, batch: BATCH, by_length: true, length };
        let ours = ranks::train(context, model, &shared, &what("ours"));
        found.by_default.extend(ours.map(|(training, _)| training));
        if found.by_default.first().is_none_or(|ours| ours.format != "fp32") {
            let shared = SharedTraining { format: Some("fp32"), ..shared };
            found.fp32.extend(ranks::train(context, model, &shared, &what("ours fp32")).map(|(training, _)| training));
        }
        for setting in TrainerSetting::ALL {
            // After all have run once, only the fastest of each format goes on.
            let goes_on = round == 1 || found.theirs.fastest(Some(setting.format)) == Some(setting);
            if goes_on && !(context.options.quick && found.theirs.is_hopeless(setting)) {
                let training = ddp(context, model, setting, length, &what(&ddp_name(setting)));
                found.theirs.add(setting, training);
            }
        }
    }
    found
}

/// One training by Trainer under torchrun, which has several processes use DDP.
fn ddp(
    context: &mut BenchContext,
    model: &Model,
    setting: TrainerSetting,
    length: TrainingLength,
    what: &str,
) -> Option<Training> {
    let port = free_port();
    let port = context.results.record(true, port)?;
    let command = context.peer_in_processes("trainer.py", PROCESSES, port)?;
    let mut arguments = setting.arguments(&context.options);
    let batch = BATCH.to_string();
    arguments.extend(["--batch-size", &batch]);
    by_peer(context, command, model, setting.format, &arguments, length.of_setting(setting), what)
}

fn ddp_name(setting: TrainerSetting) -> String {
    format!("DDP, {}", setting.name())
}

impl DdpTrainings {
    /// By default against the fastest setting, in samples and in tokens; in each format against the faster one in it.
    fn rows(&self, device: Device, model: &Model) -> Vec<BenchComparison> {
        let row = |what: String, unit: &'static str, ours: &[Training], setting: Option<TrainerSetting>| {
            let value = |training: &Training| match unit {
                "tokens/s" => training.timing.tokens_per_second,
                _ => training.timing.samples_per_second,
            };
            let (what, ours) = (format!("{PROCESSES} processes, {what}"), ours.iter().map(value).collect());
            let row = BenchComparison {
                suite: "processes",
                model: model.name.clone(),
                what,
                unit,
                ours,
                theirs: None,
                target: None,
            };
            match setting {
                Some(setting) => row.against(&ddp_name(setting), self.theirs.of(setting).iter().map(value).collect()),
                None => row.against("DDP", Vec::new().into_iter().collect()),
            }
        };
        let (fastest, name) = (self.theirs.fastest(None), by_default(&self.by_default));
        let target = model.target(device, 1.7, 1.7).map(Target::RatioAtLeast);
        let headline = row(name.clone(), "samples/s", &self.by_default, fastest);
        let mut rows =
            vec![BenchComparison { target, ..headline }, row(name.clone(), "tokens/s", &self.by_default, fastest)];
        let format = self.by_default.first().map(|ours| ours.format.clone());
        let same_format = format.and_then(|format| self.theirs.fastest(Some(&format)));
        if let Some(setting) = same_format.filter(|setting| Some(*setting) != fastest) {
            rows.push(row(name, "samples/s", &self.by_default, Some(setting)));
        }
        if !self.fp32.is_empty() {
            rows.push(row("fp32".to_owned(), "samples/s", &self.fp32, self.theirs.fastest(Some("fp32"))));
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::timing::Timing;

    fn training(format: &str, samples_per_second: f64) -> Training {
        let timing = Timing {
            samples_per_second,
            tokens_per_second: 20.0 * samples_per_second,
            tokens_per_step: 320.0,
            seconds_per_step: 16.0 / samples_per_second,
            median_step_ms: 16e3 / samples_per_second,
        };
        let format = format.to_owned();
        Training { timing, format, first_step: None, peak_mib: None, peak_before_saving_mib: None }
    }

    fn lines(found: &DdpTrainings) -> Vec<String> {
        let model = Model::mini_lm(PathBuf::new(), PathBuf::new());
        let rows = found.rows(Device::Cpu, &model);
        let ratio = |row: &BenchComparison| row.ratio().map_or("-".to_owned(), |ratio| ratio.to_string());
        let line = |row: &BenchComparison| {
            let peer = row.theirs.as_ref().map_or("", |peer| peer.name.as_str());
            format!("{} {}, {peer}: {} {:?}", row.what, row.unit, ratio(row), row.target)
        };
        rows.iter().map(line).collect()
    }

    #[test]
    fn the_default_is_held_against_the_fastest_setting_and_each_format_against_its_own() {
        let [bf16, fp32, compiled_bf16, _] = TrainerSetting::ALL;
        let mut found = DdpTrainings {
            by_default: vec![training("bf16", 200.0)],
            fp32: vec![training("fp32", 120.0)],
            ..DdpTrainings::default()
        };
        found.theirs.add(bf16, Some(training("bf16", 50.0)));
        found.theirs.add(fp32, Some(training("fp32", 60.0)));
        found.theirs.add(compiled_bf16, Some(training("bf16", 100.0)));
        let headline = "2 processes, by default (bf16)";
        assert_eq!(
            lines(&found),
            [
                format!("{headline} samples/s, DDP, Trainer bf16, torch.compile: 2 Some(RatioAtLeast(1.7))"),
                format!("{headline} tokens/s, DDP, Trainer bf16, torch.compile: 2 None"),
                "2 processes, fp32 samples/s, DDP, Trainer fp32: 2 None".to_owned(),
            ]
        );
        found.theirs.add(fp32, Some(training("fp32", 340.0)));
        let found = lines(&found);
        assert!(found[0].contains("Trainer fp32: 1 Some"), "{found:?}");
        assert!(found[2].starts_with(headline) && found[2].contains("bf16, torch.compile: 2 None"), "{found:?}");
    }

    #[test]
    fn without_peers_ours_alone_is_shown() {
        let by_default = vec![training("fp32", 120.0)];
        let found = DdpTrainings { by_default, ..DdpTrainings::default() };
        let headline = "2 processes, by default (fp32)";
        let expected = [
            format!("{headline} samples/s, DDP: - Some(RatioAtLeast(1.7))"),
            format!("{headline} tokens/s, DDP: - None"),
        ];
        assert_eq!(lines(&found), expected);
    }
}
