//! Tables, read for their text and their label.
//!
//! Only these two are kept in memory, the text from one column or joined from several. Each row has its place in the
//! file, so that later errors can name file, row and column.

use std::path::{Path, PathBuf};

use table::{
    Cell, ChosenColumns, ColumnRequest, Place, ReadOptions, SEVERAL_LABELS, Table, TableError, joined_text, quoted,
};

use crate::error::DataError;
use crate::record::is_blank;

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
    /// Of several columns their names, with commas between them.
    pub(crate) text_column: String,
    pub(crate) several_text_columns: bool,
    pub(crate) label_column: Option<String>,
    /// The names of classes 0, 1, ... where the file declares them.
    pub(crate) class_names: Option<Vec<String>>,
}

impl SourceFile {
    /// The last part of its path.
    pub(crate) fn name(&self) -> String {
        self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy().into_owned()
    }

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

/// How a table's rows become texts and labels.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct TableRequest<'a> {
    pub(crate) columns: ColumnRequest<'a>,
    /// What stands between the texts of several columns.
    pub(crate) separator: &'a str,
}

/// Reads the text and the label of each row.
pub(crate) fn read(path: &Path, wanted: TableRequest<'_>, options: &ReadOptions) -> Result<LabeledTable, DataError> {
    let table = Table::open(path, options)?;
    let notes = table.notes().iter().map(|note| format!("{}: {note}", path.display())).collect();
    let ChosenColumns { text, label } = wanted.columns.choose(path, table.columns())?;
    let name = |column: usize| table.columns()[column].name.clone();
    let text_columns: Vec<String> = text.iter().copied().map(name).collect();
    let file = SourceFile {
        path: path.into(),
        text_column: text_columns.join(","),
        several_text_columns: text_columns.len() > 1,
        label_column: label.map(name),
        class_names: label
            .and_then(|column| table.columns()[column].declared.clone())
            .and_then(|declared| declared.class_names),
    };
    let asked: Vec<usize> = text.iter().copied().chain(label).collect();
    let mut rows: Vec<LabeledRow> = Vec::new();
    for row in table.rows(&asked)? {
        let table::Row { number, line, mut cells } = row?;
        let place = || Place { path: path.into(), row: number, line };
        let label = if label.is_some() { cells.pop().unwrap_or(Cell::Missing) } else { Cell::Missing };
        let text = joined_text(&cells, wanted.separator, is_blank).map_err(|position| {
            let earlier = rows.iter().rfind(|row| row.text.is_some());
            let before = earlier.map(|row| format!(", text in row {}", row.row)).unwrap_or_default();
            let (found, kind) = (quoted(&cells[position].to_string()), cells[position].kind());
            let reason = format!("{found}, {kind} here{before} (hint: --text-column)");
            TableError::Value { place: place(), column: text_columns[position].clone(), reason }
        })?;
        let label = match label {
            Cell::Text(text) if text.trim().is_empty() => Cell::Missing,
            nested @ Cell::Nested(_) => {
                let (found, kind) = (quoted(&nested.to_string()), nested.kind());
                let column = file.label_column.unwrap_or_default();
                let reason = match kind {
                    "an array" => format!("{found}, {kind}: {SEVERAL_LABELS}"),
                    _ => format!(
                        "{found}, {kind}, is not a label: text, a whole number, true or false (hint: --label-column)"
                    ),
                };
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
