//! Mistakes that are worth a look: the most confident ones, and labels that are likely wrong.

use metrics::label_issues;
use serde::{Deserialize, Serialize};

use crate::explanation::WordAttribution;
use crate::scored::ScoredRows;

/// Rows worth a look.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mistakes {
    /// The wrong predictions with the highest probability, at most 50.
    pub confident: Vec<Mistake>,
    /// Rows whose label is likely wrong by confident learning, worst first, at most 200.
    pub label_issues: Vec<Mistake>,
    /// How many rows confident learning found in all.
    pub label_issues_found: u64,
}

/// A row that the model labels otherwise than its data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mistake {
    /// The row in the split, from 0.
    pub row: usize,
    /// Its text.
    pub text: String,
    /// Its label in the data.
    pub label: String,
    /// The model's label.
    pub predicted: String,
    /// The probability that the model gives to its own label.
    pub probability: f64,
    /// The probability that it gives to the label in the data.
    pub label_probability: f64,
    /// What each word adds to the logit of the model's label; empty where that was not computed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<WordAttribution>,
}

/// The most mistakes that are listed.
const CONFIDENT: usize = 50;
/// The most likely label errors that are listed.
const LABEL_ISSUES: usize = 200;

impl Mistakes {
    /// The columns of [`Mistakes::table`]. `prepare` takes a file with them for what its `text` and `label` say.
    pub const COLUMNS: [&str; 7] = ["row", "text", "label", "predicted", "probability", "label_probability", "kind"];

    /// The mistakes in [checked](ScoredRows::check) rows, whose facts hold their texts. The model must not have been trained on
    /// them: what it has learned by heart it doesn't call wrong.
    ///
    /// # Panics
    /// If the rows aren't checked, or have no facts.
    pub fn of(rows: &ScoredRows<'_>) -> Self {
        let is_wrong = |row: &usize| rows.predictions[*row] != rows.truth[*row];
        let confidence = |row: usize| rows.probabilities[row][rows.predictions[row] as usize];
        let mut wrong: Vec<usize> = (0..rows.truth.len()).filter(is_wrong).collect();
        wrong.sort_by(|one, other| confidence(*other).total_cmp(&confidence(*one)));
        let issues = label_issues(rows.truth, rows.probabilities);
        let listed =
            |list: &[usize], at_most: usize| list.iter().take(at_most).map(|row| Mistake::of(rows, *row)).collect();
        Self {
            confident: listed(&wrong, CONFIDENT),
            label_issues: listed(&issues, LABEL_ISSUES),
            label_issues_found: issues.len() as u64,
        }
    }

    /// A row for each listed mistake, with the [`Mistakes::COLUMNS`], to be written as a file: a person corrects `label` there, or
    /// deletes the row, and what is left can be trained on. `kind` is `label-issue`, `confident-mistake` or `both`; likely label
    /// errors come first.
    pub fn table(&self) -> Vec<[String; 7]> {
        let listed_as = |list: &[Mistake], mistake: &Mistake| list.iter().any(|other| other.row == mistake.row);
        let issues = self.label_issues.iter().map(|mistake| match listed_as(&self.confident, mistake) {
            true => (mistake, "both"),
            false => (mistake, "label-issue"),
        });
        let others = self.confident.iter().filter(|mistake| !listed_as(&self.label_issues, mistake));
        let others = others.map(|mistake| (mistake, "confident-mistake"));
        issues.chain(others).map(|(mistake, kind)| mistake.cells(kind)).collect()
    }
}

impl Mistake {
    fn of(rows: &ScoredRows<'_>, row: usize) -> Self {
        let (truth, predicted) = (rows.truth[row] as usize, rows.predictions[row] as usize);
        Self {
            row,
            text: rows.facts[row].text.to_owned(),
            label: rows.label_names[truth].clone(),
            predicted: rows.label_names[predicted].clone(),
            probability: f64::from(rows.probabilities[row][predicted]),
            label_probability: f64::from(rows.probabilities[row][truth]),
            words: Vec::new(),
        }
    }

    fn cells(&self, kind: &str) -> [String; 7] {
        let Self { row, text, label, predicted, probability, label_probability, .. } = self;
        let share = |share: &f64| format!("{share:.6}");
        let (text, label, predicted) = (text.clone(), label.clone(), predicted.clone());
        [row.to_string(), text, label, predicted, share(probability), share(label_probability), kind.to_owned()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::confidence::sample_rows;

    #[test]
    fn the_surest_mistakes_and_the_least_likely_labels_come_first() {
        let sample = sample_rows(2_000);
        let facts = sample.facts();
        let mistakes = Mistakes::of(&ScoredRows { facts: &facts, ..sample.rows() });
        let Mistakes { confident, label_issues, label_issues_found } = &mistakes;
        assert_eq!((confident.len(), label_issues.len()), (CONFIDENT, LABEL_ISSUES));
        assert!(*label_issues_found > LABEL_ISSUES as u64, "{label_issues_found}");
        assert!(confident.windows(2).all(|pair| pair[0].probability >= pair[1].probability));
        assert!(label_issues.windows(2).all(|pair| pair[0].label_probability <= pair[1].label_probability));
        for mistake in confident.iter().chain(label_issues) {
            assert_ne!(mistake.label, mistake.predicted);
            assert_eq!(mistake.text, facts[mistake.row].text);
            assert_eq!(mistake.label, sample.label_names[sample.truth[mistake.row] as usize]);
        }
    }

    #[test]
    fn the_table_has_each_row_once() {
        let sample = sample_rows(60);
        let facts = sample.facts();
        let mistakes = Mistakes::of(&ScoredRows { facts: &facts, ..sample.rows() });
        let table = mistakes.table();
        let mut rows: Vec<&str> = table.iter().map(|cells| cells[0].as_str()).collect();
        rows.sort_unstable();
        let count = rows.len();
        rows.dedup();
        assert!(count > 5 && rows.len() == count, "{table:?}");
        let kinds = |kind: &str| table.iter().filter(|cells| cells[6] == kind).count();
        assert_eq!(kinds("both") + kinds("label-issue"), mistakes.label_issues.len());
        assert_eq!(kinds("both") + kinds("confident-mistake"), mistakes.confident.len());
        assert_eq!(table[0][1], mistakes.label_issues[0].text);
    }
}
