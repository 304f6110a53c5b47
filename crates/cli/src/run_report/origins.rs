//! Sources of the data and weights.

use anyhow::Result;
use report::{Section, html};

use super::ReportInput;

pub(super) fn section(input: &ReportInput) -> Result<Section> {
    let (manifest, model) = (input.manifest, &input.trained_on.model);
    let pairs = [
        ("data set", manifest.variant.clone()),
        ("source", manifest.source.clone()),
        ("licence", manifest.license.clone()),
        ("model", model.name.clone()),
        ("model's origin", model.origin.to_string()),
        ("longest text", format!("{} tokens", manifest.max_length)),
    ]
    .map(|(name, value)| (name.to_owned(), value));
    Ok(Section::new("Sources of the data and weights", html::pairs(&pairs)))
}
