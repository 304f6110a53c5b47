//! JSON values as cells and objects as rows: what the formats that hold JSON have in common.

use std::fmt::{self, Write};
use std::path::Path;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::error::TableError;
use crate::excerpt::quoted;
use crate::row::{Cell, Row};

/// The members of an object, in its order.
pub(crate) type Members = Vec<(String, Cell)>;

/// Why bytes are not the JSON that was expected, and where in them.
pub(crate) struct JsonFault {
    /// Position of the byte at which the parser stopped.
    pub(crate) at: usize,
    pub(crate) reason: String,
    pub(crate) hint: &'static str,
}

/// Parses an object, all of `json`; `json` is a line where `is_line`, else a part of a file.
pub(crate) fn parse_object(json: &[u8], is_line: bool) -> Result<Members, JsonFault> {
    serde_json::from_slice::<Object>(json).map(|object| object.0).map_err(|error| explain(json, &error, is_line))
}

/// Parses any value, a part of a file.
pub(crate) fn parse_cell(json: &[u8]) -> Result<Cell, JsonFault> {
    serde_json::from_slice::<JsonCell>(json).map(|cell| cell.0).map_err(|error| explain(json, &error, false))
}

/// What is wrong within the start of a value, apart from its end.
pub(crate) fn fault_within(json: &[u8]) -> Option<JsonFault> {
    let error = serde_json::from_slice::<IgnoredAny>(json).err().filter(|error| !error.is_eof())?;
    Some(explain(json, &error, false))
}

/// The row of these columns, each of which the object must have; its other members are ignored.
pub(crate) fn row(
    path: &Path,
    number: u64,
    line: u64,
    mut members: Members,
    names: &[String],
) -> Result<Row, TableError> {
    let mut cells = Vec::with_capacity(names.len());
    for (at, name) in names.iter().enumerate() {
        // Rows of one program have their members in one order.
        let expected = members.get(at).filter(|(known, _)| known == name).map(|_| at);
        let Some(found) = expected.or_else(|| members.iter().position(|(known, _)| known == name)) else {
            let place = if line == number { String::new() } else { format!(" (line {line})") };
            let reason = format!("row {number}{place} has no column {name:?}, row 1 has");
            let seen = members.iter().map(|(name, _)| name.as_str());
            return Err(TableError::column(path, &reason, seen, "write null where a row has no value"));
        };
        cells.push(std::mem::replace(&mut members[found].1, Cell::Missing));
    }
    Ok(Row { number, line: Some(line), cells })
}

fn explain(json: &[u8], error: &serde_json::Error, is_line: bool) -> JsonFault {
    let lines = json.split_inclusive(|byte| *byte == b'\n');
    let before: usize = lines.take(error.line().saturating_sub(1)).map(<[u8]>::len).sum();
    let at = before + error.column().saturating_sub(1);
    let rest = json.get(at..).unwrap_or_default();
    let fault = |reason: &str, hint| JsonFault { at, reason: reason.to_owned(), hint };
    if error.is_eof() && is_line {
        let hint = "is the file cut off? an object over several lines is read from a .json file";
        return fault("the line ends before the object does", hint);
    }
    if error.is_eof() && !matches!(json.first(), Some(b'{' | b'[' | b'"')) {
        return JsonFault {
            at: 0,
            reason: format!("expected a value, found {}", start(json)),
            hint: "write it in quotes",
        };
    }
    if error.is_eof() {
        return fault("the file ends before the object does", "is the file cut off?");
    }
    if rest.starts_with(b"'") {
        return fault("a name in single quotes", "JSON has double quotes; Python writes it with json.dumps");
    }
    if ["NaN", "Infinity", "-Infinity"].iter().any(|word| rest.starts_with(word.as_bytes())) {
        return fault("NaN or Infinity, which JSON doesn't have", "write null where there is no value");
    }
    if rest.starts_with(b"//") || rest.starts_with(b"/*") || rest.starts_with(b"#") {
        return fault("a comment, which JSON doesn't have", "remove the comments");
    }
    // Only the position within the file means something to the user.
    let mut reason = error.to_string();
    if let Some(end) = reason.rfind(" at line ") {
        reason.truncate(end);
    }
    let hint = if is_line { "one object a line, as json.dumps writes it" } else { "json.dumps of Python writes JSON" };
    let is_line_end = |at: usize| json.get(at).is_some_and(|byte| matches!(byte, b'\n' | b'\r'));
    if reason.starts_with("control character")
        // The parser counts up to the byte before or behind it.
        && let Some(at) = (at.saturating_sub(1)..=at + 1).find(|at| is_line_end(*at))
    {
        let hint = "is a quote missing? a line end within a text is written \\n";
        return JsonFault { at, reason: "a text that doesn't end on its line".into(), hint };
    }
    match reason.as_str() {
        "recursion limit exceeded" => fault("nested deeper than 128", "only the text and the label are read"),
        "trailing characters" => fault("more behind the object", "one object a line"),
        reason => fault(reason, hint),
    }
}

/// The start of a JSON text, in quotes, for a message.
pub(crate) fn start(json: &[u8]) -> String {
    let json = json.trim_ascii_start();
    quoted(&String::from_utf8_lossy(&json[..json.len().min(200)]))
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
                while let Some((name, value)) = map.next_entry::<String, JsonCell>()? {
                    if !names.insert(name.clone()) {
                        return Err(M::Error::custom(format!("the name {name:?} occurs twice")));
                    }
                    members.push((name, value.0));
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(Read)
    }
}

/// A value as a cell.
struct JsonCell(Cell);

impl<'de> Deserialize<'de> for JsonCell {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Cell;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }

            fn visit_unit<E>(self) -> Result<Cell, E> {
                Ok(Cell::Missing)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Cell, E> {
                Ok(Cell::Bool(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Cell, E> {
                Ok(Cell::Integer(value))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Cell, E> {
                Ok(i64::try_from(value).map_or(Cell::Float(value as f64), Cell::Integer))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Cell, E> {
                Ok(Cell::Float(value))
            }

            fn visit_str<E>(self, value: &str) -> Result<Cell, E> {
                Ok(Cell::Text(value.to_owned()))
            }

            fn visit_string<E>(self, value: String) -> Result<Cell, E> {
                Ok(Cell::Text(value))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, values: A) -> Result<Cell, A::Error> {
                let mut json = String::new();
                Compact(&mut json).visit_seq(values)?;
                Ok(Cell::Nested(json))
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Cell, A::Error> {
                let mut json = String::new();
                Compact(&mut json).visit_map(members)?;
                Ok(Cell::Nested(json))
            }
        }
        deserializer.deserialize_any(Read).map(JsonCell)
    }
}

/// Writes the value that it is given as JSON on one line; names keep their order.
pub(crate) struct Compact<'a>(pub(crate) &'a mut String);

impl<'de> DeserializeSeed<'de> for Compact<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Compact<'_> {
    fn write<E: Error>(self, value: impl serde::Serialize) -> Result<(), E> {
        self.0.push_str(&serde_json::to_string(&value).map_err(E::custom)?);
        Ok(())
    }
}

impl<'de> Visitor<'de> for Compact<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.0.push_str("null");
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.write(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.write(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.write(value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.write(value)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.write(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        let mut separator = '[';
        loop {
            let length = self.0.len();
            self.0.push(separator);
            if values.next_element_seed(Compact(self.0))?.is_none() {
                self.0.truncate(length);
                break;
            }
            separator = ',';
        }
        self.0.push_str(if separator == '[' { "[]" } else { "]" });
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut separator = '{';
        while let Some(name) = members.next_key::<String>()? {
            let name = serde_json::to_string(&name).map_err(A::Error::custom)?;
            write!(self.0, "{separator}{name}:").map_err(A::Error::custom)?;
            members.next_value_seed(Compact(self.0))?;
            separator = ',';
        }
        self.0.push_str(if separator == '{' { "{}" } else { "}" });
        Ok(())
    }
}
