//! Which columns of a table hold the text and the label: by the names that are given, else by the usual names.

use std::path::Path;

use crate::column::{Column, ValueType};
use crate::error::TableError;

/// Names under which the text is found without `--text-column`.
const TEXT_COLUMNS: [&str; 10] =
    ["text", "sentence", "review", "phrase", "content", "comment", "document", "tweet", "message", "body"];
/// Names under which the label is found without `--label-column`.
const LABEL_COLUMNS: [&str; 7] = ["label", "labels", "sentiment", "class", "target", "category", "polarity"];

/// The columns that the user names.
#[derive(Debug, Clone, Copy, Default)]
pub struct ColumnRequest<'a> {
    /// `None` finds it by the usual names.
    pub text: Option<&'a str>,
    /// `None` finds it by the usual names.
    pub label: Option<&'a str>,
    /// A file without a label column is unlabeled rather than refused.
    pub label_optional: bool,
}

impl ColumnRequest<'_> {
    /// The positions of the text's and the label's columns; `path` is for messages.
    ///
    /// # Errors
    /// Columns that are missing, ambiguous, or of a type that holds no texts or labels.
    pub fn choose(&self, path: &Path, columns: &[Column]) -> Result<(usize, Option<usize>), TableError> {
        let columns = SeenColumns { path, seen: columns };
        let text = columns.text(self.text)?;
        let label = match self.label {
            Some(name) => Some(columns.named(name, "--label-column")?),
            None => columns.detected("label", &LABEL_COLUMNS, "--label-column")?,
        };
        if label.is_none() && !self.label_optional {
            let reason = format!("no column is called {}", LABEL_COLUMNS.join(", "));
            return Err(columns.error(reason, "--label-column NAME"));
        }
        if label == Some(text) {
            return Err(columns.error(
                format!("column {:?} can't be both the text and the label", columns.seen[text].name),
                "--text-column and --label-column",
            ));
        }
        columns.check_text(text)?;
        if let Some(label) = label {
            let what = "text, a number or a boolean";
            columns.check_type(label, |values| values != ValueType::Other, what, "--label-column")?;
        }
        Ok((text, label))
    }

    /// The position of the text's column, of a file whose labels are of no interest; `path` is for messages.
    ///
    /// # Errors
    /// A column that is missing, ambiguous, or of a type that holds no texts.
    pub fn choose_text(&self, path: &Path, columns: &[Column]) -> Result<usize, TableError> {
        let columns = SeenColumns { path, seen: columns };
        let text = columns.text(self.text)?;
        columns.check_text(text)?;
        Ok(text)
    }
}

struct SeenColumns<'a> {
    path: &'a Path,
    seen: &'a [Column],
}

impl SeenColumns<'_> {
    fn text(&self, wanted: Option<&str>) -> Result<usize, TableError> {
        match wanted {
            Some(name) => self.named(name, "--text-column"),
            None => self.detected("text", &TEXT_COLUMNS, "--text-column")?.ok_or_else(|| {
                self.error(format!("no column is called {}", TEXT_COLUMNS.join(", ")), "--text-column NAME")
            }),
        }
    }

    fn check_text(&self, text: usize) -> Result<(), TableError> {
        self.check_type(text, |values| values == ValueType::Text, "text", "--text-column")
    }

    /// Whether a column holds what it is read for, where the file says what it holds.
    fn check_type(&self, column: usize, fits: fn(ValueType) -> bool, what: &str, flag: &str) -> Result<(), TableError> {
        let column = &self.seen[column];
        match column.declared.as_ref().filter(|declared| !fits(declared.values)) {
            Some(declared) => Err(TableError::file(
                self.path,
                format!("column {:?} is {}, not {what} (hint: {flag})", column.name, declared.type_name),
            )),
            None => Ok(()),
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::DeclaredType;

    fn columns(names: &[&str]) -> Vec<Column> {
        names.iter().map(|name| Column { name: (*name).into(), declared: None }).collect()
    }

    #[test]
    fn a_text_is_found_whatever_could_be_its_label() {
        let columns = columns(&["id", " Review", "label", "sentiment"]);
        let path = Path::new("a.csv");
        assert_eq!(ColumnRequest::default().choose_text(path, &columns).unwrap(), 1);
        let ambiguous = ColumnRequest::default().choose(path, &columns).unwrap_err().to_string();
        assert!(ambiguous.contains("columns \"label\" and \"sentiment\" could each be the label"), "{ambiguous}");
        let wanted = ColumnRequest { text: Some("ID"), label: Some("label"), label_optional: false };
        assert_eq!(wanted.choose(path, &columns).unwrap(), (0, Some(2)));
        assert_eq!(wanted.choose_text(path, &columns).unwrap(), 0);
    }

    #[test]
    fn a_column_that_holds_no_texts_is_refused() {
        let declared = DeclaredType { values: ValueType::Integer, type_name: "Int64".into(), class_names: None };
        let columns = [Column { name: "text".into(), declared: Some(declared) }];
        let message = ColumnRequest::default().choose_text(Path::new("a.parquet"), &columns).unwrap_err().to_string();
        assert_eq!(message, "a.parquet: column \"text\" is Int64, not text (hint: --text-column)");
    }
}
