//! Hugging Face's `config.json`, with BERT's names for the keys.
//!
//! Other families have other names for some keys, which `architecture.rs` translates when the file is read and written.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::config_values::{label_ids, label_names, whole_number};
use crate::saved_head::{SINGLE_LABEL, SavedHead};

/// The configuration file in a model folder.
pub const CONFIG_JSON: &str = "config.json";

/// Everything in `config.json` that determines what a model computes. Other keys are kept unchanged.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Config {
    #[serde(rename = "model_type")]
    pub architecture: Architecture,
    /// Size of the word embedding table.
    #[serde(deserialize_with = "whole_number")]
    pub vocab_size: i64,
    /// `D`: width of the hidden states.
    #[serde(deserialize_with = "whole_number")]
    pub hidden_size: i64,
    #[serde(deserialize_with = "whole_number")]
    pub num_hidden_layers: i64,
    /// `N`: attention heads per layer.
    #[serde(deserialize_with = "whole_number")]
    pub num_attention_heads: i64,
    /// `I`: width of the feed-forward layer.
    #[serde(deserialize_with = "whole_number")]
    pub intermediate_size: i64,
    /// Activation of the feed-forward layer.
    #[serde(default)]
    pub hidden_act: Activation,
    /// Dropout after embeddings, attention output and feed-forward output.
    #[serde(default = "default_dropout")]
    pub hidden_dropout_prob: f64,
    #[serde(default = "default_dropout")]
    pub attention_probs_dropout_prob: f64,
    /// Dropout before the classifier; the hidden dropout if it is not given.
    #[serde(default)]
    pub classifier_dropout: Option<f64>,
    /// Longest sentence in tokens that has position embeddings.
    #[serde(deserialize_with = "whole_number")]
    pub max_position_embeddings: i64,
    /// Size of the token type (segment) table.
    #[serde(default = "default_type_vocab_size", deserialize_with = "whole_number")]
    pub type_vocab_size: i64,
    /// Standard deviation of randomly initialized weights.
    #[serde(default = "default_initializer_range")]
    pub initializer_range: f64,
    /// Epsilon of every layer norm.
    #[serde(default = "default_layer_norm_eps")]
    pub layer_norm_eps: f64,
    /// Kind of position embeddings; only `absolute` is BERT's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position_embedding_type: Option<String>,
    /// Label names by class index, as Hugging Face writes them: `{"0": "negative"}`.
    #[serde(default, deserialize_with = "label_names", skip_serializing_if = "BTreeMap::is_empty")]
    pub id2label: BTreeMap<String, String>,
    /// The reverse of `id2label`.
    #[serde(default, deserialize_with = "label_ids", skip_serializing_if = "BTreeMap::is_empty")]
    pub label2id: BTreeMap<String, i64>,
    /// What the file that was read says about its own head.
    #[serde(skip)]
    pub(crate) saved_head: SavedHead,
    /// Keys that are not used here, kept for other tools.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A model family, by Hugging Face's `model_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    Bert,
}

impl Architecture {
    pub const ALL: [Architecture; 1] = [Architecture::Bert];

    /// The family of a `model_type`, or an error message.
    pub(crate) fn of(model_type: Option<&Value>) -> Result<Self, String> {
        if let Some(found) = model_type.and_then(|value| Self::deserialize(value).ok()) {
            return Ok(found);
        }
        let found = model_type.map_or("missing".to_owned(), Value::to_string);
        let known: Vec<String> = Self::ALL.iter().filter_map(|known| serde_json::to_string(known).ok()).collect();
        let known = known.join(" or ");
        Err(format!("model_type is {found}, but only {known} is supported (hint: --model bert-base-uncased)"))
    }
}

/// Activation function of the feed-forward layer, by Hugging Face's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `x * Phi(x)`, exact.
    #[default]
    Gelu,
    /// GELU's tanh approximation.
    #[serde(alias = "gelu_pytorch_tanh", alias = "gelu_fast")]
    GeluNew,
    Relu,
    #[serde(alias = "swish")]
    Silu,
    Tanh,
}

fn default_dropout() -> f64 {
    0.1
}
fn default_type_vocab_size() -> i64 {
    2
}
fn default_initializer_range() -> f64 {
    0.02
}
fn default_layer_norm_eps() -> f64 {
    1e-12
}

impl Config {
    /// Head size `H = D / N`.
    pub fn head_size(&self) -> i64 {
        self.hidden_size / self.num_attention_heads
    }

    pub fn classifier_dropout_prob(&self) -> f64 {
        self.classifier_dropout.unwrap_or(self.hidden_dropout_prob)
    }

    /// Label names in the order of their class index; empty where the file has none.
    pub fn label_names(&self) -> Vec<String> {
        (0..self.id2label.len()).map_while(|id| self.id2label.get(&id.to_string()).cloned()).collect()
    }

    /// `C`: the number of classes: of names, without names `num_labels`, and two if that is fewer.
    pub fn num_classes(&self) -> i64 {
        /// More than any model has; a file could name any number.
        const MOST: u64 = 1 << 20;
        let unnamed = || self.other.get("num_labels").and_then(Value::as_u64).map_or(0, |count| count.min(MOST));
        let classes = if self.id2label.is_empty() { unnamed() } else { self.id2label.len() as u64 };
        classes.max(2) as i64
    }

    /// Sets the names of the classes.
    pub fn set_labels(&mut self, names: &[String]) {
        self.id2label = names.iter().enumerate().map(|(id, name)| (id.to_string(), name.clone())).collect();
        self.label2id = names.iter().enumerate().map(|(id, name)| (name.clone(), id as i64)).collect();
        for replaced in ["num_labels", "_num_labels"] {
            self.other.remove(replaced);
        }
    }

    /// Remembers what the file says about its head, before labels of other data are set.
    pub(crate) fn remember_head(&mut self) {
        let labels = Some(self.label_names()).filter(|names| names.len() == self.id2label.len()).unwrap_or_default();
        let problem = match self.other.get("problem_type") {
            None | Some(Value::Null) => None,
            Some(Value::String(problem)) => Some(problem.clone()).filter(|problem| problem != SINGLE_LABEL),
            Some(other) => Some(other.to_string()),
        };
        self.saved_head = SavedHead { labels, other_problem: problem };
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        let sizes = [
            ("vocab_size", self.vocab_size, 1 << 24),
            ("hidden_size", self.hidden_size, 1 << 16),
            ("num_hidden_layers", self.num_hidden_layers, 1 << 10),
            ("num_attention_heads", self.num_attention_heads, 1 << 10),
            ("intermediate_size", self.intermediate_size, 1 << 18),
            ("max_position_embeddings", self.max_position_embeddings, 1 << 20),
            ("type_vocab_size", self.type_vocab_size, 1 << 16),
        ];
        for (name, size, limit) in sizes {
            if size < 1 || size > limit {
                return Err(format!("{name} is {size}, expected 1 to {limit}"));
            }
        }
        if self.hidden_size % self.num_attention_heads != 0 {
            return Err(format!(
                "hidden_size {} is not a multiple of num_attention_heads {}",
                self.hidden_size, self.num_attention_heads
            ));
        }
        let probabilities = [
            ("hidden_dropout_prob", self.hidden_dropout_prob),
            ("attention_probs_dropout_prob", self.attention_probs_dropout_prob),
            ("classifier_dropout", self.classifier_dropout_prob()),
        ];
        for (name, p) in probabilities {
            if !(0.0..1.0).contains(&p) {
                return Err(format!("{name} is {p}, expected 0 or more and less than 1"));
            }
        }
        if !(self.layer_norm_eps > 0.0 && self.layer_norm_eps < 1.0) {
            return Err(format!("layer_norm_eps is {}, expected more than 0 and less than 1", self.layer_norm_eps));
        }
        if !(self.initializer_range.is_finite() && self.initializer_range >= 0.0) {
            return Err(format!("initializer_range is {}, expected 0 or more", self.initializer_range));
        }
        match self.position_embedding_type.as_deref() {
            None | Some("absolute") => {}
            Some(other) => {
                return Err(format!("position_embedding_type is {other:?}, but only \"absolute\" is supported"));
            }
        }
        let flag = |key: &str| self.other.get(key).and_then(Value::as_bool).unwrap_or(false);
        if flag("is_decoder") || flag("add_cross_attention") {
            return Err("is a decoder (is_decoder or add_cross_attention), but a classifier needs an encoder".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const MINIMAL: &str = r#"{"model_type": "bert", "vocab_size": 10, "hidden_size": 8, "num_hidden_layers": 1,
        "num_attention_heads": 2, "intermediate_size": 16, "max_position_embeddings": 16, "gradient_checkpointing": false}"#;

    fn parse(text: &str) -> Result<Config, String> {
        Config::from_json(text, Path::new("config.json")).map_err(|error| error.to_string())
    }

    fn changed(from: &str, to: &str) -> String {
        assert!(MINIMAL.contains(from), "{from}");
        parse(&MINIMAL.replace(from, to)).expect_err("must be refused")
    }

    #[test]
    fn defaults_are_hugging_faces() {
        let config = parse(MINIMAL).expect("parses");
        assert_eq!(config.hidden_act, Activation::Gelu);
        assert_eq!((config.hidden_dropout_prob, config.layer_norm_eps), (0.1, 1e-12));
        assert_eq!((config.type_vocab_size, config.initializer_range), (2, 0.02));
        assert_eq!(config.other["gradient_checkpointing"], Value::Bool(false));
    }

    #[test]
    fn bad_values_are_refused_by_name() {
        assert_eq!(
            changed(r#""bert""#, r#""roberta""#),
            "config.json: model_type is \"roberta\", but only \"bert\" is supported (hint: --model bert-base-uncased)"
        );
        assert_eq!(
            changed(r#""vocab_size": 10"#, r#""vocab_size": 0"#),
            "config.json: vocab_size is 0, expected 1 to 16777216"
        );
        assert_eq!(
            changed(r#""num_attention_heads": 2"#, r#""num_attention_heads": 3"#),
            "config.json: hidden_size 8 is not a multiple of num_attention_heads 3"
        );
        assert_eq!(
            changed(r#""vocab_size": 10"#, r#""vocab_size": 10, "hidden_dropout_prob": 1.0"#),
            "config.json: hidden_dropout_prob is 1, expected 0 or more and less than 1"
        );
        assert!(
            changed(r#""vocab_size": 10"#, r#""vocab_size": 10, "hidden_act": "mish""#)
                .contains("hidden_act is \"mish\", expected one of gelu, ")
        );
        assert!(changed(r#""vocab_size": 10,"#, "").contains("has no vocab_size"));
        assert!(
            changed(r#""vocab_size": 10"#, r#""vocab_size": 10, "position_embedding_type": "relative_key""#)
                .contains("only \"absolute\" is supported")
        );
        assert!(parse("{").expect_err("refused").contains("not JSON"));
    }

    /// Reference: tests/fixtures/bert/make_configs.py, which asks transformers.
    #[test]
    fn what_transformers_opens_is_read_with_its_label_names() {
        let fixture: Value = test_support::fixture("bert/configs.json");
        let (mut opened, mut refused) = (0, 0);
        for case in fixture["cases"].as_array().expect("cases") {
            let mut json = fixture["base"].as_object().expect("an object").clone();
            json.extend(case["changes"].as_object().expect("an object").clone());
            let found = parse(&Value::Object(json).to_string());
            let Some(theirs) = case["id2label"].as_object() else {
                found.expect_err("transformers refuses it");
                refused += 1;
                continue;
            };
            let config = found.unwrap_or_else(|error| panic!("{case}: {error}"));
            assert_eq!(config.num_classes(), theirs.len() as i64, "{case}");
            // Without names transformers makes them up.
            let theirs =
                (0..theirs.len()).filter(|_| !config.id2label.is_empty()).map(|id| match &theirs[&id.to_string()] {
                    Value::String(name) => name.clone(),
                    Value::Null => format!("LABEL_{id}"),
                    other => other.to_string(),
                });
            assert_eq!(config.label_names(), theirs.collect::<Vec<_>>(), "{case}");
            opened += 1;
        }
        assert!(opened >= 13 && refused >= 3, "{opened}, {refused}");
    }

    #[test]
    fn fields_that_fine_tuning_replaces_are_read_in_any_form() {
        let added =
            |json: &str| parse(&MINIMAL.replace(r#""vocab_size": 10"#, &format!(r#""vocab_size": 10, {json}"#)));
        let names = |json: &str| added(json).expect("parses").label_names();
        assert_eq!(names(r#""id2label": {"0": 0, "1": 1}"#), ["0", "1"]);
        assert_eq!(names(r#""id2label": {"1": true, "0": 1.5}"#), ["1.5", "true"]);
        assert_eq!(names(r#""id2label": {"0": null, "1": "x"}"#), ["LABEL_0", "x"]);
        assert_eq!(names(r#""id2label": {"00": "b", " 1": "a"}"#), ["b", "a"]);
        assert_eq!(names(r#""id2label": null, "label2id": null"#), [""; 0]);
        assert_eq!(names(r#""id2label": {"0": "a", "2": "b"}"#), ["a"]);
        assert_eq!(added(r#""id2label": {"0": "a", "00": "b"}"#).expect("parses").id2label.len(), 2);
        let ids = |json: &str| added(json).expect("parses").label2id;
        assert_eq!(ids(r#""label2id": {"a": "0", "b": "x", "c": 2.0}"#), [("a".into(), 0), ("c".into(), 2)].into());
        assert_eq!(ids(r#""label2id": [1]"#), BTreeMap::new());
        for (json, classes) in [
            (r#""num_labels": 3"#, 3),
            (r#""num_labels": "3", "problem_type": 7"#, 2),
            (r#""num_labels": null, "problem_type": null"#, 2),
            (r#""num_labels": 5, "id2label": {"0": "a", "1": "b", "2": "c"}"#, 3),
            (r#""num_labels": 9007199254740992"#, 1 << 20),
        ] {
            assert_eq!(added(json).expect("parses").num_classes(), classes, "{json}");
        }
        let list = added(r#""id2label": ["a", "b"]"#).expect_err("refused");
        assert!(list.ends_with("id2label is [\"a\",\"b\"], expected an object"), "{list}");
    }

    #[test]
    fn numbers_are_read_in_any_form() {
        let text = MINIMAL.replace(r#""vocab_size": 10"#, r#""vocab_size": 1e4, "type_vocab_size": 2.0"#);
        let text = text.replace(
            r#""hidden_size": 8"#,
            r#""hidden_size": 8.0, "hidden_dropout_prob": 0, "classifier_dropout": null"#,
        );
        let config = parse(&text).expect("parses");
        assert_eq!((config.vocab_size, config.hidden_size, config.type_vocab_size), (10_000, 8, 2));
        assert_eq!((config.hidden_dropout_prob, config.classifier_dropout_prob()), (0.0, 0.0));
        for (size, found) in [("8.5", "8.5"), ("1e300", "1e+300"), ("null", "null"), ("\"8\"", "\"8\"")] {
            let message = changed(r#""hidden_size": 8"#, &format!(r#""hidden_size": {size}"#));
            assert_eq!(message, format!("config.json: hidden_size is {found}, expected a whole number"));
        }
    }

    #[test]
    fn what_is_saved_after_fine_tuning_is_a_classifier_of_one_label() {
        let more = r#""vocab_size": 10, "problem_type": "regression", "num_labels": 1, "_num_labels": 1, "id2label": {"0": null}"#;
        let mut config = parse(&MINIMAL.replace(r#""vocab_size": 10"#, more)).expect("parses");
        config.set_labels(&["no".to_owned(), "yes".to_owned()]);
        let saved: Value = serde_json::from_str(&config.to_json().expect("serializes")).expect("JSON");
        assert_eq!(saved["problem_type"], "single_label_classification");
        assert_eq!(saved["label2id"], serde_json::json!({"no": 0, "yes": 1}));
        assert!(saved.get("num_labels").or(saved.get("_num_labels")).or(saved.get("saved_head")).is_none(), "{saved}");
    }

    #[test]
    fn labels_keep_their_order() {
        let mut config = parse(MINIMAL).expect("parses");
        let names: Vec<String> = (0..12).map(|id| format!("class {id}")).collect();
        config.set_labels(&names);
        let text = serde_json::to_string(&config).expect("serializes");
        assert_eq!(parse(&text).expect("parses").label_names(), names);
    }
}
