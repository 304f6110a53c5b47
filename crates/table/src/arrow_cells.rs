//! Values of Arrow arrays as cells. Parquet and Arrow share this.
//!
//! Every type has a form: a list, a struct or a map is JSON; bytes are base64; dates, times and decimals are the text that
//! Arrow displays, such as `2024-02-29`, `2024-02-29T12:00:00Z` or `12.50`. A time in a named zone is given in UTC, and in
//! JSON a number that JSON doesn't have (not a number, infinity) is `null`. What a value unpacks to is bounded: each text
//! and each JSON has at most [`MAX_RECORD`] bytes.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::arrow_columns::value_type;
use crate::column::ValueType;
use crate::row::Cell;
use crate::text::MAX_RECORD;

/// The value of a row, or why it isn't read.
pub(crate) fn cell(values: &dyn Array, row: usize) -> Result<Cell, String> {
    let Some((values, row)) = stored(values, row) else { return Ok(Cell::Missing) };
    Ok(match scalar(values, row)? {
        Some(Scalar::Text(text)) => Cell::Text(text.to_owned()),
        Some(Scalar::Displayed(text)) => Cell::Text(text),
        Some(Scalar::Integer(number)) => Cell::Integer(number),
        // As text, for a number that is rounded is another one; many identifiers are this large.
        Some(Scalar::Unsigned(number)) => Cell::Text(number.to_string()),
        Some(Scalar::Float(number)) => Cell::Float(number),
        Some(Scalar::Single(number)) => Cell::Float(number.into()),
        Some(Scalar::Bool(value)) => Cell::Bool(value),
        None => {
            let mut json = String::new();
            write_nested(values, row, &mut json)?;
            Cell::Nested(json)
        }
    })
}

enum Scalar<'a> {
    Text(&'a str),
    /// A value without a type of its own in [`Cell`].
    Displayed(String),
    Integer(i64),
    /// A number beyond the 64 bits with sign.
    Unsigned(u64),
    Float(f64),
    Single(f32),
    Bool(bool),
}

/// The array and the row in it that store a value, behind dictionaries, runs and unions; `None` for a null.
fn stored(mut values: &dyn Array, mut row: usize) -> Option<(&dyn Array, usize)> {
    loop {
        match values.data_type() {
            DataType::Null => return None,
            _ if values.is_null(row) => return None,
            DataType::Dictionary(..) => {
                let dictionary = values.as_any_dictionary();
                row = match integer(dictionary.keys(), row)? {
                    Scalar::Integer(key) => usize::try_from(key).ok()?,
                    Scalar::Unsigned(key) => usize::try_from(key).ok()?,
                    _ => return None,
                };
                values = dictionary.values().as_ref();
            }
            DataType::RunEndEncoded(ends, _) => {
                (values, row) = match ends.data_type() {
                    DataType::Int16 => {
                        let runs = values.as_run::<Int16Type>();
                        (runs.values().as_ref(), runs.get_physical_index(row))
                    }
                    DataType::Int32 => {
                        let runs = values.as_run::<Int32Type>();
                        (runs.values().as_ref(), runs.get_physical_index(row))
                    }
                    _ => {
                        let runs = values.as_run::<Int64Type>();
                        (runs.values().as_ref(), runs.get_physical_index(row))
                    }
                };
            }
            DataType::Union(..) => {
                let union = values.as_union();
                (values, row) = (union.child(union.type_id(row)).as_ref(), union.value_offset(row));
            }
            _ => return Some((values, row)),
        }
    }
}

/// A value that is no null; `None` for a list, a struct or a map.
fn scalar(values: &dyn Array, row: usize) -> Result<Option<Scalar<'_>>, String> {
    if let Some(number) = integer(values, row) {
        return Ok(Some(number));
    }
    let bytes = |bytes: &[u8]| {
        bounded(bytes.len().div_ceil(3).saturating_mul(4))?;
        Ok::<_, String>(Scalar::Displayed(STANDARD.encode(bytes)))
    };
    let text = |text| within_bounds(text).map(Scalar::Text);
    Ok(Some(match values.data_type() {
        DataType::Utf8 => text(values.as_string::<i32>().value(row))?,
        DataType::LargeUtf8 => text(values.as_string::<i64>().value(row))?,
        DataType::Utf8View => text(values.as_string_view().value(row))?,
        DataType::Boolean => Scalar::Bool(values.as_boolean().value(row)),
        DataType::Float16 => Scalar::Float(values.as_primitive::<Float16Type>().value(row).to_f64()),
        DataType::Float32 => Scalar::Single(values.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => Scalar::Float(values.as_primitive::<Float64Type>().value(row)),
        DataType::Binary => bytes(values.as_binary::<i32>().value(row))?,
        DataType::LargeBinary => bytes(values.as_binary::<i64>().value(row))?,
        DataType::BinaryView => bytes(values.as_binary_view().value(row))?,
        DataType::FixedSizeBinary(_) => bytes(values.as_fixed_size_binary().value(row))?,
        DataType::List(_)
        | DataType::LargeList(_)
        | DataType::FixedSizeList(..)
        | DataType::ListView(_)
        | DataType::LargeListView(_)
        | DataType::Struct(_)
        | DataType::Map(..) => return Ok(None),
        _ => Scalar::Displayed(displayed(values, row)?),
    }))
}

fn integer(values: &dyn Array, row: usize) -> Option<Scalar<'static>> {
    Some(Scalar::Integer(match values.data_type() {
        DataType::Int8 => values.as_primitive::<Int8Type>().value(row).into(),
        DataType::Int16 => values.as_primitive::<Int16Type>().value(row).into(),
        DataType::Int32 => values.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => values.as_primitive::<Int64Type>().value(row),
        DataType::UInt8 => values.as_primitive::<UInt8Type>().value(row).into(),
        DataType::UInt16 => values.as_primitive::<UInt16Type>().value(row).into(),
        DataType::UInt32 => values.as_primitive::<UInt32Type>().value(row).into(),
        DataType::UInt64 => {
            let number = values.as_primitive::<UInt64Type>().value(row);
            return Some(i64::try_from(number).map_or(Scalar::Unsigned(number), Scalar::Integer));
        }
        _ => return None,
    }))
}

/// A date, a time, a duration or a decimal as Arrow displays it.
fn displayed(values: &dyn Array, row: usize) -> Result<String, String> {
    let mut value: ArrayRef = values.slice(row, 1);
    if let DataType::Timestamp(unit, Some(_)) = values.data_type() {
        value = cast(&value, &DataType::Timestamp(*unit, Some("+00:00".into()))).map_err(|error| error.to_string())?;
    }
    let options = FormatOptions::new();
    let formatter = ArrayFormatter::try_new(&value, &options).map_err(|error| error.to_string())?;
    formatter.value(0).try_to_string().map_err(|error| error.to_string())
}

/// Appends a value as JSON.
fn write_json(values: &dyn Array, row: usize, json: &mut String) -> Result<(), String> {
    let Some((values, row)) = stored(values, row) else {
        json.push_str("null");
        return bounded(json.len());
    };
    match scalar(values, row)? {
        Some(Scalar::Text(text)) => write_text(text, json),
        Some(Scalar::Displayed(text)) => write_text(&text, json),
        Some(Scalar::Integer(number)) => json.push_str(&number.to_string()),
        Some(Scalar::Unsigned(number)) => json.push_str(&number.to_string()),
        Some(Scalar::Float(number)) => json.push_str(&serde_json::json!(number).to_string()),
        Some(Scalar::Single(number)) if number.is_finite() => {
            json.push_str(&serde_json::to_string(&number).unwrap_or_default());
        }
        Some(Scalar::Single(_)) => json.push_str("null"),
        Some(Scalar::Bool(value)) => json.push_str(if value { "true" } else { "false" }),
        None => write_nested(values, row, json)?,
    }
    bounded(json.len())
}

/// Appends a list, a struct or a map that is no null as JSON.
fn write_nested(values: &dyn Array, row: usize, json: &mut String) -> Result<(), String> {
    let items = match values.data_type() {
        DataType::List(_) => values.as_list::<i32>().value(row),
        DataType::LargeList(_) => values.as_list::<i64>().value(row),
        DataType::ListView(_) => values.as_list_view::<i32>().value(row),
        DataType::LargeListView(_) => values.as_list_view::<i64>().value(row),
        DataType::FixedSizeList(..) => values.as_fixed_size_list().value(row),
        DataType::Map(..) => {
            let entries = values.as_map().value(row);
            // JSON's objects have texts as keys; other keys stay beside their values.
            if value_type(entries.column(0).data_type()) != ValueType::Text {
                return write_list(&entries, json);
            }
            let keys = entries.column(0);
            return write_object(entries.len(), json, |at, json| {
                write_json(keys, at, json)?;
                json.push(':');
                write_json(entries.column(1), at, json)
            });
        }
        _ => {
            let fields = values.as_struct();
            return write_object(fields.num_columns(), json, |at, json| {
                write_text(fields.column_names()[at], json);
                json.push(':');
                write_json(fields.column(at), row, json)
            });
        }
    };
    write_list(&items, json)
}

fn write_list(items: &dyn Array, json: &mut String) -> Result<(), String> {
    json.push('[');
    for at in 0..items.len() {
        if at > 0 {
            json.push(',');
        }
        write_json(items, at, json)?;
    }
    json.push(']');
    Ok(())
}

fn write_object(
    count: usize,
    json: &mut String,
    mut write_member: impl FnMut(usize, &mut String) -> Result<(), String>,
) -> Result<(), String> {
    json.push('{');
    for at in 0..count {
        if at > 0 {
            json.push(',');
        }
        write_member(at, json)?;
        bounded(json.len())?;
    }
    json.push('}');
    Ok(())
}

fn write_text(text: &str, json: &mut String) {
    json.push_str(&serde_json::Value::from(text).to_string());
}

fn within_bounds(text: &str) -> Result<&str, String> {
    bounded(text.len()).map(|()| text)
}

fn bounded(bytes: usize) -> Result<(), String> {
    if bytes > MAX_RECORD {
        return Err(format!(
            "a value of {bytes} bytes or more; the most that is read is {MAX_RECORD} (hint: split it, or leave the column out)"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
