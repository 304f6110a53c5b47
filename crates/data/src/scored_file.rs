//! Labeled files as a split that can be scored: read, labeled as the model labels, tokenized, in bounded memory.

use std::path::{Path, PathBuf};

use table::{
    Cell, ChosenColumns, Column, ColumnRequest, Place, ReadOptions, Row, Rows, Table, TableError, TableFile,
    joined_text, named_column, quoted,
};
use tokenize::Tokenizer;

use crate::error::DataError;
use crate::known_labels::KnownLabels;
use crate::record::is_blank;
use crate::store::{Examples, Writer};

/// Texts that are tokenized at a time.
const TEXTS_PER_CHUNK: usize = 4096;

/// Which files are scored, and how they are read.
#[derive(Debug, Clone, Copy)]
pub struct ScoringRequest<'a> {
    pub files: &'a [PathBuf],
    pub columns: ColumnRequest<'a>,
    /// What stands between the texts of several columns.
    pub separator: &'a str,
    pub options: &'a ReadOptions,
    /// Rows without a text are left out and counted, instead of refused.
    pub drop_empty: bool,
    /// Columns whose values are kept beside the examples, each by its name or its number from 1.
    pub slice_columns: &'a [String],
}

/// The rows of labeled files.
#[derive(Debug)]
pub struct ScoredFile {
    pub examples: Examples,
    /// The names of the columns that were asked for, as the file has them.
    pub slice_columns: Vec<String>,
    /// Their values for each example, in the same order; a missing one is empty.
    pub slice_values: Vec<Vec<String>>,
    /// What was detected, and what was left out or cut off, for the user.
    pub notes: Vec<String>,
}

/// Reads labeled files and writes them, tokenized, to `arrow`, where there must be no file yet.
///
/// # Errors
/// Files that can't be read, a label that the model doesn't know, and a row without a text or a label, each with its row.
pub fn tokenize_labeled_files(
    request: ScoringRequest<'_>,
    labels: &KnownLabels,
    tokenizer: &Tokenizer,
    arrow: &Path,
) -> Result<ScoredFile, DataError> {
    let table = Table::open_all(request.files, request.options)?;
    let mut notes = table.notes().to_vec();
    let (path, columns) = (&request.files[0], table.columns());
    let ChosenColumns { text, label } = request.columns.choose(path, columns)?;
    let label = label.ok_or_else(|| DataError::content(path, "has no column of labels (hint: --label-column)"))?;
    let name = |column: &usize| columns[*column].name.clone();
    let (text_names, label_name): (Vec<String>, String) = (text.iter().map(name).collect(), name(&label));
    notes.push(format!("the text is in {}, the label in {label_name:?}", listed_names(&text_names)));
    let files = table.files().to_vec();
    let mut selected: Vec<usize> = text.iter().copied().chain([label]).collect();
    let (slice_columns, slice_places) = slice_columns(request, columns, &mut selected)?;
    let separator = request.separator;
    let rows = table.rows(&selected)?;
    let mut rows = LabeledRows {
        rows,
        files,
        text_names,
        separator,
        label_name,
        labels,
        slice_places,
        slice_values: Vec::new(),
        counts: Default::default(),
    };
    let tokens = rows.write(request.drop_empty, tokenizer, arrow)?;
    let LabeledRows { counts, slice_values, .. } = rows;
    let mut spelled: Vec<_> = counts.values.into_iter().collect();
    spelled.sort_by(|a, b| (a.1.0, &a.0).cmp(&(b.1.0, &b.0)));
    let spelled = spelled.iter().map(|(value, (class, rows))| {
        let name = &labels.names()[*class as usize];
        if value == name { format!("{value:?}: {rows} rows") } else { format!("{value:?} as {name:?}: {rows} rows") }
    });
    notes.push(format!("labels: {}", spelled.collect::<Vec<_>>().join("; ")));
    let all = counts.rows;
    let mut add = |count: u64, what: &str| {
        if count > 0 {
            notes.push(format!("{count} of {all} rows {what}"));
        }
    };
    add(counts.dropped, "left out, their text is null or empty");
    add(tokens.truncated, &format!("cut off after {} tokens, the most that the model reads", tokenizer.max_length()));
    add(tokens.with_unknown, "with words that the vocabulary doesn't know");
    Ok(ScoredFile { examples: Examples::open(arrow)?, slice_columns, slice_values, notes })
}

/// The names of the columns whose values are kept, and their places among those that are read, to which they are added.
fn slice_columns(
    request: ScoringRequest<'_>,
    columns: &[Column],
    selected: &mut Vec<usize>,
) -> Result<(Vec<String>, Vec<usize>), DataError> {
    let (mut names, mut places) = (Vec::new(), Vec::new());
    for name in request.slice_columns {
        let column = named_column(&request.files[0], columns, name, "--slice-column")?;
        let place = selected.iter().position(|known| *known == column).unwrap_or(selected.len());
        if place == selected.len() {
            selected.push(column);
        }
        if !places.contains(&place) {
            places.push(place);
            names.push(columns[column].name.clone());
        }
    }
    Ok((names, places))
}

/// The rows of the columns of text and label, and of those whose values are kept.
struct LabeledRows<'a> {
    rows: Rows,
    files: Vec<TableFile>,
    text_names: Vec<String>,
    separator: &'a str,
    label_name: String,
    labels: &'a KnownLabels,
    /// Places among the cells of a row: first those of the text, then that of the label, then others.
    slice_places: Vec<usize>,
    slice_values: Vec<Vec<String>>,
    counts: RowCounts,
}

#[derive(Default)]
struct RowCounts {
    rows: u64,
    dropped: u64,
    /// For each spelling of a label its class and how many rows have it.
    values: std::collections::HashMap<String, (u32, u64)>,
}

#[derive(Default)]
struct TokenCounts {
    truncated: u64,
    with_unknown: u64,
}

impl LabeledRows<'_> {
    fn write(&mut self, drop_empty: bool, tokenizer: &Tokenizer, arrow: &Path) -> Result<TokenCounts, DataError> {
        let mut writer = Writer::create(arrow)?;
        let (mut chunk, mut tokens, mut written) = (Vec::with_capacity(TEXTS_PER_CHUNK), TokenCounts::default(), false);
        loop {
            let row = self.rows.next().transpose()?;
            let ended = row.is_none();
            if let Some(row) = row {
                chunk.extend(self.labeled(row, drop_empty)?);
            }
            if ended || chunk.len() == TEXTS_PER_CHUNK {
                written |= !chunk.is_empty();
                let texts: Vec<&str> = chunk.iter().map(|(text, _): &(String, u32)| text.as_str()).collect();
                for ((text, label), encoded) in chunk.iter().zip(tokenizer.encode_batch(&texts)?) {
                    tokens.truncated += u64::from(encoded.truncated);
                    tokens.with_unknown += u64::from(encoded.unknown > 0);
                    writer.push(text, Some(*label), &encoded.ids)?;
                }
                chunk.clear();
            }
            if ended {
                break;
            }
        }
        if !written {
            let what = if self.counts.dropped > 0 { "no row has a text (hint: --text-column)" } else { "has no rows" };
            return Err(DataError::content(&self.files[0].path, what));
        }
        writer.finish()?;
        Ok(tokens)
    }

    /// The text and the class of a row; `None` for a row that is left out.
    fn labeled(&mut self, row: Row, drop_empty: bool) -> Result<Option<(String, u32)>, DataError> {
        let file = &self.files[self.rows.file()];
        let Row { number, line, mut cells } = row;
        let refuse = |column: &str, reason: String| {
            let place = Place { path: file.path.clone(), row: number, line };
            Err(TableError::Value { place, column: column.to_owned(), reason }.into())
        };
        let slice_values = self.slice_places.iter().map(|place| cells[*place].to_string()).collect();
        cells.truncate(self.text_names.len() + 1);
        let label = cells.pop().unwrap_or(Cell::Missing);
        self.counts.rows += 1;
        let text = match joined_text(&cells, self.separator, is_blank) {
            Ok(Some(text)) if !is_blank(&text) => text,
            Ok(_) if drop_empty => {
                self.counts.dropped += 1;
                return Ok(None);
            }
            Ok(_) => {
                let columns = self.text_names.join(",");
                return refuse(&columns, "null or empty text (hint: --drop-empty leaves such rows out)".into());
            }
            Err(position) => {
                let (found, kind) = (quoted(&cells[position].to_string()), cells[position].kind());
                let reason = format!("{found}, {kind}, is not a text (hint: --text-column)");
                return refuse(&self.text_names[position], reason);
            }
        };
        let label = match label {
            Cell::Text(text) if text.trim().is_empty() => Cell::Missing,
            other => other,
        };
        match self.labels.class_of(&label, class_names(&file.columns, &self.label_name)) {
            Ok(class) => {
                self.counts.values.entry(label.to_string().trim().to_owned()).or_insert((class, 0)).1 += 1;
                self.slice_values.push(slice_values);
                Ok(Some((text, class)))
            }
            Err(reason) => refuse(&self.label_name, reason),
        }
    }
}

/// `columns "title" and "body"`.
fn listed_names(names: &[String]) -> String {
    let columns = if names.len() == 1 { "column" } else { "columns" };
    format!("{columns} {}", names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(" and "))
}

fn class_names<'a>(columns: &'a [Column], name: &str) -> Option<&'a [String]> {
    let column = columns.iter().find(|column| column.name == name)?;
    column.declared.as_ref()?.class_names.as_deref()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const VOCABULARY: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\ngood\nbad\nfilm\n";

    type NotesAndRows = (Vec<String>, Vec<(String, u32)>);

    fn scored_with(csv: &str, drop_empty: bool, slice_columns: &[&str]) -> Result<ScoredFile, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new.csv");
        fs::write(&path, csv).unwrap();
        fs::write(folder.path().join("vocab.txt"), VOCABULARY).unwrap();
        let tokenizer = Tokenizer::from_folder(folder.path(), 5).unwrap();
        let labels = KnownLabels::new(&["negative".to_owned(), "positive".to_owned()], &Default::default());
        let (files, options) = ([path], ReadOptions::default());
        let slice_columns: Vec<String> = slice_columns.iter().map(|name| (*name).to_owned()).collect();
        let request = ScoringRequest {
            files: &files,
            columns: ColumnRequest::default(),
            separator: " ",
            options: &options,
            drop_empty,
            slice_columns: &slice_columns,
        };
        let found = tokenize_labeled_files(request, &labels, &tokenizer, &folder.path().join("new.arrow"));
        found.map_err(|error| error.to_string().replace(&format!("{}/", folder.path().display()), ""))
    }

    /// The notes, texts and classes of a CSV file with this content.
    fn scored(csv: &str, drop_empty: bool) -> Result<NotesAndRows, String> {
        let ScoredFile { examples, notes, .. } = scored_with(csv, drop_empty, &[])?;
        let row = |row| (examples.text(row).unwrap().to_owned(), examples.label(row).unwrap());
        Ok((notes, (0..examples.len()).map(row).collect()))
    }

    #[test]
    fn rows_get_their_classes_and_what_is_odd_is_counted() {
        let csv =
            "id,text,label\n1,\"good\nfilm\",1\n2,bad qqq,negative\n3,,positive\n4,good good good good,Positive\n";
        let (notes, rows) = scored(csv, true).unwrap();
        assert_eq!(
            rows,
            [("good\nfilm", 1), ("bad qqq", 0), ("good good good good", 1)].map(|(a, b)| (a.to_owned(), b))
        );
        assert_eq!(
            notes[notes.len() - 5..],
            [
                "the text is in column \"text\", the label in \"label\"",
                "labels: \"negative\": 1 rows; \"1\" as \"positive\": 1 rows; \"Positive\" as \"positive\": 1 rows",
                "1 of 4 rows left out, their text is null or empty",
                "1 of 4 rows cut off after 5 tokens, the most that the model reads",
                "1 of 4 rows with words that the vocabulary doesn't know",
            ]
        );
    }

    #[test]
    fn values_of_wanted_columns_are_kept_beside_the_examples() {
        let csv = "shop,text,label,Stars\nA,good,1,5\nB,,0,1\n,bad,0,\n";
        let ScoredFile { examples, slice_columns, slice_values, .. } =
            scored_with(csv, true, &["stars", "1", "label", "Stars"]).unwrap();
        assert_eq!(slice_columns, ["Stars", "shop", "label"], "as the file names them, each once");
        assert_eq!(slice_values, [["5", "A", "1"], ["", "", "0"]], "of the rows that are scored");
        assert_eq!((examples.len(), examples.text(1).unwrap()), (2, "bad"));
        assert_eq!(
            scored_with(csv, true, &["town"]).unwrap_err(),
            "new.csv: no column \"town\"; columns found: shop, text, label, Stars (hint: --slice-column NAME)"
        );
    }

    #[test]
    fn what_can_not_be_scored_is_refused_with_its_row() {
        let refused = |csv: &str, drop_empty: bool| scored(csv, drop_empty).unwrap_err();
        assert_eq!(
            refused("text,label\ngood,1\nbad,neutral\n", false),
            "new.csv: row 2 (line 3), column \"label\": label \"neutral\" is not one that the model knows: negative, positive \
             (hint: --label-map \"neutral=NAME,...\" says which of them each label is)"
        );
        assert!(refused("text,label\ngood,\n", false).contains("row 1 (line 2), column \"label\": no label"));
        assert!(
            refused("text,label\n ,1\n", false).contains("column \"text\": null or empty text (hint: --drop-empty")
        );
        assert!(refused("text,label\n ,1\n", true).contains("no row has a text"));
        assert!(refused("text,id\ngood,1\n", false).contains("no column is called label"));
    }
}
