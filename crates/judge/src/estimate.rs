//! A figure with its interval.

use std::fmt;

use metrics::{BootstrapInterval, BootstrapMethod, wilson};
use serde::{Deserialize, Serialize};

/// How an interval was computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IntervalMethod {
    /// Wilson's score interval of a share, or what follows from it for a score.
    Wilson,
    /// Bias-corrected and accelerated bootstrap.
    Bca,
    /// Quantiles of a bootstrap, where the corrections of BCa are not defined.
    Percentile,
    /// Quantiles of a bootstrap mirrored at the figure, for one that chance only raises.
    Basic,
}

/// A figure with its 95 % interval.
///
/// `Display` is in percent, `87.92 % (86.4 to 89.2)`, and with `{:#}` the plain number, `0.758 (0.732 to 0.783)`, for figures that
/// are no shares.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The figure itself, measured on all rows.
    pub value: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end of the interval.
    pub high: f64,
    /// How the interval was computed.
    pub method: IntervalMethod,
}

impl Estimate {
    /// The share of `successes` in `trials` independent rows. Without trials it is 0, and may be anything.
    pub fn share(successes: u64, trials: u64) -> Self {
        let (low, high) = wilson(successes, trials);
        let value = if trials == 0 { 0.0 } else { successes as f64 / trials as f64 };
        Self { value, low, high, method: IntervalMethod::Wilson }
    }

    /// How the interval's ends are written, without the value: `86.4 to 89.2`.
    pub fn ends_in_percent(&self) -> String {
        format!("{} to {}", percent(self.low, 1), percent(self.high, 1))
    }
}

impl From<BootstrapInterval> for Estimate {
    fn from(found: BootstrapInterval) -> Self {
        let BootstrapInterval { value, low, high, method } = found;
        let method = match method {
            BootstrapMethod::Bca => IntervalMethod::Bca,
            BootstrapMethod::Percentile => IntervalMethod::Percentile,
        };
        Self { value, low, high, method }
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { value, low, high, .. } = *self;
        if f.alternate() {
            return write!(f, "{value:.3} ({low:.3} to {high:.3})");
        }
        write!(f, "{} % ({})", percent(value, 2), self.ends_in_percent())
    }
}

/// A share in percent, without a sign if it is written as 0.
pub(crate) fn percent(share: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", 100.0 * share);
    let unsigned = text.trim_start_matches('-');
    if unsigned.chars().all(|c| c == '0' || c == '.') { unsigned.to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_with_their_ends() {
        let accuracy = Estimate { value: 0.879_185, low: 0.8644, high: 0.8923, method: IntervalMethod::Bca };
        assert_eq!(accuracy.to_string(), "87.92 % (86.4 to 89.2)");
        let matthews = Estimate { value: 0.758_37, low: -0.0321, high: 0.7831, method: IntervalMethod::Bca };
        assert_eq!(format!("{matthews:#}"), "0.758 (-0.032 to 0.783)");
        assert_eq!(Estimate { value: -1e-9, ..accuracy }.to_string(), "0.00 % (86.4 to 89.2)");
    }

    #[test]
    fn a_share_is_never_more_certain_than_its_rows() {
        let all = Estimate::share(20, 20);
        assert_eq!(all.to_string(), "100.00 % (83.9 to 100.0)");
        assert_eq!(Estimate::share(0, 0).to_string(), "0.00 % (0.0 to 100.0)");
        assert_eq!(all.method, IntervalMethod::Wilson);
    }

    #[test]
    fn methods_are_named_as_in_json() -> Result<(), serde_json::Error> {
        let found = BootstrapInterval { value: 0.5, low: 0.4, high: 0.6, method: BootstrapMethod::Percentile };
        let json = serde_json::to_string(&Estimate::from(found))?;
        assert_eq!(json, r#"{"value":0.5,"low":0.4,"high":0.6,"method":"percentile"}"#);
        Ok(())
    }
}
