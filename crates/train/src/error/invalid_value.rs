//! The message about one option's value.

use std::fmt;
use std::path::PathBuf;

/// A value outside what is allowed.
#[derive(Debug, Clone, PartialEq)]
pub struct InvalidValue {
    /// The option's name in snake_case.
    pub key: &'static str,
    /// File and line of the value, where it came from a file.
    pub place: Option<(PathBuf, usize)>,
    /// The value.
    pub found: String,
    /// What is allowed.
    pub allowed: String,
    /// What to do.
    pub hint: String,
}

impl fmt::Display for InvalidValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some((path, line)) => write!(formatter, "{}, line {line}: {} = {}", path.display(), self.key, self.found)?,
            None => write!(formatter, "--{} {}", self.key.replace('_', "-"), self.found)?,
        }
        write!(formatter, " is not allowed: it must be {} (hint: {})", self.allowed, self.hint)
    }
}
