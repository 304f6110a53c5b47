//! The median rule, as in Optuna's `MedianPruner`.

use super::Pruner;
use crate::trial::{StudyDirection, Trial, TrialState};

/// A trial is pruned if its best value so far is worse than the median of the complete trials at its step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Median {
    /// No trial is pruned before this many are complete.
    pub startup_trials: usize,
    /// No trial is pruned before this step.
    pub warmup_steps: u64,
    /// After the warm-up the rule is applied once per interval of this many steps, >= 1: at the first value in each.
    pub interval_steps: u64,
    /// At least this many complete trials must have a value at the step, >= 1.
    pub min_trials: usize,
}

impl Default for Median {
    /// Optuna's.
    fn default() -> Self {
        Self { startup_trials: 5, warmup_steps: 0, interval_steps: 1, min_trials: 1 }
    }
}

impl Pruner for Median {
    fn should_prune(&self, trials: &[Trial], trial: &Trial, direction: StudyDirection) -> bool {
        let Some((&step, _)) = trial.intermediate.last_key_value() else { return false };
        let complete: Vec<&Trial> = trials.iter().filter(|other| other.state == TrialState::Complete).collect();
        if complete.is_empty() || complete.len() < self.startup_trials || step < self.warmup_steps {
            return false;
        }
        let interval = self.interval_steps.max(1);
        let interval_of = |step: u64| step.checked_sub(self.warmup_steps).map(|since| since / interval);
        let before = trial.intermediate.range(..step).next_back().map(|(step, _)| *step);
        if before.is_some_and(|before| interval_of(before) == interval_of(step)) {
            return false;
        }

        if trial.intermediate.values().all(|value| value.is_nan()) {
            return true;
        }
        let best = trial.intermediate.values().map(|value| direction.loss(*value)).fold(f64::INFINITY, f64::min);
        let there: Vec<f64> = complete.iter().filter_map(|other| other.intermediate.get(&step)).copied().collect();
        if there.len() < self.min_trials {
            return false;
        }
        let numbers = there.into_iter().filter(|value| !value.is_nan());
        median(numbers.map(|value| direction.loss(value)).collect()).is_some_and(|median| best > median)
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = values[(values.len() - 1) / 2];
    // Equal values may be infinite, whose difference is NaN.
    Some(if lower == upper { upper } else { lower + (upper - lower) / 2.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(state: TrialState, values: &[f64]) -> Trial {
        crate::pruner::asha::tests::trial(9, state, values)
    }

    const MINIMIZE: StudyDirection = StudyDirection::Minimize;

    #[test]
    fn trials_below_the_median_continue_and_above_it_are_pruned() {
        let finished: Vec<Trial> = [0.1, 0.2, 0.3, 0.4].map(|value| trial(TrialState::Complete, &[0.9, value])).into();
        let rule = Median { startup_trials: 4, ..Median::default() };
        // The median of step 1 is 0.25.
        let stops = |values: &[f64]| rule.should_prune(&finished, &trial(TrialState::Running, values), MINIMIZE);
        assert!(!stops(&[0.95, 0.25]));
        assert!(stops(&[0.95, 0.26]));
        // The best of all steps counts, not the last.
        assert!(!stops(&[0.2, 0.8]));
        assert!(stops(&[f64::NAN, f64::NAN]));
        assert!(!rule.should_prune(&finished, &trial(TrialState::Running, &[0.95, 0.26]), StudyDirection::Maximize));
    }

    #[test]
    fn the_rule_waits_for_trials_and_steps() {
        let finished: Vec<Trial> = [0.1, 0.2].map(|value| trial(TrialState::Complete, &[value; 4])).into();
        let bad = trial(TrialState::Running, &[0.9, 0.9, 0.9]);
        let stops = |rule: Median| rule.should_prune(&finished, &bad, MINIMIZE);
        let rule = Median { startup_trials: 2, ..Median::default() };
        assert!(stops(rule));
        assert!(!stops(Median { startup_trials: 3, ..rule }));
        assert!(!stops(Median { warmup_steps: 3, ..rule }));
        assert!(stops(Median { warmup_steps: 2, ..rule }));
        // Steps 0 to 1, 2 to 3: step 2 starts an interval; with 0 to 2 it doesn't.
        assert!(stops(Median { interval_steps: 2, ..rule }));
        assert!(!stops(Median { interval_steps: 3, ..rule }));
        assert!(!stops(Median { min_trials: 3, ..rule }));
    }
}
