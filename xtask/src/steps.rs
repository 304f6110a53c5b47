//! The steps of `test` and `torture`: each a command that passes, fails or is skipped, and a table of them at the end.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CheckOutcome {
    Passed,
    Failed,
    Skipped,
}

impl CheckOutcome {
    pub(crate) fn passed_if(passed: bool) -> CheckOutcome {
        if passed { CheckOutcome::Passed } else { CheckOutcome::Failed }
    }
}

/// The steps so far, with their times.
#[derive(Debug, Default)]
pub(crate) struct CheckSummary(Vec<(&'static str, CheckOutcome, Duration)>);

impl CheckSummary {
    /// Runs a step, and returns how it ended.
    pub(crate) fn step(
        &mut self,
        name: &'static str,
        step: impl FnOnce() -> Result<CheckOutcome>,
    ) -> Result<CheckOutcome> {
        let start = Instant::now();
        let result = step()?;
        self.0.push((name, result, start.elapsed()));
        Ok(result)
    }

    /// Prints the table; fails where a step failed.
    pub(crate) fn finish(&self) -> ExitCode {
        eprint!("\n{}", self.table());
        let failed = self.0.iter().any(|(_, result, _)| *result == CheckOutcome::Failed);
        if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }

    fn table(&self) -> String {
        let line = |(name, result, time): &(&str, CheckOutcome, Duration)| {
            let word = match result {
                CheckOutcome::Passed => "ok",
                CheckOutcome::Failed => "FAILED",
                CheckOutcome::Skipped => "SKIPPED",
            };
            format!("{name:<14} {word:<8} {:>7.1} s\n", time.as_secs_f64())
        };
        self.0.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_says_how_each_step_ended() {
        let second = Duration::from_millis(1250);
        let mut summary = CheckSummary(vec![("format", CheckOutcome::Passed, second)]);
        assert_eq!(summary.finish(), ExitCode::SUCCESS);
        summary.0.push(("lints", CheckOutcome::Failed, second));
        assert_eq!(summary.table(), "format         ok           1.2 s\nlints          FAILED       1.2 s\n");
        assert_eq!(summary.finish(), ExitCode::FAILURE);
    }
}
