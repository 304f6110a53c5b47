//! The learning rate as a pure function of the step.
//!
//! There is no state: a run that resumes at step 1,000 calls `lr(1000)` and gets the value that an uninterrupted run
//! uses. Steps are optimizer updates, counted from 0. The values are those of Hugging Face transformers'
//! `get_*_schedule` functions (a test compares them).
//!
//! With peak rate `p`, warm-up of `w` steps, `n` steps in all and `t = (step - w) / (n - w)`:
//!
//! | decay | rate before step `w` | from then on |
//! | --- | --- | --- |
//! | constant | `p * step / w` | `p` |
//! | linear | the same | `p * (1 - t)`, never below 0 |
//! | cosine | the same | `p * (1 + cos(pi * t)) / 2` |
//! | polynomial | the same | `(p - end) * (1 - t)^power + end`, then `end` |
//! | inverse-sqrt | the same | `p * sqrt(s / (s + step - w))` with `s = w`, or 10,000 where `w` is 0 |
//!
//! ```
//! use train::schedule::{Schedule, ScheduleKind};
//!
//! let schedule = Schedule { kind: ScheduleKind::Linear, peak: 2e-5, power: 1.0, warmup_steps: 10, total_steps: 100 };
//! assert_eq!(schedule.lr(0), 0.0);
//! assert_eq!(schedule.lr(10), 2e-5);
//! assert_eq!(schedule.lr(55), 1e-5);
//! assert_eq!(schedule.lr(100), 0.0);
//! ```

use std::f64::consts::PI;

use clap::ValueEnum;

/// Where the polynomial decay ends (`lr_end` of transformers), as a rate, not as a share of the peak.
pub const POLYNOMIAL_END: f64 = 1e-7;

/// The time scale of the inverse square root without warm-up.
const DEFAULT_TIMESCALE: u64 = 10_000;

/// The shape of the learning rate after warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ScheduleKind {
    /// Falls in a straight line to zero.
    #[default]
    Linear,
    /// Falls to zero along half a cosine.
    Cosine,
    /// Falls to zero as a power of what is left.
    Polynomial,
    /// Stays.
    Constant,
    /// Falls with the square root of the step.
    #[value(aliases = ["inverse_sqrt", "inversesqrt"])]
    InverseSqrt,
}

/// A learning rate for every step of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// The shape of the decay after the warm-up.
    pub kind: ScheduleKind,
    /// The highest rate. For the polynomial decay it should lie above [`POLYNOMIAL_END`]; otherwise the rate climbs.
    pub peak: f64,
    /// The exponent of the polynomial decay; 1 is a straight line. The other kinds ignore it.
    pub power: f64,
    /// Steps of linear warm-up.
    pub warmup_steps: u64,
    /// Steps of the whole run, warm-up included.
    pub total_steps: u64,
}

impl Schedule {
    /// The learning rate of update number `step`, counted from 0. `step` may be past the end.
    pub fn lr(&self, step: u64) -> f64 {
        if step < self.warmup_steps {
            return self.peak * (step as f64 / self.warmup_steps as f64);
        }
        match self.kind {
            ScheduleKind::Constant => self.peak,
            ScheduleKind::Linear => self.peak * (self.total_steps.saturating_sub(step) as f64 / self.decay_steps()),
            ScheduleKind::Cosine => self.peak * (0.5 * (1.0 + (PI * self.progress(step)).cos())).max(0.0),
            ScheduleKind::Polynomial => {
                let remaining = (1.0 - self.progress(step)).max(0.0);
                (self.peak - POLYNOMIAL_END) * remaining.powf(self.power) + POLYNOMIAL_END
            }
            ScheduleKind::InverseSqrt => {
                let timescale = if self.warmup_steps == 0 { DEFAULT_TIMESCALE } else { self.warmup_steps };
                let shifted = step - self.warmup_steps + timescale;
                self.peak / (shifted as f64 / timescale as f64).sqrt()
            }
        }
    }

    /// The completed share of the decay at `step`, from 0; above 1 past the last step.
    fn progress(&self, step: u64) -> f64 {
        (step - self.warmup_steps) as f64 / self.decay_steps()
    }

    /// Steps after the warm-up, at least 1.
    fn decay_steps(&self) -> f64 {
        self.total_steps.saturating_sub(self.warmup_steps).max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::options::ScheduleOptions;

    fn fixture() -> Value {
        test_support::fixture("schedules/schedules.json")
    }

    /// Reference: tests/fixtures/schedules/make_schedules.py.
    #[test]
    fn rates_equal_those_of_transformers() {
        let fixture = fixture();
        let cases = fixture["cases"].as_array().expect("cases");
        assert_eq!(cases.len(), 12);
        for case in cases {
            let schedule = Schedule {
                kind: ScheduleKind::from_str(case["shape"].as_str().expect("a shape"), true).expect("a kind"),
                peak: case["peak"].as_f64().expect("a peak"),
                power: case["power"].as_f64().unwrap_or(1.0),
                warmup_steps: case["warmup_steps"].as_u64().expect("steps"),
                total_steps: case["total_steps"].as_u64().expect("steps"),
            };
            let expected = case["learning_rates"].as_array().expect("rates");
            assert_eq!(expected.len(), 44);
            for (step, rate) in expected.iter().enumerate() {
                let (ours, theirs) = (schedule.lr(step as u64), rate.as_f64().expect("a rate"));
                let difference = (ours - theirs).abs() / schedule.peak;
                assert!(difference <= 1e-12, "{schedule:?} at step {step}: {ours} against {theirs}");
            }
        }
    }

    #[test]
    fn warmup_ratio_rounds_up_as_transformers_does() {
        for case in fixture()["ratios"].as_array().expect("ratios") {
            let total_steps = case["total_steps"].as_u64().expect("steps");
            let warmup_ratio = case["ratio"].as_f64().expect("a ratio");
            let options = ScheduleOptions { warmup_ratio, ..ScheduleOptions::default() };
            assert_eq!(Some(options.schedule(1.0, total_steps).warmup_steps), case["warmup_steps"].as_u64());
        }
    }

    #[test]
    fn warm_up_as_long_as_the_run_does_not_divide_by_zero() {
        for kind in [ScheduleKind::Linear, ScheduleKind::Cosine, ScheduleKind::Polynomial] {
            let schedule = Schedule { kind, peak: 1e-3, power: 2.0, warmup_steps: 10, total_steps: 10 };
            assert!((schedule.lr(9) - 9e-4).abs() < 1e-15, "{kind:?}");
            for step in 10..14 {
                assert!((0.0..=1e-3).contains(&schedule.lr(step)), "{kind:?} at step {step}");
            }
        }
    }
}
