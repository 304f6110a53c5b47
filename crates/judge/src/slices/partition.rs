//! Rows parted into the slices of a group.

use super::{Tally, tally};

/// Fewer rows say too little to be tested, or to be a slice where there is a choice.
pub(super) const FEWEST_ROWS: u64 = 20;

/// Every row in one slice of a group.
pub(super) struct Partition {
    pub(super) group: String,
    /// The names of the slices, in their order.
    names: Vec<String>,
    /// The slice of each row.
    slices: Vec<usize>,
}

impl Partition {
    /// The slices with these names; `slices` has the place of each row's name.
    pub(super) fn new(group: &str, names: Vec<String>, slices: Vec<usize>) -> Self {
        Self { group: group.to_owned(), names, slices }
    }

    /// The rows of each slice that has some, and how many are right.
    pub(super) fn tallies(&self, right: &[bool]) -> Vec<(String, Tally)> {
        let of_slice = |slice: usize| {
            let rows = self.slices.iter().zip(right).filter(move |(of, _)| **of == slice);
            tally(rows.map(|(_, right)| *right))
        };
        let all = self.names.iter().enumerate().map(|(slice, name)| (name.clone(), of_slice(slice)));
        all.filter(|(_, tally)| tally.rows > 0).collect()
    }
}
