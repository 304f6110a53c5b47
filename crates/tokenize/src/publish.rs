//! The tokenizer files that a trained model is published with.

use std::path::Path;

use serde_json::{Map, Value};

use crate::casing::Casing;
use crate::error::TokenizeError;
use crate::files::{ALL, CONFIG, TOKENIZER_JSON, parse, read_bounded};

/// The tokenizer files of a model folder by name, with `casing` written into them, so that this program and
/// transformers read the same tokenizer from them.
///
/// # Errors
/// Files that can't be read, and a casing for files that can't hold one.
pub fn published_files(folder: &Path, casing: Casing) -> Result<Vec<(String, Vec<u8>)>, TokenizeError> {
    let mut files = Vec::new();
    for name in ALL {
        let path = folder.join(name);
        let bytes = match (casing.lower_case(), name) {
            (Some(lower_case), CONFIG) => {
                let mut fields = if path.is_file() { parse(&path)? } else { Map::new() };
                fields.insert("do_lower_case".into(), lower_case.into());
                to_bytes(fields)
            }
            (Some(lower_case), TOKENIZER_JSON) if path.is_file() => {
                let mut fields = parse(&path)?;
                if let Some(normalizer) = fields.get_mut("normalizer").and_then(Value::as_object_mut) {
                    normalizer.insert("lowercase".into(), lower_case.into());
                }
                to_bytes(fields)
            }
            _ if path.is_file() => read_bounded(&path)?,
            _ => continue,
        };
        files.push((name.to_owned(), bytes));
    }
    Ok(files)
}

fn to_bytes(fields: Map<String, Value>) -> Vec<u8> {
    (Value::Object(fields).to_string() + "\n").into_bytes()
}
