//! The options of the learning-rate schedule.

use std::ops::Bound::{Excluded, Unbounded};

use super::spec::{any_value, float, integer, options, read_by};
use crate::error::{GivenOption, OptionsError};
use crate::schedule::{Schedule, ScheduleKind};

options! {
    /// How the learning rate changes from step to step.
    ScheduleOptions, "Schedule", [] {
        /// Shape of the learning rate after warm-up
        kind as schedule: ScheduleKind = ScheduleKind::Linear, any_value();
        /// Steps over which the learning rate rises from 0
        warmup_steps: u64 = 0, integer(0..), replaces: "warmup_ratio";
        /// The same as a share of all steps
        warmup_ratio: f64 = 0.0, float(0.0..=1.0), hint: "0.1 is usual", replaces: "warmup_steps";
        /// Power of the decay
        polynomial_power: f64 = 1.0, float((Excluded(0.0), Unbounded)),
            hint: "{default} is the default: a straight line", reader: read_by("schedule", &[ScheduleKind::Polynomial]);
    }
}

impl ScheduleOptions {
    /// The schedule of a run of `total_steps` with the peak learning rate `peak`.
    pub fn schedule(&self, peak: f64, total_steps: u64) -> Schedule {
        let warmup_steps = self.warmup_steps(total_steps);
        Schedule { kind: self.kind, peak, power: self.polynomial_power, warmup_steps, total_steps }
    }

    /// The warm-up steps of a run of `total_steps`. `warmup_ratio` is rounded up to whole steps.
    pub fn warmup_steps(&self, total_steps: u64) -> u64 {
        match self.warmup_steps {
            0 => (total_steps as f64 * self.warmup_ratio).ceil() as u64,
            steps => steps,
        }
    }

    /// Checks that only one of `warmup_steps` and `warmup_ratio` is given, and that the warm-up isn't longer than the
    /// run.
    pub(super) fn check(&self, max_steps: Option<u64>) -> Result<(), OptionsError> {
        let steps = GivenOption::flag("warmup_steps", self.warmup_steps);
        if self.warmup_steps > 0 && self.warmup_ratio > 0.0 {
            let both = [steps, GivenOption::flag("warmup_ratio", self.warmup_ratio)];
            return Err(OptionsError::conflict(both, "both say how long the warm-up is", "leave one of them out"));
        }
        match max_steps {
            Some(limit) if self.warmup_steps > limit => {
                let expected = format!("no more than the {limit} steps of --max-steps");
                Err(OptionsError::value(steps, expected, "give fewer, or more steps"))
            }
            _ => Ok(()),
        }
    }

    /// Checks that the warm-up isn't longer than a run of `total_steps`.
    ///
    /// # Errors
    /// A warm-up that is longer than the run.
    pub(crate) fn check_total_steps(&self, total_steps: u64) -> Result<(), OptionsError> {
        if self.warmup_steps <= total_steps {
            return Ok(());
        }
        let setting = GivenOption::flag("warmup_steps", self.warmup_steps);
        let expected = format!("no more than the {total_steps} steps of the run");
        Err(OptionsError::value(setting, expected, "give fewer, more --epochs, or --warmup-ratio 0.1"))
    }
}
