//! A task's arguments, word by word. Few tasks have more than a flag or two, so no library is built for them.

use anyhow::{Context, Result};

/// The words of some arguments; `--epochs=3` is two.
pub(crate) struct Arguments {
    rest: std::vec::IntoIter<String>,
}

impl Arguments {
    pub(crate) fn new(arguments: &[String]) -> Arguments {
        let words = arguments.iter().flat_map(|argument| match argument.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => vec![flag.to_owned(), value.to_owned()],
            _ => vec![argument.clone()],
        });
        Arguments { rest: words.collect::<Vec<_>>().into_iter() }
    }

    /// What stands behind a flag.
    ///
    /// # Errors
    /// Nothing does.
    pub(crate) fn value(&mut self, flag: &str) -> Result<String> {
        self.rest.next().with_context(|| format!("{flag} needs a value"))
    }
}

impl Iterator for Arguments {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        self.rest.next()
    }
}
