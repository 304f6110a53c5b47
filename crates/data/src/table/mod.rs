//! A person's own tables: CSV, TSV, JSONL and Parquet, read for two columns, the text and the label.
//!
//! Only the two columns are kept in memory, and each row remembers where it stood, so that whatever is wrong with it
//! later can be named by file, row and column.

mod csv;
mod jsonl;
mod pages;
mod parquet;
pub(crate) mod text;

use std::path::{Path, PathBuf};

use crate::error::{DataError, Place};

/// A label as its file has it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    /// Null, or a field without content.
    Missing,
    Text(String),
    Integer(i64),
    Float(f64),
    Bool(bool),
}

impl Cell {
    /// The kind of value, as a message names it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Missing => "nothing",
            Self::Text(_) => "text",
            Self::Integer(_) | Self::Float(_) => "a number",
            Self::Bool(_) => "true or false",
        }
    }
}

/// A row's text and label, and where it stood.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    /// Index of the file among those of its data set.
    pub(crate) file: usize,
    /// From 1, the header not counted.
    pub(crate) row: u64,
    /// Where the row begins, from 1; `None` for Parquet.
    pub(crate) line: Option<u64>,
    pub(crate) text: Option<String>,
    pub(crate) label: Cell,
}

/// What is known of a file beyond its rows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Origin {
    pub(crate) path: PathBuf,
    pub(crate) text_column: String,
    pub(crate) label_column: Option<String>,
    /// The names of classes 0, 1, ... where the file declares them (Parquet written by the `datasets` library).
    pub(crate) class_names: Option<Vec<String>>,
}

impl Origin {
    pub(crate) fn place(&self, row: &Row) -> Place {
        Place { path: self.path.clone(), row: row.row, line: row.line }
    }
}

/// One file, read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Table {
    pub(crate) origin: Origin,
    pub(crate) rows: Vec<Row>,
}

/// Which columns to read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wanted<'a> {
    /// `None` detects it among [`TEXT_COLUMNS`].
    pub(crate) text: Option<&'a str>,
    /// `None` detects it among [`LABEL_COLUMNS`].
    pub(crate) label: Option<&'a str>,
    /// A file without a label column is unlabelled rather than refused.
    pub(crate) label_optional: bool,
}

/// Names under which the text is found without `--text-column`.
const TEXT_COLUMNS: [&str; 10] =
    ["text", "sentence", "review", "phrase", "content", "comment", "document", "tweet", "message", "body"];
/// Names under which the label is found without `--label-column`.
const LABEL_COLUMNS: [&str; 7] = ["label", "labels", "sentiment", "class", "target", "category", "polarity"];

/// The endings of the files that [`read`] reads.
pub(crate) const ENDINGS: [&str; 7] = ["csv", "tsv", "tab", "jsonl", "ndjson", "json", "parquet"];

/// Reads a table by the ending of its name.
pub(crate) fn read(path: &Path, wanted: Wanted<'_>) -> Result<Table, DataError> {
    let table = match ending(path).as_str() {
        "csv" => csv::read(path, b',', wanted),
        "tsv" | "tab" => csv::read(path, b'\t', wanted),
        "jsonl" | "ndjson" | "json" => jsonl::read(path, wanted),
        "parquet" => parquet::read(path, wanted),
        "" => Err(DataError::content(path, "no ending says its format (hint: name it .csv, .tsv, .jsonl or .parquet)")),
        other => Err(DataError::content(
            path,
            format!(
                "the ending {other:?} is not one that can be read: .csv, .tsv, .jsonl, .parquet (hint: save it as one of \
                 these, or rename it where it is one)"
            ),
        )),
    }?;
    if table.rows.is_empty() {
        return Err(DataError::content(path, "no rows, only the names of its columns"));
    }
    Ok(table)
}

pub(crate) fn ending(path: &Path) -> String {
    path.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default()
}

/// The positions of the text's and the label's columns among those `seen`.
fn choose(path: &Path, seen: &[String], wanted: Wanted<'_>) -> Result<(usize, Option<usize>), DataError> {
    let columns = Columns { path, seen };
    let text = match wanted.text {
        Some(name) => columns.named(name, "--text-column")?,
        None => columns.detected("text", &TEXT_COLUMNS, "--text-column")?.ok_or_else(|| {
            columns.error(format!("no column is called {}", TEXT_COLUMNS.join(", ")), "--text-column NAME")
        })?,
    };
    let label = match wanted.label {
        Some(name) => Some(columns.named(name, "--label-column")?),
        None => columns.detected("label", &LABEL_COLUMNS, "--label-column")?,
    };
    if label.is_none() && !wanted.label_optional {
        return Err(columns.error(format!("no column is called {}", LABEL_COLUMNS.join(", ")), "--label-column NAME"));
    }
    if label == Some(text) {
        return Err(columns.error(
            format!("column {:?} can't be both the text and the label", seen[text]),
            "--text-column and --label-column",
        ));
    }
    Ok((text, label))
}

struct Columns<'a> {
    path: &'a Path,
    seen: &'a [String],
}

impl Columns<'_> {
    /// The column of this name: as written, else in another case or with space around it.
    fn named(&self, name: &str, flag: &str) -> Result<usize, DataError> {
        let exact = self.positions(|column| column == name);
        let found = if exact.is_empty() { self.positions(|column| folded(column) == folded(name)) } else { exact };
        match found[..] {
            [column] => Ok(column),
            [] => Err(self.error(format!("no column {name:?}"), &format!("{flag} NAME"))),
            _ => Err(self.error(format!("{} columns are called {name:?}", found.len()), "give each its own name")),
        }
    }

    /// The one column whose name is among `names`; more than one is not for us to choose from.
    fn detected(&self, what: &str, names: &[&str], flag: &str) -> Result<Option<usize>, DataError> {
        let found = self.positions(|column| names.contains(&folded(column).as_str()));
        match found[..] {
            [] => Ok(None),
            [column] => Ok(Some(column)),
            [first, ..] if found.iter().all(|column| self.seen[*column] == self.seen[first]) => Err(self
                .error(format!("{} columns are called {:?}", found.len(), self.seen[first]), "give each its own name")),
            _ => {
                let names: Vec<String> = found.iter().map(|column| format!("{:?}", self.seen[*column])).collect();
                Err(self.error(
                    format!("columns {} could each be the {what}", names.join(" and ")),
                    &format!("{flag} NAME"),
                ))
            }
        }
    }

    fn positions(&self, fits: impl Fn(&str) -> bool) -> Vec<usize> {
        self.seen.iter().enumerate().filter(|(_, name)| fits(name)).map(|(position, _)| position).collect()
    }

    fn error(&self, reason: String, hint: &str) -> DataError {
        let mut hint = hint.to_string();
        if let [only] = self.seen
            && let Some(separator) = [';', '\t', ',', '|'].into_iter().find(|separator| only.contains(*separator))
        {
            hint =
                format!("the columns seem to be separated by {separator:?}: write .csv with commas or .tsv with tabs");
        }
        let mut seen: Vec<String> = self.seen.iter().take(30).map(|name| crate::source::cut(name)).collect();
        if self.seen.len() > seen.len() {
            seen.push(format!("and {} more", self.seen.len() - seen.len()));
        }
        let seen = if seen.is_empty() { "none".to_owned() } else { seen.join(", ") };
        DataError::Column { path: self.path.into(), reason, seen, hint }
    }
}

/// A column's name without case and the space around it.
fn folded(name: &str) -> String {
    name.trim().to_lowercase()
}

#[cfg(test)]
mod tests;
