//! A model folder's tokenizer files as one checked JSON description.
//!
//! The files are untrusted, and the `tokenizers` library doesn't expect malicious ones. So only the parts that BERT
//! tokenizers consist of are accepted, and each number in them is bounded.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use disk::Sha256Hasher;
use serde_json::{Map, Value, json};

use crate::error::TokenizeError;
use crate::special_tokens::special_tokens;

/// The largest tokenizer file that is read: a hundred times bert-base's.
const MAX_BYTES: u64 = 64 << 20;
/// WordPiece takes time quadratic in the length of a word, so a file may not raise BERT's 100 without limit.
const MAX_WORD_CHARS: u64 = 10_000;

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
    /// Normalizer, pre-tokenizer, added tokens and model, in `tokenizer.json`'s form.
    json: Value,
}

impl Description {
    /// Reads `tokenizer.json`, else `vocab.txt`, under the normalization that `tokenizer_config.json` states.
    pub(crate) fn read(folder: &Path) -> Result<Self, TokenizeError> {
        let (tokenizer_json, vocab_txt) = (folder.join("tokenizer.json"), folder.join("vocab.txt"));
        let config_path = folder.join("tokenizer_config.json");
        let config = if config_path.is_file() { parse(&config_path)? } else { Map::new() };
        let (path, mut fields) = if tokenizer_json.is_file() {
            let fields = parse(&tokenizer_json)?;
            (tokenizer_json, fields)
        } else if vocab_txt.is_file() {
            let fields = from_vocabulary(&vocab_txt, &config, &config_path)?;
            (vocab_txt, fields)
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
        let checked = check(&fields).and_then(|()| special_tokens(fields.remove("post_processor").as_ref()));
        let (before, after) = checked.map_err(|message| TokenizeError::content(&path, message))?;
        normalize_as_configured(&mut fields, &config, &config_path)?;
        Ok(Self { path, before, after, json: Value::Object(fields) })
    }

    pub(crate) fn to_json(&self) -> Vec<u8> {
        self.json.to_string().into_bytes()
    }

    pub(crate) fn special_ids(&self) -> impl Iterator<Item = u32> {
        self.before.iter().chain(&self.after).copied()
    }

    /// The id of a word that the vocabulary has no pieces for.
    pub(crate) fn unknown_id(&self) -> Option<u32> {
        let model = self.json.get("model")?;
        let token = model.get("unk_token")?.as_str()?;
        model.get("vocab")?.get(token)?.as_u64().and_then(|id| u32::try_from(id).ok())
    }

    /// The first bytes of added tokens, if a text's ids are otherwise those of its words: with BERT's own normalizer and
    /// pre-tokenizer, and added tokens that are matched before normalization.
    pub(crate) fn added_token_starts(&self) -> Option<Box<[bool; 256]>> {
        let kind = |name: &str| self.json.get(name)?.get("type")?.as_str();
        if (kind("normalizer"), kind("pre_tokenizer")) != (Some("BertNormalizer"), Some("BertPreTokenizer")) {
            return None;
        }
        let mut starts = Box::new([false; 256]);
        for token in self.json.get("added_tokens").and_then(Value::as_array).into_iter().flatten() {
            let content = token.get("content").and_then(Value::as_str)?;
            let before_normalization = token.get("normalized") == Some(&Value::Bool(false));
            starts[usize::from(*content.as_bytes().first().filter(|_| before_normalization)?)] = true;
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

fn read_bounded(path: &Path) -> Result<Vec<u8>, TokenizeError> {
    let file = std::fs::File::open(path).map_err(|error| TokenizeError::io(path, error))?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| TokenizeError::io(path, error))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(TokenizeError::content(path, format!("larger than {} MiB: not a BERT tokenizer", MAX_BYTES >> 20)));
    }
    Ok(bytes)
}

fn parse(path: &Path) -> Result<Map<String, Value>, TokenizeError> {
    match serde_json::from_slice(&read_bounded(path)?) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(TokenizeError::content(path, "is not a JSON object")),
        Err(error) => Err(TokenizeError::content(path, format!("is not valid JSON: {error} (hint: fetch it again)"))),
    }
}

/// BERT's standard tokenizer over a vocabulary file: a token a line, the line's number (from 0) its id.
fn from_vocabulary(
    path: &Path,
    config: &Map<String, Value>,
    config_path: &Path,
) -> Result<Map<String, Value>, TokenizeError> {
    if let Some(class) = config.get("tokenizer_class").and_then(Value::as_str)
        && !matches!(class, "BertTokenizer" | "BertTokenizerFast" | "PreTrainedTokenizerFast" | "DistilBertTokenizer")
    {
        return Err(TokenizeError::content(
            config_path,
            format!("tokenizer_class is {class:?}, which splits text differently from BertTokenizer (hint: --model)"),
        ));
    }
    let bytes = read_bounded(path)?;
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        TokenizeError::content(path, format!("is not UTF-8 at byte {} (hint: fetch it again)", error.valid_up_to()))
    })?;
    // Only the end of the line is removed: a token may be white space.
    let vocabulary: Map<String, Value> =
        text.lines().enumerate().map(|(id, token)| (token.to_owned(), Value::from(id))).collect();
    let id = |token: &str| {
        vocabulary.get(token).cloned().ok_or_else(|| {
            TokenizeError::content(
                path,
                format!("has no line {token} (hint: a BERT's vocab.txt has a token a line; fetch the model again)"),
            )
        })
    };
    let added: Vec<Value> = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        .into_iter()
        .filter_map(|token| Some((token, vocabulary.get(token)?)))
        .map(|(token, id)| {
            json!({"id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                   "normalized": false, "special": true})
        })
        .collect();
    let description = json!({
        "version": "1.0",
        "added_tokens": added,
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                       "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "cls": ["[CLS]", id("[CLS]")?], "sep": ["[SEP]", id("[SEP]")?]},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": vocabulary},
    });
    match description {
        Value::Object(fields) => Ok(fields),
        _ => Err(TokenizeError::content(path, "has no vocabulary")),
    }
}

/// `tokenizer_config.json` has the last word on normalization, as it has in transformers.
fn normalize_as_configured(
    fields: &mut Map<String, Value>,
    config: &Map<String, Value>,
    config_path: &Path,
) -> Result<(), TokenizeError> {
    let Some(normalizer) = fields.get_mut("normalizer").and_then(Value::as_object_mut) else {
        return Ok(());
    };
    if normalizer.get("type").and_then(Value::as_str) != Some("BertNormalizer") {
        return Ok(());
    }
    let settings = [
        ("do_lower_case", "lowercase", false),
        ("strip_accents", "strip_accents", true),
        ("tokenize_chinese_chars", "handle_chinese_chars", false),
    ];
    for (key, field, nullable) in settings {
        match config.get(key) {
            None => {}
            Some(value @ Value::Bool(_)) => drop(normalizer.insert(field.into(), value.clone())),
            Some(Value::Null) if nullable => drop(normalizer.insert(field.into(), Value::Null)),
            Some(other) => {
                return Err(TokenizeError::content(
                    config_path,
                    format!("{key}: expected true or false, found {other}"),
                ));
            }
        }
    }
    Ok(())
}

/// Whether this is a BERT tokenizer with sane numbers; the message says what is not.
fn check(fields: &Map<String, Value>) -> Result<(), String> {
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
    let unknown = model.get("unk_token").and_then(Value::as_str).ok_or("model has no \"unk_token\"")?;
    if !vocabulary.contains_key(unknown) {
        return Err(format!("unk_token {unknown:?} is not in the vocabulary"));
    }
    if let Some(chars) = model.get("max_input_chars_per_word")
        && chars.as_u64().is_none_or(|chars| !(1..=MAX_WORD_CHARS).contains(&chars))
    {
        return Err(format!("max_input_chars_per_word: expected 1 to {MAX_WORD_CHARS}, found {chars}"));
    }
    check_kinds(fields, "normalizer", "normalizers", NORMALIZERS)?;
    check_kinds(fields, "pre_tokenizer", "pretokenizers", PRE_TOKENIZERS)
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
