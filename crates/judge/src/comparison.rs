//! Two models on the same rows: which is better, and whether that could be chance.
//!
//! Both are scored on the same rows, so that what makes a row easy or hard for both drops out of the difference. Accuracies are shares:
//! their difference has Tango's score interval, which is Wilson's of paired shares. The differences of the other scores have BCa
//! intervals of a bootstrap that draws rows with both predictions; where only few rows are labeled differently, these are too
//! narrow, because resamples repeat the few that there are: [`Comparison::caution`] says so.

use std::fmt;

use metrics::{Bootstrap, BootstrapInterval, ConfusionMatrix, mcnemar_mid_p, paired_difference};
use serde::{Deserialize, Serialize};

use crate::cells::{Cells, NamedScore};
use crate::estimate::percent;
use crate::scored::ScoredRows;

/// The scores that are compared besides accuracy, in the order of [`Comparison::differences`].
const COMPARED: [NamedScore; 3] = [
    ("f1", |scores| scores.weighted.f1),
    ("macro_f1", |scores| scores.macro_average.f1),
    ("matthews", |scores| scores.matthews),
];

/// Where fewer rows are labeled differently, the bootstrap's intervals hold the truth less often than they say: simulated
/// (`tests/coverage.rs`), 94 % of them with 40 such rows, 92 % with 11, 83 % with 4.
const ENOUGH_CHANGES: usize = 30;

/// The model against another one. `Display` is its verdict in words: `better than runs/base by 6.1 points (4.2 to 8.0)`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The other run.
    pub against: String,
    /// This model's scores less the other's, in the order accuracy, f1, macro_f1, matthews.
    pub differences: Vec<ScoreDifference>,
    /// Rows that only this model has right, and rows that only the other has right.
    pub discordant: (u64, u64),
    /// McNemar's test of those two numbers: exact, mid-p.
    pub mcnemar_p: f64,
    /// What follows for accuracy.
    pub verdict: Verdict,
    /// Every row that the two label differently, in the order of the rows.
    pub changed: Vec<ChangedPrediction>,
}

/// What a difference means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The interval of the difference lies above 0, and a test of it agrees (p < 0.05).
    Better,
    /// The interval of the difference lies below 0, and a test of it agrees (p < 0.05).
    Worse,
    /// 0 is in the interval, or the test says that the difference may be chance.
    NotDistinguishable,
}

/// The difference of a score: accuracy's with Tango's score interval, those of others by a paired bootstrap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoreDifference {
    /// `accuracy` and so on.
    pub score: String,
    /// This model's less the other's.
    pub value: f64,
    /// The lower end of its 95 % interval.
    pub low: f64,
    /// The upper end of its 95 % interval.
    pub high: f64,
}

/// A row that two models label differently.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChangedPrediction {
    /// The row in the split, from 0.
    pub row: usize,
    /// Its text.
    pub text: String,
    /// Its true label.
    pub label: String,
    /// This model's label.
    pub predicted: String,
    /// The other model's label.
    pub other: String,
}

impl Comparison {
    /// Compares the model of `rows` with the one that predicted `other_predictions` for the same rows, which is called `against`.
    ///
    /// # Errors
    /// No rows, another number of predictions than rows, and labels that are none of the classes.
    pub fn of(
        rows: &ScoredRows<'_>,
        other_predictions: &[u32],
        against: String,
        bootstrap: &Bootstrap,
    ) -> metrics::Result<Self> {
        let classes = rows.label_names.len();
        for predictions in [rows.predictions, other_predictions] {
            // For its checks: the scores are counted below.
            ConfusionMatrix::from_pairs(rows.truth, predictions, classes)?;
        }
        let discordant = discordant(rows, other_predictions);
        let mut differences = vec![ScoreDifference::of_accuracy(rows, other_predictions)];
        differences.extend(bootstrapped(rows, other_predictions, bootstrap));
        let mcnemar_p = mcnemar_mid_p(discordant.0, discordant.1);
        let verdict = match differences[0].verdict() {
            _ if mcnemar_p >= 0.05 => Verdict::NotDistinguishable,
            verdict => verdict,
        };
        let name = |class: u32| rows.label_names[class as usize].clone();
        let differs = |row: &usize| rows.predictions[*row] != other_predictions[*row];
        let changed = (0..rows.truth.len()).filter(differs).map(|row| ChangedPrediction {
            row,
            text: rows.facts.get(row).map_or_else(String::new, |facts| facts.text.to_owned()),
            label: name(rows.truth[row]),
            predicted: name(rows.predictions[row]),
            other: name(other_predictions[row]),
        });
        Ok(Self { against, differences, discordant, mcnemar_p, verdict, changed: changed.collect() })
    }
}

impl Comparison {
    /// What is to be said beside the intervals of other scores than accuracy, where they can't be relied on.
    pub fn caution(&self) -> Option<String> {
        let changed = self.changed.len();
        let rows = if changed == 1 { "row is" } else { "rows are" };
        (changed < ENOUGH_CHANGES).then(|| {
            format!(
                "only {changed} {rows} labeled differently: the interval of accuracy's difference allows for that, those of the \
                 other scores are too narrow"
            )
        })
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(accuracy) = self.differences.first() else { return Ok(()) };
        write!(f, "{}", accuracy.in_words(self.verdict, &self.against))?;
        if self.changed.is_empty() {
            write!(f, ", which labels every row the same")?;
        } else if self.verdict != accuracy.verdict() {
            write!(f, ", because McNemar's test gives p = {:.2}", self.mcnemar_p)?;
        }
        Ok(())
    }
}

impl ScoreDifference {
    /// The accuracy of `rows` less that of other predictions for the same rows.
    ///
    /// # Panics
    /// If there are fewer or more other predictions than rows.
    pub fn of_accuracy(rows: &ScoredRows<'_>, other_predictions: &[u32]) -> Self {
        let count = rows.truth.len();
        assert_eq!(other_predictions.len(), count, "expected a prediction of each row");
        let (this, other) = discordant(rows, other_predictions);
        let (low, high) = paired_difference(this, other, count as u64);
        let value = if count == 0 { 0.0 } else { (this as f64 - other as f64) / count as f64 };
        Self { score: "accuracy".to_owned(), value, low, high }
    }

    /// What the interval alone says.
    pub fn verdict(&self) -> Verdict {
        match self {
            _ if self.low > 0.0 => Verdict::Better,
            _ if self.high < 0.0 => Verdict::Worse,
            _ => Verdict::NotDistinguishable,
        }
    }

    /// The verdict in words, in points of a hundred: `better than TF-IDF by 6.1 points (4.2 to 8.0)`.
    pub fn in_words(&self, verdict: Verdict, against: &str) -> String {
        let points = |share: f64| percent(share, 1);
        let Self { value, low, high, .. } = *self;
        match verdict {
            Verdict::Better => {
                format!("better than {against} by {} points ({} to {})", points(value), points(low), points(high))
            }
            Verdict::Worse => {
                format!("worse than {against} by {} points ({} to {})", points(-value), points(-high), points(-low))
            }
            Verdict::NotDistinguishable => {
                format!("not distinguishable from {against} ({} to {} points)", points(low), points(high))
            }
        }
    }
}

/// How many rows only this model has right, and how many only the other.
fn discordant(rows: &ScoredRows<'_>, other_predictions: &[u32]) -> (u64, u64) {
    let mut discordant = (0, 0);
    for ((truth, predicted), other) in rows.truth.iter().zip(rows.predictions).zip(other_predictions) {
        discordant.0 += u64::from(predicted == truth && other != truth);
        discordant.1 += u64::from(predicted != truth && other == truth);
    }
    discordant
}

/// The differences of the other scores with their intervals.
fn bootstrapped(rows: &ScoredRows<'_>, other_predictions: &[u32], bootstrap: &Bootstrap) -> Vec<ScoreDifference> {
    let both = rows.truth.iter().zip(rows.predictions).zip(other_predictions);
    let cells = Cells::of(both.map(|((truth, predicted), other)| [*truth, *predicted, *other]));
    let classes = rows.label_names.len();
    let found = bootstrap.intervals_of_cells(&cells.rows, cells.kinds.len(), COMPARED.len(), &|counts, values| {
        let (this, that) = (cells.scores(counts, 1, classes), cells.scores(counts, 2, classes));
        values.iter_mut().zip(COMPARED).for_each(|(value, (_, score))| *value = score(&this) - score(&that));
    });
    let difference = |((score, _), found): (NamedScore, BootstrapInterval)| {
        let BootstrapInterval { value, low, high, .. } = found;
        ScoreDifference { score: score.to_owned(), value, low, high }
    };
    COMPARED.into_iter().zip(found).map(difference).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scored::RowFacts;

    /// Compares two models of two classes on rows given as (true class, predicted class, the other's, how many).
    fn compared(counts: &[(u32, u32, u32, usize)]) -> Comparison {
        let expand = |label: fn(&(u32, u32, u32, usize)) -> u32| -> Vec<u32> {
            counts.iter().flat_map(|count| std::iter::repeat_n(label(count), count.3)).collect()
        };
        let (truth, predictions, other) = (expand(|row| row.0), expand(|row| row.1), expand(|row| row.2));
        let texts: Vec<String> = (0..truth.len()).map(|row| format!("text {row}")).collect();
        let facts: Vec<RowFacts> = texts.iter().map(|text| RowFacts { text, ..RowFacts::default() }).collect();
        let label_names = ["negative".to_owned(), "positive".to_owned()];
        let rows = ScoredRows {
            label_names: &label_names,
            truth: &truth,
            predictions: &predictions,
            probabilities: &[],
            facts: &facts,
        };
        let bootstrap = Bootstrap { resamples: 1_999, seed: 0 };
        Comparison::of(&rows, &other, "runs/base".to_owned(), &bootstrap).unwrap()
    }

    /// Rows of which only this model has `this` right, only the other `other`, and both 400.
    fn split(this: usize, other: usize) -> Comparison {
        compared(&[(0, 0, 0, 200), (1, 1, 1, 200), (1, 1, 0, this), (0, 1, 0, other)])
    }

    #[test]
    fn a_better_model_is_called_better_and_the_other_worse() {
        let found = split(60, 12);
        assert_eq!((found.verdict, found.discordant), (Verdict::Better, (60, 12)));
        let accuracy = &found.differences[0];
        assert!((accuracy.value - 48.0 / 472.0).abs() < 1e-15);
        // The standard deviation of the difference is sqrt(72 - 48² / 472) / 472 = 0.0173.
        assert!((accuracy.low - (0.1017 - 1.96 * 0.0173)).abs() < 0.004, "{accuracy:?}");
        assert!((accuracy.high - (0.1017 + 1.96 * 0.0173)).abs() < 0.004, "{accuracy:?}");
        assert_eq!(found.to_string(), "better than runs/base by 10.2 points (6.9 to 13.8)");
        let names: Vec<&str> = found.differences.iter().map(|difference| difference.score.as_str()).collect();
        assert_eq!(names, ["accuracy", "f1", "macro_f1", "matthews"]);

        let turned = compared(&[(0, 0, 0, 200), (1, 1, 1, 200), (1, 0, 1, 60), (0, 0, 1, 12)]);
        assert_eq!((turned.verdict, turned.discordant), (Verdict::Worse, (12, 60)));
        assert_eq!(turned.to_string(), "worse than runs/base by 10.2 points (6.9 to 13.8)");
    }

    #[test]
    fn a_difference_that_may_be_chance_is_called_that() {
        let found = split(20, 15);
        assert_eq!(found.verdict, Verdict::NotDistinguishable);
        let text = found.to_string();
        assert!(text.starts_with("not distinguishable from runs/base (-") && text.ends_with(" points)"), "{text}");
        assert!(found.mcnemar_p > 0.3, "{}", found.mcnemar_p);
    }

    #[test]
    fn a_handful_of_rows_proves_nothing() {
        let one = compared(&[(1, 1, 0, 1)]);
        assert_eq!(one.verdict, Verdict::NotDistinguishable);
        assert!(one.differences[0].low < 0.0 && one.differences[0].high == 1.0, "{:?}", one.differences[0]);
        let four = split(4, 0);
        assert_eq!((four.verdict, four.mcnemar_p), (Verdict::NotDistinguishable, 0.0625), "{four}");
        // The score interval goes by the normal distribution, McNemar's test by the four rows.
        assert_eq!(four.differences[0].verdict(), Verdict::Better);
        let text = four.to_string();
        assert!(text.ends_with(" points), because McNemar's test gives p = 0.06"), "{text}");
    }

    #[test]
    fn the_same_predictions_are_not_a_difference() {
        let found = split(0, 0);
        assert_eq!((found.mcnemar_p, found.changed.len()), (1.0, 0));
        assert_eq!(found.differences[2].value, 0.0);
        let expected = "not distinguishable from runs/base (-1.0 to 1.0 points), which labels every row the same";
        assert_eq!(found.to_string(), expected);
    }

    #[test]
    fn intervals_from_few_changed_rows_have_a_caution() {
        assert_eq!(split(20, 15).caution(), None);
        let found = split(4, 0).caution().unwrap();
        assert!(found.starts_with("only 4 rows are labeled differently: "), "{found}");
        assert!(split(0, 1).caution().unwrap().starts_with("only 1 row is labeled"));
    }

    #[test]
    fn every_changed_row_is_listed() {
        let found = compared(&[(0, 0, 0, 3), (1, 0, 1, 1), (0, 0, 1, 2)]);
        let rows: Vec<usize> = found.changed.iter().map(|changed| changed.row).collect();
        assert_eq!(rows, [3, 4, 5]);
        let first = &found.changed[0];
        let words = [&first.text, &first.label, &first.predicted, &first.other];
        assert_eq!(words, ["text 3", "positive", "negative", "positive"]);
    }

    #[test]
    fn predictions_of_other_rows_are_refused() {
        let label_names = ["a".to_owned(), "b".to_owned()];
        let rows = ScoredRows {
            label_names: &label_names,
            truth: &[0, 1],
            predictions: &[0, 1],
            probabilities: &[],
            facts: &[],
        };
        let error = Comparison::of(&rows, &[0], "other".to_owned(), &Bootstrap::default()).unwrap_err().to_string();
        assert!(error.starts_with("expected one predicted label for each of 2 true labels, found 1"), "{error}");
    }
}
