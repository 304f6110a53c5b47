//! A model folder's tokenizer files as one checked JSON description.
//!
//! The files are untrusted, and the `tokenizers` library doesn't expect malicious ones. So only the parts that BERT
//! tokenizers consist of are accepted, and each number in them is bounded.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use disk::Sha256Hasher;
use serde_json::{Map, Value, json};

use crate::added_tokens::AddedTokens;
use crate::casing::{self, Casing};
use crate::error::TokenizeError;
use crate::files::{JsonFile, Settings, TOKENIZER_JSON, VOCAB, read_vocabulary};
use crate::special_tokens::special_tokens;

/// WordPiece takes time quadratic in the length of a word, so a file may not raise BERT's 100 without limit.
const MAX_WORD_CHARS: u64 = 10_000;
/// What the library takes where a file doesn't say.
const WORD_CHARS: u64 = 100;

const NORMALIZERS: &[&str] =
    &["BertNormalizer", "Lowercase", "NFC", "NFD", "NFKC", "NFKD", "Sequence", "Strip", "StripAccents"];
const PRE_TOKENIZERS: &[&str] =
    &["BertPreTokenizer", "Digits", "Punctuation", "Sequence", "Whitespace", "WhitespaceSplit"];

/// What decides about a text's ids: everything of a `tokenizer.json` but truncation, padding and decoder.
pub(crate) struct Description {
    pub(crate) path: PathBuf,
    /// Special token ids before a text.
    pub(crate) before: Vec<u32>,
    pub(crate) after: Vec<u32>,
    /// The id of what the vocabulary doesn't know.
    pub(crate) unknown: u32,
    /// The id of what fills up shorter texts.
    pub(crate) padding: Option<u32>,
    /// Words of more characters are unknown.
    pub(crate) max_word_chars: usize,
    pub(crate) model_max_length: Option<usize>,
    /// What users should know of how the files were read.
    pub(crate) notes: Vec<String>,
    /// Normalizer, pre-tokenizer, added tokens and model, in `tokenizer.json`'s form.
    json: Value,
}

impl Description {
    /// Reads `tokenizer.json`, else `vocab.txt`, with the settings and added tokens of the files beside it.
    pub(crate) fn read(folder: &Path, casing: Casing) -> Result<Self, TokenizeError> {
        let settings = Settings::read(folder)?;
        let (tokenizer_json, vocab_txt) = (folder.join(TOKENIZER_JSON), folder.join(VOCAB));
        let from_vocabulary = !tokenizer_json.is_file();
        let (path, mut fields, added) = if !from_vocabulary {
            let file = JsonFile::read(folder, TOKENIZER_JSON)?;
            let added = AddedTokens::read(&settings, Some(&file))?;
            (tokenizer_json, file.fields, added)
        } else if vocab_txt.is_file() {
            settings.check_class()?;
            let fields = standard(read_vocabulary(&vocab_txt)?);
            (vocab_txt, fields, AddedTokens::read(&settings, None)?)
        } else {
            return Err(TokenizeError::content(
                folder,
                "neither tokenizer.json nor vocab.txt is in this folder (hint: a BERT folder in Hugging Face layout has \
                 one of them)",
            ));
        };
        fields.retain(|key, _| {
            matches!(
                key.as_str(),
                "version" | "added_tokens" | "normalizer" | "pre_tokenizer" | "post_processor" | "model"
            )
        });
        let fail = |message: String| TokenizeError::content(&path, message);
        if settings.is_bert()
            && let Some(unknown) = added.name("unk_token")
            && let Some(model) = fields.get_mut("model").and_then(Value::as_object_mut)
        {
            model.insert("unk_token".into(), unknown.into());
        }
        let vocabulary = check(&fields).map_err(fail)?;
        let (tokens, moved) = added.to_json(vocabulary);
        let id = |token: &str| {
            let added = || tokens.iter().find(|added| added["content"] == token)?.get("id");
            vocabulary.get(token).or_else(added)?.as_u64().and_then(|id| u32::try_from(id).ok())
        };
        let around = |key: &str, default: &str| {
            let name = added.name(key).filter(|_| settings.is_bert());
            let name = name.or_else(|| from_vocabulary.then_some(default));
            name.map(|name| id(name).map(|id| vec![id]).ok_or_else(|| fail(missing(name)))).transpose()
        };
        let (before, after) = match (around("cls_token", "[CLS]")?, around("sep_token", "[SEP]")?) {
            (Some(before), Some(after)) => (before, after),
            (before, after) => {
                let found = special_tokens(fields.get("post_processor")).map_err(fail)?;
                (before.unwrap_or(found.0), after.unwrap_or(found.1))
            }
        };
        let model = &fields["model"];
        let unknown = model.get("unk_token").and_then(Value::as_str);
        let unknown = unknown.ok_or_else(|| fail("model has no \"unk_token\"".into()))?;
        let unknown = vocabulary
            .get(unknown)
            .and_then(Value::as_u64)
            .and_then(|id| u32::try_from(id).ok())
            .ok_or_else(|| fail(format!("unk_token {unknown:?} is not in the vocabulary")))?;
        let padding = id(added.name("pad_token").filter(|_| settings.is_bert()).unwrap_or("[PAD]"));
        let max_word_chars = model.get("max_input_chars_per_word").and_then(Value::as_u64).unwrap_or(WORD_CHARS);
        let cased = casing::is_cased(vocabulary);
        fields.remove("post_processor");
        fields.insert("added_tokens".into(), tokens.into());
        let mut notes = Vec::new();
        if !moved.is_empty() {
            notes.push(few("ids of added tokens follow the vocabulary, as in transformers", &moved));
        }
        notes.extend(casing::apply((&path, &mut fields), &settings, casing, cased)?);
        Ok(Self {
            path,
            before,
            after,
            unknown,
            padding,
            max_word_chars: max_word_chars as usize,
            model_max_length: settings.model_max_length(),
            notes,
            json: Value::Object(fields),
        })
    }

    pub(crate) fn to_json(&self) -> Vec<u8> {
        self.json.to_string().into_bytes()
    }

    pub(crate) fn special_ids(&self) -> impl Iterator<Item = u32> {
        self.before.iter().chain(&self.after).copied()
    }

    /// The first bytes of the added tokens that may hold white space, if a text's ids are otherwise those of its words:
    /// with BERT's own normalizer and pre-tokenizer, and unless normalization decides where such a token is.
    pub(crate) fn added_token_starts(&self) -> Option<Box<[bool; 256]>> {
        let kind = |name: &str| self.json.get(name)?.get("type")?.as_str();
        if (kind("normalizer"), kind("pre_tokenizer")) != (Some("BertNormalizer"), Some("BertPreTokenizer")) {
            return None;
        }
        let mut starts = Box::new([false; 256]);
        for token in self.json.get("added_tokens").and_then(Value::as_array).into_iter().flatten() {
            let content = token.get("content").and_then(Value::as_str)?.as_bytes();
            // Nothing of this is white space, nor becomes it: it lies within a word.
            if content.iter().all(u8::is_ascii_graphic) {
                continue;
            }
            let before_normalization = token.get("normalized") == Some(&Value::Bool(false));
            starts[usize::from(*content.first().filter(|_| before_normalization)?)] = true;
        }
        Some(starts)
    }

    pub(crate) fn sha256(&self) -> String {
        let mut hasher = Sha256Hasher::default();
        hash_value(&self.json, &mut hasher);
        hash_value(&json!([self.before, self.after]), &mut hasher);
        hasher.finish()
    }
}

/// What to say of a special token that the vocabulary hasn't.
fn missing(name: &str) -> String {
    format!("has no line {name} (hint: a BERT's vocab.txt has a token a line; fetch the model again)")
}

/// `what: a, b, c and 7 more`.
fn few(what: &str, all: &[String]) -> String {
    const SHOWN: usize = 3;
    let more = if all.len() > SHOWN { format!(" and {} more", all.len() - SHOWN) } else { String::new() };
    format!("{what}: {}{more}", all[..all.len().min(SHOWN)].join(", "))
}

/// BERT's standard tokenizer over a vocabulary.
fn standard(vocabulary: Map<String, Value>) -> Map<String, Value> {
    let normalizer = json!({"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                            "strip_accents": null, "lowercase": true});
    let model = json!({"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                       "max_input_chars_per_word": WORD_CHARS, "vocab": vocabulary});
    let fields = [
        ("version", json!("1.0")),
        ("normalizer", normalizer),
        ("pre_tokenizer", json!({"type": "BertPreTokenizer"})),
        ("model", model),
    ];
    fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// The vocabulary, if this is a BERT tokenizer with sane numbers; the message says what is not.
fn check(fields: &Map<String, Value>) -> Result<&Map<String, Value>, String> {
    let model = fields.get("model").and_then(Value::as_object).ok_or("has no \"model\" object")?;
    if let Some(kind) = model.get("type")
        && kind.as_str() != Some("WordPiece")
    {
        return Err(format!("expected a \"WordPiece\" model, found {kind} (hint: --model)"));
    }
    let vocabulary = model.get("vocab").and_then(Value::as_object).ok_or("model has no \"vocab\" object")?;
    let mut tokens = HashMap::with_capacity(vocabulary.len());
    for (token, id) in vocabulary {
        if let Some(other) = tokens.insert(id.as_u64(), token) {
            return Err(format!("tokens {other:?} and {token:?} both have id {id}: each needs its own"));
        }
        if id.as_u64().is_none_or(|id| id > i32::MAX as u64) {
            return Err(format!("token {token:?}: expected an id from 0 to {}, found {id}", i32::MAX));
        }
    }
    if let Some(chars) = model.get("max_input_chars_per_word")
        && chars.as_u64().is_none_or(|chars| !(1..=MAX_WORD_CHARS).contains(&chars))
    {
        return Err(format!("max_input_chars_per_word: expected 1 to {MAX_WORD_CHARS}, found {chars}"));
    }
    check_kinds(fields, "normalizer", "normalizers", NORMALIZERS)?;
    check_kinds(fields, "pre_tokenizer", "pretokenizers", PRE_TOKENIZERS)?;
    Ok(vocabulary)
}

/// Whether a component, and each member when it is a sequence, is of a known kind.
fn check_kinds(fields: &Map<String, Value>, name: &str, members: &str, known: &[&str]) -> Result<(), String> {
    let component = match fields.get(name) {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::Object(component)) => component,
        Some(other) => return Err(format!("{name}: expected an object, found {other}")),
    };
    let kind = component.get("type").and_then(Value::as_str).unwrap_or("missing");
    if !known.contains(&kind) {
        return Err(format!("{name} type: expected one of {}, found {kind:?}", known.join(", ")));
    }
    if kind == "Sequence" {
        for member in component.get(members).and_then(Value::as_array).into_iter().flatten() {
            check_kinds(&Map::from_iter([(name.to_owned(), member.clone())]), name, members, known)?;
        }
    }
    Ok(())
}

/// Feeds a JSON value to `hasher` so that neither white space nor the order of keys counts.
fn hash_value(value: &Value, hasher: &mut Sha256Hasher) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(key, _)| *key);
            hasher.update(format!("object {}\n", fields.len()));
            for (key, value) in fields {
                hasher.update(format!("{}:{key}\n", key.len()));
                hash_value(value, hasher);
            }
        }
        Value::Array(values) => {
            hasher.update(format!("array {}\n", values.len()));
            values.iter().for_each(|value| hash_value(value, hasher));
        }
        scalar => hasher.update(format!("{scalar}\n")),
    }
}
