//! The confusion matrix, which is also written as `confusion-SPLIT.svg` and `.png`.

use anyhow::Result;
use report::{ConfusionPlot, Section, html};

use super::ReportInput;

pub(super) fn section(input: &ReportInput) -> Result<Section> {
    let result = input.result;
    let title = format!("{} on {}", input.about.dataset, result.split);
    let picture =
        ConfusionPlot { labels: &result.label_names, counts: &result.confusion_matrix, title: &title }.draw()?;
    let section = Section::new("Confusion matrix", html::figure(&picture));
    Ok(section.with_picture(format!("confusion-{}", result.split), picture))
}
