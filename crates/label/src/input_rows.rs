//! The rows of a file that is labeled: all their cells, and which of them is the text.

use std::path::{Path, PathBuf};

use data::is_blank;
use table::{Cell, Column, ColumnRequest, Place, Rows, Table, TableError, joined_text, quoted};

/// The columns whose texts are labeled.
#[derive(Debug, Clone, Copy)]
pub struct TextColumns<'a> {
    /// `None` finds the column by its name.
    pub columns: Option<&'a str>,
    /// What stands between the texts of several columns.
    pub separator: &'a str,
}

/// A row with all its cells.
#[derive(Debug, Clone, PartialEq)]
pub struct InputRow {
    /// From 1, over all files.
    pub number: u64,
    pub cells: Vec<Cell>,
    /// The text of several columns, joined; `None` where it is one of the cells.
    joined: Option<String>,
    /// Position of the text among the cells.
    text: usize,
}

impl InputRow {
    /// A row whose text is the cell at this position.
    pub fn new(number: u64, cells: Vec<Cell>, text: usize) -> Self {
        Self { number, cells, joined: None, text }
    }

    /// The text as it is in the input, also where it is blank.
    pub fn full_text(&self) -> Option<&str> {
        match (&self.joined, &self.cells[self.text]) {
            (Some(text), _) | (None, Cell::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The text to label; `None` if it is missing or blank.
    pub fn text_to_label(&self) -> Option<&str> {
        self.full_text().filter(|text| !is_blank(text))
    }

    /// About how many bytes the row takes in memory.
    pub fn bytes(&self) -> usize {
        let size = |cell: &Cell| match cell {
            Cell::Text(text) | Cell::Nested(text) => text.len(),
            _ => 0,
        };
        let joined = self.joined.as_ref().map_or(0, String::len);
        size_of::<Self>() + joined + self.cells.iter().map(|cell| size_of::<Cell>() + size(cell)).sum::<usize>()
    }
}

/// The rows of a table, in order, with all its columns. After an error there are no more.
pub struct LabelInput {
    pub columns: Vec<Column>,
    /// For the user: what was detected, and which column is the text unless there is only one.
    pub notes: Vec<String>,
    rows: Rows,
    paths: Vec<PathBuf>,
    /// Positions and names of the columns whose texts are joined.
    texts: Vec<(usize, String)>,
    separator: String,
    number: u64,
}

impl LabelInput {
    /// Finds the text's columns; `name` stands for the table in messages.
    ///
    /// # Errors
    /// Columns that are missing, ambiguous or hold no texts, and damage that shows before the first row.
    pub fn of(table: Table, name: &str, text: TextColumns<'_>) -> Result<Self, TableError> {
        let mut notes = table.notes().to_vec();
        let columns = table.columns().to_vec();
        let wanted = ColumnRequest { text: text.columns, ..ColumnRequest::default() };
        let positions = wanted.choose_text(Path::new(name), &columns)?;
        let texts: Vec<_> = positions.into_iter().map(|position| (position, columns[position].name.clone())).collect();
        if columns.len() > 1 {
            let listed = texts.iter().map(|(_, name)| format!("{name:?}")).collect::<Vec<_>>().join(" and ");
            let column = if texts.len() == 1 { "column" } else { "columns" };
            notes.push(format!("the text is in {column} {listed}"));
        }
        let paths = table.files().iter().map(|file| file.path.clone()).collect();
        let rows = table.rows(&(0..columns.len()).collect::<Vec<_>>())?;
        Ok(Self { columns, notes, rows, paths, texts, separator: text.separator.to_owned(), number: 0 })
    }
}

impl Iterator for LabelInput {
    type Item = Result<InputRow, TableError>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = match self.rows.next()? {
            Ok(row) => row,
            Err(error) => return Some(Err(error)),
        };
        self.number += 1;
        let cells: Vec<Cell> = self.texts.iter().map(|(position, _)| row.cells[*position].clone()).collect();
        Some(match joined_text(&cells, &self.separator, is_blank) {
            Ok(joined) => {
                let joined = joined.filter(|_| self.texts.len() > 1);
                Ok(InputRow { number: self.number, joined, cells: row.cells, text: self.texts[0].0 })
            }
            Err(at) => {
                let path = self.paths[self.rows.file()].clone();
                let place = Place { path, row: row.number, line: row.line };
                let (found, kind) = (quoted(&cells[at].to_string()), cells[at].kind());
                let reason = format!("{found}, {kind}, is not a text (hint: --text-column)");
                Err(TableError::Value { place, column: self.texts[at].1.clone(), reason })
            }
        })
    }
}
