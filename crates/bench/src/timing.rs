//! The speed of a training from its log, which both sides write in the same form with one record per step.

use std::path::Path;

use anyhow::{Result, bail};
use run::{Event, StepRecord, read_log};

use crate::statistics::median;

/// The speed of a training after its first steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Timing {
    pub samples_per_second: f64,
    /// Without padding.
    pub tokens_per_second: f64,
    pub tokens_per_step: f64,
    pub seconds_per_step: f64,
    pub median_step_ms: f64,
}

/// The timing of the steps after the first `excluded` ones, from the end of the last excluded one to the end of the last:
/// everything between two steps counts.
///
/// # Errors
/// A log that can't be read, or too few steps in it.
pub(crate) fn timing(run: &Path, excluded: usize) -> Result<Timing> {
    let step = |event| if let Event::Step(step) = event { Some(step) } else { None };
    let steps: Vec<StepRecord> = read_log(run)?.into_iter().filter_map(step).collect();
    let excluded = excluded.max(1);
    if steps.len() <= excluded {
        bail!(
            "{}: expected more than the {excluded} steps that are excluded from the timing, found {}",
            run.display(),
            steps.len()
        );
    }
    let timed = &steps[excluded..];
    let seconds = timed[timed.len() - 1].seconds - steps[excluded - 1].seconds;
    let (examples, tokens): (u64, u64) =
        timed.iter().fold((0, 0), |sum, step| (sum.0 + step.examples, sum.1 + step.tokens));
    let each: Vec<f64> = steps[excluded - 1..].windows(2).map(|pair| pair[1].seconds - pair[0].seconds).collect();
    let (examples, tokens, count) = (examples as f64, tokens as f64, timed.len() as f64);
    Ok(Timing {
        samples_per_second: examples / seconds,
        tokens_per_second: tokens / seconds,
        tokens_per_step: tokens / count,
        seconds_per_step: seconds / count,
        median_step_ms: median(&each).unwrap_or(f64::NAN) * 1000.0,
    })
}

#[cfg(test)]
mod tests {
    use run::LogWriter;

    use super::*;

    #[test]
    fn only_steps_after_the_excluded_ones_count() {
        let run = tempfile::tempdir().unwrap();
        let mut log = LogWriter::open(run.path()).unwrap();
        for (step, examples, tokens, seconds) in
            [(1, 16, 900, 5.0), (2, 16, 400, 6.0), (3, 16, 300, 6.5), (4, 8, 200, 7.0)]
        {
            log.write(&Event::Step(StepRecord {
                step,
                total_steps: 4,
                epoch: 1.0,
                loss: 0.5,
                learning_rate: 1e-5,
                gradient_norm: 1.0,
                examples,
                tokens,
                examples_per_second: 1.0,
                tokens_per_second: 1.0,
                seconds,
            }));
        }
        let expected = Timing {
            samples_per_second: 20.0,
            tokens_per_second: 450.0,
            tokens_per_step: 300.0,
            seconds_per_step: 2.0 / 3.0,
            median_step_ms: 500.0,
        };
        assert_eq!(timing(run.path(), 1).unwrap(), expected);
        assert_eq!(timing(run.path(), 0).unwrap(), expected, "the log does not say when the first step started");
        assert_eq!(timing(run.path(), 2).unwrap().samples_per_second, 24.0);
        let error = timing(run.path(), 4).unwrap_err().to_string();
        assert!(error.contains("expected more than the 4 steps that are excluded from the timing, found 4"), "{error}");
    }
}
