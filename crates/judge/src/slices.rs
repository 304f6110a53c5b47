//! The scores of parts of the rows, the weakest named.
//!
//! Each group of slices is a [`partition::Partition`]: every row is in one of its slices. A slice is compared with all other rows by
//! Fisher's exact test, and the p-values of all tests are corrected together. Two slices that are each other's rest have one
//! test.

mod by_column;
mod by_length;
mod by_text;
mod partition;

use metrics::{holm, two_proportions_p};
use serde::{Deserialize, Serialize};

use crate::estimate::Estimate;
use crate::scored::ScoredRows;
use partition::FEWEST_ROWS;

/// A corrected p-value below this says that a difference is beyond chance.
const SIGNIFICANCE: f64 = 0.05;

/// All slices that were tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slices {
    /// In the order of their groups, and within a group in its own order.
    pub slices: Vec<Slice>,
    /// How many were tested against the other rows: p-values are corrected for this number. Two slices that are each other's
    /// rest are one test.
    pub tested: usize,
    /// The index of the slice with the lowest accuracy among those that are worse than the other rows beyond chance;
    /// `None` if there is none.
    pub weakest: Option<usize>,
}

/// The rows that have something in common.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// What was looked at: `length`, `negation`, `contrast`, `unknown words`, `truncated`, `label`, or a column's name, which
    /// is followed by ` (column)` if it is one of these.
    pub group: String,
    /// The rows' value: `21 to 40 tokens`, `with a negation`.
    pub name: String,
    /// How many rows.
    pub rows: u64,
    /// The share of them that is right.
    pub accuracy: Estimate,
    /// The probability of a difference to all other rows as large as this one by chance, corrected for the number of tests
    /// (Holm); `None` where there are too few rows for a test.
    pub p_value: Option<f64>,
}

/// Rows, and how many of them are right.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tally {
    rows: u64,
    right: u64,
}

impl Slices {
    /// Slices by length, negation, contrast, unknown words, truncation and label, and by each of `columns`, whose values are
    /// [`crate::RowFacts::columns`] of the rows, in the same order.
    ///
    /// Negations and contrasts are looked for as English words. Rows of a length, of a column's value or of numbers in a
    /// range are a slice of their own where there are at least 20; rarer values of a column, and those beyond the 20 most
    /// frequent, are one slice together. A column of more than 20 different numbers is cut at its quartiles.
    pub fn of(rows: &ScoredRows<'_>, columns: &[String]) -> Self {
        let mut partitions = vec![by_length::partition(rows)];
        partitions.extend(by_text::partitions(rows));
        partitions.extend(by_column::partitions(rows, columns));
        let right: Vec<bool> = rows.truth.iter().zip(rows.predictions).map(|(truth, found)| truth == found).collect();
        let all = tally(right.iter().copied());
        let mut slices = Vec::new();
        let mut tests: Vec<(Vec<usize>, f64)> = Vec::new();
        for partition in &partitions {
            let tallies = partition.tallies(&right);
            let first = slices.len();
            slices.extend(tallies.iter().map(|(name, tally)| Slice {
                group: partition.group.clone(),
                name: name.clone(),
                rows: tally.rows,
                accuracy: Estimate::share(tally.right, tally.rows),
                p_value: None,
            }));
            tests.extend(
                tests_of(&tallies, all)
                    .into_iter()
                    .map(|(places, p)| (places.into_iter().map(|place| first + place).collect(), p)),
            );
        }
        let corrected = holm(&tests.iter().map(|(_, p)| *p).collect::<Vec<f64>>());
        for ((places, _), p) in tests.iter().zip(corrected) {
            places.iter().for_each(|place| slices[*place].p_value = Some(p));
        }
        let weakest = weakest(&slices, all);
        Self { slices, tested: tests.len(), weakest }
    }
}

fn tally(right: impl Iterator<Item = bool>) -> Tally {
    right.fold(Tally::default(), |tally, right| Tally { rows: tally.rows + 1, right: tally.right + u64::from(right) })
}

/// The tests of one group: the places of the slices that each is about, and its p-value.
fn tests_of(tallies: &[(String, Tally)], all: Tally) -> Vec<(Vec<usize>, f64)> {
    let test = |place: usize| {
        let Tally { rows, right } = tallies[place].1;
        let (other_rows, other_right) = (all.rows - rows, all.right - right);
        let enough = rows.min(other_rows) >= FEWEST_ROWS;
        enough.then(|| two_proportions_p(right, rows, other_right, other_rows))
    };
    match tallies.len() {
        2 => test(0).map(|p| (vec![0, 1], p)).into_iter().collect(),
        count => (0..count).filter_map(|place| Some((vec![place], test(place)?))).collect(),
    }
}

fn weakest(slices: &[Slice], all: Tally) -> Option<usize> {
    let share = all.right as f64 / all.rows as f64;
    let is_worse = |slice: &Slice| slice.p_value.is_some_and(|p| p < SIGNIFICANCE) && slice.accuracy.value < share;
    let worse = slices.iter().enumerate().filter(|(_, slice)| is_worse(slice));
    worse.min_by(|(_, a), (_, b)| a.accuracy.value.total_cmp(&b.accuracy.value)).map(|(place, _)| place)
}
