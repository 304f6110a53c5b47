//! The scores of the members of a group on one split: each, their mean and their standard deviation.

use std::fmt;

use metrics::ClassificationReport;
use serde::{Deserialize, Serialize};

use crate::records::NamedScores;

/// The scores of a group's members.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupScores {
    /// What was scored: the name of a split or of a file.
    pub split: String,
    pub members: Vec<MemberScores>,
    /// The mean of each score over the members.
    pub mean: NamedScores,
    /// The sample standard deviation of each score over the members, with n - 1 in the denominator; NaN for one member.
    pub deviation: NamedScores,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemberScores {
    /// `seed-43` or `fold-2`.
    pub name: String,
    pub scores: NamedScores,
}

impl GroupScores {
    /// Mean and deviation of these scores. Only scores that every member has are summarized.
    pub fn new(split: &str, members: Vec<MemberScores>) -> Self {
        let names: Vec<String> =
            members.first().into_iter().flat_map(|member| &member.scores.0).map(|(name, _)| name.clone()).collect();
        let (mut mean, mut deviation) = (Vec::new(), Vec::new());
        for name in names {
            let values: Option<Vec<f64>> = members.iter().map(|member| member.scores.get(&name)).collect();
            let Some(values) = values else { continue };
            let (average, spread) = mean_and_deviation(&values);
            mean.push((name.clone(), average));
            deviation.push((name, spread));
        }
        Self { split: split.to_owned(), members, mean: NamedScores(mean), deviation: NamedScores(deviation) }
    }

    /// The scores of a model that are kept of each member: accuracy, the weighted averages, `macro_f1`, `matthews`, `loss`.
    pub fn of_report(report: &ClassificationReport, loss: f64) -> NamedScores {
        let scores = report.headline().into_iter().chain([("loss", loss)]);
        NamedScores(scores.map(|(name, value)| (name.to_owned(), value)).collect())
    }
}

/// A table: a row a member, then mean and standard deviation.
impl fmt::Display for GroupScores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: [&str; 5] = ["accuracy", "f1", "macro_f1", "matthews", "loss"];
        let names = self.members.iter().map(|member| member.name.as_str()).chain(["deviation", &self.split]);
        let width = names.map(|name| name.chars().count()).max().unwrap_or(0);
        write!(f, "{:width$}", self.split)?;
        SHOWN.iter().try_for_each(|name| write!(f, "  {name:>9}"))?;
        let named = self.members.iter().map(|member| (member.name.as_str(), &member.scores));
        for (name, scores) in named.chain([("mean", &self.mean), ("deviation", &self.deviation)]) {
            write!(f, "\n{name:width$}")?;
            for score in SHOWN {
                match scores.get(score).filter(|value| !value.is_nan()) {
                    Some(value) => write!(f, "  {value:>9.4}")?,
                    None => write!(f, "  {:>9}", "-")?,
                }
            }
        }
        Ok(())
    }
}

/// The mean, and the sample standard deviation: the root of the sum of squared differences from the mean over n - 1.
pub fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, if values.len() < 2 { f64::NAN } else { (squares / (count - 1.0)).sqrt() })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use test_support::fixture;

    use super::*;

    fn scores(values: &[f64]) -> GroupScores {
        let member = |(at, value): (usize, &f64)| MemberScores {
            name: format!("seed-{at}"),
            scores: NamedScores(vec![("accuracy".to_owned(), *value)]),
        };
        GroupScores::new("test", values.iter().enumerate().map(member).collect())
    }

    #[test]
    fn mean_and_deviation_are_those_of_numpy_and_statistics() {
        let cases: Value = fixture("groups/mean_and_deviation.json");
        let cases = cases["cases"].as_array().unwrap();
        assert!(cases.len() >= 200);
        for case in cases {
            let numbers = |key: &str| case[key].as_f64().unwrap();
            let values: Vec<f64> =
                case["values"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect();
            let found = scores(&values);
            let (mean, deviation) = (found.mean.get("accuracy").unwrap(), found.deviation.get("accuracy").unwrap());
            for (name, found) in [("mean", mean), ("deviation", deviation)] {
                for other in ["numpy", "statistics"] {
                    let expected = numbers(&format!("{other}_{name}"));
                    assert!((found - expected).abs() <= 1e-12 * expected.abs().max(1.0), "{other} {name}: {values:?}");
                }
            }
        }
    }

    #[test]
    fn one_member_has_no_deviation_which_is_null_in_json() {
        let one = scores(&[0.75]);
        assert_eq!(one.mean.get("accuracy"), Some(0.75));
        let json = serde_json::to_string(&one).unwrap();
        assert!(json.contains("\"deviation\":{\"accuracy\":null}"), "{json}");
        let read: GroupScores = serde_json::from_str(&json).unwrap();
        assert!(read.deviation.get("accuracy").unwrap().is_nan());
        assert!(
            one.to_string().ends_with("\ndeviation          -          -          -          -          -"),
            "{one}"
        );
    }

    #[test]
    fn a_score_that_a_member_lacks_is_not_summarized() {
        let mut members = scores(&[0.5, 0.75]).members;
        members[0].scores.0.push(("f1".to_owned(), 0.5));
        let found = GroupScores::new("test", members);
        assert_eq!((found.mean.get("accuracy"), found.mean.get("f1")), (Some(0.625), None));
    }

    #[test]
    fn the_table_has_a_row_a_member() {
        let text = scores(&[0.5, 0.75]).to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..3],
            [
                "test        accuracy         f1   macro_f1   matthews       loss",
                "seed-0        0.5000          -          -          -          -",
                "seed-1        0.7500          -          -          -          -",
            ]
        );
        assert!(lines[3].starts_with("mean          0.6250") && lines[4].starts_with("deviation     0.1768"), "{text}");
    }
}
