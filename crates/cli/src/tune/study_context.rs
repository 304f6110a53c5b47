//! The context of a study: the data, the model, the metric and the fixed options, without which values are not comparable.
//!
//! The first process writes it into the study; later ones are refused if theirs differs.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use serde_json::Value;
use tune::Study;

/// The prefix of all our attributes.
const PREFIX: &str = "verdict:";

/// Names and values, such as `metric` and `accuracy`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StudyContext(pub BTreeMap<&'static str, Value>);

impl StudyContext {
    /// Refuses a study with another context, and adds to the study what it lacks.
    pub(super) fn check_compatible(&self, study: &mut Study) -> Result<()> {
        let stored = study.user_attrs();
        for (name, value) in &self.0 {
            let key = format!("{PREFIX}{name}");
            match stored.get(&key) {
                None => study.set_user_attr(&key, value)?,
                Some(found) if found == value => {}
                Some(found) => bail!(
                    "{}: expected {name} {} as in its earlier trials, found {}, so values are not comparable (hint: --study DIR \
                     starts another study)",
                    study.path().display(),
                    shown(found),
                    shown(value)
                ),
            }
        }
        Ok(())
    }
}

/// A string without quotes, anything else as JSON.
fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tune::StudyDirection;

    use super::*;

    #[test]
    fn a_study_is_continued_only_in_its_context() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Study::open(&folder.path().join("study.jsonl"), "s", StudyDirection::Maximize).unwrap();
        let context = |data: &str| StudyContext(BTreeMap::from([("data", json!(data)), ("metric", json!("accuracy"))]));
        context("abc").check_compatible(&mut open()).unwrap();
        context("abc").check_compatible(&mut open()).unwrap();
        let error = context("xyz").check_compatible(&mut open()).unwrap_err().to_string();
        assert!(
            error.contains("expected data abc as in its earlier trials, found xyz") && error.contains("--study"),
            "{error}"
        );
    }
}
