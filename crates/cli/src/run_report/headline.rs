//! The four scores that matter most, in large print and without a heading: with their intervals where they are known.

use anyhow::Result;
use report::{HeadlineNumber, Section, html};

use super::ReportInput;
use super::wording::{percent, percent_range, range, rows, score_name};

const JUDGED: [&str; 4] = ["accuracy", "f1", "macro_f1", "matthews"];

pub(super) fn section(input: &ReportInput) -> Result<Section> {
    let report = &input.result.report;
    let numbers: Vec<HeadlineNumber> = match input.judgement() {
        Some(judgement) => {
            let known = JUDGED.iter().filter_map(|name| Some((*name, judgement.scores.get(*name)?)));
            let number = |(name, score): (&str, &judge::Estimate)| {
                let (value, interval) = match name {
                    "matthews" => (format!("{:.3}", score.value), range(score.low, score.high, 3)),
                    _ => (percent(score.value), format!("{} %", percent_range(score))),
                };
                let of = if name == "accuracy" { format!(", {}", rows(report.examples)) } else { String::new() };
                HeadlineNumber { name: score_name(name).to_owned(), value, detail: interval + &of }
            };
            known.map(number).collect()
        }
        None => {
            let number = |(name, value): (&str, f64)| HeadlineNumber {
                name: name.to_owned(),
                value: format!("{:.2} %", 100.0 * value),
                detail: match name {
                    "accuracy" => format!("{} examples", report.examples),
                    _ => "weighted".to_owned(),
                },
            };
            report.headline().into_iter().take(4).map(number).collect()
        }
    };
    Ok(Section::new("", html::headline(&numbers)))
}
