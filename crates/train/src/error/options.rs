//! Errors in options from flags, files and saved configurations.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An invalid value, pair of values, key or file in the configuration.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// A value of the wrong type or out of range.
    #[error("{setting} is not allowed: it must be {expected} (hint: {hint})")]
    Value { setting: Box<GivenOption>, expected: String, hint: String },

    /// Two options that exclude each other.
    #[error("{} and {} can't both be given: {why} (hint: {hint})", settings[0], settings[1])]
    Conflict { settings: Box<[GivenOption; 2]>, why: String, hint: String },

    /// An option without effect in this run.
    #[error("{setting} has no effect: {why} (hint: leave it out)")]
    NoEffect { setting: Box<GivenOption>, why: String },

    /// An unknown key.
    #[error("{origin}no option is called \"{key}\" (hint: {})", hint_for_key(key, *nearest))]
    UnknownKey { origin: ValueSource, key: String, nearest: Option<&'static str> },

    /// A `--config` file that isn't TOML, or isn't text.
    #[error("{origin}{message}")]
    File { origin: ValueSource, message: String },

    /// A `--config` file that can't be read.
    #[error("failed to read the configuration file {}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
}

/// The flags of `train` that ask for several runs. They are not options of a run, so a file has none of them.
const FLAGS_OF_GROUPS: [&str; 3] = ["seeds", "folds", "workers"];

fn hint_for_key(key: &str, nearest: Option<&str>) -> String {
    match nearest {
        _ if FLAGS_OF_GROUPS.contains(&key) => {
            format!("--{key} is a flag of `train`, and not part of a run's configuration")
        }
        Some(nearest) => format!("did you mean \"{nearest}\"?"),
        None => "`train --help` lists them; in the file they are written in snake_case".to_owned(),
    }
}

impl OptionsError {
    pub(crate) fn value(setting: GivenOption, expected: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Value { setting: Box::new(setting), expected: expected.into(), hint: hint.into() }
    }

    pub(crate) fn conflict(settings: [GivenOption; 2], why: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Conflict { settings: Box::new(settings), why: why.into(), hint: hint.into() }
    }

    /// The settings that the error is about.
    pub(crate) fn settings(&mut self) -> &mut [GivenOption] {
        match self {
            Self::Value { setting, .. } | Self::NoEffect { setting, .. } => std::slice::from_mut(setting),
            Self::Conflict { settings, .. } => &mut settings[..],
            Self::UnknownKey { .. } | Self::File { .. } | Self::Read { .. } => &mut [],
        }
    }
}

/// An option as it was given.
#[derive(Debug, Clone, PartialEq)]
pub struct GivenOption {
    pub(crate) key: &'static str,
    /// The value, as it was written.
    pub(crate) text: String,
    pub(crate) origin: ValueSource,
}

impl GivenOption {
    /// An option given by flag. [`GivenOptions::locate`](crate::options::GivenOptions::locate) replaces it with the
    /// actual source.
    pub(crate) fn flag(key: &'static str, text: impl ToString) -> Self {
        Self { key, text: text.to_string(), origin: ValueSource::Flag }
    }
}

impl fmt::Display for GivenOption {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            ValueSource::Flag => write!(formatter, "--{} {}", self.key.replace('_', "-"), self.text),
            origin => write!(formatter, "{origin}{} = {}", self.key, self.text),
        }
    }
}

/// Where a value was given.
#[derive(Debug, Clone, PartialEq)]
pub enum ValueSource {
    /// On the command line.
    Flag,
    /// In a file, on a line counted from 1.
    File(Arc<Path>, usize),
    /// In the configuration of the resumed run.
    Saved,
}

/// The prefix of a message about a value from this source.
impl fmt::Display for ValueSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => Ok(()),
            Self::File(path, line) => write!(formatter, "{}, line {line}: ", path.display()),
            Self::Saved => formatter.write_str("the saved configuration: "),
        }
    }
}
