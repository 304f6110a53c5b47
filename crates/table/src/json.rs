//! JSON: an array of objects, one under a field of an object, an object whose fields are columns, or one object a line.
//!
//! The first non-blank characters and what the first object's members hold tell which it is. The file is walked value by
//! value (`json_reader.rs`); what the members hold is found in a pass of its own (`json_survey.rs`).

use std::io::Cursor;
use std::path::PathBuf;
use std::sync::Arc;

use crate::column::Column;
use crate::error::TableError;
use crate::excerpt::quoted;
use crate::format::{FileFormat, OpenFile, Opened, RowIter};
use crate::input::Input;
use crate::json_columns::{JsonColumn, JsonColumnRows};
use crate::json_object::{self, Members, parse_object, start};
use crate::json_reader::{JsonPlace, JsonReader};
use crate::json_survey::{JsonLayout, JsonMember, find_array, members, skip_member};
use crate::json_writer;
use crate::read_options::ReadOptions;
use crate::row::Row;
use crate::text::MAX_RECORD;
use crate::text_reader::TextReader;

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
    let encoding = options.encoding.as_deref();
    let is_stream = input.is_stream();
    let mut text = TextReader::open(input, encoding)?;
    let notes = text.take_notes();
    let mut reader = JsonReader::new(text, JsonPlace::START);
    match reader.skip_blank()? {
        None => Err(TableError::file(path, "only blank lines")),
        Some(b'{') if is_stream => open_stream(reader, field, notes),
        Some(b'{') => {
            let source = JsonSource { path, encoding: encoding.map(str::to_owned), held: None };
            open_object(source, reader, field, notes)
        }
        Some(b'[') if field.is_none() => RowsFile::open(reader, RowsLayout::Array, notes),
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

/// A stream that begins with an object, at which `reader` is. It is read once, so what the object is must be known by
/// `field`, or the object be small enough to be held.
fn open_stream(mut reader: JsonReader, field: Option<&str>, notes: Vec<String>) -> Result<Opened, TableError> {
    if let Some(field) = field {
        find_array(&mut reader, field)?;
        return RowsFile::open(reader, RowsLayout::ArrayUnder(field.to_owned()), notes);
    }
    let text = reader.value_or(&format!(
        "an object of more than {MAX_RECORD} bytes, from a pipe (hint: --json-field NAME says which field holds the rows, \
         or save it to a file first)"
    ))?;
    if reader.skip_blank()?.is_some() {
        let first = parse_object(&text.bytes, false);
        let first = first.map_err(|fault| reader.fault(&text, "row 1 is not a JSON object", &fault))?;
        return Ok(RowsFile::begun(reader, RowsLayout::Objects, (text.place, first), notes));
    }
    let held = Some((text.place, Arc::from(text.bytes)));
    let source = JsonSource { path: reader.path().to_owned(), encoding: None, held };
    let survey = source.reader_at(text.place)?;
    open_object(source, survey, None, notes)
}

/// A text that can be read again.
struct JsonSource {
    path: PathBuf,
    encoding: Option<String>,
    /// A part that is held in memory, and where it starts.
    held: Option<(JsonPlace, Arc<[u8]>)>,
}

impl JsonSource {
    fn reader_at(&self, place: JsonPlace) -> Result<JsonReader, TableError> {
        let (input, start) = match &self.held {
            None => (Input::file(&self.path), JsonPlace::START),
            Some((start, bytes)) => {
                (Input::stream(&self.path.to_string_lossy(), Box::new(Cursor::new(Arc::clone(bytes)))), *start)
            }
        };
        let mut reader = JsonReader::new(TextReader::open(input, self.encoding.as_deref())?, start);
        reader.skip_to(place)?;
        Ok(reader)
    }
}

/// A text that begins with an object, at which `survey` is.
fn open_object(
    source: JsonSource,
    mut survey: JsonReader,
    field: Option<&str>,
    mut notes: Vec<String>,
) -> Result<Opened, TableError> {
    let path = &source.path;
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
    match layout {
        JsonLayout::Objects => RowsFile::open(source.reader_at(first)?, RowsLayout::Objects, notes),
        JsonLayout::ArrayUnder(at) => {
            let JsonMember { name, place, .. } = &members[at];
            if field.is_none() {
                notes.push(format!("rows are the array under {}", quoted(name)));
            }
            RowsFile::open(source.reader_at(*place)?, RowsLayout::ArrayUnder(name.clone()), notes)
        }
        JsonLayout::Columns => {
            let columns = members.iter().map(|member| Column { name: member.name.clone(), declared: None }).collect();
            notes.push("each field is a column".to_owned());
            Ok(Opened { columns, file: Box::new(ColumnsFile { source, members }), notes })
        }
    }
}

/// Where the objects are that are rows.
#[derive(PartialEq)]
enum RowsLayout {
    /// One behind the other, such as one a line.
    Objects,
    /// In an array that is the whole file.
    Array,
    /// In an array that is the value of this member of an object.
    ArrayUnder(String),
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
        match file.object(true)? {
            Some(first) => Ok(Self::begun(file.reader, file.layout, first, notes)),
            None => Err(TableError::file(file.reader.path(), "an empty array: no rows")),
        }
    }

    /// The rows of which the first is read.
    fn begun(reader: JsonReader, layout: RowsLayout, first: (JsonPlace, Members), notes: Vec<String>) -> Opened {
        let columns = first.1.iter().map(|(name, _)| Column { name: name.clone(), declared: None }).collect();
        Opened { columns, file: Box::new(Self { reader, layout, first: Some(first), row: 0 }), notes }
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
        if let RowsLayout::ArrayUnder(field) = &self.layout {
            while self.reader.item(b'}', false)? {
                let at = self.reader.place();
                let name = self.reader.name()?;
                if name == *field {
                    return Err(self.reader.refused_at(at, &format!("the name {} occurs twice", quoted(&name))));
                }
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
    source: JsonSource,
    members: Vec<JsonMember>,
}

impl OpenFile for ColumnsFile {
    fn rows(self: Box<Self>, _: &[Column], selected: &[usize]) -> Result<RowIter, TableError> {
        let column = |at: &usize| JsonColumn::new(self.source.reader_at(self.members[*at].place)?);
        // Without a column there are still rows.
        let read = if selected.is_empty() { &[0] } else { selected };
        let columns = read.iter().map(column).collect::<Result<_, _>>()?;
        Ok(Box::new(JsonColumnRows { columns, width: selected.len(), row: 0 }))
    }
}

#[cfg(test)]
mod tests;
