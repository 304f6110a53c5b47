//! Scaling: the cost of an example must not grow with their number, and memory must not grow with the data.
//!
//! The examples are synthetic sentences, always the same ones, which are removed afterwards. There is no peer.

use anyhow::{Context, Result};
use serde::Serialize;

use crate::context::{BenchContext, remove};
use crate::table::{grid, number};
use crate::timing::timing;

const STEPS: usize = 30;
const EXCLUDED: usize = 5;

/// The measurements with this number of examples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct ScalingPoint {
    examples: usize,
    prepare_seconds: f64,
    prepare_peak_mib: Option<f64>,
    first_step_seconds: Option<f64>,
    median_step_ms: f64,
    train_peak_mib: Option<f64>,
}

pub(crate) fn measure(context: &mut BenchContext) -> Result<()> {
    let largest = if context.options.quick { 100_000 } else { 1_000_000 };
    let sizes = [1_000, 10_000, 100_000, 1_000_000].into_iter().filter(|size| *size <= largest);
    let mut points = Vec::new();
    for examples in sizes {
        let point = point(context, examples).with_context(|| format!("{examples} examples"));
        points.extend(context.results.record(true, point));
    }
    context.results.more.push(render(&points));
    context.results.details.insert("scaling".to_owned(), serde_json::to_value(points)?);
    Ok(())
}

fn point(context: &mut BenchContext, examples: usize) -> Result<ScalingPoint> {
    let (table, data) = (context.folder.join("scaling.csv"), context.folder.join("prepared/scaling"));
    remove(&data)?;
    context.corpus.write_synthetic(&table, examples)?;
    let mut prepare = context.verdict(&["prepare", "--model", "packaged", "--allow-leakage"]);
    prepare.arg("--dataset").arg(&table).arg("--output").arg(&data);
    prepare.arg("--validation-file").arg(context.corpus.folder.join("validation.csv"));
    let prepared = context.measure(&format!("scaling, {examples} examples, prepare"), prepare, None)?;

    let run = context.run_folder("scaling")?;
    let train = context.train(&data, &run, STEPS);
    let trained = context.measure(&format!("scaling, {examples} examples, train"), train, Some(&run))?;
    let median_step_ms = timing(&run, EXCLUDED)?.median_step_ms;
    remove(&run)?;
    remove(&data)?;
    std::fs::remove_file(&table).with_context(|| format!("failed to remove {}", table.display()))?;
    Ok(ScalingPoint {
        examples,
        prepare_seconds: prepared.seconds,
        prepare_peak_mib: prepared.peak_mib,
        first_step_seconds: trained.first_step,
        median_step_ms,
        train_peak_mib: trained.peak_mib,
    })
}

fn render(points: &[ScalingPoint]) -> String {
    let header = ["scaling", "prepare, s", "us/example", "peak, MiB", "to first step, s", "step, ms", "peak, MiB"];
    let mut lines = vec![header.map(str::to_owned).to_vec()];
    let shown = |value: Option<f64>| value.map_or("-".to_owned(), number);
    lines.extend(points.iter().map(|point| {
        vec![
            format!("  {} examples", number(point.examples as f64)),
            number(point.prepare_seconds),
            number(point.prepare_seconds / point.examples as f64 * 1e6),
            shown(point.prepare_peak_mib),
            shown(point.first_step_seconds),
            number(point.median_step_ms),
            shown(point.train_peak_mib),
        ]
    }));
    grid(&lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_is_a_table() {
        let point = ScalingPoint {
            examples: 1_000,
            prepare_seconds: 0.5,
            prepare_peak_mib: Some(80.25),
            first_step_seconds: Some(1.25),
            median_step_ms: 110.0,
            train_peak_mib: None,
        };
        let text = render(&[point, ScalingPoint { examples: 1_000_000, prepare_seconds: 61.0, ..point }]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "scaling               prepare, s  us/example  peak, MiB  to first step, s  step, ms  peak, MiB",
                "  1,000 examples      0.500       500         80.2       1.25              110       -",
                "  1,000,000 examples  61.0        61.0        80.2       1.25              110       -",
            ]
        );
        assert!(serde_json::to_value(point).unwrap()["train_peak_mib"].is_null());
    }
}
