//! JSON lines: one object a line. Memory is bounded by the longest line, nesting by the JSON parser's own limit.

use std::fmt;
use std::path::Path;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::text::{self, Lines, MAX_RECORD};
use super::{Cell, Origin, Row, Table, Wanted, choose};
use crate::error::{DataError, Place};
use crate::source::shown;

/// Reads a table of one object a line; blank lines hold no row.
pub(super) fn read(path: &Path, wanted: Wanted<'_>) -> Result<Table, DataError> {
    let mut rows: Vec<Row> = Vec::new();
    let mut origin: Option<Origin> = None;
    for line in Lines::new(path, text::open(path)?, MAX_RECORD) {
        let (line, content) = line?;
        if content.trim().is_empty() {
            continue;
        }
        let mut object = parse(path, line, &content)?;
        let origin = match &mut origin {
            Some(origin) => &*origin,
            unset => &*unset.insert(columns(path, &object, wanted)?),
        };
        let place = Place { path: path.into(), row: rows.len() as u64 + 1, line: Some(line) };
        let text = match take(&mut object, &origin.text_column) {
            None => return Err(absent(path, place, &origin.text_column, &object)),
            Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text),
            Some(other) => return Err(not_text(place, origin, &rows, &other)),
        };
        let label = match &origin.label_column {
            None => Cell::Missing,
            Some(column) => match take(&mut object, column) {
                None => return Err(absent(path, place, column, &object)),
                Some(value) => cell(value).map_err(|found| DataError::Value {
                    place: place.clone(),
                    column: column.clone(),
                    reason: format!(
                        "{found} is not a label: text, a whole number, true or false (hint: --label-column)"
                    ),
                })?,
            },
        };
        rows.push(Row { file: 0, row: place.row, line: place.line, text, label });
    }
    match origin {
        Some(origin) => Ok(Table { origin, rows }),
        None => Err(DataError::content(path, "nothing but blank lines")),
    }
}

fn parse(path: &Path, line: u64, content: &str) -> Result<Vec<(String, Value)>, DataError> {
    let fail = |reason: String| Err(DataError::Line { path: path.into(), line, reason });
    if content.trim_start().starts_with('[') {
        return fail("a JSON array; one object a line is read (hint: `jq -c '.[]' FILE > FILE.jsonl`)".into());
    }
    match serde_json::from_str::<Object>(content) {
        Ok(object) => Ok(object.0),
        Err(error) => {
            let begin = content.trim_start();
            if !begin.starts_with('{') {
                return fail(format!("not a JSON object; it begins {} (hint: one object a line)", shown(begin)));
            }
            let (reason, hint) = explained(content.trim_start(), &error);
            fail(format!("not a JSON object, column {}: {reason} (hint: {hint})", error.column()))
        }
    }
}

/// The JSON parser's words for a line that begins as an object, or ours where a person can be told more, and what to do.
fn explained(content: &str, error: &serde_json::Error) -> (String, &'static str) {
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

fn columns(path: &Path, object: &[(String, Value)], wanted: Wanted<'_>) -> Result<Origin, DataError> {
    let seen: Vec<String> = object.iter().map(|(name, _)| name.clone()).collect();
    let (text, label) = choose(path, &seen, wanted)?;
    let label_column = label.map(|column| seen[column].clone());
    Ok(Origin { path: path.into(), text_column: seen[text].clone(), label_column, class_names: None })
}

fn take(object: &mut [(String, Value)], column: &str) -> Option<Value> {
    object.iter_mut().find(|(name, _)| name == column).map(|(_, value)| std::mem::take(value))
}

fn absent(path: &Path, place: Place, column: &str, object: &[(String, Value)]) -> DataError {
    let seen: Vec<String> = object.iter().take(30).map(|(name, _)| crate::source::cut(name)).collect();
    DataError::Column {
        path: path.into(),
        reason: format!("row {} has no column {column:?}, row 1 has", place.row),
        seen: if seen.is_empty() { "none".into() } else { seen.join(", ") },
        hint: "write null where a row has no value".into(),
    }
}

fn not_text(place: Place, origin: &Origin, rows: &[Row], found: &Value) -> DataError {
    let earlier = rows.iter().rfind(|row| row.text.is_some());
    let before = earlier.map(|row| format!(", text in row {}", row.row)).unwrap_or_default();
    let reason = format!("{}, {} here{before} (hint: --text-column)", shown(&found.to_string()), kind(found));
    DataError::Value { place, column: origin.text_column.clone(), reason }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn cell(value: Value) -> Result<Cell, String> {
    match value {
        Value::Null => Ok(Cell::Missing),
        Value::Bool(value) => Ok(Cell::Bool(value)),
        Value::String(text) if text.trim().is_empty() => Ok(Cell::Missing),
        Value::String(text) => Ok(Cell::Text(text)),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Ok(Cell::Integer(integer)),
            (None, Some(float)) => Ok(Cell::Float(float)),
            (None, None) => Err(shown(&number.to_string())),
        },
        other => Err(format!("{}, {},", shown(&other.to_string()), kind(&other))),
    }
}

/// An object whose members keep their order and whose names occur once.
struct Object(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Object, M::Error> {
                let mut names = std::collections::HashSet::new();
                let mut members: Vec<(String, Value)> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if !names.insert(name.clone()) {
                        return Err(serde::de::Error::custom(format!("the name {name:?} occurs twice")));
                    }
                    members.push((name, value));
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}
