//! The confusion matrix, which is also written as `confusion-SPLIT.svg` and `.png`.

use anyhow::Result;
use report::{ConfusionPlot, Section, html};

use super::ReportInput;

pub(super) fn section(input: &ReportInput) -> Result<Section> {
    let counts = input.evaluation.confusion.counts();
    let title = format!("{} on {}", input.about.dataset, input.split);
    let picture = ConfusionPlot { labels: input.labels, counts: &counts, title: &title }.draw()?;
    let section = Section::new("Confusion matrix", html::figure(&picture));
    Ok(section.with_picture(format!("confusion-{}", input.split), picture))
}
