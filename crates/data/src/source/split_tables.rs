//! Named data sets that come as three tables with a text and a label in each row, one table a split.

use std::path::PathBuf;

use table::{ColumnRequest, ReadOptions, TableError};

use super::digests;
use super::named::NamedDataset;
use crate::error::DataError;
use crate::labeled_table::{self, LabeledRow, LabeledTable, TableRequest};
use crate::labels::{self, Classes, LabelOptions, SplitRows, listed};
use crate::loaded::Loaded;
use crate::record::{Split, is_blank};
use crate::thousands::listed_sizes;

/// Reads the files of train, validation and test. Their labels are the numbers of the data set's label names.
pub(super) fn load(
    dataset: &NamedDataset,
    files: [PathBuf; 3],
    columns: ColumnRequest<'_>,
    source: String,
    drop_empty: bool,
) -> Result<Loaded, DataError> {
    let wanted = TableRequest { columns, separator: "" };
    let (mut split_rows, mut notes, mut empty_dropped) = (SplitRows::default(), Vec::new(), 0);
    for (split, path) in Split::ALL.into_iter().zip(&files) {
        let mut table = labeled_table::read(path, wanted, &ReadOptions::default())?;
        empty_dropped += refuse_blank(&mut table, drop_empty, &mut notes)?;
        split_rows.add(split, table);
    }
    let names = LabelOptions { declared: Some(dataset.label_names), ..LabelOptions::default() };
    let classes = Classes::of(&split_rows, names)?;
    let labeled = Loaded::from(labels::resolve(split_rows, classes)?);
    notes.extend(labeled.notes);
    let sizes = [&labeled.train, &labeled.validation, &labeled.test].map(Vec::len);
    Ok(Loaded {
        dataset: dataset.name.into(),
        variant: format!("{}: {} rows", dataset.name, listed_sizes(sizes)),
        source,
        license: dataset.license.into(),
        source_sha256: digests(&files)?,
        empty_dropped,
        notes,
        ..labeled
    })
}

/// Rows whose text is null or blank: refused with their list, or dropped; how many were.
pub(super) fn refuse_blank(table: &mut LabeledTable, drop: bool, notes: &mut Vec<String>) -> Result<usize, DataError> {
    let blank = |row: &LabeledRow| row.text.as_deref().is_none_or(is_blank);
    let found: Vec<&LabeledRow> = table.rows.iter().filter(|row| blank(row)).collect();
    let dropped = found.len();
    let Some(first) = found.first() else {
        return Ok(0);
    };
    if !drop {
        let refused = TableError::Value {
            place: table.file.place(first),
            column: table.file.text_column.clone(),
            reason: format!(
                "null or empty text in {} of {} rows: {} (hint: --drop-empty)",
                found.len(),
                table.rows.len(),
                listed(&found)
            ),
        };
        return Err(refused.into());
    }
    notes.push(format!(
        "{}: {} of {} rows dropped, their text is null or empty: {}",
        table.file.path.display(),
        found.len(),
        table.rows.len(),
        listed(&found)
    ));
    table.rows.retain(|row| !blank(row));
    if table.rows.is_empty() {
        return Err(DataError::content(&table.file.path, "no row has a text (hint: --text-column)"));
    }
    Ok(dropped)
}
