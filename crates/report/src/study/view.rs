//! The study as the sections use it: trials by number, their descriptions, and the mark of each outcome.

use plotters::style::RGBColor;

use super::values::{Measure, ValueAxis};
use super::{StudyOutcome, StudyPage, StudyTrial};
use crate::heading::{LegendEntry, Swatch};
use crate::marks::Mark;
use crate::theme::{BEST, MUTED, SERIES};

/// A page's trials, ready to draw.
pub(super) struct PageView<'a> {
    pub page: &'a StudyPage<'a>,
    pub trials: Vec<&'a StudyTrial>,
    pub measure: Measure,
    pub values: Option<ValueAxis>,
}

impl<'a> PageView<'a> {
    pub(super) fn new(page: &'a StudyPage<'a>) -> Self {
        let mut trials: Vec<&StudyTrial> = page.trials.iter().collect();
        trials.sort_by_key(|trial| trial.number);
        let of = |included: fn(StudyOutcome) -> bool| -> Vec<f64> {
            trials.iter().filter(|trial| included(trial.outcome)).filter_map(|trial| value(trial)).collect()
        };
        let (all, complete) = (of(|_| true), of(|outcome| outcome == StudyOutcome::Complete));
        let points = trials.iter().flat_map(|trial| &trial.curve).map(|&(_, value)| value).filter(|v| v.is_finite());
        let measured: Vec<f64> = all.iter().copied().chain(points).collect();
        let measure = Measure::of(&measured, page.maximize);
        let values = ValueAxis::new(measure, &all, &complete);
        Self { page, trials, measure, values }
    }

    /// The name of the metric.
    pub(super) fn metric(&self) -> &'a str {
        if self.page.metric.is_empty() { "value" } else { self.page.metric }
    }

    /// The name of the metric, capitalized.
    pub(super) fn metric_first(&self) -> String {
        let mut rest = self.metric().chars();
        rest.next().map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
    }

    pub(super) fn winner(&self) -> Option<&'a StudyTrial> {
        self.trials.iter().copied().find(|trial| self.is_winner(trial))
    }

    pub(super) fn is_winner(&self, trial: &StudyTrial) -> bool {
        self.page.winner == Some(trial.number)
    }

    pub(super) fn count(&self, outcome: StudyOutcome) -> usize {
        self.trials.iter().filter(|trial| trial.outcome == outcome).count()
    }

    /// A trial in words: number, value, and its outcome if it isn't complete.
    pub(super) fn words(&self, trial: &StudyTrial) -> String {
        let mut words = format!("Trial {}", trial.number);
        if let Some(value) = value(trial) {
            words += &format!(": {} {}", self.metric(), self.measure.text(value));
        }
        if trial.outcome != StudyOutcome::Complete {
            words += &format!(", {}", word(trial.outcome));
        }
        words
    }

    /// The study in a sentence, for descriptions.
    pub(super) fn summary(&self) -> String {
        let counted = OUTCOMES.map(|outcome| (self.count(outcome), word(outcome)));
        let counted = counted.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}"));
        let counted = counted.collect::<Vec<_>>().join(", ");
        match self.winner() {
            Some(winner) => format!("Trials: {counted}. The winner: {}", self.words(winner)),
            None => format!("Trials: {counted}"),
        }
    }

    pub(super) fn mark<'t>(&self, trial: &StudyTrial, opacity: f64, title: &'t str) -> Mark<'t> {
        if self.is_winner(trial) {
            return Mark { class: "winner", color: BEST, opacity: 1.0, title };
        }
        Mark { class: word(trial.outcome), color: color(trial.outcome), opacity, title }
    }

    /// Trials with a value in the order in which they are drawn: the winner over the best over the pruned.
    pub(super) fn by_merit(&self) -> Vec<(&'a StudyTrial, f64)> {
        let mut trials: Vec<_> = self.trials.iter().filter_map(|&trial| Some((trial, value(trial)?))).collect();
        let complete = |trial: &StudyTrial| trial.outcome == StudyOutcome::Complete;
        trials.sort_by(|(a, value_a), (b, value_b)| {
            let above = |trial| (self.is_winner(trial), complete(trial));
            let merits = self.measure.merit(*value_a).total_cmp(&self.measure.merit(*value_b));
            above(a).cmp(&above(b)).then(merits).then(a.number.cmp(&b.number))
        });
        trials
    }

    /// Entries of a legend for those `outcomes` that occur among the trials `drawn`, counted, and for the winner.
    pub(super) fn legend(
        &self,
        drawn: &[&StudyTrial],
        outcomes: &[(StudyOutcome, Swatch)],
        winner: Swatch,
    ) -> Vec<LegendEntry> {
        let mut entries = Vec::new();
        for &(outcome, swatch) in outcomes {
            let count = drawn.iter().filter(|trial| trial.outcome == outcome).count();
            if count > 0 {
                entries.push(LegendEntry {
                    name: format!("{} ({count})", word(outcome)),
                    color: color(outcome),
                    swatch,
                });
            }
        }
        if drawn.iter().any(|trial| self.is_winner(trial)) {
            entries.push(LegendEntry { name: "winner".to_owned(), color: BEST, swatch: winner });
        }
        entries
    }
}

const OUTCOMES: [StudyOutcome; 4] =
    [StudyOutcome::Complete, StudyOutcome::Pruned, StudyOutcome::Failed, StudyOutcome::Running];

/// A trial's value, if it's a number and the trial didn't fail.
pub(super) fn value(trial: &StudyTrial) -> Option<f64> {
    trial.value.filter(|value| value.is_finite() && trial.outcome != StudyOutcome::Failed)
}

/// An outcome in a word, which is also the class of its marks.
pub(super) fn word(outcome: StudyOutcome) -> &'static str {
    match outcome {
        StudyOutcome::Complete => "complete",
        StudyOutcome::Pruned => "pruned",
        StudyOutcome::Failed => "failed",
        StudyOutcome::Running => "running",
    }
}

pub(super) fn color(outcome: StudyOutcome) -> RGBColor {
    match outcome {
        StudyOutcome::Complete => SERIES[0],
        StudyOutcome::Pruned => MUTED,
        StudyOutcome::Failed => SERIES[4],
        StudyOutcome::Running => SERIES[5],
    }
}

/// How large and how opaque one of so many dots is.
pub(super) fn dot_size(dots: usize) -> (f64, f64) {
    match dots {
        0..=60 => (4.0, 0.9),
        61..=300 => (3.2, 0.75),
        _ => (2.4, 0.6),
    }
}
