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
use crate::read_options::ReadOptions;
use crate::row::Row;
use crate::text;

pub(crate) const JSON: FileFormat = FileFormat {
    name: "JSON",
    endings: &["json"],
    about: "an array of objects, by itself or as a field of an object; or an object of columns, or one object a line",
    matches_folder: None,
    open,
    create: Some(json_writer::array),
};

fn open(input: Input, options: &ReadOptions) -> Result<Opened, TableError> {
    let field = options.json_field.as_deref();
    let path = input.path().to_owned();
    let mut reader = reader(&path)?;
    match reader.skip_blank()? {
        None => Err(TableError::file(path, "only blank lines")),
        Some(b'{') => open_object(&path, reader, field),
        Some(b'[') if field.is_none() => RowsFile::open(reader, RowsLayout::Array, Vec::new()),
        Some(b'[') => {
            let name = quoted(field.unwrap_or_default());
            let reason = format!("an array, not an object with a field {name} (hint: omit --json-field)");
            Err(TableError::file(path, reason))
        }
        Some(_) => {
            let found = start(&reader.value()?.bytes);
            let hint = "an array of objects, or one object a line";
            Err(TableError::file(path, format!("not JSON rows; it starts with {found} (hint: {hint})")))
        }
    }
}

fn reader(path: &Path) -> Result<JsonReader, TableError> {
    Ok(JsonReader::new(path, Box::new(text::open(path)?)))
}

/// A file that begins with an object, at which `survey` is.
fn open_object(path: &Path, mut survey: JsonReader, field: Option<&str>) -> Result<Opened, TableError> {
    let first = survey.place();
    let members = members(&mut survey)?;
    let layout = match (survey.skip_blank()?, field) {
        (None, _) => JsonLayout::of(&members, field).map_err(|reason| TableError::file(path, reason))?,
        (Some(_), None) => JsonLayout::Objects,
        (Some(_), Some(_)) => {
            let reason = "--json-field is for a file of one object, here are several (hint: omit it)";
            return Err(survey.refused(reason));
        }
    };
    let reader_at = |place| {
        let mut reader = reader(path)?;
        reader.skip_to(place)?;
        Ok::<_, TableError>(reader)
    };
    match layout {
        JsonLayout::Objects => RowsFile::open(reader_at(first)?, RowsLayout::Objects, Vec::new()),
        JsonLayout::ArrayUnder(at) => {
            let note = format!("rows are the array under {}", quoted(&members[at].name));
            let notes = if field.is_none() { vec![note] } else { Vec::new() };
            RowsFile::open(reader_at(members[at].place)?, RowsLayout::ArrayInObject, notes)
        }
        JsonLayout::Columns => {
            let columns = members.iter().map(|member| Column { name: member.name.clone(), declared: None }).collect();
            let notes = vec!["each field is a column".to_owned()];
            Ok(Opened { columns, file: Box::new(ColumnsFile { path: path.to_owned(), members }), notes })
        }
    }
}

/// Where the objects are that are rows.
#[derive(Clone, Copy, PartialEq)]
enum RowsLayout {
    /// One behind the other, such as one a line.
    Objects,
    /// In an array that is the whole file.
    Array,
    /// In an array that is the value of an object's member.
    ArrayInObject,
}

/// A file whose rows are objects.
struct RowsFile {
    reader: JsonReader,
    layout: RowsLayout,
    /// The first object and its place, until it is read as a row.
    first: Option<(JsonPlace, Members)>,
    row: u64,
}

impl RowsFile {
    /// The rows that start where `reader` is. The first object names the columns.
    fn open(mut reader: JsonReader, layout: RowsLayout, notes: Vec<String>) -> Result<Opened, TableError> {
        if layout != RowsLayout::Objects {
            reader.enter();
        }
        let mut file = Self { reader, layout, first: None, row: 0 };
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
        if !self.next_item(first)? {
            return Ok(None);
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

    /// Goes to the next row; at the end also over what is behind the rows.
    fn next_item(&mut self, first: bool) -> Result<bool, TableError> {
        if self.layout == RowsLayout::Objects {
            return match self.reader.skip_blank()? {
                Some(b',') => Err(self.reader.refused("a comma behind an object (hint: an array is in [ and ])")),
                next => Ok(next.is_some()),
            };
        }
        if self.reader.item(b']', first)? {
            return Ok(true);
        }
        if self.layout == RowsLayout::ArrayInObject {
            while self.reader.item(b'}', false)? {
                self.reader.name()?;
                skip_member(&mut self.reader)?;
            }
        }
        match self.reader.skip_blank()? {
            None => Ok(false),
            Some(_) => Err(self.reader.refused("more behind the rows (hint: remove it, or write one object a line)")),
        }
    }
}

impl OpenFile for RowsFile {
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
