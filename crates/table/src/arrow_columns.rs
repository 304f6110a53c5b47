//! Columns as an Arrow schema declares them. Parquet and Arrow share this.

use arrow::datatypes::{DataType, Schema};
use serde_json::Value;

use crate::column::{Column, DeclaredType, ValueType};

/// The columns of a schema. Class names are those that the `datasets` library writes beside the schema; where it has
/// none, those of `features`, in the form of `dataset_info.json`.
pub(crate) fn columns(schema: &Schema, features: Option<&Value>) -> Vec<Column> {
    let about: Option<Value> = schema.metadata().get("huggingface").and_then(|about| serde_json::from_str(about).ok());
    let features = about.as_ref().and_then(|about| about.get("info")?.get("features")).or(features);
    let class_names = |column: &str| -> Option<Vec<String>> {
        let names = features?.get(column)?.get("names")?.as_array()?;
        names.iter().map(|name| name.as_str().map(str::to_string)).collect()
    };
    let declared = |kind: &DataType, name: &str| DeclaredType {
        values: value_type(kind),
        type_name: kind.to_string(),
        class_names: class_names(name),
    };
    let column = |name: &String, kind: &DataType| Column { name: name.clone(), declared: Some(declared(kind, name)) };
    schema.fields().iter().map(|field| column(field.name(), field.data_type())).collect()
}

pub(crate) fn value_type(kind: &DataType) -> ValueType {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => ValueType::Text,
        DataType::Dictionary(_, values) => value_type(values),
        DataType::RunEndEncoded(_, values) => value_type(values.data_type()),
        DataType::Boolean => ValueType::Bool,
        kind if kind.is_integer() => ValueType::Integer,
        DataType::Float16 | DataType::Float32 | DataType::Float64 => ValueType::Float,
        _ => ValueType::Other,
    }
}
