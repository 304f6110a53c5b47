//! Rows that are alike for every score, counted together: a bootstrap then counts rows instead of looking at them.

use metrics::{ClassCounts, OverallScores, ReportOptions};

/// A score of all classes together: its name, and which it is.
pub(crate) type NamedScore = (&'static str, fn(&OverallScores) -> f64);

/// The rows of an evaluation by what they are: first their true class, then what one or more models predict.
pub(crate) struct Cells<const N: usize> {
    /// The place in `kinds` of each row.
    pub(crate) rows: Vec<u32>,
    /// The kinds of rows that there are, each once, in ascending order.
    pub(crate) kinds: Vec<[u32; N]>,
}

impl<const N: usize> Cells<N> {
    /// Sorts rows into cells. There are at most as many cells as rows, whatever the number of classes.
    pub(crate) fn of(rows: impl Iterator<Item = [u32; N]>) -> Self {
        let rows: Vec<[u32; N]> = rows.collect();
        let mut kinds = rows.clone();
        kinds.sort_unstable();
        kinds.dedup();
        let place = |row: &[u32; N]| kinds.partition_point(|kind| kind < row) as u32;
        let rows = rows.iter().map(place).collect();
        Self { rows, kinds }
    }

    /// The scores of the model whose predictions are at `place`, where so many rows are in each cell.
    pub(crate) fn scores(&self, counts: &[u64], place: usize, classes: usize) -> OverallScores {
        let mut by_class = ClassCounts::new(classes);
        self.kinds.iter().zip(counts).for_each(|(kind, rows)| by_class.add(kind[0], kind[place], *rows));
        by_class.overall(ReportOptions::default())
    }
}
