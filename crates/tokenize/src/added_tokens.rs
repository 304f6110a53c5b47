//! Tokens that are matched before a text is split into words: the special ones, and those that were added to a model's
//! vocabulary. They are gathered from the folder's files in the order in which transformers gathers them.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Map, Value, json};

use crate::error::TokenizeError;
use crate::files::{JsonFile, Settings};

/// The named special tokens, in the order in which transformers adds those that it doesn't find, and the names that
/// they have in a BertTokenizer.
const NAMED: [(&str, Option<&str>); 7] = [
    ("bos_token", None),
    ("eos_token", None),
    ("unk_token", Some("[UNK]")),
    ("sep_token", Some("[SEP]")),
    ("pad_token", Some("[PAD]")),
    ("cls_token", Some("[CLS]")),
    ("mask_token", Some("[MASK]")),
];
/// The keys under which further special tokens are listed.
const LISTS: [&str; 2] = ["extra_special_tokens", "additional_special_tokens"];

/// A token that is matched before a text is split, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
struct AddedToken {
    content: String,
    single_word: bool,
    lstrip: bool,
    rstrip: bool,
    normalized: bool,
    special: bool,
}

impl AddedToken {
    fn new(content: &str, special: bool) -> Self {
        let content = content.to_owned();
        Self { content, single_word: false, lstrip: false, rstrip: false, normalized: !special, special }
    }

    /// Of a string or of an object with `content`; `special` where the object doesn't say.
    fn from_value(value: &Value, special: bool) -> Result<Self, String> {
        let fields = match value {
            Value::String(content) => return Ok(Self::new(content, special)),
            Value::Object(fields) => fields,
            other => return Err(format!("expected a token, found {other}")),
        };
        let flag = |name: &str| match fields.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => Err(format!("{name}: expected true or false, found {other}")),
        };
        let content = fields.get("content").and_then(Value::as_str);
        let content = content.ok_or_else(|| format!("expected a token with \"content\", found {value}"))?;
        let special = flag("special")?.unwrap_or(special);
        Ok(Self {
            content: content.to_owned(),
            single_word: flag("single_word")?.unwrap_or(false),
            lstrip: flag("lstrip")?.unwrap_or(false),
            rstrip: flag("rstrip")?.unwrap_or(false),
            normalized: flag("normalized")?.unwrap_or(!special),
            special,
        })
    }
}

/// The added tokens of a folder and the names of the special tokens.
pub(crate) struct AddedTokens {
    /// Each with the id that a file states.
    stated: Vec<(Option<u64>, AddedToken)>,
    /// The special tokens that a file names, by their keys.
    named: HashMap<&'static str, String>,
}

impl AddedTokens {
    /// Those that the settings state, and those of `tokenizer.json`.
    ///
    /// As transformers reads them: `added_tokens_decoder` in `tokenizer_config.json` stands for all other places. Without
    /// it come `added_tokens.json` and then `tokenizer.json`, and `special_tokens_map.json` overrides the names of special
    /// tokens. Only a tokenizer that isn't a BertTokenizer always keeps what its `tokenizer.json` adds.
    pub(crate) fn read(settings: &Settings, tokenizer_json: Option<&JsonFile>) -> Result<Self, TokenizeError> {
        let Settings { config, special_tokens_map, added_tokens } = settings;
        let decoder = config.fields.get("added_tokens_decoder");
        let sources = if decoder.is_some() { &[config][..] } else { &[config, special_tokens_map] };
        let (named, listed) = special_tokens(sources)?;
        let own = tokenizer_json.map_or(Ok(Vec::new()), tokens_of_tokenizer_json)?;
        let mut by_id = BTreeMap::new();
        if let Some(decoder) = decoder {
            if !settings.is_bert() {
                by_id.extend(own);
            }
            by_id.extend(decoded(config, decoder)?);
        } else {
            // The lists of special_tokens_map.json don't make an added token special; the names in it do.
            let lists = LISTS.iter().filter_map(|key| config.fields.get(*key)?.as_array()).flatten();
            let mut special: HashSet<&str> = lists.filter_map(text_of).collect();
            special.extend(named.values().map(|token| token.content.as_str()));
            for (content, id) in &added_tokens.fields {
                let id = id.as_u64().filter(|id| *id <= i32::MAX as u64).ok_or_else(|| {
                    added_tokens.error(format!("token {content:?}: expected an id from 0 to {}, found {id}", i32::MAX))
                })?;
                by_id.insert(id, AddedToken::new(content, special.contains(content.as_str())));
            }
            by_id.extend(own);
        }
        let mut known: HashSet<String> = by_id.values().map(|token| token.content.clone()).collect();
        let mut stated: Vec<_> = by_id.into_iter().map(|(id, token)| (Some(id), token)).collect();
        let names = NAMED.iter().filter_map(|(key, default)| match (named.get(key), default) {
            (Some(token), _) => Some(token.clone()),
            (None, Some(default)) if settings.is_bert() => Some(AddedToken::new(default, true)),
            (None, _) => None,
        });
        for token in names.chain(listed) {
            if known.insert(token.content.clone()) {
                stated.push((None, token));
            }
        }
        let named = named.into_iter().map(|(key, token)| (key, token.content)).collect();
        Ok(Self { stated, named })
    }

    /// The special token that a file names under `key`.
    pub(crate) fn name(&self, key: &str) -> Option<&str> {
        self.named.get(key).map(String::as_str)
    }

    /// The tokens in the form of `tokenizer.json`, with the ids that the library gives them: a token of the vocabulary
    /// keeps its id, the others follow the vocabulary in their order. Says which ids a file states otherwise.
    pub(crate) fn to_json(&self, vocabulary: &Map<String, Value>) -> (Vec<Value>, Vec<String>) {
        let mut next = vocabulary.len() as u64;
        let mut by_content: HashMap<&str, (u64, &AddedToken)> = HashMap::new();
        let mut moved = Vec::new();
        for (stated, token) in &self.stated {
            let content = token.content.as_str();
            let own = vocabulary.get(content).and_then(Value::as_u64);
            // Without a file that names it, a token that the vocabulary hasn't would get an id beyond the model's.
            let only_default = stated.is_none()
                && NAMED.iter().any(|(_, default)| *default == Some(content))
                && !self.named.values().any(|name| name == content);
            if content.is_empty() || (own.is_none() && only_default) {
                continue;
            }
            let id = own.or_else(|| by_content.get(content).map(|(id, _)| *id)).unwrap_or_else(|| {
                next += 1;
                next - 1
            });
            if let Some(stated) = stated.filter(|stated| *stated != id) {
                moved.push(format!("{content:?} has id {id}, not {stated}"));
            }
            by_content.insert(content, (id, token));
        }
        let mut tokens: Vec<(u64, &AddedToken)> = by_content.into_values().collect();
        tokens.sort_by_key(|(id, token)| (*id, &token.content));
        let json = tokens.into_iter().map(|(id, token)| {
            let AddedToken { content, single_word, lstrip, rstrip, normalized, special } = token;
            json!({"id": id, "content": content, "single_word": single_word, "lstrip": lstrip, "rstrip": rstrip,
                   "normalized": normalized, "special": special})
        });
        (json.collect(), moved)
    }
}

/// The content of a token that is a string or an object.
fn text_of(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.get("content")?.as_str())
}

type SpecialTokens = (HashMap<&'static str, AddedToken>, Vec<AddedToken>);

/// The special tokens that files name, and those that they list; the last file has the last word.
fn special_tokens(files: &[&JsonFile]) -> Result<SpecialTokens, TokenizeError> {
    let (mut named, mut listed) = (HashMap::new(), Vec::new());
    for file in files {
        let token = |key: &str, value: &Value| {
            let token =
                AddedToken::from_value(value, true).map_err(|message| file.error(format!("{key}: {message}")))?;
            Ok::<_, TokenizeError>(AddedToken { special: true, ..token })
        };
        for (key, _) in NAMED {
            if let Some(value) = file.fields.get(key).filter(|value| !value.is_null()) {
                named.insert(key, token(key, value)?);
            }
        }
        for key in LISTS {
            let values: Vec<&Value> = match file.fields.get(key) {
                Some(Value::Array(values)) => values.iter().collect(),
                Some(Value::Object(values)) => values.values().collect(),
                _ => continue,
            };
            for value in values {
                listed.push(token(key, value)?);
            }
        }
    }
    Ok((named, listed))
}

/// What a `tokenizer.json` adds to its vocabulary.
fn tokens_of_tokenizer_json(file: &JsonFile) -> Result<Vec<(u64, AddedToken)>, TokenizeError> {
    let tokens = match file.fields.get("added_tokens") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(tokens)) => tokens,
        Some(_) => return Err(file.error("added_tokens: expected a list of tokens")),
    };
    let token = |value: &Value| {
        let token = AddedToken::from_value(value, false)?;
        let id = value.get("id").and_then(Value::as_u64);
        let id = id.ok_or_else(|| format!("token {:?}: expected an id, found {:?}", token.content, value.get("id")))?;
        Ok((id, token))
    };
    let all = tokens.iter().map(|value| token(value).map_err(|message: String| format!("added_tokens: {message}")));
    all.collect::<Result<_, _>>().map_err(|message| file.error(message))
}

/// `added_tokens_decoder`: tokens by id.
fn decoded(config: &JsonFile, decoder: &Value) -> Result<Vec<(u64, AddedToken)>, TokenizeError> {
    let fail = |message: String| config.error(format!("added_tokens_decoder: {message}"));
    let tokens = decoder.as_object().ok_or_else(|| fail("expected tokens by their ids".into()))?;
    let token = |(id, value): (&String, &Value)| {
        let id = id.parse().map_err(|_| fail(format!("expected a token id, found {id:?}")))?;
        Ok((id, AddedToken::from_value(value, false).map_err(&fail)?))
    };
    tokens.iter().map(token).collect()
}
