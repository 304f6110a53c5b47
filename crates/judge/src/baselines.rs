//! Simple models of the same training data, so that a score can be told from an easy one.
//!
//! They are fitted on the spot: in a second or two on the sentences of the Stanford Sentiment Treebank.

mod logistic_regression;
mod majority;
mod sparse;
#[cfg(test)]
mod tests;
mod tf_idf;

use metrics::{Bootstrap, ClassCounts, ReportOptions};
use serde::{Deserialize, Serialize};

use crate::cells::Cells;
use crate::comparison::ScoreDifference;
use crate::estimate::Estimate;
use crate::scored::ScoredRows;
use logistic_regression::LogisticRegression;
use tf_idf::TfIdf;

/// The most training rows that TF-IDF is fitted on.
const MOST_ROWS: usize = 200_000;
/// The most bytes of text that TF-IDF is fitted on.
const MOST_BYTES: usize = 10_000_000;

/// The baselines, from the simplest on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baselines {
    /// How many labeled training rows there are. A baseline that was fitted on fewer says so in its description.
    pub training_rows: u64,
    /// `majority`, then `tf-idf`.
    pub results: Vec<BaselineResult>,
}

/// A baseline's score on the same rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BaselineResult {
    /// `majority` or `tf-idf`.
    pub name: String,
    /// What it is, in a few words.
    pub description: String,
    /// Its accuracy.
    pub accuracy: Estimate,
    /// Its F1, weighted.
    pub f1: Estimate,
    /// The model's accuracy less its own, on the same rows.
    pub difference: ScoreDifference,
}

/// A fitted baseline's answers.
struct Answers {
    name: &'static str,
    description: String,
    predictions: Vec<u32>,
}

impl Baselines {
    /// Fits the baselines on training texts with their labels (class numbers), and scores them on the rows of an evaluation.
    ///
    /// # Panics
    /// If there are no training texts, or not as many labels as texts.
    pub fn of(training_texts: &[&str], training_labels: &[u32], rows: &ScoredRows<'_>, bootstrap: &Bootstrap) -> Self {
        assert_eq!(training_texts.len(), training_labels.len(), "one label for each text");
        let answers = [majority(training_labels, rows), tf_idf(training_texts, training_labels, rows)];
        Self { training_rows: training_texts.len() as u64, results: results(answers, rows, bootstrap) }
    }
}

fn majority(labels: &[u32], rows: &ScoredRows<'_>) -> Answers {
    let label = majority::most_frequent(labels).expect("at least one training text");
    let name = rows.label_names.get(label as usize).map_or("", String::as_str);
    Answers {
        name: "majority",
        description: format!("always {name:?}, the most frequent label of the training data"),
        predictions: vec![label; rows.truth.len()],
    }
}

fn tf_idf(texts: &[&str], labels: &[u32], rows: &ScoredRows<'_>) -> Answers {
    let drawn = drawn_rows(texts);
    let texts_drawn: Vec<&str> = drawn.iter().map(|row| texts[*row]).collect();
    let labels_drawn: Vec<u32> = drawn.iter().map(|row| labels[*row]).collect();
    let (features, matrix) = TfIdf::fit(&texts_drawn);
    let model = LogisticRegression::fit(&matrix, &labels_drawn);
    let mut description = "logistic regression on TF-IDF of words and pairs of words".to_owned();
    if drawn.len() < texts.len() {
        description.push_str(&format!(", fitted on {} of {} training rows, drawn at random", drawn.len(), texts.len()));
    }
    if !model.converged {
        description.push_str(", not converged");
    }
    let predictions = model.predict(&features.transform(rows.facts.iter().map(|facts| facts.text)));
    Answers { name: "tf-idf", description, predictions }
}

/// The training rows to fit on, ascending: all of them, or of too many those that come first in an order that is random and
/// always the same.
fn drawn_rows(texts: &[&str]) -> Vec<usize> {
    let bytes: usize = texts.iter().map(|text| text.len()).sum();
    let mut order: Vec<usize> = (0..texts.len()).collect();
    if texts.len() <= MOST_ROWS && bytes <= MOST_BYTES {
        return order;
    }
    order.sort_by_key(|row| mixed(*row as u64));
    let mut left = MOST_BYTES;
    let fits = |row: &&usize| {
        let len = texts[**row].len();
        let fits = len <= left;
        left -= len.min(left);
        fits
    };
    // One text that is longer than the limit is better than none.
    let count = order.iter().take(MOST_ROWS).take_while(fits).count().max(1);
    order.truncate(count);
    order.sort_unstable();
    order
}

/// SplitMix64's output for a state (Steele, Lea and Flood 2014).
fn mixed(state: u64) -> u64 {
    let mut z = state.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn results(
    answers: impl IntoIterator<Item = Answers>,
    rows: &ScoredRows<'_>,
    bootstrap: &Bootstrap,
) -> Vec<BaselineResult> {
    answers.into_iter().map(|answers| result(answers, rows, bootstrap)).collect()
}

/// The scores of a baseline, and the model's lead in accuracy.
fn result(answers: Answers, rows: &ScoredRows<'_>, bootstrap: &Bootstrap) -> BaselineResult {
    let classes = rows.label_names.len();
    let cells = Cells::of(rows.truth.iter().zip(&answers.predictions).map(|(truth, baseline)| [*truth, *baseline]));
    let f1 = bootstrap.intervals_of_cells(&cells.rows, cells.kinds.len(), 1, &|cell_rows, values| {
        let mut counts = ClassCounts::new(classes);
        cells.kinds.iter().zip(cell_rows).for_each(|([truth, baseline], rows)| counts.add(*truth, *baseline, *rows));
        values[0] = counts.overall(ReportOptions::default()).weighted.f1;
    });
    let right = rows.truth.iter().zip(&answers.predictions).filter(|(truth, predicted)| truth == predicted).count();
    BaselineResult {
        name: answers.name.to_owned(),
        description: answers.description,
        accuracy: Estimate::share(right as u64, rows.truth.len() as u64),
        f1: Estimate::from(f1[0]),
        difference: ScoreDifference::of_accuracy(rows, &answers.predictions),
    }
}
