//! Which columns of a table hold the text and the label: by the names that are given, else by the usual names.

use std::path::Path;

use crate::column::{Column, ValueType};
use crate::error::TableError;

/// Names under which the text is found without `--text-column`.
const TEXT_COLUMNS: [&str; 10] =
    ["text", "sentence", "review", "phrase", "content", "comment", "document", "tweet", "message", "body"];
/// Names under which the label is found without `--label-column`.
const LABEL_COLUMNS: [&str; 7] = ["label", "labels", "sentiment", "class", "target", "category", "polarity"];

/// Why a list of labels is refused, and what to do.
pub const SEVERAL_LABELS: &str = "several labels a text are not supported (hint: keep one label a text, or train a model \
    for each label, with a column that says whether a text has it, by --label-column)";
/// SeenColumns with two texts a row, as data sets of sentence pairs call them.
const PAIRS: [(&str, &str); 3] = [("premise", "hypothesis"), ("question", "sentence"), ("query", "passage")];
/// Beside [`TEXT_COLUMNS`], what comes before the number of a text in the name of its column: `sentence1`, `text_a`.
const NUMBERED: [&str; 4] = ["question", "string", "sent", "passage"];

/// The columns that the user names.
#[derive(Debug, Clone, Copy, Default)]
pub struct ColumnRequest<'a> {
    /// A name, a number from 1 where no column has that name, or several of these with commas between them. `None` finds
    /// it by the usual names.
    pub text: Option<&'a str>,
    /// A name or a number. `None` finds it by the usual names.
    pub label: Option<&'a str>,
    /// A file without a label column is unlabeled rather than refused.
    pub label_optional: bool,
}

/// The positions of the columns that were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChosenColumns {
    /// Those of the text, which is their cells joined; at least one.
    pub text: Vec<usize>,
    pub label: Option<usize>,
}

impl ColumnRequest<'_> {
    /// The positions of the text's and the label's columns; `path` is for messages.
    ///
    /// # Errors
    /// Columns that are missing, ambiguous, or of a type that holds no texts or labels.
    pub fn choose(&self, path: &Path, columns: &[Column]) -> Result<ChosenColumns, TableError> {
        let text = self.choose_text(path, columns)?;
        let columns = SeenColumns { path, seen: columns };
        let label = match self.label {
            Some(name) => Some(columns.named(name, "--label-column")?),
            None => columns.detected("label", &LABEL_COLUMNS, "--label-column")?,
        };
        if label.is_none() && !self.label_optional {
            let reason = format!("no column is called {}", LABEL_COLUMNS.join(", "));
            return Err(columns.error(reason, "--label-column NAME"));
        }
        if let Some(label) = label {
            if text.contains(&label) {
                return Err(columns.error(
                    format!("column {:?} can't be both the text and the label", columns.seen[label].name),
                    "--text-column and --label-column",
                ));
            }
            columns.check_label(label)?;
        }
        Ok(ChosenColumns { text, label })
    }

    /// The positions of the text's columns, of a file whose labels are of no interest; `path` is for messages.
    ///
    /// # Errors
    /// A column that is missing, ambiguous, or of a type that holds no texts.
    pub fn choose_text(&self, path: &Path, columns: &[Column]) -> Result<Vec<usize>, TableError> {
        let columns = SeenColumns { path, seen: columns };
        let text = columns.text(self.text)?;
        text.iter().try_for_each(|text| columns.check_text(*text))?;
        Ok(text)
    }
}

/// The position of the column of this name: as written, else in another case or with space around it, else of this number (from 1).
/// `path` and `flag`, which asks for it, are for messages.
///
/// # Errors
/// A column that is not there, and a name of several.
pub fn named_column(path: &Path, columns: &[Column], name: &str, flag: &str) -> Result<usize, TableError> {
    SeenColumns { path, seen: columns }.named(name, flag)
}

struct SeenColumns<'a> {
    path: &'a Path,
    seen: &'a [Column],
}

impl SeenColumns<'_> {
    fn text(&self, wanted: Option<&str>) -> Result<Vec<usize>, TableError> {
        let Some(wanted) = wanted else {
            if let Some((one, other)) = self.pair() {
                return Err(self.error(
                    format!("columns {one:?} and {other:?} hold two texts a row, and pairs of texts are not supported"),
                    &format!("--text-column {one},{other} joins them, --text-column {one} takes one"),
                ));
            }
            let found = self.detected("text", &TEXT_COLUMNS, "--text-column")?;
            let missing =
                || self.error(format!("no column is called {}", TEXT_COLUMNS.join(", ")), "--text-column NAME");
            return Ok(vec![found.ok_or_else(missing)?]);
        };
        match self.find(wanted)? {
            Some(column) => Ok(vec![column]),
            None if wanted.contains(',') => {
                let mut found = Vec::new();
                for name in wanted.split(',').map(str::trim) {
                    let column = self.named(name, "--text-column")?;
                    if found.contains(&column) {
                        let reason = format!("--text-column {wanted} names column {:?} twice", self.seen[column].name);
                        return Err(self.error(reason, "name it once"));
                    }
                    found.push(column);
                }
                Ok(found)
            }
            None => self.named(wanted, "--text-column").map(|column| vec![column]),
        }
    }

    /// The names of two columns that hold a pair of texts.
    fn pair(&self) -> Option<(&str, &str)> {
        let named = |name: &str| self.seen.iter().find(|column| folded(&column.name) == name);
        let known = PAIRS.iter().map(|(one, other)| (one.to_string(), other.to_string()));
        let numbered = TEXT_COLUMNS.iter().chain(&NUMBERED).flat_map(|stem| {
            [("1", "2"), ("_1", "_2"), ("_a", "_b"), ("a", "b")]
                .map(|(one, other)| (format!("{stem}{one}"), format!("{stem}{other}")))
        });
        known.chain(numbered).find_map(|(one, other)| Some((named(&one)?.name.as_str(), named(&other)?.name.as_str())))
    }

    fn check_label(&self, label: usize) -> Result<(), TableError> {
        let is_list = |column: &Column| {
            column
                .declared
                .as_ref()
                .is_some_and(|declared| declared.values == ValueType::Other && declared.type_name.contains("List("))
        };
        if is_list(&self.seen[label]) {
            return Err(TableError::file(
                self.path,
                format!("column {:?} holds lists: {SEVERAL_LABELS}", self.seen[label].name),
            ));
        }
        self.check_type(label, |values| values != ValueType::Other, "text, a number or a boolean", "--label-column")
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

    /// The column of this name or number, or the error that says there is none.
    fn named(&self, name: &str, flag: &str) -> Result<usize, TableError> {
        if let Some(column) = self.find(name)? {
            return Ok(column);
        }
        let reason = match name.trim().parse::<usize>() {
            Ok(number) => format!("no column {number}, the table has {}", self.seen.len()),
            Err(_) => format!("no column {name:?}"),
        };
        Err(self.error(reason, &format!("{flag} NAME")))
    }

    /// The column of this name: as written, else in another case or with space around it, else of this number.
    fn find(&self, name: &str) -> Result<Option<usize>, TableError> {
        let exact = self.positions(|column| column == name);
        let found = if exact.is_empty() { self.positions(|column| folded(column) == folded(name)) } else { exact };
        match found[..] {
            [column] => Ok(Some(column)),
            [] => {
                let number = name.trim().parse::<usize>().ok();
                Ok(number.and_then(|number| number.checked_sub(1)).filter(|column| *column < self.seen.len()))
            }
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
        // Without a header the columns are called 1, 2, 3, ...
        let is_data = |(at, column): (usize, &Column)| {
            column.name.trim().parse::<f64>().is_ok() && column.name != (at + 1).to_string()
        };
        if hint.starts_with("--") && self.seen.iter().enumerate().any(is_data) {
            hint = format!("--no-header if the first row is data, {hint} or NUMBER");
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

    fn texts(request: &str, names: &[&str]) -> Result<Vec<usize>, String> {
        let request = ColumnRequest { text: Some(request), ..ColumnRequest::default() };
        request.choose_text(Path::new("a.csv"), &columns(names)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_text_is_found_whatever_could_be_its_label() {
        let columns = columns(&["id", " Review", "label", "sentiment"]);
        let path = Path::new("a.csv");
        assert_eq!(ColumnRequest::default().choose_text(path, &columns).unwrap(), [1]);
        let ambiguous = ColumnRequest::default().choose(path, &columns).unwrap_err().to_string();
        assert!(ambiguous.contains("columns \"label\" and \"sentiment\" could each be the label"), "{ambiguous}");
        let wanted = ColumnRequest { text: Some("ID"), label: Some("label"), label_optional: false };
        assert_eq!(wanted.choose(path, &columns).unwrap(), ChosenColumns { text: vec![0], label: Some(2) });
        assert_eq!(wanted.choose_text(path, &columns).unwrap(), [0]);
    }

    #[test]
    fn columns_by_number_and_several_of_them() {
        assert_eq!(texts("title, body", &["body", "Title", "label"]).unwrap(), [1, 0]);
        assert_eq!(texts("3,1", &["a", "b", "c"]).unwrap(), [2, 0]);
        // A column's own name wins over a number and over a list.
        assert_eq!(texts("2", &["2", "1"]).unwrap(), [0]);
        assert_eq!(texts("title,body", &["title", "body", "title,body"]).unwrap(), [2]);
        for (request, reason) in [
            ("4", "no column 4, the table has 3; columns found: a, b, c (hint: --text-column NAME)"),
            ("0", "no column 0, the table has 3"),
            ("a,d", "no column \"d\""),
            ("a,1", "names column \"a\" twice"),
            ("a,", "no column \"\""),
        ] {
            let error = texts(request, &["a", "b", "c"]).unwrap_err();
            assert!(error.contains(reason), "{request}: {error}");
        }
        let both = ColumnRequest { text: Some("a,b"), label: Some("2"), label_optional: false };
        let error = both.choose(Path::new("a.csv"), &columns(&["a", "b"])).unwrap_err().to_string();
        assert!(error.contains("column \"b\" can't be both the text and the label"), "{error}");
    }

    #[test]
    fn pairs_of_texts_are_refused_unless_columns_are_named() {
        for (one, other) in
            [("sentence1", "sentence2"), ("Text_A", "Text_B"), ("premise", "hypothesis"), ("question", "sentence")]
        {
            let columns = columns(&["label", one, other]);
            let error = ColumnRequest::default().choose(Path::new("a.csv"), &columns).unwrap_err().to_string();
            let hint = format!("(hint: --text-column {one},{other} joins them, --text-column {one} takes one)");
            assert!(error.contains("pairs of texts are not supported") && error.ends_with(&hint), "{error}");
        }
        assert_eq!(texts("sentence1,sentence2", &["sentence1", "sentence2"]).unwrap(), [0, 1]);
    }

    #[test]
    fn a_column_that_holds_no_texts_or_labels_is_refused() {
        let declared = |name: &str, values, type_name: &str| Column {
            name: name.into(),
            declared: Some(DeclaredType { values, type_name: type_name.into(), class_names: None }),
        };
        let number = [declared("text", ValueType::Integer, "Int64")];
        let message = ColumnRequest::default().choose_text(Path::new("a.parquet"), &number).unwrap_err().to_string();
        assert_eq!(message, "a.parquet: column \"text\" is Int64, not text (hint: --text-column)");
        let lists = [declared("text", ValueType::Text, "Utf8"), declared("label", ValueType::Other, "List(Int64)")];
        let message = ColumnRequest::default().choose(Path::new("a.parquet"), &lists).unwrap_err().to_string();
        assert_eq!(message, format!("a.parquet: column \"label\" holds lists: {SEVERAL_LABELS}"));
    }
}
