//! How much better a study's winner is on validation, which selected it, than on test.
//!
//! The best of many trials is partly the luckiest: its validation score is too high by an amount that grows with the number of
//! trials and shrinks with the number of rows. The test split, which selected nothing, shows by how much.

use std::fmt;

use metrics::{Direction, Metric};

/// The winner's value on both splits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Optimism {
    pub metric: Metric,
    pub validation: f64,
    pub test: f64,
}

impl Optimism {
    /// By how much validation is better than test: in points (hundredths) for shares, otherwise in the metric's own unit.
    pub(super) fn amount(self) -> f64 {
        let better = match self.metric.direction() {
            Direction::Higher => self.validation - self.test,
            Direction::Lower => self.test - self.validation,
        };
        if self.is_share() { 100.0 * better } else { better }
    }

    /// `2.5 points of optimism`.
    pub(super) fn verdict(self) -> String {
        let amount = self.amount();
        let (size, unit) = match self.is_share() {
            true => (format!("{:.1}", amount.abs()), " points"),
            false => (format!("{:.4}", amount.abs()), ""),
        };
        // By what is shown, so that no sign stands before a zero.
        let is_zero = size.bytes().all(|digit| matches!(digit, b'0' | b'.'));
        match amount {
            _ if is_zero => "no optimism".to_owned(),
            amount if amount > 0.0 => format!("{size}{unit} of optimism"),
            _ => format!("no optimism, as test is better by {size}{unit}"),
        }
    }

    fn is_share(self) -> bool {
        !matches!(self.metric, Metric::Loss | Metric::Matthews)
    }
}

/// `validation 0.912, test 0.887: 2.5 points of optimism`
impl fmt::Display for Optimism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "validation {:.4}, test {:.4}: {}", self.validation, self.test, self.verdict())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn optimism_is_what_validation_is_better_by() {
        let said =
            |metric: &str, validation, test| Optimism { metric: metric.parse().unwrap(), validation, test }.to_string();
        assert_eq!(said("accuracy", 0.912, 0.887), "validation 0.9120, test 0.8870: 2.5 points of optimism");
        assert_eq!(said("macro-f1", 0.8, 0.8), "validation 0.8000, test 0.8000: no optimism");
        assert_eq!(said("accuracy", 0.8, 0.80001), "validation 0.8000, test 0.8000: no optimism");
        let better = "validation 0.8000, test 0.8250: no optimism, as test is better by 2.5 points";
        assert_eq!(said("accuracy", 0.8, 0.825), better);
        assert_eq!(said("loss", 0.25, 0.3), "validation 0.2500, test 0.3000: 0.0500 of optimism");
        assert_eq!(said("loss", 0.3, 0.25), "validation 0.3000, test 0.2500: no optimism, as test is better by 0.0500");
        assert_eq!(said("matthews", 0.7, 0.6), "validation 0.7000, test 0.6000: 0.1000 of optimism");
    }
}
