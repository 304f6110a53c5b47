//! The model families, by `model_type` of `config.json`: the configuration, layers and tensor names of each.
//!
//! A family is a file of this folder that ends in a [`Family`]. A new one is that file, a variant of [`Architecture`],
//! its line in [`Architecture::family`], and a test.

mod bert;

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::builder::{Builder, ParameterSpec};
use crate::config::{Architecture, CONFIG_JSON, Config};
use crate::error::ModelError;
use crate::head::Head;
use crate::layers::embeddings::Embeddings;
use crate::layers::encoder_layer::EncoderLayer;
use crate::saved_head::SINGLE_LABEL;

/// The definition of a model family.
pub(crate) struct Family {
    /// The class in transformers, such as `BertForSequenceClassification`.
    class: &'static str,
    /// Keys of [`Config`] that the family's `config.json` has under other names: ours, then theirs. Named as in
    /// transformers.
    attribute_map: &'static [(&'static str, &'static str)],
    /// Declares every parameter, and builds the layers.
    build: fn(&Config, &mut Builder) -> Network,
    /// The current name of a tensor, which older files may have under another one.
    pub(crate) current_name: fn(&str) -> String,
}

/// The layers of a model, which refer to their parameters by index.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) embeddings: Embeddings,
    pub(crate) layers: Vec<EncoderLayer>,
    pub(crate) head: Head,
}

impl Architecture {
    pub(crate) fn family(self) -> &'static Family {
        match self {
            Architecture::Bert => &bert::FAMILY,
        }
    }
}

impl Config {
    /// Reads and checks `config.json` in a model folder.
    ///
    /// # Errors
    /// [`ModelError::Io`] and [`ModelError::Config`].
    pub fn from_folder(folder: &Path) -> Result<Self, ModelError> {
        let path = folder.join(CONFIG_JSON);
        let bytes = std::fs::read(&path).map_err(|source| ModelError::Io { path: path.clone(), source })?;
        let text = String::from_utf8(bytes).map_err(|error| ModelError::Config {
            path: path.clone(),
            message: format!("not UTF-8 at byte {} (hint: fetch it again)", error.utf8_error().valid_up_to()),
        })?;
        Self::from_json(&text, &path)
    }

    /// Parses and checks the text of a `config.json`; `path` is for messages.
    ///
    /// # Errors
    /// [`ModelError::Config`].
    pub fn from_json(text: &str, path: &Path) -> Result<Self, ModelError> {
        let fail = |message: String| ModelError::Config { path: path.to_path_buf(), message };
        let mut value: Map<String, Value> = match serde_json::from_str(text) {
            Ok(Value::Object(value)) => value,
            Ok(_) => return Err(fail("holds no JSON object (hint: fetch it again)".into())),
            Err(error) => {
                return Err(fail(format!("not JSON: {error} (hint: it is cut off or damaged, fetch it again)")));
            }
        };
        let architecture = Architecture::of(value.get("model_type")).map_err(fail)?;
        for (ours, theirs) in architecture.family().attribute_map {
            rename_key(&mut value, theirs, ours);
        }
        let mut config = Config::deserialize(&Value::Object(value.clone()))
            .map_err(|error| fail(first_invalid_key(&value).unwrap_or_else(|| error.to_string())))?;
        config.check().map_err(fail)?;
        config.remember_head();
        Ok(config)
    }

    /// The text of a `config.json` as transformers writes it for a fine-tuned classifier.
    ///
    /// # Errors
    /// A number that JSON can't hold.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        let (mut config, family) = (self.clone(), self.architecture.family());
        let mut set = |key: &str, value: Value| config.other.insert(key.to_owned(), value);
        set("architectures", serde_json::json!([family.class]));
        set("problem_type", SINGLE_LABEL.into());
        set("torch_dtype", "float32".into());
        config.other.remove("dtype");
        if family.attribute_map.is_empty() {
            return Ok(serde_json::to_string_pretty(&config)? + "\n");
        }
        let Value::Object(mut value) = serde_json::to_value(&config)? else { unreachable!("a struct is an object") };
        for (ours, theirs) in family.attribute_map {
            rename_key(&mut value, ours, theirs);
        }
        Ok(serde_json::to_string_pretty(&value)? + "\n")
    }

    /// Every parameter of a model of this configuration, in order, without creating any tensor.
    pub fn parameters(&self) -> Vec<ParameterSpec> {
        self.build().0
    }

    /// The parameters, and the layers that use them.
    pub(crate) fn build(&self) -> (Vec<ParameterSpec>, Network) {
        let mut builder = Builder::default();
        let network = (self.architecture.family().build)(self, &mut builder);
        (builder.specs, network)
    }
}

fn rename_key(object: &mut Map<String, Value>, from: &str, to: &str) {
    if let Some(value) = object.remove(from) {
        object.insert(to.to_owned(), value);
    }
}

/// The key whose value can't be read, with the expected type: each is tried alone in a valid configuration, because the
/// parser doesn't report which one it was.
fn first_invalid_key(value: &Map<String, Value>) -> Option<String> {
    let sizes = ["vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"];
    let needed: Vec<&str> = sizes.into_iter().chain(["max_position_embeddings"]).collect();
    let mut valid = Map::from_iter([("model_type".to_owned(), value.get("model_type")?.clone())]);
    valid.extend(needed.iter().map(|key| ((*key).to_owned(), Value::from(1))));
    for (key, found) in value {
        let mut candidate = valid.clone();
        candidate.insert(key.clone(), found.clone());
        if let Err(error) = Config::deserialize(&Value::Object(candidate)) {
            let error = error.to_string();
            let expected = match error.rsplit_once(", expected ") {
                Some((_, "i64")) => "a whole number",
                Some((_, "f64")) => "a number",
                Some((_, "a map")) => "an object",
                Some((_, expected)) => expected,
                None => return Some(format!("{key}: {error}")),
            };
            let excerpt: String = found.to_string().chars().take(40).collect();
            return Some(format!("{key} is {excerpt}, expected {}", expected.replace('`', "")));
        }
    }
    let missing = needed.into_iter().find(|key| !value.contains_key(*key))?;
    Some(format!("has no {missing} (hint: fetch it again)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_other_families_are_renamed_there_and_back() {
        let theirs = serde_json::json!({"dim": 8, "dropout": 0.1});
        let mut object = theirs.as_object().expect("an object").clone();
        let pairs = [("hidden_size", "dim"), ("num_hidden_layers", "n_layers")];
        pairs.iter().for_each(|(ours, theirs)| rename_key(&mut object, theirs, ours));
        assert_eq!(Value::Object(object.clone()), serde_json::json!({"hidden_size": 8, "dropout": 0.1}));
        pairs.iter().for_each(|(ours, theirs)| rename_key(&mut object, ours, theirs));
        assert_eq!(Value::Object(object), theirs);
    }
}
