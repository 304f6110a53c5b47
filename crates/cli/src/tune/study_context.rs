//! The context of a study: the data, the model, the metric and the fixed options that make its trials' values comparable.
//!
//! The first process writes it into the study; later ones are refused where theirs differs.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use serde_json::Value;
use tune::Study;

/// Begins the names of all attributes that are ours.
const PREFIX: &str = "verdict:";

/// Names and values, such as `metric` and `accuracy`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StudyContext(pub BTreeMap<&'static str, Value>);

impl StudyContext {
    /// Refuses a study with another context, and notes in the study what it doesn't say yet.
    ///
    /// # Errors
    /// What differs, and what to do.
    pub(super) fn check_compatible(&self, study: &mut Study) -> Result<()> {
        let noted = study.user_attrs();
        for (name, value) in &self.0 {
            let key = format!("{PREFIX}{name}");
            match noted.get(&key) {
                None => study.set_user_attr(&key, value)?,
                Some(found) if found == value => {}
                Some(found) => bail!(
                    "{}: its trials were made with {name} {}, and now it is {}, so their values can't be compared (hint: \
                     --study DIR begins another study)",
                    study.path().display(),
                    shown(found),
                    shown(value)
                ),
            }
        }
        Ok(())
    }
}

/// A text without quotes, anything else as JSON.
fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tune::StudyDirection;

    use super::*;

    #[test]
    fn a_study_goes_on_only_in_the_context_it_began_in() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Study::open(&folder.path().join("study.jsonl"), "s", StudyDirection::Maximize).unwrap();
        let context = |data: &str| StudyContext(BTreeMap::from([("data", json!(data)), ("metric", json!("accuracy"))]));
        context("abc").check_compatible(&mut open()).unwrap();
        context("abc").check_compatible(&mut open()).unwrap();
        let error = context("xyz").check_compatible(&mut open()).unwrap_err().to_string();
        assert!(error.contains("made with data abc, and now it is xyz") && error.contains("--study"), "{error}");
    }
}
