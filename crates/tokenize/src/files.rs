//! The tokenizer files of a model folder, read as untrusted JSON and text.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::error::TokenizeError;

pub(crate) const TOKENIZER_JSON: &str = "tokenizer.json";
pub(crate) const VOCAB: &str = "vocab.txt";
pub(crate) const CONFIG: &str = "tokenizer_config.json";
pub(crate) const SPECIAL_TOKENS_MAP: &str = "special_tokens_map.json";
pub(crate) const ADDED_TOKENS: &str = "added_tokens.json";
/// Every file that a tokenizer is read from.
pub(crate) const ALL: [&str; 5] = [TOKENIZER_JSON, VOCAB, CONFIG, SPECIAL_TOKENS_MAP, ADDED_TOKENS];

/// The largest tokenizer file that is read: a hundred times bert-base's.
const MAX_BYTES: u64 = 64 << 20;
/// transformers writes 1e30 where a tokenizer has no limit.
const MAX_MODEL_LENGTH: u64 = 1 << 24;

/// Tokenizers that split texts as BertTokenizer does.
const BERT_CLASSES: [&str; 8] = [
    "BertTokenizer",
    "BertTokenizerFast",
    "DistilBertTokenizer",
    "DistilBertTokenizerFast",
    "ElectraTokenizer",
    "ElectraTokenizerFast",
    "MobileBertTokenizer",
    "MobileBertTokenizerFast",
];
/// Tokenizers that are what their tokenizer.json says.
const FILE_CLASSES: [&str; 2] = ["PreTrainedTokenizerFast", "TokenizersBackend"];

/// A JSON file of a folder; without fields where there is none.
#[derive(Debug)]
pub(crate) struct JsonFile {
    pub(crate) path: PathBuf,
    pub(crate) fields: Map<String, Value>,
}

impl JsonFile {
    pub(crate) fn read(folder: &Path, name: &str) -> Result<Self, TokenizeError> {
        let path = folder.join(name);
        let fields = if path.is_file() { parse(&path)? } else { Map::new() };
        Ok(Self { path, fields })
    }

    pub(crate) fn error(&self, message: impl Into<String>) -> TokenizeError {
        TokenizeError::content(&self.path, message)
    }
}

/// `tokenizer_config.json` and what belongs to it.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) config: JsonFile,
    pub(crate) special_tokens_map: JsonFile,
    pub(crate) added_tokens: JsonFile,
}

impl Settings {
    pub(crate) fn read(folder: &Path) -> Result<Self, TokenizeError> {
        Ok(Self {
            config: JsonFile::read(folder, CONFIG)?,
            special_tokens_map: JsonFile::read(folder, SPECIAL_TOKENS_MAP)?,
            added_tokens: JsonFile::read(folder, ADDED_TOKENS)?,
        })
    }

    fn class(&self) -> Option<&str> {
        self.config.fields.get("tokenizer_class").and_then(Value::as_str)
    }

    /// Whether transformers opens the folder as a BertTokenizer: the configuration decides about normalization and
    /// special tokens then, even where `tokenizer.json` says otherwise.
    pub(crate) fn is_bert(&self) -> bool {
        self.class().is_none_or(|class| BERT_CLASSES.contains(&class))
    }

    /// Refuses a class whose `vocab.txt` means something else.
    pub(crate) fn check_class(&self) -> Result<(), TokenizeError> {
        match self.class() {
            Some(class) if !self.is_bert() && !FILE_CLASSES.contains(&class) => Err(self.config.error(format!(
                "tokenizer_class is {class:?}, which splits text differently from BertTokenizer (hint: --model)"
            ))),
            _ => Ok(()),
        }
    }

    /// The most tokens of a text that the configuration states; transformers writes a huge number for none.
    pub(crate) fn model_max_length(&self) -> Option<usize> {
        let length = self.config.fields.get("model_max_length")?.as_u64()?;
        (1..=MAX_MODEL_LENGTH).contains(&length).then_some(length as usize)
    }
}

pub(crate) fn read_bounded(path: &Path) -> Result<Vec<u8>, TokenizeError> {
    let file = std::fs::File::open(path).map_err(|error| TokenizeError::io(path, error))?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| TokenizeError::io(path, error))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(TokenizeError::content(path, format!("larger than {} MiB: not a BERT tokenizer", MAX_BYTES >> 20)));
    }
    Ok(bytes)
}

pub(crate) fn parse(path: &Path) -> Result<Map<String, Value>, TokenizeError> {
    match serde_json::from_slice(&read_bounded(path)?) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(TokenizeError::content(path, "is not a JSON object")),
        Err(error) => Err(TokenizeError::content(path, format!("is not valid JSON: {error} (hint: fetch it again)"))),
    }
}

/// The tokens of a `vocab.txt` with their ids: a token a line, the line's number (from 0) its id.
pub(crate) fn read_vocabulary(path: &Path) -> Result<Map<String, Value>, TokenizeError> {
    let bytes = read_bounded(path)?;
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        TokenizeError::content(path, format!("is not UTF-8 at byte {} (hint: fetch it again)", error.valid_up_to()))
    })?;
    // White space before a token is part of it, white space after it is not: so the library reads the file.
    Ok(text.lines().enumerate().map(|(id, token)| (token.trim_end().to_owned(), Value::from(id))).collect())
}
