//! Trainer's settings: which of them is the fastest depends on the machine, so all are measured.

use crate::options::{BenchArgs, Device};
use crate::statistics::median;
use crate::table::{grid, number};
use crate::training::Training;

/// A setting of Hugging Face's Trainer; each has batches of similar length and the fused AdamW.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TrainerSetting {
    /// `bf16` or `fp32`, which is also the name of trainer.py's recipe.
    pub format: &'static str,
    /// With torch.compile.
    pub compiled: bool,
}

impl TrainerSetting {
    pub(crate) const ALL: [TrainerSetting; 4] = [
        TrainerSetting { format: "bf16", compiled: false },
        TrainerSetting { format: "fp32", compiled: false },
        TrainerSetting { format: "bf16", compiled: true },
        TrainerSetting { format: "fp32", compiled: true },
    ];

    pub(crate) fn name(self) -> String {
        format!("Trainer {}{}", self.format, if self.compiled { ", torch.compile" } else { "" })
    }

    /// The flags of trainer.py.
    pub(crate) fn arguments(self, options: &BenchArgs) -> Vec<&'static str> {
        let mut arguments = vec!["--recipe", self.format];
        if self.compiled {
            let is_quick = options.quick && options.device == Device::Cpu;
            arguments.extend(["--compile", if is_quick { "layers" } else { "model" }]);
        }
        arguments
    }
}

/// Compiling takes up to a minute, and does not make a training 1.5 times as fast.
const HOPELESS: f64 = 2.0 / 3.0;

/// The settings with their trainings.
#[derive(Debug, Clone, Default)]
pub(crate) struct MeasuredSettings(pub Vec<(TrainerSetting, Vec<Training>)>);

impl MeasuredSettings {
    pub(crate) fn add(&mut self, setting: TrainerSetting, training: Option<Training>) {
        if let Some((_, trainings)) = self.0.iter_mut().find(|(known, _)| *known == setting) {
            trainings.extend(training);
        } else {
            self.0.push((setting, training.into_iter().collect()));
        }
    }

    /// The fastest setting, of one format or of all; `None` if nothing was measured.
    pub(crate) fn fastest(&self, format: Option<&str>) -> Option<TrainerSetting> {
        let speeds = self.0.iter().filter(|(setting, _)| format.is_none_or(|format| setting.format == format));
        let speeds = speeds.filter_map(|(setting, trainings)| Some((*setting, speed(trainings)?)));
        speeds.max_by(|one, other| one.1.total_cmp(&other.1)).map(|(setting, _)| setting)
    }

    /// Whether torch.compile can't make this format the fastest: without it, it is that much slower than another one.
    pub(crate) fn is_hopeless(&self, setting: TrainerSetting) -> bool {
        let eager = TrainerSetting { compiled: false, ..setting };
        let speeds = (speed(self.of(eager)), self.fastest(None).and_then(|fastest| speed(self.of(fastest))));
        setting.compiled && matches!(speeds, (Some(eager), Some(fastest)) if eager < HOPELESS * fastest)
    }

    pub(crate) fn of(&self, setting: TrainerSetting) -> &[Training] {
        self.0.iter().find(|(known, _)| *known == setting).map_or(&[], |(_, trainings)| trainings)
    }

    /// A table of the settings, or nothing if none was measured.
    pub(crate) fn render(&self, model: &str) -> Option<String> {
        let fastest = self.fastest(None)?;
        let header = ["Trainer's settings compared", "samples/s", ""].map(str::to_owned).to_vec();
        let lines = TrainerSetting::ALL.iter().map(|setting| {
            let remark = match self.0.iter().find(|(known, _)| known == setting) {
                Some(_) if *setting == fastest => "fastest, compared with above",
                Some((_, trainings)) if trainings.is_empty() => "not available: see the notes",
                Some(_) => "",
                None => "not measured with --quick: too slow without torch.compile",
            };
            let speed = speed(self.of(*setting)).map_or("-".to_owned(), number);
            vec![format!("  {model}  {}", setting.name()), speed, remark.to_owned()]
        });
        Some(grid(&std::iter::once(header).chain(lines).collect::<Vec<_>>()))
    }
}

fn speed(trainings: &[Training]) -> Option<f64> {
    median(&trainings.iter().map(|training| training.timing.samples_per_second).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timing::Timing;

    fn training(samples_per_second: f64) -> Training {
        let timing = Timing {
            samples_per_second,
            tokens_per_second: 1.0,
            tokens_per_step: 1.0,
            seconds_per_step: 1.0,
            median_step_ms: 1.0,
        };
        Training { timing, format: "bf16".to_owned(), first_step: None, peak_mib: None, peak_before_saving_mib: None }
    }

    #[test]
    fn the_fastest_setting_is_the_one_to_compare_with() {
        let mut settings = MeasuredSettings::default();
        assert_eq!((settings.fastest(None), settings.render("MiniLM-L6")), (None, None));
        let [bf16, fp32, compiled_bf16, compiled_fp32] = TrainerSetting::ALL;
        settings.add(bf16, Some(training(48.0)));
        settings.add(fp32, Some(training(75.0)));
        settings.add(compiled_bf16, None);
        settings.add(compiled_fp32, Some(training(70.0)));
        assert_eq!(settings.fastest(None), Some(fp32));
        assert_eq!(settings.fastest(Some("bf16")), Some(bf16), "one that failed can't be the fastest");
        settings.add(compiled_fp32, Some(training(90.0)));
        assert_eq!(settings.fastest(None), Some(compiled_fp32), "medians are compared");
        assert_eq!(settings.of(compiled_fp32).len(), 2);
        let text = settings.render("MiniLM-L6").unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "Trainer's settings compared               samples/s",
                "  MiniLM-L6  Trainer bf16                 48.0",
                "  MiniLM-L6  Trainer fp32                 75.0",
                "  MiniLM-L6  Trainer bf16, torch.compile  -          not available: see the notes",
                "  MiniLM-L6  Trainer fp32, torch.compile  80.0       fastest, compared with above",
            ]
        );
    }

    #[test]
    fn only_what_compiling_can_make_the_fastest_is_compiled_with_quick() {
        let mut settings = MeasuredSettings::default();
        let [bf16, fp32, compiled_bf16, compiled_fp32] = TrainerSetting::ALL;
        assert!(!settings.is_hopeless(compiled_fp32), "nothing is known yet");
        settings.add(bf16, Some(training(130.0)));
        settings.add(fp32, Some(training(70.0)));
        let hopeless = TrainerSetting::ALL.map(|setting| settings.is_hopeless(setting));
        assert_eq!(hopeless, [false, false, false, true]);
        settings.add(compiled_bf16, Some(training(100.0)));
        let text = settings.render("MiniLM-L6").unwrap();
        assert!(text.contains("fp32, torch.compile  -          not measured with --quick"), "{text}");
        settings.add(fp32, Some(training(120.0)));
        assert!(!settings.is_hopeless(compiled_fp32));
    }
}
