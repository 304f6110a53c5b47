//! JSON: an array of objects, one under a field of an object, an object whose fields are columns, or one object a line.
//!
//! The first non-blank characters and what the first object's members hold tell which it is. The file is walked value by
//! value (`json_reader.rs`); what the members hold is found in a pass of its own (`json_survey.rs`).

use std::path::{Path, PathBuf};

use crate::column::Column;
use crate::error::TableError;
use crate::excerpt::quoted;
use crate::format::{FileFormat, OpenFile, Opened, RowIter};
use crate::input::Input;
use crate::json_columns::{JsonColumn, JsonColumnRows};
use crate::json_object::{self, Members, parse_object, start};
use crate::json_reader::{JsonPlace, JsonReader};
use crate::json_survey::{JsonLayout, JsonMember, members, skip_member};
use crate::json_writer;
use crate::jsonl;
use crate::read_options::ReadOptions;
use crate::row::Row;
use crate::text;

pub(crate) const JSON: FileFormat = FileFormat {
    name: "JSON",
    endings: &["json"],
    about: "an array of objects, by itself or as a field of an object; or an object of columns, or one object a line",
    matches_folder: None,
    open: |input, options| open(&input, options),
    create: Some(json_writer::array),
};

fn open(input: &Input, options: &ReadOptions) -> Result<Opened, TableError> {
    let path = input.path();
    let field = options.json_field.as_deref();
    let mut reader = reader(path)?;
    let is_array = match reader.skip_blank()? {
        None => return Err(TableError::file(path, "only blank lines")),
        Some(b'{') => return open_object(input, reader, options),
        Some(byte) => byte == b'[',
    };
    if !is_array {
        let found = start(&reader.value()?.bytes);
        let reason = format!("not JSON rows; it starts with {found} (hint: an array of objects, or one object a line)");
        return Err(TableError::file(path, reason));
    }
    if let Some(field) = field {
        let reason = format!("an array, not an object with a field {} (hint: omit --json-field)", quoted(field));
        return Err(TableError::file(path, reason));
    }
    ArrayFile::open(reader, ArrayEnd::File, Vec::new())
}

fn reader(path: &Path) -> Result<JsonReader, TableError> {
    Ok(JsonReader::new(path, Box::new(text::open(path)?)))
}

fn open_object(input: &Input, mut survey: JsonReader, options: &ReadOptions) -> Result<Opened, TableError> {
    let path = input.path();
    let members = members(&mut survey)?;
    let behind = survey.skip_blank()?;
    let field = options.json_field.as_deref();
    let layout = match behind {
        Some(b'{') if field.is_none() => JsonLayout::OneRow,
        Some(b'{') => {
            let reason = "several objects, one a row; --json-field is for a file of one object (hint: omit it)";
            return Err(TableError::file(path, reason));
        }
        Some(_) => {
            return Err(survey.refused("more behind the object (hint: several objects are an array, in [ and ])"));
        }
        None => JsonLayout::of(&members, field).map_err(|reason| TableError::file(path, reason))?,
    };
    match layout {
        JsonLayout::OneRow => jsonl::open(input, options),
        JsonLayout::ArrayUnder(at) => {
            let mut reader = reader(path)?;
            reader.skip_to(members[at].place)?;
            let note = format!("rows are the array under {}", quoted(&members[at].name));
            ArrayFile::open(reader, ArrayEnd::Object, if field.is_none() { vec![note] } else { Vec::new() })
        }
        JsonLayout::Columns => {
            let columns = members.iter().map(|member| Column { name: member.name.clone(), declared: None }).collect();
            let notes = vec!["each field is a column".to_owned()];
            Ok(Opened { columns, file: Box::new(ColumnsFile { path: path.to_owned(), members }), notes })
        }
    }
}

/// What comes behind the array of rows.
#[derive(Clone, Copy, PartialEq)]
enum ArrayEnd {
    /// The end of the file.
    File,
    /// The other members of the object that it is in, then the end of the file.
    Object,
}

struct ArrayFile {
    reader: JsonReader,
    end: ArrayEnd,
    /// The first object and its place, until it is read as a row.
    first: Option<(JsonPlace, Members)>,
    row: u64,
}

impl ArrayFile {
    /// The array that starts where `reader` is. Its first object names the columns.
    fn open(mut reader: JsonReader, end: ArrayEnd, notes: Vec<String>) -> Result<Opened, TableError> {
        reader.enter();
        let mut file = Self { reader, end, first: None, row: 0 };
        let Some(first) = file.object(true)? else {
            return Err(TableError::file(file.reader.path(), "an empty array: no rows"));
        };
        let columns = first.1.iter().map(|(name, _)| Column { name: name.clone(), declared: None }).collect();
        file.first = Some(first);
        Ok(Opened { columns, file: Box::new(file), notes })
    }

    fn row(&mut self, names: &[String]) -> Result<Option<Row>, TableError> {
        let next = match self.first.take() {
            None => self.object(false)?,
            first => first,
        };
        let Some((place, object)) = next else { return Ok(None) };
        self.row += 1;
        json_object::row(self.reader.path(), self.row, place.line, object, names).map(Some)
    }

    /// The next object, and its place.
    fn object(&mut self, first: bool) -> Result<Option<(JsonPlace, Members)>, TableError> {
        if !self.reader.item(b']', first)? {
            return self.finish().map(|()| None);
        }
        let (text, row) = (self.reader.value()?, self.row + 1);
        let hint = match text.bytes[0] {
            b'{' => {
                let members = parse_object(&text.bytes, false)
                    .map_err(|fault| self.reader.fault(&text, &format!("row {row} is not a JSON object"), &fault))?;
                return Ok(Some((text.place, members)));
            }
            b'[' => "pandas writes objects with `to_json(FILE, orient=\"records\")`",
            _ => "rows are objects: {\"text\": \"...\"}; texts alone can be lines of a .txt file",
        };
        let reason = format!("row {row} is not an object; it starts with {} (hint: {hint})", start(&text.bytes));
        Err(self.reader.refused_at(text.place, &reason))
    }

    /// Reads what is behind the array.
    fn finish(&mut self) -> Result<(), TableError> {
        if self.end == ArrayEnd::Object {
            while self.reader.item(b'}', false)? {
                self.reader.name()?;
                skip_member(&mut self.reader)?;
            }
        }
        match self.reader.skip_blank()? {
            None => Ok(()),
            Some(_) => Err(self.reader.refused("more behind the rows (hint: remove it, or write one object a line)")),
        }
    }
}

impl OpenFile for ArrayFile {
    fn rows(mut self: Box<Self>, columns: &[Column], selected: &[usize]) -> Result<RowIter, TableError> {
        let names: Vec<String> = selected.iter().map(|&column| columns[column].name.clone()).collect();
        Ok(Box::new(std::iter::from_fn(move || self.row(&names).transpose())))
    }
}

/// A file whose object has a member a column.
struct ColumnsFile {
    path: PathBuf,
    members: Vec<JsonMember>,
}

impl OpenFile for ColumnsFile {
    fn rows(self: Box<Self>, _: &[Column], selected: &[usize]) -> Result<RowIter, TableError> {
        let column = |at: &usize| {
            let mut reader = reader(&self.path)?;
            reader.skip_to(self.members[*at].place)?;
            JsonColumn::new(reader)
        };
        // Without a column there are still rows.
        let read = if selected.is_empty() { &[0] } else { selected };
        let columns = read.iter().map(column).collect::<Result<_, _>>()?;
        Ok(Box::new(JsonColumnRows { columns, width: selected.len(), row: 0 }))
    }
}

#[cfg(test)]
mod tests;
