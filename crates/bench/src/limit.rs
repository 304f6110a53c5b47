//! The machine's limit for a training step: matrix products at the rate that it reaches, and one pass of the optimizer.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The limit of the machine, measured between the trainings by limits.py.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Limit {
    /// By number format, with whichever library multiplies fastest.
    gflops: BTreeMap<String, f64>,
    linear_flops_per_token: f64,
    optimizer_seconds: f64,
}

impl Limit {
    /// The format with the highest rate.
    pub(crate) fn fastest_format(&self) -> Option<&str> {
        self.gflops.iter().max_by(|one, other| one.1.total_cmp(other.1)).map(|(format, _)| format.as_str())
    }

    /// The shortest possible time of a step over this many tokens in this format, in seconds.
    pub(crate) fn seconds(&self, format: &str, tokens: f64) -> Option<f64> {
        let gflops = self.gflops.get(format)?;
        Some(self.linear_flops_per_token * tokens / (gflops * 1e9) + self.optimizer_seconds)
    }

    /// The rates, the fastest format first: `870 GFLOP/s in bf16, 420 in fp32; AdamW 5.2 ms`.
    pub(crate) fn rates(&self) -> String {
        let mut rates: Vec<_> = self.gflops.iter().collect();
        rates.sort_by(|one, other| other.1.total_cmp(one.1));
        let unit = |at: usize| if at == 0 { " GFLOP/s" } else { "" };
        let rates = rates.iter().enumerate().map(|(at, (format, rate))| format!("{rate:.0}{} in {format}", unit(at)));
        format!("{}; AdamW {:.1} ms", rates.collect::<Vec<_>>().join(", "), self.optimizer_seconds * 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_matrix_products_plus_optimizer() {
        let output = "{\"gflops\": {\"fp32\": 400.0, \"bf16\": 500.0}, \"linear_flops_per_token\": 5e8, \
                      \"optimizer_seconds\": 0.05, \"tokens\": 400}\n";
        let limit: Limit = serde_json::from_str(output).unwrap();
        assert_eq!(limit.fastest_format(), Some("bf16"));
        assert!((limit.seconds("bf16", 400.0).unwrap() - 0.45).abs() < 1e-12);
        assert!((limit.seconds("fp32", 400.0).unwrap() - 0.55).abs() < 1e-12);
        assert_eq!(limit.seconds("int8", 400.0), None);
        assert_eq!(limit.rates(), "500 GFLOP/s in bf16, 400 in fp32; AdamW 50.0 ms");
        assert!(serde_json::from_str::<Limit>("{\"gflops\": {}}").is_err());
    }

    #[test]
    fn the_fastest_format_is_that_of_the_machine_at_hand() {
        let gflops = [("bf16".to_owned(), 115.0), ("fp32".to_owned(), 195.0)].into();
        let limit = Limit { gflops, linear_flops_per_token: 5e8, optimizer_seconds: 0.05 };
        assert_eq!(limit.fastest_format(), Some("fp32"));
    }
}
