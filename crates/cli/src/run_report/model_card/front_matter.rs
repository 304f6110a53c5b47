//! The head of a model card: YAML that the Hub reads. Its `model-index` has a result for each evaluation; intervals stand in a
//! metric's name, which the Hub shows, and in its arguments, which programs read.

use std::fmt::Write as _;

use data::Dataset;
use judge::{Estimate, IntervalMethod};
use run::EvaluationResult;

use super::Facts;
use crate::run_report::kept::is_of;
use crate::run_report::wording::{range, score_name};

/// How manifests begin the source of data from the Hub; its repository follows.
const HUB: &str = "Hugging Face Hub, ";

/// Models that Google published under Apache 2.0, by their names on the Hub, with or without their owner. Others beside them have
/// other licenses.
const GOOGLES_BERTS: [&str; 7] = [
    "bert-base-uncased",
    "bert-base-cased",
    "bert-large-uncased",
    "bert-large-cased",
    "bert-base-multilingual-uncased",
    "bert-base-multilingual-cased",
    "bert-base-chinese",
];

pub(super) fn write(facts: &Facts) -> String {
    let mut yaml = "---\n".to_owned();
    // The data sets that have a name here are all English.
    let is_named =
        matches!(facts.manifest.dataset.parse(), Ok(Dataset::Named(_))) && facts.manifest.license != "your own";
    if is_named {
        yaml += "language: en\n";
    }
    if let Some(license) = facts.base_model.as_deref().and_then(license) {
        let _ = writeln!(yaml, "license: {license}");
    }
    yaml += "library_name: transformers\npipeline_tag: text-classification\n";
    if let Some(base) = &facts.base_model {
        let _ = writeln!(yaml, "base_model: {}", quoted(base));
    }
    if let Some((repository, _)) = repository(&facts.manifest.source) {
        let _ = writeln!(yaml, "datasets:\n- {}", quoted(repository));
    }
    yaml += "metrics:\n- accuracy\n- f1\n- precision\n- recall\n- matthews_correlation\n";
    yaml += "tags:\n- text-classification\n- verdict\n";
    let _ = writeln!(yaml, "model-index:\n- name: {}\n  results:", quoted(&facts.name));
    for evaluation in &facts.evaluations {
        result(&mut yaml, facts, evaluation);
    }
    yaml + "---\n"
}

fn result(yaml: &mut String, facts: &Facts, result: &EvaluationResult) {
    let judgement = result.judgement.as_ref();
    let own = is_of(&facts.manifest, result);
    let hub = repository(&result.source).filter(|_| own);
    let kind = hub.map_or_else(|| run::slug(&result.dataset, "data"), |(repository, _)| repository.to_owned());
    let name = run::slug(&result.dataset, "data");
    let _ = writeln!(
        yaml,
        "  - task:\n      type: text-classification\n      name: Text Classification\n    dataset:\n      type: {}\n      \
         name: {}\n      split: {}",
        quoted(&kind),
        quoted(&name),
        quoted(&result.split)
    );
    if let Some((_, Some(revision))) = hub {
        let _ = writeln!(yaml, "      revision: {}", quoted(revision));
    }
    yaml.push_str("    metrics:\n");
    for (name, value) in result.report.headline() {
        if !value.is_finite() {
            continue;
        }
        let estimate = judgement.as_ref().and_then(|judgement| judgement.scores.get(name));
        metric(yaml, name, estimate.map_or(value, |estimate| estimate.value), estimate);
    }
}

fn metric(yaml: &mut String, name: &str, value: f64, estimate: Option<&Estimate>) {
    let (kind, average) = match name {
        "macro_f1" => ("f1", Some("macro")),
        "matthews" => ("matthews_correlation", None),
        "accuracy" => ("accuracy", None),
        name => (name, Some("weighted")),
    };
    let interval = |estimate: &Estimate| format!(" (95 % interval {})", range(estimate.low, estimate.high, 4));
    let shown = score_name(name).to_owned() + &estimate.map_or_else(String::new, interval);
    let _ = writeln!(yaml, "    - type: {kind}\n      value: {value}\n      name: {}", quoted(&shown));
    if average.is_none() && estimate.is_none() {
        return;
    }
    yaml.push_str("      args:\n");
    if let Some(average) = average {
        let _ = writeln!(yaml, "        average: {average}");
    }
    if let Some(Estimate { low, high, method, .. }) = estimate {
        let method = match method {
            IntervalMethod::Wilson => "wilson",
            IntervalMethod::Bca => "bca",
            IntervalMethod::Percentile => "percentile",
            IntervalMethod::Basic => "basic",
        };
        let _ = writeln!(
            yaml,
            "        confidence_level: 0.95\n        confidence_interval: [{low}, {high}]\n        interval_method: {method}"
        );
    }
}

/// The repository of the Hub that a source names, and its commit.
fn repository(source: &str) -> Option<(&str, Option<&str>)> {
    let rest = source.strip_prefix(HUB)?;
    let name = rest.split(['@', ',', ' ']).next().unwrap_or(rest);
    let commit = rest.strip_suffix(')').and_then(|rest| Some(rest.rsplit_once('(')?.1));
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    (!name.is_empty() && name.chars().all(plain)).then_some((name, commit))
}

/// The license of a pretrained model, where its publisher's is known here.
fn license(base: &str) -> Option<&'static str> {
    let of_google = base.strip_prefix("google-bert/").unwrap_or(base);
    (GOOGLES_BERTS.contains(&of_google) || base == data::PACKAGED_MODEL).then_some("apache-2.0")
}

/// A text as a YAML scalar in double quotes: JSON's, with what YAML readers refuse as escapes.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{FEFF}' | '\u{FFFE}' | '\u{FFFF}') => {
                let _ = write!(quoted, "\\u{:04x}", c as u32);
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_of_hub_data_names_its_repository() {
        assert_eq!(
            repository("Hugging Face Hub, stanfordnlp/sst@refs/convert/parquet (0123abc)"),
            Some(("stanfordnlp/sst", Some("0123abc")))
        );
        assert_eq!(repository("Hugging Face Hub, a/b"), Some(("a/b", None)));
        assert_eq!(repository("nlp.stanford.edu, trainDevTestTrees_PTB.zip"), None);
        let configured = "Hugging Face Hub, org/name@refs/convert/parquet, configuration plain_text (0123abc)";
        assert_eq!(repository(configured), Some(("org/name", Some("0123abc"))));
    }

    #[test]
    fn a_license_is_told_only_where_it_is_known() {
        assert_eq!(license("sentence-transformers/all-MiniLM-L6-v2"), Some("apache-2.0"));
        assert_eq!(license("google-bert/bert-base-uncased"), Some("apache-2.0"));
        assert_eq!(license("bert-base-uncased"), Some("apache-2.0"));
        assert_eq!(license("somebody/bert-base-uncased"), None);
        assert_eq!(license("google-bert/bert-base-german-cased"), None, "which is under the MIT license");
    }

    #[test]
    fn scalars_hold_any_text() {
        assert_eq!(quoted("a: \"b\" \\ # c"), r#""a: \"b\" \\ # c""#);
        assert_eq!(quoted("a\n\u{7f}\u{85}é🙂"), "\"a\\u000a\\u007f\\u0085é🙂\"");
    }
}
