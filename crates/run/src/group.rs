//! `group.json`: several trainings with the same options that differ in the seed, or in the fold that is held out.
//!
//! | in the group's folder | what it is |
//! | --- | --- |
//! | `group.json` | [`RunGroup`]: the members, their scores, the best of them |
//! | `seed-43/`, `fold-2/` | the run of a member |
//! | `seed-43.toml`, `seed-43.txt` | its configuration and its output |
//! | `data/fold-2/` | with folds: the prepared data that the member was trained on and validated with |
//! | `out-of-fold.csv` | with folds: [`OutOfFold`](crate::OutOfFold) |

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use disk::{DiskError, write_atomic};
use metrics::Metric;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Result, RunError};
use crate::group_scores::{GroupScores, MemberScores};
use crate::records::{NamedScores, nan_for_null};

pub const GROUP: &str = "group.json";

/// In what the members of a group differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupKind {
    /// In the seed; all have the same data.
    Seeds,
    /// In the rows of the training split that are held out as validation; all have the same seed.
    Folds,
}

impl GroupKind {
    /// `seeds` or `folds`: the flag of `train`, and the end of the folder's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Seeds => "seeds",
            Self::Folds => "folds",
        }
    }
}

/// A group of runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunGroup {
    pub kind: GroupKind,
    /// The options that were given for all members, by key; `seed` is that of the first member.
    pub options: Map<String, Value>,
    pub dataset: String,
    /// The prepared data, from the working directory of the first start or absolute.
    pub data: PathBuf,
    /// The fingerprint of its manifest.
    pub data_fingerprint: String,
    /// The model that all members start from: its name, or an absolute path.
    pub model: String,
    /// The number format of all members.
    pub precision: String,
    /// GFLOP/s of the model's products by number format, by which the format was chosen; empty where nothing was measured.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub product_gflops: BTreeMap<String, f64>,
    /// CPU threads of each member; `None`: as many as a single training takes.
    #[serde(default)]
    pub threads: Option<usize>,
    /// The validation metric that selects the best model of each member, and the best member.
    pub metric: Metric,
    pub members: Vec<GroupMember>,
    /// The name of the best member of those that are finished.
    #[serde(default)]
    pub best: Option<String>,
    /// The validation scores of the members that are finished, with mean and standard deviation. Those of folds are each of
    /// other rows.
    #[serde(default)]
    pub validation: Option<GroupScores>,
    /// With folds that are all finished: the scores of all training rows together, each predicted by the member that it
    /// was held out from.
    #[serde(default)]
    pub out_of_fold: Option<NamedScores>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupMember {
    /// The name of its run in the group's folder: `seed-43` or `fold-2`.
    pub name: String,
    pub seed: u64,
    /// From 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fold: Option<u32>,
    #[serde(default)]
    pub result: Option<MemberResult>,
    /// Why its last training failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// The best model of a finished member, on its validation rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemberResult {
    /// The metric that selects.
    #[serde(deserialize_with = "nan_for_null")]
    pub value: f64,
    /// The number of validation rows.
    pub rows: u64,
    pub scores: NamedScores,
}

impl RunGroup {
    /// Whether a folder holds a group.
    pub fn is_at(folder: &Path) -> bool {
        folder.join(GROUP).is_file()
    }

    /// Reads `group.json`.
    ///
    /// # Errors
    /// A file that isn't there or isn't what this program writes.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(GROUP);
        let bytes = std::fs::read(&path).map_err(DiskError::at("read", &path))?;
        serde_json::from_slice(&bytes).map_err(|source| RunError::Record { path, source })
    }

    /// Writes `group.json`, whole or not at all.
    ///
    /// # Errors
    /// A folder that can't be written to, a full disk; the old content then stays.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(GROUP);
        let json = serde_json::to_string_pretty(self).map_err(|error| DiskError::at("write", &path)(error.into()))?;
        Ok(write_atomic(&path, json + "\n")?)
    }

    /// Computes the best member, and mean and deviation, from the members' results. Of equal members the first is the best.
    pub fn summarize(&mut self) {
        let mut best: Option<(&str, f64)> = None;
        for (name, result) in self.results() {
            let better = best.is_none_or(|(_, value)| self.metric.is_better(result.value, value));
            if better && !result.value.is_nan() {
                best = Some((name, result.value));
            }
        }
        let scores: Vec<MemberScores> = self
            .results()
            .map(|(name, result)| MemberScores { name: name.to_owned(), scores: result.scores.clone() })
            .collect();
        self.best = best.map(|(name, _)| name.to_owned());
        self.validation = (!scores.is_empty()).then(|| GroupScores::new("validation", scores));
    }

    /// The names and results of the members that are finished, in order.
    pub fn results(&self) -> impl Iterator<Item = (&str, &MemberResult)> {
        self.members.iter().filter_map(|member| Some((member.name.as_str(), member.result.as_ref()?)))
    }

    /// How many members are finished.
    pub fn finished(&self) -> usize {
        self.results().count()
    }

    pub fn is_finished(&self) -> bool {
        self.finished() == self.members.len()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn group(metric: &str, values: &[Option<f64>]) -> RunGroup {
        let member = |(at, value): (u64, &Option<f64>)| GroupMember {
            name: format!("seed-{}", 42 + at),
            seed: 42 + at,
            fold: None,
            result: value.map(|value| MemberResult {
                value,
                rows: 100,
                scores: NamedScores(vec![("accuracy".to_owned(), value)]),
            }),
            failed: None,
        };
        let mut group = RunGroup {
            kind: GroupKind::Seeds,
            options: Map::from_iter([("seed".to_owned(), 42.into())]),
            dataset: "sst2".to_owned(),
            data: "data/prepared/sst2".into(),
            data_fingerprint: "f".to_owned(),
            model: "tiny".to_owned(),
            precision: "fp32".to_owned(),
            product_gflops: BTreeMap::new(),
            threads: None,
            metric: metric.parse().unwrap(),
            members: (0..).zip(values).map(member).collect(),
            best: None,
            validation: None,
            out_of_fold: None,
        };
        group.summarize();
        group
    }

    #[test]
    fn the_best_is_the_first_of_the_best_by_the_metric_that_selects() {
        let best = |metric, values: &[Option<f64>]| group(metric, values).best;
        assert_eq!(best("accuracy", &[Some(0.8), Some(0.9), Some(0.9)]).as_deref(), Some("seed-43"));
        assert_eq!(best("loss", &[Some(0.8), Some(0.2), Some(0.9)]).as_deref(), Some("seed-43"));
        assert_eq!(best("accuracy", &[None, Some(0.1), None]).as_deref(), Some("seed-43"));
        assert_eq!(best("loss", &[Some(f64::NAN), Some(0.7)]).as_deref(), Some("seed-43"));
        assert_eq!(best("loss", &[Some(f64::NAN)]), None);
        assert_eq!(best("accuracy", &[None, None]), None);
    }

    #[test]
    fn a_group_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!RunGroup::is_at(folder.path()) && RunGroup::read(folder.path()).is_err());
        let group = group("accuracy", &[Some(0.8), None, Some(0.1 + 0.2)]);
        assert_eq!((group.finished(), group.is_finished()), (2, false));
        group.write(folder.path()).unwrap();
        assert_eq!(RunGroup::read(folder.path()).unwrap(), group);
        std::fs::write(folder.path().join(GROUP), "{\"kind\": \"seeds\"}").unwrap();
        let message = RunGroup::read(folder.path()).unwrap_err().to_string();
        assert!(message.contains(GROUP), "{message}");
    }
}
