//! What `predict` labels, as rows of a table: texts of the command line, files, the standard input, a prepared split.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use ::predict::{ChunkPolicy, RowWithText};
use anyhow::{Context, Result, bail};
use data::is_blank;
use data::manifest::Prepared;
use run::RunFolder;
use table::{Cell, Column, ColumnRequest, FileFormat, Place, ReadOptions, Table, TableError, joined_text, quoted};

/// The columns whose texts are labeled.
#[derive(Clone, Copy)]
pub(super) struct TextColumns<'a> {
    /// `None` finds the column by its name.
    pub columns: Option<&'a str>,
    /// What stands between the texts of several columns.
    pub separator: &'a str,
}

/// Rows that have not been read yet.
pub(super) struct PredictInput {
    pub columns: Vec<Column>,
    pub rows: Box<dyn Iterator<Item = Result<InputRow>> + Send>,
    pub policy: ChunkPolicy,
    /// Whether the rows come from files or a split, rather than from the command line.
    pub from_files: bool,
    /// The format of the files, if it has a name.
    pub format: Option<&'static FileFormat>,
}

/// A row with all its cells.
pub(super) struct InputRow {
    /// From 1, over all files.
    pub number: u64,
    pub cells: Vec<Cell>,
    /// The text of several columns, joined; `None` where it is one of the cells.
    joined: Option<String>,
    /// Position of the text among the cells.
    text: usize,
}

impl InputRow {
    /// The text as it is in the input, also where it is blank.
    pub(super) fn full_text(&self) -> Option<&str> {
        match (&self.joined, &self.cells[self.text]) {
            (Some(text), _) | (None, Cell::Text(text)) => Some(text),
            _ => None,
        }
    }
}

impl RowWithText for InputRow {
    fn text(&self) -> Option<&str> {
        self.full_text().filter(|text| !is_blank(text))
    }

    fn size(&self) -> usize {
        let size = |cell: &Cell| match cell {
            Cell::Text(text) | Cell::Nested(text) => text.len(),
            _ => 0,
        };
        let joined = self.joined.as_ref().map_or(0, String::len);
        size_of::<Self>() + joined + self.cells.iter().map(|cell| size_of::<Cell>() + size(cell)).sum::<usize>()
    }
}

impl PredictInput {
    pub(super) fn texts(texts: Vec<String>) -> Self {
        let row = |(number, text)| Ok(InputRow { number, cells: vec![Cell::Text(text)], joined: None, text: 0 });
        Self {
            columns: vec![Column { name: "text".to_owned(), declared: None }],
            rows: Box::new((1..).zip(texts).map(row)),
            policy: ChunkPolicy::Full,
            from_files: false,
            format: None,
        }
    }

    /// Files, none of which is `output`.
    pub(super) fn files(
        patterns: &[String],
        text: TextColumns<'_>,
        options: &ReadOptions,
        output: Option<&Path>,
    ) -> Result<Self> {
        let files = table::expand(patterns)?;
        let same_file = |path: &Path| Some(path.canonicalize().ok()? == output?.canonicalize().ok()?);
        if let Some(path) = files.iter().find(|path| same_file(path) == Some(true)) {
            bail!("--output {} would replace the file that is read (hint: give another --output)", path.display());
        }
        let table = Table::open_all(&files, options)?;
        let name = files[0].display().to_string();
        let format = FileFormat::requested(options, &files[0])?.or_else(|| FileFormat::of(&files[0]));
        Self::table(table, &name, format, text, ChunkPolicy::Full)
    }

    pub(super) fn standard_input(text: TextColumns<'_>, options: &ReadOptions) -> Result<Self> {
        let named = FileFormat::requested(options, Path::new("standard input"))?;
        let format = named.or_else(|| FileFormat::named("plain text")).context("plain text can't be read")?;
        let name = "standard input";
        let mut stdin = BufReader::new(std::io::stdin());
        // A command before this one that found nothing: no texts are no fault, other than a table without columns.
        if named.is_none() && stdin.fill_buf().context(name)?.is_empty() {
            return Ok(Self { from_files: true, ..Self::texts(Vec::new()) });
        }
        let table = Table::from_stream(name, format, Box::new(stdin), options)?;
        Self::table(table, name, Some(format), text, ChunkPolicy::Available)
    }

    /// A prepared split, with the names of its labels.
    pub(super) fn split(run: &Path, data: Option<&Path>, split: &str) -> Result<Self> {
        let dir = match data {
            Some(dir) => dir.to_owned(),
            None => crate::evaluate::data_of(&RunFolder::open(run)?)?,
        };
        let prepared = Prepared::open(&dir)?;
        let (examples, names) = (prepared.split(split)?, prepared.manifest.label_names);
        let rows = (0..examples.len()).map(move |row| {
            let label = examples.label(row).and_then(|label| names.get(label as usize));
            let label = label.map_or(Cell::Missing, |name| Cell::Text(name.clone()));
            let cells = vec![Cell::Text(examples.text(row)?.to_owned()), label];
            Ok(InputRow { number: row as u64 + 1, cells, joined: None, text: 0 })
        });
        let columns = ["text", "label"].map(|name| Column { name: name.to_owned(), declared: None });
        let policy = ChunkPolicy::Full;
        Ok(Self { columns: columns.into(), rows: Box::new(rows), policy, from_files: true, format: None })
    }

    /// All columns of a table; says which of them is the text, unless there is only one.
    fn table(
        table: Table,
        name: &str,
        format: Option<&'static FileFormat>,
        text: TextColumns<'_>,
        policy: ChunkPolicy,
    ) -> Result<Self> {
        table.notes().iter().for_each(|note| disk::print_message(format!("note: {name}: {note}")));
        let columns = table.columns().to_vec();
        let wanted = ColumnRequest { text: text.columns, ..ColumnRequest::default() };
        let positions = wanted.choose_text(Path::new(name), &columns)?;
        let names: Vec<String> = positions.iter().map(|&position| columns[position].name.clone()).collect();
        if columns.len() > 1 {
            let listed = names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(" and ");
            let column = if names.len() == 1 { "column" } else { "columns" };
            disk::print_message(format!("note: {name}: the text is in {column} {listed}"));
        }
        let paths: Vec<PathBuf> = table.files().iter().map(|file| file.path.clone()).collect();
        let mut rows = table.rows(&(0..columns.len()).collect::<Vec<_>>())?;
        let (mut number, separator) = (0, text.separator.to_owned());
        let rows = std::iter::from_fn(move || {
            let row = rows.next()?;
            number += 1;
            Some(row.map_err(anyhow::Error::from).and_then(|row| {
                let cells: Vec<Cell> = positions.iter().map(|&position| row.cells[position].clone()).collect();
                match joined_text(&cells, &separator, is_blank) {
                    Ok(joined) => {
                        let joined = joined.filter(|_| positions.len() > 1);
                        Ok(InputRow { number, joined, cells: row.cells, text: positions[0] })
                    }
                    Err(at) => {
                        let place = Place { path: paths[rows.file()].clone(), row: row.number, line: row.line };
                        let (found, kind) = (quoted(&cells[at].to_string()), cells[at].kind());
                        let reason = format!("{found}, {kind}, is not a text (hint: --text-column)");
                        Err(TableError::Value { place, column: names[at].clone(), reason }.into())
                    }
                }
            }))
        });
        Ok(Self { columns, rows: Box::new(rows), policy, from_files: true, format })
    }
}
