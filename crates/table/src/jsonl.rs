//! JSON lines: one object a line. Memory is bounded by the longest line, nesting by the JSON parser's own limit.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use crate::column::Column;
use crate::error::TableError;
use crate::excerpt::quoted;
use crate::format::{FileFormat, OpenFile, Opened, RowIter};
use crate::input::Input;
use crate::read_options::ReadOptions;
use crate::row::{Cell, Row};
use crate::text::{Lines, MAX_RECORD};

/// The members of an object, in its order.
type Members = Vec<(String, Value)>;

pub(crate) const JSON_LINES: FileFormat = FileFormat {
    name: "JSONL",
    endings: &["jsonl", "ndjson", "json"],
    about: "one object a line; the first one names the columns",
    matches_folder: None,
    open,
    create: None,
};

struct JsonLinesFile {
    path: PathBuf,
    lines: Lines,
    /// The first object and its line, until it is read as a row.
    first: Option<(u64, Members)>,
    row: u64,
}

/// Blank lines hold no row. The first object names the columns.
fn open(input: Input, options: &ReadOptions) -> Result<Opened, TableError> {
    let path = input.path().to_owned();
    let mut lines = Lines::of(input, MAX_RECORD, options.encoding.as_deref())?;
    let notes = lines.take_notes();
    let mut file = JsonLinesFile { path: path.clone(), lines, first: None, row: 0 };
    let Some(first) = file.object()? else { return Err(TableError::file(path, "only blank lines")) };
    let columns = first.1.iter().map(|(name, _)| Column { name: name.clone(), declared: None }).collect();
    file.first = Some(first);
    Ok(Opened { columns, file: Box::new(file), notes })
}

impl OpenFile for JsonLinesFile {
    fn rows(mut self: Box<Self>, columns: &[Column], selected: &[usize]) -> Result<RowIter, TableError> {
        let names: Vec<String> = selected.iter().map(|&column| columns[column].name.clone()).collect();
        Ok(Box::new(std::iter::from_fn(move || self.row(&names).transpose())))
    }
}

impl JsonLinesFile {
    /// The values of these names in the next object, which must have all of them; others are ignored.
    fn row(&mut self, names: &[String]) -> Result<Option<Row>, TableError> {
        let Some((line, mut object)) = self.object()? else { return Ok(None) };
        self.row += 1;
        let mut cells = Vec::with_capacity(names.len());
        for name in names {
            let Some((_, value)) = object.iter_mut().find(|(known, _)| known == name) else {
                let reason = format!("row {} has no column {name:?}, row 1 has", self.row);
                let seen = object.iter().map(|(name, _)| name.as_str());
                return Err(TableError::column(&self.path, &reason, seen, "write null where a row has no value"));
            };
            cells.push(cell(std::mem::take(value)));
        }
        Ok(Some(Row { number: self.row, line: Some(line), cells }))
    }

    /// The next object, and its line.
    fn object(&mut self) -> Result<Option<(u64, Members)>, TableError> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        for line in &mut self.lines {
            let (line, content) = line?;
            if !content.trim().is_empty() {
                return Ok(Some((line, parse(&self.path, line, &content)?)));
            }
        }
        Ok(None)
    }
}

fn parse(path: &Path, line: u64, content: &str) -> Result<Members, TableError> {
    let fail = |reason: String| Err(TableError::Line { path: path.into(), line, reason });
    if content.trim_start().starts_with('[') {
        return fail("a JSON array; one object a line is read (hint: `jq -c '.[]' FILE > FILE.jsonl`)".into());
    }
    match serde_json::from_str::<Object>(content) {
        Ok(object) => Ok(object.0),
        Err(error) => {
            let start = content.trim_start();
            if !start.starts_with('{') {
                return fail(format!("not a JSON object; it starts with {} (hint: one object a line)", quoted(start)));
            }
            let (reason, hint) = explain(content.trim_start(), &error);
            fail(format!("not a JSON object, column {}: {reason} (hint: {hint})", error.column()))
        }
    }
}

/// Why a line that starts as an object is not JSON, and a hint.
fn explain(content: &str, error: &serde_json::Error) -> (String, &'static str) {
    let at = content.as_bytes().get(error.column().saturating_sub(1)..).unwrap_or_default();
    if error.is_eof() {
        let hint = "is the file cut off? an object over several lines: `jq -c . FILE > FILE.jsonl`";
        return ("the line ends before the object does".into(), hint);
    }
    if content[1..].trim_start().starts_with('\'') {
        return ("a name in single quotes".into(), "JSON has double quotes; Python writes it with json.dumps");
    }
    if at.starts_with(b"NaN") || at.starts_with(b"Infinity") || at.starts_with(b"-Infinity") {
        return ("NaN or Infinity, which JSON doesn't have".into(), "write null where there is no value");
    }
    // serde_json counts lines within this one; only its column means something here.
    let mut reason = error.to_string();
    if let Some(end) = reason.rfind(" at line ") {
        reason.truncate(end);
    }
    match reason.as_str() {
        "recursion limit exceeded" => ("nested deeper than 128".into(), "only the text and the label are read"),
        "trailing characters" => ("more behind the object".into(), "one object a line"),
        _ => (reason, "one object a line, as json.dumps writes it"),
    }
}

fn cell(value: Value) -> Cell {
    match value {
        Value::Null => Cell::Missing,
        Value::Bool(value) => Cell::Bool(value),
        Value::String(text) => Cell::Text(text),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Cell::Integer(integer),
            (None, float) => Cell::Float(float.unwrap_or(f64::NAN)),
        },
        nested @ (Value::Array(_) | Value::Object(_)) => Cell::Nested(nested.to_string()),
    }
}

/// An object whose members keep their order and whose names occur once.
struct Object(Members);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Object, M::Error> {
                let mut names = std::collections::HashSet::new();
                let mut members = Members::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if !names.insert(name.clone()) {
                        return Err(serde::de::Error::custom(format!("the name {name:?} occurs twice")));
                    }
                    members.push((name, value));
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(Read)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;
    use tempfile::TempDir;

    use crate::tests::{read, refused, texts_of};

    const SOUND: &str = "{\"text\": \"a \\u00e9 film\", \"label\": 1, \"more\": {\"a\": [1, 2.5e3, null]}}\n\
                         {\"text\": \"dull\", \"label\": 0}\n{\"text\": \"\\ud83d\\ude00\", \"label\": 1}\n";

    #[test]
    fn changed_jsonl_never_panics() {
        assert!((500..3999).contains(&refused("sound.jsonl", SOUND.as_bytes(), 4000)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn what_json_writes_is_read_back(texts in prop::collection::vec(any::<String>(), 1..20)) {
            let desk = TempDir::new().expect("a temporary folder");
            let path = desk.path().join("a.jsonl");
            let lines: Vec<String> = texts.iter().map(|text| serde_json::json!({"text": text, "label": 1}).to_string()).collect();
            fs::write(&path, lines.join("\n")).expect("written");
            prop_assert_eq!(&texts_of(read(&path).expect("a table")), &texts);
        }
    }
}
