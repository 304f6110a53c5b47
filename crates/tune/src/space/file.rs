//! Reads the file of a search space key by key; every error has a line number.

use std::collections::BTreeMap;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::entry::{EntryKind, SpaceEntry};
use super::{Hyperparameter, Space, SpaceError, SpaceFields};

/// The default search space.
const DEFAULT: &str = include_str!("default.toml");

impl Space {
    /// The space that a file describes.
    ///
    /// # Errors
    /// A file that can't be read or isn't TOML; an unknown key; a value that is not valid. All name line and key.
    pub fn load(path: &Path, fields: &SpaceFields<'_>) -> Result<Self, SpaceError> {
        let bytes = std::fs::read(path).map_err(|source| SpaceError::Io { path: path.to_owned(), source })?;
        let text = String::from_utf8(bytes).map_err(|error| SpaceError::File {
            path: path.to_owned(),
            line: 1 + error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|&&b| b == b'\n').count(),
            key: None,
            message: "the file is not UTF-8 (hint: save it as UTF-8)".to_owned(),
        })?;
        Self::parse(path, &text, fields)
    }

    /// The default space: learning rate, batch size, epochs, warm-up, weight decay, dropout and layer decay.
    ///
    /// # Errors
    /// An option that `fields` doesn't have.
    pub fn default_space(fields: &SpaceFields<'_>) -> Result<Self, SpaceError> {
        Self::parse("the default space".as_ref(), DEFAULT, fields)
    }

    /// The file of the default space with its comments, to start a new one from.
    pub fn default_file() -> &'static str {
        DEFAULT
    }

    /// The space that the text of a file describes; `path` is for errors.
    ///
    /// # Errors
    /// As [`Space::load`].
    pub fn parse(path: &Path, text: &str, fields: &SpaceFields<'_>) -> Result<Self, SpaceError> {
        let not_toml = |error: toml::de::Error| {
            let line = line_at(text, error.span().map_or(0, |span| span.start));
            let found = text.lines().nth(line - 1).unwrap_or_default().trim();
            SpaceError::File {
                path: path.to_owned(),
                line,
                key: None,
                message: format!(
                    "{}: `{found}` (hint: `learning_rate = {{ low = 1e-5, high = 3e-4, log = true }}`)",
                    error.message()
                ),
            }
        };
        let spans = DeTable::parse(text).map_err(not_toml)?;
        let mut values: toml::Table = text.parse().map_err(not_toml)?;

        let mut keys: Vec<_> = spans.get_ref().iter().collect();
        keys.sort_by_key(|(key, _)| key.span().start);
        let mut entries = Vec::new();
        for (key, value) in keys {
            let name = key.get_ref().as_ref();
            let line = line_at(text, key.span().start);
            if !fields.names.contains(&name) {
                return Err(SpaceError::unknown(path, line, name, None, fields.names));
            }
            let inner = match value.get_ref() {
                DeValue::Table(table) => {
                    table.iter().map(|(key, _)| (key.get_ref().to_string(), line_at(text, key.span().start))).collect()
                }
                _ => BTreeMap::new(),
            };
            let Some(value) = values.remove(name) else { continue };
            entries.push(SpaceEntry { path, name: name.to_owned(), line, inner, value });
        }
        build(&entries, fields)
    }
}

fn build(entries: &[SpaceEntry<'_>], fields: &SpaceFields<'_>) -> Result<Space, SpaceError> {
    let mut fixed = toml::Table::new();
    let mut parameters = Vec::new();
    for entry in entries {
        match entry.read(fields)? {
            EntryKind::Fixed(value) => {
                fixed.insert(entry.name.clone(), value);
            }
            EntryKind::Varies { distribution, points } => {
                parameters.push(Hyperparameter { points, ..Hyperparameter::new(&entry.name, distribution) });
            }
        }
    }
    for entry in entries {
        let conditions = entry.conditions(&parameters, &fixed)?;
        if let Some(parameter) = parameters.iter_mut().find(|parameter| parameter.name == entry.name) {
            parameter.conditions = conditions;
        }
    }
    match (parameters.is_empty(), entries.first()) {
        (true, Some(first)) => Err(first.wrong(
            None,
            "every option has only one value, so there is nothing to search (hint: `batch_size = [16, 32]`)",
        )),
        _ => Space::new(parameters, fixed),
    }
}

/// The line of a byte, counted from 1.
fn line_at(text: &str, byte: usize) -> usize {
    1 + text.bytes().take(byte).filter(|&byte| byte == b'\n').count()
}
