//! Tables, read for two columns: the text and the label.
//!
//! Only these two are kept in memory. Each row has its place in the file, so that later errors can name file, row and
//! column.

use std::path::{Path, PathBuf};

use table::{Cell, ColumnRequest, Place, ReadOptions, Table, TableError, quoted};

use crate::error::DataError;

/// A row's text and label, and its place in the file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LabeledRow {
    /// Index of the file among those of its data set.
    pub(crate) file: usize,
    /// From 1, the header not counted.
    pub(crate) row: u64,
    /// The line on which the row starts, from 1; `None` for Parquet.
    pub(crate) line: Option<u64>,
    pub(crate) text: Option<String>,
    /// As in its file; [`Cell::Missing`] where a text is blank.
    pub(crate) label: Cell,
}

/// A file without its rows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SourceFile {
    pub(crate) path: PathBuf,
    pub(crate) text_column: String,
    pub(crate) label_column: Option<String>,
    /// The names of classes 0, 1, ... where the file declares them.
    pub(crate) class_names: Option<Vec<String>>,
}

impl SourceFile {
    pub(crate) fn place(&self, row: &LabeledRow) -> Place {
        Place { path: self.path.clone(), row: row.row, line: row.line }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LabeledTable {
    pub(crate) file: SourceFile,
    pub(crate) rows: Vec<LabeledRow>,
    /// What was detected in the file and is not said by its name, for the user.
    pub(crate) notes: Vec<String>,
}

/// Reads the text and the label of each row.
pub(crate) fn read(path: &Path, wanted: ColumnRequest<'_>, options: &ReadOptions) -> Result<LabeledTable, DataError> {
    let table = Table::open(path, options)?;
    let notes = table.notes().iter().map(|note| format!("{}: {note}", path.display())).collect();
    let (text, label) = wanted.choose(path, table.columns())?;
    let name = |column: usize| table.columns()[column].name.clone();
    let declared = |column: usize| table.columns()[column].declared.clone();
    let file = SourceFile {
        path: path.into(),
        text_column: name(text),
        label_column: label.map(name),
        class_names: label.and_then(declared).and_then(|declared| declared.class_names),
    };
    let asked: Vec<usize> = std::iter::once(text).chain(label).collect();
    let mut rows: Vec<LabeledRow> = Vec::new();
    for row in table.rows(&asked)? {
        let table::Row { number, line, cells } = row?;
        let place = || Place { path: path.into(), row: number, line };
        let mut cells = cells.into_iter();
        let text = match cells.next().unwrap_or(Cell::Missing) {
            Cell::Missing => None,
            Cell::Text(text) => Some(text),
            other => {
                let earlier = rows.iter().rfind(|row| row.text.is_some());
                let before = earlier.map(|row| format!(", text in row {}", row.row)).unwrap_or_default();
                let (found, kind, column) = (quoted(&other.to_string()), other.kind(), file.text_column);
                let reason = format!("{found}, {kind} here{before} (hint: --text-column)");
                return Err(TableError::Value { place: place(), column, reason }.into());
            }
        };
        let label = match cells.next().unwrap_or(Cell::Missing) {
            Cell::Text(text) if text.trim().is_empty() => Cell::Missing,
            nested @ Cell::Nested(_) => {
                let (found, kind) = (quoted(&nested.to_string()), nested.kind());
                let column = file.label_column.unwrap_or_default();
                let what = "is not a label: text, a whole number, true or false (hint: --label-column)";
                let reason = format!("{found}, {kind}, {what}");
                return Err(TableError::Value { place: place(), column, reason }.into());
            }
            other => other,
        };
        rows.push(LabeledRow { file: 0, row: number, line, text, label });
    }
    if rows.is_empty() {
        return Err(DataError::content(path, "no rows, only the names of its columns"));
    }
    Ok(LabeledTable { file, rows, notes })
}
