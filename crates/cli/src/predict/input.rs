//! What `predict` labels, as rows of a table: texts of the command line, files, the standard input, a prepared split.

use std::io::{BufRead, BufReader};
use std::path::Path;

use ::predict::{ChunkPolicy, RowWithText};
use anyhow::{Context, Result, bail};
use data::manifest::Prepared;
use label::{InputRow, LabelInput, TextColumns};
use run::RunFolder;
use table::{Cell, Column, FileFormat, ReadOptions, Table};

/// Rows that have not been read yet.
pub(crate) struct PredictInput {
    pub columns: Vec<Column>,
    pub rows: Box<dyn Iterator<Item = Result<PredictRow>> + Send>,
    pub policy: ChunkPolicy,
    /// Whether the rows come from files or a split, rather than from the command line.
    pub from_files: bool,
    /// The format of the files, if it has a name.
    pub format: Option<&'static FileFormat>,
}

/// A row as [`predict::stream`](::predict::stream()) reads it.
pub(crate) struct PredictRow(pub InputRow);

impl RowWithText for PredictRow {
    fn text(&self) -> Option<&str> {
        self.0.text_to_label()
    }

    fn size(&self) -> usize {
        self.0.bytes()
    }
}

impl PredictInput {
    pub(crate) fn texts(texts: Vec<String>) -> Self {
        let row = |(number, text)| Ok(PredictRow(InputRow::new(number, vec![Cell::Text(text)], 0)));
        Self {
            columns: vec![Column { name: "text".to_owned(), declared: None }],
            rows: Box::new((1..).zip(texts).map(row)),
            policy: ChunkPolicy::Full,
            from_files: false,
            format: None,
        }
    }

    /// Files, none of which is `output`.
    pub(crate) fn files(
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

    pub(crate) fn standard_input(text: TextColumns<'_>, options: &ReadOptions) -> Result<Self> {
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
    pub(crate) fn split(run: &Path, data: Option<&Path>, split: &str) -> Result<Self> {
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
            Ok(PredictRow(InputRow::new(row as u64 + 1, cells, 0)))
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
        let input = LabelInput::of(table, name, text)?;
        input.notes.iter().for_each(|note| disk::print_message(format!("note: {name}: {note}")));
        let columns = input.columns.clone();
        let rows = Box::new(input.map(|row| Ok(PredictRow(row?))));
        Ok(Self { columns, rows, policy, from_files: true, format })
    }
}
