//! The classification head in a model folder: which labels it was trained for, and whether a training for other data
//! can continue with it.

use std::collections::BTreeMap;

/// The loss that this program trains with, as `config.json` names it.
pub(crate) const SINGLE_LABEL: &str = "single_label_classification";

/// What `config.json` says about the head in the weights file. It stays as it was read when the labels of the data are
/// set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SavedHead {
    /// Label names by class index; empty where the file has none.
    pub(crate) labels: Vec<String>,
    /// What it was trained for, where that isn't [`SINGLE_LABEL`].
    pub(crate) other_problem: Option<String>,
}

/// Whether a training for some labels keeps the head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HeadDecision {
    /// Row `i` of the new classifier is row `rows[i]` of the file's.
    Keep { rows: Vec<i64> },
    /// Randomly initialized, for this reason.
    New { reason: String },
}

impl SavedHead {
    /// Whether the head answers for these labels, whatever their order. Names that differ only in case are the same.
    pub(crate) fn decide(&self, labels: &[String]) -> HeadDecision {
        let new = |reason: String| HeadDecision::New { reason };
        if let Some(problem) = &self.other_problem {
            return new(format!("the model's own head was trained for {problem}"));
        }
        match rows_by_name(&self.labels, labels) {
            Some(rows) => HeadDecision::Keep { rows },
            None if self.labels.iter().enumerate().all(|(id, name)| *name == generic_name(id)) => new(
                "the model's own head has no label names, so its classes can't be matched with your labels (hint: to keep \
                 it, name them in id2label of its config.json)"
                    .to_owned(),
            ),
            None => new(format!("the model's own head is for other labels: {}", listing(&self.labels))),
        }
    }

    /// What is said of a model without a head that names another problem.
    pub(crate) fn replaced_problem(&self) -> Option<String> {
        self.other_problem.as_ref().map(|problem| format!("problem_type was {problem} and becomes {SINGLE_LABEL}"))
    }

    /// Why the head can't label texts as it is, if it can't.
    pub(crate) fn refusal(&self) -> Option<String> {
        const HINT: &str =
            "(hint: `cargo run -p train -- --model DIR` gives it a new head, for the labels of your data)";
        if let Some(problem) = &self.other_problem {
            return Some(format!(
                "problem_type is {problem}, but only {SINGLE_LABEL} is supported, one label a text {HINT}"
            ));
        }
        let [only] = &self.labels[..] else { return None };
        Some(format!("id2label names only one class, {only:?}: a regression, which is not supported {HINT}"))
    }
}

/// The name that transformers gives a class without one.
pub(crate) fn generic_name(id: usize) -> String {
    format!("LABEL_{id}")
}

/// For each of `labels` its position in `saved`; `None` unless both hold the same names.
fn rows_by_name(saved: &[String], labels: &[String]) -> Option<Vec<i64>> {
    let positions = |names: &[String], key: fn(&String) -> String| {
        let positions: BTreeMap<String, i64> = names.iter().map(key).zip(0..).collect();
        (positions.len() == names.len()).then_some(positions)
    };
    let matched = |key: fn(&String) -> String| {
        let (theirs, ours) = (positions(saved, key)?, positions(labels, key)?);
        let rows: Option<Vec<i64>> = labels.iter().map(|label| theirs.get(&key(label)).copied()).collect();
        rows.filter(|_| ours.len() == theirs.len())
    };
    matched(String::clone).or_else(|| matched(|name| name.trim().to_lowercase()))
}

fn listing(names: &[String]) -> String {
    const SHOWN: usize = 6;
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{shown} and {} more", names.len() - SHOWN) } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn decide(saved: &[&str], labels: &[&str]) -> Result<Vec<i64>, String> {
        let head = SavedHead { labels: names(saved), other_problem: None };
        match head.decide(&names(labels)) {
            HeadDecision::Keep { rows } => Ok(rows),
            HeadDecision::New { reason } => Err(reason),
        }
    }

    #[test]
    fn a_head_is_kept_for_the_same_names_in_any_order_and_case() {
        assert_eq!(decide(&["negative", "positive"], &["negative", "positive"]), Ok(vec![0, 1]));
        assert_eq!(decide(&["c", "a", "b"], &["a", "b", "c"]), Ok(vec![1, 2, 0]));
        assert_eq!(decide(&["NEGATIVE", "POSITIVE"], &["positive", "negative"]), Ok(vec![1, 0]));
        // Exact names win over names that differ in case.
        assert_eq!(decide(&["A", "a"], &["a", "A"]), Ok(vec![1, 0]));
        assert_eq!(decide(&["0", "1"], &["1", "0"]), Ok(vec![1, 0]));
    }

    #[test]
    fn a_head_for_other_names_or_without_names_is_new() {
        let other = |saved: &[&str], labels: &[&str]| decide(saved, labels).expect_err("must be new");
        assert!(other(&["toxic", "clean"], &["negative", "positive"]).ends_with("other labels: toxic, clean"));
        assert!(other(&["a", "b", "c"], &["a", "b"]).ends_with("other labels: a, b, c"));
        assert!(other(&["a", "b"], &["a", "b", "c"]).contains("other labels"));
        assert!(other(&["a", "a"], &["a", "b"]).contains("other labels"));
        assert!(other(&["A", "a"], &["a", "b"]).contains("other labels"));
        for unnamed in [&["LABEL_0", "LABEL_1"][..], &[]] {
            assert!(other(unnamed, &["negative", "positive"]).contains("has no label names"));
        }
        let many: Vec<String> = (0..9).map(|id| format!("class {id}")).collect();
        assert!(listing(&many).ends_with("class 5 and 3 more"));
    }

    #[test]
    fn a_head_of_another_problem_is_new_whatever_its_names() {
        let head =
            SavedHead { labels: names(&["a", "b"]), other_problem: Some("multi_label_classification".to_owned()) };
        let HeadDecision::New { reason } = head.decide(&names(&["a", "b"])) else { panic!("kept") };
        assert!(reason.ends_with("was trained for multi_label_classification"), "{reason}");
        assert!(head.refusal().expect("refused").starts_with("problem_type is multi_label_classification, but only "));
        let regression = SavedHead { labels: names(&["LABEL_0"]), other_problem: None };
        assert!(regression.refusal().expect("refused").contains("regression"));
        assert_eq!(SavedHead { labels: names(&["a", "b"]), other_problem: None }.refusal(), None);
    }
}
