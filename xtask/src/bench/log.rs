//! The log of a training, a JSON line a step: ours writes one into its run folder, and so does the peer's script.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::statistics::median;

/// One step.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Step {
    examples: f64,
    tokens: f64,
    /// When it ended, on a clock of its own.
    end: f64,
}

/// How quick a training was after its first steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Timing {
    /// Sentences a second.
    pub samples_per_second: f64,
    /// Tokens a second, padding not counted.
    pub tokens_per_second: f64,
    /// Mean tokens a step.
    pub tokens_per_step: f64,
    /// Mean seconds a step.
    pub seconds_per_step: f64,
    /// Median milliseconds a step.
    pub median_step_ms: f64,
}

/// Whether a log holds a whole step yet.
pub fn has_a_step(log: &Path) -> bool {
    std::fs::read_to_string(log).is_ok_and(|text| text.split_inclusive('\n').any(|line| parse(line).is_some()))
}

/// The timing of the steps after the first `excluded` ones, from the end of the last excluded one to the end of the last:
/// whatever happens between two steps counts.
///
/// # Errors
/// A log that can't be read, or too few steps in it.
pub fn timing(log: &Path, excluded: usize) -> Result<Timing> {
    let text = std::fs::read_to_string(log).with_context(|| format!("could not read {}", log.display()))?;
    let steps: Vec<Step> = text.split_inclusive('\n').filter_map(parse).collect();
    let excluded = excluded.max(1);
    if steps.len() <= excluded {
        bail!("{}: {} steps, and {excluded} of them are left out of the timing", log.display(), steps.len());
    }
    let timed = &steps[excluded..];
    let seconds = timed[timed.len() - 1].end - steps[excluded - 1].end;
    let sum = |value: fn(&Step) -> f64| timed.iter().map(value).sum::<f64>();
    let each: Vec<f64> = steps[excluded - 1..].windows(2).map(|pair| pair[1].end - pair[0].end).collect();
    let count = timed.len() as f64;
    Ok(Timing {
        samples_per_second: sum(|step| step.examples) / seconds,
        tokens_per_second: sum(|step| step.tokens) / seconds,
        tokens_per_step: sum(|step| step.tokens) / count,
        seconds_per_step: seconds / count,
        median_step_ms: median(&each).unwrap_or(f64::NAN) * 1000.0,
    })
}

/// A step's line; `None` of other events and of a line that isn't written to its end yet.
fn parse(line: &str) -> Option<Step> {
    let value: Value = serde_json::from_str(line.strip_suffix('\n')?).ok()?;
    let number = |key: &str| value[key].as_f64();
    (value["event"] == "step").then_some(())?;
    Some(Step { examples: number("examples")?, tokens: number("tokens")?, end: number("seconds")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
{\"event\":\"start\",\"seconds\":0}
{\"event\":\"step\",\"step\":1,\"examples\":16,\"tokens\":900,\"seconds\":5.0}
{\"event\":\"step\",\"step\":2,\"examples\":16,\"tokens\":400,\"seconds\":6.0}
{\"event\":\"step\",\"step\":3,\"examples\":16,\"tokens\":300,\"seconds\":6.5}
{\"event\":\"step\",\"step\":4,\"examples\":8,\"tokens\":200,\"seconds\":7.0}
{\"event\":\"evaluation\",\"seconds\":3.0}
{\"event\":\"end\",\"seconds\":12.0}
";

    fn file(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn only_steps_after_the_excluded_ones_count() {
        let (_folder, path) = file(LOG);
        let expected = Timing {
            samples_per_second: 20.0,
            tokens_per_second: 450.0,
            tokens_per_step: 300.0,
            seconds_per_step: 2.0 / 3.0,
            median_step_ms: 500.0,
        };
        assert_eq!(timing(&path, 1).unwrap(), expected);
        assert_eq!(timing(&path, 0).unwrap(), expected, "nobody knows when the first step began");
        assert_eq!(timing(&path, 2).unwrap().samples_per_second, 24.0);
        let error = timing(&path, 4).unwrap_err().to_string();
        assert!(error.contains("4 steps, and 4 of them are left out"), "{error}");
    }

    #[test]
    fn a_step_counts_once_its_line_is_whole() {
        let first = LOG.find("{\"event\":\"step\"").unwrap();
        let end = first + LOG[first..].find('\n').unwrap();
        assert!(!has_a_step(&file(&LOG[..first]).1));
        assert!(!has_a_step(&file(&LOG[..end]).1));
        let (_folder, path) = file(&LOG[..=end]);
        assert!(has_a_step(&path));
        assert!(!has_a_step(Path::new("no/such/log")));
    }
}
