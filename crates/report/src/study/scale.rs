//! The axis of a parameter: where a setting lies on it, and its ticks.

use super::values::{between, short};
use super::{ParamSetting, StudyParameter, StudyScale, StudyTrial};
use crate::ticks::{self, Tick};

/// The axis of a parameter, from 0 at its start to 1 at its end.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scale {
    /// Numbers on a linear scale.
    Linear { low: f64, high: f64 },
    /// Numbers above 0 on a logarithmic scale.
    Log { low: f64, high: f64 },
    /// Words in the middles of equal parts.
    Words(Vec<String>),
}

impl Scale {
    pub(super) fn new(parameter: &StudyParameter, trials: &[&StudyTrial]) -> Self {
        let settings = || trials.iter().filter_map(|trial| setting(trial, &parameter.name));
        match &parameter.scale {
            StudyScale::Words(words) => {
                let mut scale = Self::Words(words.clone());
                for setting in settings() {
                    if let (None, Self::Words(words)) = (scale.place(setting), &mut scale) {
                        words.push(text(setting));
                    }
                }
                scale
            }
            StudyScale::Number { low, high, log } => {
                let seen = settings().filter_map(|setting| match setting {
                    ParamSetting::Number(number) => Some(*number),
                    ParamSetting::Word(_) => None,
                });
                let mut numbers: Vec<f64> = [*low, *high].into_iter().chain(seen).filter(|n| n.is_finite()).collect();
                let log = *log && numbers.iter().any(|number| *number > 0.0);
                if log {
                    numbers.retain(|number| *number > 0.0);
                }
                let low = numbers.iter().copied().reduce(f64::min).unwrap_or(0.0);
                let high = numbers.iter().copied().reduce(f64::max).unwrap_or(1.0);
                if log { Self::Log { low, high } } else { Self::Linear { low, high } }
            }
        }
    }

    /// Where a setting lies; `None` for what has no place on this axis.
    pub(super) fn place(&self, setting: &ParamSetting) -> Option<f64> {
        let place = match (self, setting) {
            (Self::Linear { low, high }, ParamSetting::Number(number)) => between(*low, *high, *number),
            (Self::Log { low, high }, ParamSetting::Number(number)) if *number > 0.0 => {
                between(low.ln(), high.ln(), number.ln())
            }
            (Self::Words(words), ParamSetting::Word(word)) => {
                middle(words.iter().position(|w| w == word)?, words.len())
            }
            // A choice among numbers has numbers as its words.
            (Self::Words(words), ParamSetting::Number(number)) => {
                let same = |word: &String| word.parse() == Ok(*number) || *word == short(*number);
                middle(words.iter().position(same)?, words.len())
            }
            _ => return None,
        };
        place.is_finite().then(|| place.clamp(0.0, 1.0))
    }

    /// At most about `most` ticks.
    pub(super) fn ticks(&self, most: usize) -> Vec<Tick> {
        let numbers = match self {
            Self::Words(words) => {
                let every = words.len().div_ceil(most.max(1)).max(1);
                let tick =
                    |(index, word): (usize, &String)| Tick { place: middle(index, words.len()), text: word.clone() };
                return words.iter().enumerate().step_by(every).map(tick).collect();
            }
            Self::Linear { low, high } => ticks::round_numbers(*low, *high, most),
            Self::Log { low, high } => ticks::powers(*low, *high, most),
        };
        // One number, or two that aren't round, are labeled as they are.
        let texts =
            if numbers.len() < 2 { numbers.iter().map(|n| short(*n)).collect() } else { ticks::texts(&numbers) };
        let place = |number: &f64| self.place(&ParamSetting::Number(*number)).unwrap_or(0.5);
        numbers.iter().zip(texts).map(|(number, text)| Tick { place: place(number), text }).collect()
    }
}

pub(super) fn setting<'a>(trial: &'a StudyTrial, name: &str) -> Option<&'a ParamSetting> {
    trial.params.iter().find(|(parameter, _)| parameter == name).map(|(_, setting)| setting)
}

pub(super) fn text(setting: &ParamSetting) -> String {
    match setting {
        ParamSetting::Number(number) => short(*number),
        ParamSetting::Word(word) => word.clone(),
    }
}

fn middle(index: usize, parts: usize) -> f64 {
    (index as f64 + 0.5) / parts.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(scale: StudyScale, settings: &[ParamSetting]) -> Scale {
        let trial = |setting: &ParamSetting| StudyTrial {
            params: vec![("x".to_owned(), setting.clone())],
            ..StudyTrial::default()
        };
        let trials: Vec<StudyTrial> = settings.iter().map(trial).collect();
        Scale::new(&StudyParameter { name: "x".to_owned(), scale }, &trials.iter().collect::<Vec<_>>())
    }

    fn number(low: f64, high: f64, log: bool) -> StudyScale {
        StudyScale::Number { low, high, log }
    }

    #[test]
    fn a_log_axis_is_logarithmic() {
        let scale = scale(number(1e-6, 1e-4, true), &[]);
        let place = |v| scale.place(&ParamSetting::Number(v));
        assert!((place(1e-5).unwrap() - 0.5).abs() < 1e-9);
        assert_eq!([0.0, -1.0, f64::NAN, f64::INFINITY].map(place), [None; 4]);
        let texts: Vec<String> = scale.ticks(5).into_iter().map(|tick| tick.text).collect();
        assert_eq!(texts, ["1e-6", "1e-5", "1e-4"]);
    }

    #[test]
    fn an_axis_reaches_as_far_as_the_trials() {
        assert_eq!(scale(number(0.0, 1.0, false), &[ParamSetting::Number(3.0)]), Scale::Linear { low: 0.0, high: 3.0 });
        assert_eq!(scale(number(0.0, 1.0, true), &[ParamSetting::Number(0.1)]), Scale::Log { low: 0.1, high: 1.0 });
        assert_eq!(scale(number(-2.0, -1.0, true), &[]), Scale::Linear { low: -2.0, high: -1.0 });
        assert_eq!(scale(number(f64::NAN, f64::INFINITY, false), &[]), Scale::Linear { low: 0.0, high: 1.0 });
    }

    #[test]
    fn categories_are_evenly_spaced_and_new_ones_come_last() {
        let known = StudyScale::Words(vec!["16".to_owned(), "32".to_owned()]);
        let scale = scale(
            known,
            &[ParamSetting::Number(32.0), ParamSetting::Word("auto".to_owned()), ParamSetting::Number(16.0)],
        );
        assert_eq!(scale, Scale::Words(["16", "32", "auto"].map(str::to_owned).into()));
        assert_eq!(scale.place(&ParamSetting::Number(32.0)), Some(0.5));
        assert_eq!(scale.ticks(2).len(), 2, "every second word");
        assert_eq!(scale.place(&ParamSetting::Word("else".to_owned())), None);
    }

    #[test]
    fn one_value_lies_in_the_middle() {
        for one in [number(2e-5, 2e-5, true), number(3.0, 3.0, false)] {
            let scale = scale(one, &[]);
            let ticks = scale.ticks(4);
            assert!(ticks.len() == 1 && ticks[0].place == 0.5, "{ticks:?}");
        }
    }
}
