//! Whether texts are lower-cased: what the files say, what the vocabulary suggests, and what users ask for.

use std::path::Path;

use serde_json::{Map, Value};

use crate::error::TokenizeError;
use crate::files::Settings;

/// What happens to capital letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Casing {
    /// What the model's files say; transformers lower-cases where they say nothing.
    #[default]
    AsConfigured,
    Keep,
    Lower,
}

impl Casing {
    /// The inverse of [`lower_case`](Self::lower_case).
    pub fn from_lower_case(lower_case: Option<bool>) -> Self {
        match lower_case {
            None => Self::AsConfigured,
            Some(false) => Self::Keep,
            Some(true) => Self::Lower,
        }
    }

    /// The flag that asks for it.
    pub fn flag(self) -> Option<&'static str> {
        match self {
            Self::AsConfigured => None,
            Self::Keep => Some("--keep-case"),
            Self::Lower => Some("--lower-case"),
        }
    }

    /// The setting like transformers' `do_lower_case`; `None` is the model's own.
    pub fn lower_case(self) -> Option<bool> {
        match self {
            Self::AsConfigured => None,
            Self::Keep => Some(false),
            Self::Lower => Some(true),
        }
    }
}

/// Of a vocabulary's tokens at least one in so many holds a capital letter, if it is a cased one: of bert-base-cased's
/// one in three does, of bert-base-uncased's none.
const CASED_SHARE: usize = 50;

/// Whether so many tokens hold capital letters that this is the vocabulary of a cased model. Names in brackets don't
/// count.
pub(crate) fn is_cased(vocabulary: &Map<String, Value>) -> bool {
    let capital = |token: &str| !token.starts_with('[') && token.chars().any(char::is_uppercase);
    vocabulary.keys().filter(|token| capital(token)).count() * CASED_SHARE >= vocabulary.len().max(1)
}

/// Settles normalization in a description. `tokenizer_config.json` has the last word over BERT's normalizer, as in
/// transformers: a BertTokenizer whose configuration doesn't say otherwise lower-cases, whatever `tokenizer.json` says.
/// The note is for what users may not expect.
pub(crate) fn apply(
    (path, fields): (&Path, &mut Map<String, Value>),
    settings: &Settings,
    casing: Casing,
    cased: bool,
) -> Result<Option<String>, TokenizeError> {
    let config = &settings.config;
    let normalizer = fields.get_mut("normalizer").and_then(Value::as_object_mut);
    let bert =
        |normalizer: &&mut Map<String, Value>| normalizer.get("type").and_then(Value::as_str) == Some("BertNormalizer");
    let Some(normalizer) = normalizer.filter(bert) else {
        return match casing {
            Casing::AsConfigured => Ok(None),
            Casing::Keep | Casing::Lower => Err(config.error(
                "the tokenizer has no BertNormalizer, so --keep-case and --lower-case can't change it (hint: edit the \
                 normalizer in tokenizer.json)",
            )),
        };
    };
    let settings_of_config = [
        ("do_lower_case", "lowercase", Value::Bool(true)),
        ("strip_accents", "strip_accents", Value::Null),
        ("tokenize_chinese_chars", "handle_chinese_chars", Value::Bool(true)),
    ];
    for (key, field, default) in settings_of_config.into_iter().filter(|_| settings.is_bert()) {
        let value = match config.fields.get(key) {
            None => default,
            Some(value @ Value::Bool(_)) => value.clone(),
            Some(Value::Null) if default.is_null() => Value::Null,
            Some(other) => return Err(config.error(format!("{key}: expected true or false, found {other}"))),
        };
        if let Some(other) = normalizer.get(field).filter(|own| !own.is_boolean() && !own.is_null()) {
            return Err(TokenizeError::content(
                path,
                format!("normalizer, {field}: expected true or false, found {other}"),
            ));
        }
        normalizer.insert(field.into(), value);
    }
    if let Some(lower_case) = casing.lower_case() {
        normalizer.insert("lowercase".into(), lower_case.into());
        return Ok(None);
    }
    let stated = match config.fields.get("do_lower_case") {
        Some(value) if settings.is_bert() => format!("tokenizer_config.json has do_lower_case {value}"),
        _ if settings.is_bert() => {
            "tokenizer_config.json doesn't have do_lower_case, and transformers' default is true".into()
        }
        _ => "tokenizer.json says so".into(),
    };
    Ok(match normalizer.get("lowercase").and_then(Value::as_bool) {
        Some(true) if cased => Some(format!(
            "the vocabulary has capital letters, but texts are lower-cased: {stated} (--keep-case keeps case)"
        )),
        Some(false) if !cased => Some(format!(
            "the vocabulary has hardly any capital letters, but texts keep theirs: {stated} (--lower-case lower-cases)"
        )),
        _ => None,
    })
}
