//! The rows of a data set by split, each with its place.

use table::TableError;

use crate::error::DataError;
use crate::labeled_table::{LabeledRow, LabeledTable, SourceFile};
use crate::loaded::Places;
use crate::record::Split;

/// Row numbers that a message lists before it says how many more there are.
const LISTED: usize = 10;

/// The rows of a data set's files by split.
#[derive(Debug, Default)]
pub(crate) struct SplitRows {
    pub(crate) files: Vec<SourceFile>,
    splits: [Vec<LabeledRow>; 3],
}

impl SplitRows {
    pub(crate) fn split(&self, split: Split) -> &[LabeledRow] {
        &self.splits[split as usize]
    }

    /// Adds all rows of a file to `split`.
    pub(crate) fn add(&mut self, split: Split, table: LabeledTable) {
        let file = self.files.len();
        self.files.push(table.file);
        self.splits[split as usize].extend(table.rows.into_iter().map(|row| LabeledRow { file, ..row }));
    }

    /// Distributes the rows of train over the splits: `dealt` has the split of each.
    pub(crate) fn resplit_train(&mut self, dealt: &[Split]) {
        for (row, split) in std::mem::take(&mut self.splits[Split::Train as usize]).into_iter().zip(dealt) {
            self.splits[*split as usize].push(row);
        }
    }

    /// The texts of a split, which its rows lose: a second copy of all would be as large as everything else.
    pub(super) fn take_texts(&mut self, split: Split) -> impl Iterator<Item = String> {
        self.splits[split as usize].iter_mut().map(|row| row.text.take().unwrap_or_default())
    }

    pub(super) fn places(&self) -> Places {
        let rows = |split| (split, self.split(split).iter().map(|row| (row.file, row.row)).collect());
        Places { files: self.files.iter().map(SourceFile::name).collect(), rows: Split::ALL.map(rows).into() }
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = &LabeledRow> {
        self.splits.iter().flatten()
    }

    pub(super) fn refuse(&self, row: &LabeledRow, reason: String) -> DataError {
        let file = &self.files[row.file];
        let column = file.label_column.clone().unwrap_or_default();
        TableError::Value { place: file.place(row), column, reason }.into()
    }
}

/// `rows 3, 4, 9 and 31 more`.
pub(crate) fn listed(rows: &[&LabeledRow]) -> String {
    let shown: Vec<String> = rows.iter().take(LISTED).map(|row| row.row.to_string()).collect();
    let more = rows.len() - shown.len();
    let word = if rows.len() == 1 { "row" } else { "rows" };
    if more == 0 {
        format!("{word} {}", shown.join(", "))
    } else {
        format!("{word} {} and {more} more", shown.join(", "))
    }
}
