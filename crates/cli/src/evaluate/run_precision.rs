//! In which number format a run is scored: in that of its training, because that is the model that was chosen by its scores.

use std::path::Path;

use ::predict::Predictor;
use anyhow::Result;
use model::{InferencePrecision, InferencePrecisionChoice, Precision, PrecisionChoice};
use run::{RUN_TOML, RunMetrics, last_start};
use tch::Device;
use train::TrainConfig;

/// The precision, and how it is known, in words.
///
/// # Errors
/// A `run.toml` or `config.json` that can't be read.
pub(crate) fn run_precision(
    run: &Path,
    asked: Option<InferencePrecisionChoice>,
    device: Device,
) -> Result<(InferencePrecision, &'static str)> {
    let on = |choice: PrecisionChoice| Ok::<_, anyhow::Error>(choice.on(device, &Predictor::config(run)?).into());
    if let Some(choice) = asked {
        return Ok((choice.on(device, &Predictor::config(run)?), ", by --precision"));
    }
    let config = run.join(RUN_TOML);
    if !config.is_file() {
        return Ok((on(PrecisionChoice::Auto)?, ""));
    }
    match TrainConfig::load(&config)?.precision {
        PrecisionChoice::Auto => {}
        given => return Ok((on(given)?, ", as in training")),
    }
    // What `auto` was on the machine of the training; a run that was stopped has it in its log only.
    let of_metrics = RunMetrics::read(run).ok().map(|metrics| metrics.precision);
    let recorded = of_metrics.or_else(|| Some(last_start(run)?.precision));
    Ok(match recorded.as_deref().and_then(Precision::from_name) {
        Some(precision) => (precision.into(), ", as in training"),
        None => (on(PrecisionChoice::Auto)?, ""),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use run::{CONFIG, Event, LogWriter, METRICS, StartRecord, samples};

    use super::*;

    /// Too small to be measured: `auto` is fp32.
    const TINY: &str = r#"{"model_type": "bert", "vocab_size": 10, "hidden_size": 8, "num_hidden_layers": 1,
        "num_attention_heads": 2, "intermediate_size": 16, "max_position_embeddings": 16}"#;

    #[test]
    fn a_run_is_scored_as_it_was_trained_unless_told_otherwise() {
        let run = tempfile::tempdir().unwrap();
        let precision = |asked| run_precision(run.path(), asked, Device::Cpu).unwrap();
        let nothing = run_precision(run.path(), None, Device::Cpu).unwrap_err().to_string();
        assert!(nothing.contains("holds no model"), "{nothing}");
        fs::write(run.path().join(CONFIG), TINY).unwrap();
        assert_eq!(precision(None), (Precision::Fp32.into(), ""));
        fs::write(run.path().join(RUN_TOML), "precision = \"auto\"\n").unwrap();
        assert_eq!(precision(None), (Precision::Fp32.into(), ""));

        let start = StartRecord { precision: "bf16".to_owned(), ..samples::start() };
        LogWriter::open(run.path()).unwrap().write(&Event::Start(start));
        assert_eq!(precision(None), (Precision::Bf16.into(), ", as in training"), "a run that was stopped");

        let metrics = |precision: &str| {
            let text = format!(
                r#"{{"reason": "finished", "steps": 1, "epochs": 1.0, "seconds": 1.0, "examples_per_second": 1.0,
                "peak_memory_bytes": null, "device": "cpu", "precision": "{precision}", "threads": 1, "micro_batch_size": 1,
                "dataset": "d", "source": "s", "model": "m", "notes": [], "best": null, "validation": null}}"#
            );
            fs::write(run.path().join(METRICS), text).unwrap();
        };
        for (recorded, expected) in [("fp32", Precision::Fp32), ("bf16", Precision::Bf16)] {
            metrics(recorded);
            assert_eq!(precision(None), (expected.into(), ", as in training"));
        }
        fs::write(run.path().join(RUN_TOML), "precision = \"fp32\"\n").unwrap();
        assert_eq!(precision(None), (Precision::Fp32.into(), ", as in training"));
        assert_eq!(
            precision(Some(InferencePrecisionChoice::Float(PrecisionChoice::Bf16))),
            (Precision::Bf16.into(), ", by --precision")
        );
        assert_eq!(precision(Some(InferencePrecisionChoice::Int8)), (InferencePrecision::Int8, ", by --precision"));
    }
}
