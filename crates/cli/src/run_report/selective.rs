//! What is gained by leaving out the least sure predictions, also written as `risk-coverage-SPLIT.svg` and `.png`.

use anyhow::Result;
use judge::{AbstentionThreshold, SelectivePrediction};
use report::{LinePlot, PlotAxis, PlotLine, Section, html};

use super::ReportInput;
use super::wording::percent;

/// The axes of risk over coverage.
pub(crate) const COVERAGE: PlotAxis<'static> =
    PlotAxis { name: "coverage: share of rows that are predicted", range: Some((0.0, 1.0)), percent: true };
pub(crate) const RISK: PlotAxis<'static> =
    PlotAxis { name: "risk: share of wrong predictions among them", range: None, percent: true };

pub(super) fn section(input: &ReportInput) -> Result<Section> {
    let Some(selective) =
        input.judgement().map(|judgement| &judgement.selective).filter(|found| !found.curve.is_empty())
    else {
        return Ok(Section::default());
    };
    let marked: Vec<(f64, f64, String)> = selective
        .thresholds
        .iter()
        .filter(|wanted| wanted.threshold.is_some())
        .map(|wanted| {
            let words = format!("{} % right", 100.0 * wanted.accuracy);
            (wanted.coverage, risk_at(selective, wanted), words)
        })
        .collect();
    let title = format!("{} on {}: abstaining", input.about.dataset, input.result.split);
    let points = risk_over_coverage(selective);
    let line = PlotLine { name: "this model", note: "", points: &points, marked: &marked };
    let picture = LinePlot { title: &title, x: COVERAGE, y: RISK, lines: &[line], diagonal: false }.draw()?;
    let row = |wanted: &AbstentionThreshold| {
        let cells = match wanted.threshold {
            Some(threshold) => vec![format!("{threshold:.4}"), percent(wanted.coverage)],
            None => vec!["no threshold reaches it".to_owned(), "–".to_owned()],
        };
        (percent(wanted.accuracy), cells)
    };
    let table: Vec<_> = selective.thresholds.iter().map(row).collect();
    let caption = format!(
        "A model may leave rows to a person: only predictions whose probability is at least the threshold are taken. Rings mark \
         the thresholds of the table. They were chosen on these rows, so new rows will do a little worse. Area under the curve: \
         {:.4}; lower is better.",
        selective.area
    );
    let content = html::figure(&picture)
        + html::table(&["Wanted accuracy", "Least probability", "Coverage"], &table)
        + html::caption(&caption);
    Ok(Section::new("Abstaining", content).with_picture(format!("risk-coverage-{}", input.result.split), picture))
}

pub(crate) fn risk_over_coverage(selective: &SelectivePrediction) -> Vec<(f64, f64)> {
    selective.curve.iter().map(|point| (point.coverage, point.risk)).collect()
}

/// The risk of the point of the curve that is closest to a threshold's coverage.
fn risk_at(selective: &SelectivePrediction, wanted: &AbstentionThreshold) -> f64 {
    let distance = |point: &&judge::RiskPoint| (point.coverage - wanted.coverage).abs();
    let closest = selective.curve.iter().min_by(|a, b| distance(a).total_cmp(&distance(b)));
    closest.map_or(f64::NAN, |point| point.risk)
}
