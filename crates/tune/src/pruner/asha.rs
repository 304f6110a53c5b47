//! Asynchronous successive halving (Li et al., "A system for massively parallel hyperparameter tuning", 2018).
//!
//! Rung r is at step `min_resource * spacing^(r + min_early_stopping_rate)`. A trial that reaches a rung continues if it is
//! among the best `1 / reduction_factor` of all trials that have reached it so far, itself included; rounded down, but
//! the best always continues. NaN stops its trial, and is ignored for others.
//!
//! In the paper the two factors are one. Here they differ: on the sentences of SST-5, where early values are noisy, the
//! better half at steps 1, 4, 16 finds the best configurations far more often than the best third at steps 1, 3, 9, for
//! half as much training again (docs/tuning.md has the numbers).
//!
//! With equal factors Optuna's `SuccessiveHalvingPruner` decides the same, but stores each rung in the study; here a
//! trial's value at a rung is its first value at the rung's step or later. A trial that skips rungs has reached them all.

use super::Pruner;
use crate::trial::{StudyDirection, Trial};

/// A trial is pruned at a rung unless it is among the best that have reached it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asha {
    /// The step of the first rung, >= 1.
    pub min_resource: u64,
    /// The ratio of consecutive rungs' steps, >= 2.
    pub spacing: u64,
    /// One in this many trials continues at a rung, >= 2.
    pub reduction_factor: u64,
    /// The number of lowest rungs that are skipped.
    pub min_early_stopping_rate: u32,
}

impl Default for Asha {
    /// Rungs at steps 1, 4, 16, and so on, at which the better half continues.
    fn default() -> Self {
        Self { min_resource: 1, spacing: 4, reduction_factor: 2, min_early_stopping_rate: 0 }
    }
}

impl Asha {
    /// The steps of the rungs, up to `last`.
    pub fn rungs(&self, last: u64) -> Vec<u64> {
        let factor = self.spacing.max(2);
        let first =
            factor.checked_pow(self.min_early_stopping_rate).and_then(|by| by.checked_mul(self.min_resource.max(1)));
        std::iter::successors(first, |rung| rung.checked_mul(factor)).take_while(|rung| *rung <= last).collect()
    }
}

impl Pruner for Asha {
    fn should_prune(&self, trials: &[Trial], trial: &Trial, direction: StudyDirection) -> bool {
        let Some((&step, &value)) = trial.intermediate.last_key_value() else { return false };
        let before = trial.intermediate.range(..step).next_back().map(|(step, _)| *step);
        // The rungs that this step has reached and the one before had not.
        let mut reached = self.rungs(step);
        reached.retain(|rung| before.is_none_or(|before| before < *rung));
        let own = direction.loss(value);
        reached.into_iter().any(|rung| {
            let others = trials.iter().filter(|other| other.number != trial.number);
            let others = others.filter_map(|other| other.intermediate.range(rung..).next());
            let numbers = others.map(|(_, value)| *value).filter(|value| !value.is_nan());
            let mut losses: Vec<f64> = numbers.map(|value| direction.loss(value)).collect();
            losses.push(own);
            losses.sort_by(f64::total_cmp);
            let places = (losses.len() as u64 / self.reduction_factor.max(2)).max(1);
            value.is_nan() || own > losses[places as usize - 1]
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::trial::TrialState;

    /// A trial with these values at steps 0, 1, ..
    pub(in crate::pruner) fn trial(number: u64, state: TrialState, values: &[f64]) -> Trial {
        Trial {
            number,
            state,
            value: None,
            params: BTreeMap::new(),
            intermediate: (0..).zip(values.iter().copied()).collect(),
            user_attrs: BTreeMap::new(),
            system_attrs: BTreeMap::new(),
            started: None,
            completed: None,
        }
    }

    fn running(number: u64, values: &[f64]) -> Trial {
        trial(number, TrialState::Running, values)
    }

    #[test]
    fn rungs_grow_by_the_factor() {
        assert_eq!(Asha::default().rungs(30), [1, 4, 16]);
        let late = Asha { min_resource: 2, spacing: 4, reduction_factor: 4, min_early_stopping_rate: 1 };
        assert_eq!(late.rungs(150), [8, 32, 128]);
        assert!(Asha { min_resource: u64::MAX / 2, ..late }.rungs(u64::MAX).is_empty());
    }

    #[test]
    fn the_better_half_of_the_trials_at_a_rung_continues() {
        // Losses at step 1.
        let others: Vec<Trial> =
            [0.5, 0.1, 0.4, 0.2, 0.3].iter().zip(0..).map(|(loss, number)| running(number, &[9.0, *loss])).collect();
        let stops = |value| Asha::default().should_prune(&others, &running(9, &[9.0, value]), StudyDirection::Minimize);
        // Six have reached the rung, three may continue: 0.1, 0.2 and values of at most 0.3.
        assert!(!stops(0.05));
        assert!(!stops(0.3));
        assert!(stops(0.35));
        assert!(stops(f64::NAN));
        let third = Asha { reduction_factor: 3, ..Asha::default() };
        let stops = |value| third.should_prune(&others, &running(9, &[9.0, value]), StudyDirection::Minimize);
        assert!(!stops(0.2) && stops(0.25), "two of six");
    }

    #[test]
    fn the_first_trial_continues_and_then_only_a_better_one() {
        let rule = Asha::default();
        let first = running(0, &[0.0, 0.5]);
        assert!(!rule.should_prune(&[], &first, StudyDirection::Maximize));
        let others = [first];
        assert!(rule.should_prune(&others, &running(1, &[0.0, 0.4]), StudyDirection::Maximize));
        assert!(!rule.should_prune(&others, &running(1, &[0.0, 0.6]), StudyDirection::Maximize));
    }

    #[test]
    fn between_rungs_no_trial_is_pruned_and_values_come_from_the_rung() {
        let rule = Asha::default();
        let others = [running(0, &[0.9, 0.1, 0.1, 0.1, 0.1])];
        assert!(!rule.should_prune(&others, &running(1, &[0.5]), StudyDirection::Minimize));
        assert!(!rule.should_prune(&others, &running(1, &[0.5, 0.05, 0.8, 0.8]), StudyDirection::Minimize));
        assert!(rule.should_prune(&others, &running(1, &[0.5, 0.05, 0.8, 0.8, 0.2]), StudyDirection::Minimize));
        // A step that skips rungs reaches them all.
        let mut skipping = running(1, &[]);
        skipping.intermediate.insert(5, 0.2);
        assert!(rule.should_prune(&others, &skipping, StudyDirection::Minimize));
    }

    #[test]
    fn the_trial_itself_counts_once() {
        let mine = running(3, &[0.0, 0.5]);
        let others = [running(0, &[0.0, 0.4]), running(1, &[0.0, 0.6]), mine.clone()];
        // Of three one continues, and 0.4 is it; if the trial were counted twice, two would continue.
        assert!(Asha::default().should_prune(&others, &mine, StudyDirection::Minimize));
        let best = running(3, &[0.0, 0.3]);
        assert!(!Asha::default().should_prune(&[others[0].clone(), best.clone()], &best, StudyDirection::Minimize));
    }
}
