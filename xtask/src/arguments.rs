//! The arguments of a task. Few tasks have more than a flag or two, so no library is built for them.

use anyhow::{Result, bail};

/// The arguments that a task has not taken yet.
pub(crate) struct Arguments {
    task: &'static str,
    words: Vec<String>,
}

impl Arguments {
    pub(crate) fn new(task: &'static str, words: &[String]) -> Arguments {
        Arguments { task, words: words.to_vec() }
    }

    /// Whether `flag` is among them; takes it.
    pub(crate) fn flag(&mut self, flag: &str) -> bool {
        let before = self.words.len();
        self.words.retain(|word| word != flag);
        self.words.len() < before
    }

    /// The value of `--flag VALUE` or `--flag=VALUE`, the last where there are several; takes both words.
    pub(crate) fn value(&mut self, flag: &str) -> Result<Option<String>> {
        let mut value = None;
        while let Some(at) = self.words.iter().position(|word| word.split('=').next() == Some(flag)) {
            let word = self.words.remove(at);
            value = match word.split_once('=') {
                Some((_, value)) => Some(value.to_owned()),
                None if at < self.words.len() => Some(self.words.remove(at)),
                None => bail!("{flag} needs a value"),
            };
        }
        Ok(value)
    }

    /// Those that are left, for another command.
    pub(crate) fn rest(self) -> Vec<String> {
        self.words
    }

    /// Refuses what is left.
    pub(crate) fn finish(self) -> Result<()> {
        match self.words.first() {
            Some(word) => bail!("{} has no argument {word:?} (hint: cargo xtask {} --help)", self.task, self.task),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
impl Arguments {
    /// As they are typed.
    pub(crate) fn typed(task: &'static str, line: &str) -> Arguments {
        Arguments { task, words: line.split_whitespace().map(str::to_owned).collect() }
    }
}
