//! In which number format a run is scored: in that of its training, because that is the model that was chosen by its scores.

use std::path::Path;

use anyhow::Result;
use model::{InferencePrecision, InferencePrecisionChoice, Precision, PrecisionChoice};
use run::{RUN_TOML, RunMetrics};
use tch::Device;
use train::TrainConfig;

/// The precision, and how it is known, in words.
///
/// # Errors
/// A `run.toml` that can't be read.
pub(super) fn run_precision(
    run: &Path,
    asked: Option<InferencePrecisionChoice>,
    device: Device,
) -> Result<(InferencePrecision, &'static str)> {
    if let Some(choice) = asked {
        return Ok((choice.on(device), ", by --precision"));
    }
    let config = run.join(RUN_TOML);
    if !config.is_file() {
        return Ok((PrecisionChoice::Auto.on(device).into(), ""));
    }
    match TrainConfig::load(&config)?.precision {
        PrecisionChoice::Auto => {}
        given => return Ok((given.on(device).into(), ", as in training")),
    }
    // What `auto` was on the machine of the training; a run that was stopped has no such record.
    let recorded = RunMetrics::read(run).ok().and_then(|metrics| Precision::from_name(&metrics.precision));
    Ok(match recorded {
        Some(precision) => (precision.into(), ", as in training"),
        None => (PrecisionChoice::Auto.on(device).into(), ""),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_scored_as_it_was_trained_unless_told_otherwise() {
        let run = tempfile::tempdir().unwrap();
        let precision = |asked| run_precision(run.path(), asked, Device::Cpu).unwrap();
        assert_eq!(precision(None), (Precision::auto(Device::Cpu).into(), ""));
        let metrics = |precision: &str| {
            let text = format!(
                r#"{{"reason": "finished", "steps": 1, "epochs": 1.0, "seconds": 1.0, "examples_per_second": 1.0,
                "peak_memory_bytes": null, "device": "cpu", "precision": "{precision}", "threads": 1, "micro_batch_size": 1,
                "dataset": "d", "source": "s", "model": "m", "notes": [], "best": null, "validation": null}}"#
            );
            std::fs::write(run.path().join(run::METRICS), text).unwrap();
        };
        std::fs::write(run.path().join(RUN_TOML), "precision = \"auto\"\n").unwrap();
        for (recorded, expected) in [("fp32", Precision::Fp32), ("bf16", Precision::Bf16)] {
            metrics(recorded);
            assert_eq!(precision(None), (expected.into(), ", as in training"));
        }
        std::fs::write(run.path().join(RUN_TOML), "precision = \"fp32\"\n").unwrap();
        assert_eq!(precision(None), (Precision::Fp32.into(), ", as in training"));
        assert_eq!(precision(Some(InferencePrecisionChoice::Bf16)), (Precision::Bf16.into(), ", by --precision"));
        assert_eq!(precision(Some(InferencePrecisionChoice::Int8)), (InferencePrecision::Int8, ", by --precision"));
    }
}
