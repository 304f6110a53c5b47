//! Where data and weights came from.

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
    Ok(Section::new("Where data and weights came from", html::pairs(&pairs)))
}
