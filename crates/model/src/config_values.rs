//! Values of `config.json` in the forms that transformers accepts or writes.

use std::collections::BTreeMap;

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::saved_head::generic_name;

/// A whole number, also where it is written as `768.0` or `1e5`.
pub(crate) fn whole_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let value = Value::deserialize(deserializer)?;
    as_whole_number(&value).ok_or_else(|| D::Error::custom(format!("found {value}, expected a whole number")))
}

fn as_whole_number(value: &Value) -> Option<i64> {
    /// Above it, f64 doesn't hold all whole numbers.
    const EXACT: f64 = (1_u64 << 53) as f64;
    let from_float = |number: f64| (number.fract() == 0.0 && number.abs() < EXACT).then_some(number as i64);
    value.as_i64().or_else(|| from_float(value.as_f64()?))
}

/// `id2label`: names by class index. A name that is not text becomes its text, one that is missing what transformers
/// calls it.
pub(crate) fn label_names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let mut names = BTreeMap::new();
    for (key, value) in Option::<Map<String, Value>>::deserialize(deserializer)?.unwrap_or_default() {
        let id = key.trim().parse::<usize>();
        let name = match (value, &id) {
            (Value::String(name), _) => name,
            (Value::Null, Ok(id)) => generic_name(*id),
            (other, _) => other.to_string(),
        };
        // As Python's `int` reads it. A second name of a class stays under its own key, which is no class index.
        let canonical = id.map_or_else(|_| key.clone(), |id| id.to_string());
        let key = if names.contains_key(&canonical) { key } else { canonical };
        names.insert(key, name);
    }
    Ok(names)
}

/// `label2id`: class indices by name. Nothing depends on it, so what is no index is left out.
pub(crate) fn label_ids<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, i64>, D::Error> {
    let Value::Object(ids) = Value::deserialize(deserializer)? else { return Ok(BTreeMap::new()) };
    let index = |id: &Value| as_whole_number(id).or_else(|| id.as_str()?.trim().parse().ok());
    Ok(ids.iter().filter_map(|(name, id)| Some((name.clone(), index(id)?))).collect())
}
