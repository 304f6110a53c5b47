//! Sources of the data and weights.

use anyhow::Result;
use report::{Section, html};

use super::ReportInput;

pub(super) fn section(input: &ReportInput) -> Result<Section> {
    let about = input.about;
    let pairs = [
        ("data set", Some(about.variant.clone())),
        ("source", Some(about.source.clone())),
        ("licence", about.license.clone()),
        ("model", Some(about.model.clone())),
        ("model's origin", about.model_origin.clone()),
        ("longest text", about.max_length.map(|most| format!("{most} tokens"))),
    ];
    let known: Vec<_> = pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    Ok(Section::new("Sources of the data and weights", html::pairs(&known)))
}
