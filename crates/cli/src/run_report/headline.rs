//! The four scores that matter most, in large print and without a heading.

use anyhow::Result;
use report::{HeadlineNumber, Section, html};

use super::ReportInput;

pub(super) fn section(input: &ReportInput) -> Result<Section> {
    let scores = input.evaluation.scores();
    let numbers = scores.iter().take(4).map(|(name, value)| HeadlineNumber {
        name: name.clone(),
        value: format!("{:.2} %", 100.0 * value),
        detail: if name == "accuracy" { format!("{} examples", input.examples.len()) } else { "weighted".to_owned() },
    });
    Ok(Section::new("", html::headline(&numbers.collect::<Vec<_>>())))
}
