//! Whether the probabilities mean what they say, also written as `reliability-SPLIT.svg` and `.png`.

use anyhow::Result;
use judge::{Calibration, ReliabilityBin};
use report::{ConfidenceBin, ReliabilityLine, ReliabilityPlot, Section, html};

use super::ReportInput;
use super::wording::{count, number_with_range, percent, percent_with_range, plotted, shell_word};

pub(super) fn section(input: &ReportInput) -> Result<Section> {
    let Some(calibration) =
        input.judgement().map(|judgement| &judgement.calibration).filter(|calibration| !calibration.bins.is_empty())
    else {
        return Ok(Section::default());
    };
    let title = format!("{} on {}: reliability", input.about.dataset, input.result.split);
    let bins = confidence_bins(calibration);
    let picture = ReliabilityPlot { title: &title, models: &[ReliabilityLine { name: "", bins: &bins }] }.draw()?;
    let measures = [
        ("Expected calibration error (ECE)", percent_with_range(&calibration.ece)),
        ("Log loss, in nats", number_with_range(&calibration.log_loss)),
        ("Brier score, 0 to 2", number_with_range(&calibration.brier)),
    ]
    .map(|(name, value)| (name.to_owned(), vec![value]));
    let row = |bin: &ReliabilityBin| {
        let name = format!("over {} to {}", percent(bin.low), percent(bin.high));
        (name, vec![count(bin.rows), percent(bin.confidence), percent_with_range(&bin.accuracy)])
    };
    let table: Vec<_> = calibration.bins.iter().map(row).collect();
    let caption = format!(
        "Predictions by the probability of their label. On the dashed line, of those with 80 % exactly 80 % are right; below \
         it the model is too sure. The bars count the predictions. `verdict calibrate --run {}` fits the probabilities on the \
         validation split, and changes no label.",
        shell_word(&input.result.run)
    );
    let content = html::figure(&picture)
        + html::table(&["Measure", "Value and 95 % interval"], &measures)
        + html::subheading("By confidence")
        + html::table(&["Confidence", "Predictions", "Mean confidence", "Right"], &table)
        + html::caption(&caption);
    Ok(Section::new("Calibration", content).with_picture(format!("reliability-{}", input.result.split), picture))
}

pub(crate) fn confidence_bins(calibration: &Calibration) -> Vec<ConfidenceBin> {
    let bin = |bin: &ReliabilityBin| ConfidenceBin {
        low: bin.low,
        high: bin.high,
        rows: bin.rows,
        confidence: bin.confidence,
        accuracy: plotted(&bin.accuracy),
    };
    calibration.bins.iter().map(bin).collect()
}
