//! Tables, read for two columns: the text and the label.
//!
//! Only these two are kept in memory. Each row has its place in the file, so that later errors can name file, row and
//! column.

use std::path::{Path, PathBuf};

use table::{Cell, Column, Place, ReadOptions, Table, TableError, ValueType, quoted};

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

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ColumnRequest<'a> {
    /// `None` detects it among [`TEXT_COLUMNS`].
    pub(crate) text: Option<&'a str>,
    /// `None` detects it among [`LABEL_COLUMNS`].
    pub(crate) label: Option<&'a str>,
    /// A file without a label column is unlabeled rather than refused.
    pub(crate) label_optional: bool,
}

/// Names under which the text is found without `--text-column`.
const TEXT_COLUMNS: [&str; 10] =
    ["text", "sentence", "review", "phrase", "content", "comment", "document", "tweet", "message", "body"];
/// Names under which the label is found without `--label-column`.
const LABEL_COLUMNS: [&str; 7] = ["label", "labels", "sentiment", "class", "target", "category", "polarity"];

/// Reads the text and the label of each row.
pub(crate) fn read(path: &Path, wanted: ColumnRequest<'_>, options: &ReadOptions) -> Result<LabeledTable, DataError> {
    let table = Table::open(path, options)?;
    let notes = table.notes().iter().map(|note| format!("{}: {note}", path.display())).collect();
    let columns = Columns { path, seen: table.columns() };
    let (text, label) = columns.choose(wanted)?;
    columns.check_types(text, label)?;
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

struct Columns<'a> {
    path: &'a Path,
    seen: &'a [Column],
}

impl Columns<'_> {
    /// The positions of the text's and the label's columns.
    fn choose(&self, wanted: ColumnRequest<'_>) -> Result<(usize, Option<usize>), TableError> {
        let text = match wanted.text {
            Some(name) => self.named(name, "--text-column")?,
            None => self.detected("text", &TEXT_COLUMNS, "--text-column")?.ok_or_else(|| {
                self.error(format!("no column is called {}", TEXT_COLUMNS.join(", ")), "--text-column NAME")
            })?,
        };
        let label = match wanted.label {
            Some(name) => Some(self.named(name, "--label-column")?),
            None => self.detected("label", &LABEL_COLUMNS, "--label-column")?,
        };
        if label.is_none() && !wanted.label_optional {
            return Err(self.error(format!("no column is called {}", LABEL_COLUMNS.join(", ")), "--label-column NAME"));
        }
        if label == Some(text) {
            return Err(self.error(
                format!("column {:?} can't be both the text and the label", self.seen[text].name),
                "--text-column and --label-column",
            ));
        }
        Ok((text, label))
    }

    /// Whether the two columns hold what can be a text and a label, where the file says what they hold.
    fn check_types(&self, text: usize, label: Option<usize>) -> Result<(), TableError> {
        let check = |column: usize, fits: fn(ValueType) -> bool, what: &str, flag: &str| {
            let column = &self.seen[column];
            match column.declared.as_ref().filter(|declared| !fits(declared.values)) {
                Some(declared) => Err(TableError::file(
                    self.path,
                    format!("column {:?} is {}, not {what} (hint: {flag})", column.name, declared.type_name),
                )),
                None => Ok(()),
            }
        };
        check(text, |values| values == ValueType::Text, "text", "--text-column")?;
        label.map_or(Ok(()), |label| {
            check(label, |values| values != ValueType::Other, "text, a number or a boolean", "--label-column")
        })
    }

    /// The column of this name: as written, else in another case or with space around it.
    fn named(&self, name: &str, flag: &str) -> Result<usize, TableError> {
        let exact = self.positions(|column| column == name);
        let found = if exact.is_empty() { self.positions(|column| folded(column) == folded(name)) } else { exact };
        match found[..] {
            [column] => Ok(column),
            [] => Err(self.error(format!("no column {name:?}"), &format!("{flag} NAME"))),
            _ => Err(self.error(format!("{} columns are called {name:?}", found.len()), "give each its own name")),
        }
    }

    /// The column whose name is among `names`; more than one is an error.
    fn detected(&self, what: &str, names: &[&str], flag: &str) -> Result<Option<usize>, TableError> {
        let found = self.positions(|column| names.contains(&folded(column).as_str()));
        match found[..] {
            [] => Ok(None),
            [column] => Ok(Some(column)),
            [first, ..] if found.iter().all(|column| self.seen[*column].name == self.seen[first].name) => Err(self
                .error(
                    format!("{} columns are called {:?}", found.len(), self.seen[first].name),
                    "give each its own name",
                )),
            _ => {
                let names: Vec<String> = found.iter().map(|column| format!("{:?}", self.seen[*column].name)).collect();
                Err(self.error(
                    format!("columns {} could each be the {what}", names.join(" and ")),
                    &format!("{flag} NAME"),
                ))
            }
        }
    }

    fn positions(&self, fits: impl Fn(&str) -> bool) -> Vec<usize> {
        self.seen.iter().enumerate().filter(|(_, column)| fits(&column.name)).map(|(position, _)| position).collect()
    }

    fn error(&self, reason: String, hint: &str) -> TableError {
        let mut hint = hint.to_string();
        if let [only] = self.seen
            && let Some(separator) = [';', '\t', ',', '|'].into_iter().find(|separator| only.name.contains(*separator))
        {
            let flag = if separator == '\t' { "tab".to_owned() } else { format!("{separator:?}") };
            hint = format!("the columns seem to be separated by {separator:?}, which --separator {flag} says");
        }
        TableError::column(self.path, &reason, self.seen.iter().map(|column| column.name.as_str()), &hint)
    }
}

/// A column's name without case and the space around it.
fn folded(name: &str) -> String {
    name.trim().to_lowercase()
}
