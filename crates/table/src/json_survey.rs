//! What the members of a file's one object hold: which of them is the array of rows, or whether each is a column.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::error::TableError;
use crate::excerpt::quoted;
use crate::json_object::fault_within;
use crate::json_reader::{JsonPlace, JsonReader};

/// The most members that an object is read through for. They are columns or fields beside the rows.
const MAX_MEMBERS: usize = 10_000;

const RECORDS: &str = "pandas writes an array of rows with `to_json(FILE, orient=\"records\")`";

/// A member of the object.
pub(crate) struct JsonMember {
    pub(crate) name: String,
    pub(crate) kind: MemberKind,
    /// Where its value starts.
    pub(crate) place: JsonPlace,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum MemberKind {
    /// An array whose first element is an object.
    ArrayOfObjects,
    /// Any other array.
    Array { length: u64 },
    Object {
        length: u64,
        /// Whether each of its names is a number, as the row numbers of pandas are.
        is_numbered: bool,
        /// Of its names, in their order.
        names: u64,
    },
    /// A text, a number, true, false or null.
    Value,
}

/// What a file's one object means.
#[derive(Debug, PartialEq)]
pub(crate) enum JsonLayout {
    /// The array under this member holds the rows.
    ArrayUnder(usize),
    /// Each member is a column.
    Columns,
    /// The object is a row.
    Objects,
}

/// Reads through the object that starts here. Each value within a member is held in memory, but no two at once.
pub(crate) fn members(reader: &mut JsonReader) -> Result<Vec<JsonMember>, TableError> {
    reader.enter();
    let mut names = HashSet::new();
    let mut members = Vec::new();
    while reader.item(b'}', members.is_empty())? {
        let at = reader.place();
        let name = reader.name()?;
        if members.len() == MAX_MEMBERS {
            let reason = format!("an object of more than {MAX_MEMBERS} fields is not a table (hint: {RECORDS})");
            return Err(reader.refused_at(at, &reason));
        }
        if !names.insert(name.clone()) {
            return Err(reader.refused_at(at, &format!("the name {} occurs twice", quoted(&name))));
        }
        let place = reader.place();
        members.push(JsonMember { name, kind: skip_member(reader)?, place });
    }
    Ok(members)
}

/// Goes on to the array under a member of the object that starts here.
pub(crate) fn find_array(reader: &mut JsonReader, field: &str) -> Result<(), TableError> {
    reader.enter();
    let mut first = true;
    while reader.item(b'}', std::mem::take(&mut first))? {
        if reader.name()? != field {
            skip_member(reader)?;
        } else if reader.skip_blank()? == Some(b'[') {
            return Ok(());
        } else {
            return Err(reader.refused(&format!("the field {} is not an array (hint: --json-field)", quoted(field))));
        }
    }
    Err(TableError::file(reader.path(), format!("the field {} is not there (hint: --json-field)", quoted(field))))
}

/// Passes over a member's value.
pub(crate) fn skip_member(reader: &mut JsonReader) -> Result<MemberKind, TableError> {
    match reader.skip_blank()? {
        Some(b'[') => {
            reader.enter();
            let (mut length, mut holds_objects) = (0, false);
            while reader.item(b']', length == 0)? {
                if length == 0 {
                    holds_objects = reader.skip_blank()? == Some(b'{');
                }
                skip_value(reader)?;
                length += 1;
            }
            Ok(if holds_objects { MemberKind::ArrayOfObjects } else { MemberKind::Array { length } })
        }
        Some(b'{') => {
            reader.enter();
            let (mut length, mut is_numbered, mut names) = (0, true, DefaultHasher::new());
            while reader.item(b'}', length == 0)? {
                let name = reader.name()?;
                is_numbered &= name.parse::<i64>().is_ok();
                name.hash(&mut names);
                skip_value(reader)?;
                length += 1;
            }
            Ok(MemberKind::Object { length, is_numbered, names: names.finish() })
        }
        _ => skip_value(reader).map(|()| MemberKind::Value),
    }
}

fn skip_value(reader: &mut JsonReader) -> Result<(), TableError> {
    let text = reader.value()?;
    match fault_within(&text.bytes) {
        Some(fault) => Err(reader.fault(&text, "not JSON", &fault)),
        None => Ok(()),
    }
}

impl JsonLayout {
    /// The layout by what the members hold, or why there is none. `field` is the member that the user named.
    pub(crate) fn of(members: &[JsonMember], field: Option<&str>) -> Result<Self, String> {
        let arrays = || members.iter().enumerate().filter(|(_, member)| member.kind == MemberKind::ArrayOfObjects);
        let names = || arrays().map(|(_, member)| quoted(&member.name)).collect::<Vec<_>>().join(", ");
        if let Some(field) = field {
            return match members.iter().position(|member| member.name == field) {
                Some(at) if members[at].kind == MemberKind::ArrayOfObjects => Ok(Self::ArrayUnder(at)),
                found => {
                    let what = found.map_or("is not there", |_| "is not an array of objects");
                    let seen = if arrays().next().is_some() { names() } else { "none".into() };
                    Err(format!("the field {} {what}; fields that are: {seen} (hint: --json-field)", quoted(field)))
                }
            };
        }
        if let Some((only, _)) = arrays().next() {
            return match arrays().count() {
                1 => Ok(Self::ArrayUnder(only)),
                several => Err(format!(
                    "{several} fields are arrays of objects: {} (hint: --json-field NAME says which holds the rows)",
                    names()
                )),
            };
        }
        if members.is_empty() || members.iter().any(|member| member.kind == MemberKind::Value) {
            return Ok(Self::Objects);
        }
        columns(members)
    }
}

/// Whether members, which are all arrays and objects, are columns of equal length.
fn columns(members: &[JsonMember]) -> Result<JsonLayout, String> {
    let first = &members[0];
    let is_split = ["columns", "data"].iter().all(|name| members.iter().any(|member| member.name == *name));
    if is_split && members.iter().all(|member| ["columns", "index", "data"].contains(&member.name.as_str())) {
        return Err(format!("an object with columns and data apart (hint: {RECORDS})"));
    }
    for member in members {
        let fits = match (member.kind, first.kind) {
            (MemberKind::Array { length }, MemberKind::Array { length: expected }) if length != expected => {
                return Err(format!(
                    "an object of arrays, of which {} has {expected} elements and {} has {length} (hint: arrays that \
                     are columns have one element a row)",
                    quoted(&first.name),
                    quoted(&member.name)
                ));
            }
            (MemberKind::Object { is_numbered: true, .. }, MemberKind::Object { is_numbered: true, .. }) => {
                if member.kind != first.kind {
                    let (one, other) = (quoted(&first.name), quoted(&member.name));
                    return Err(format!("columns {one} and {other} have different row numbers (hint: {RECORDS})"));
                }
                true
            }
            (MemberKind::Array { .. }, MemberKind::Array { .. }) => true,
            _ => false,
        };
        if !fits {
            return Err(format!(
                "an object of objects, in which no array of rows was found (hint: rows are objects in an array; {RECORDS}; \
                 rows further inside: `jq '.FIELD.FIELD' FILE`)"
            ));
        }
    }
    Ok(JsonLayout::Columns)
}
