//! JSON as a list of paths and values, each value as it is written.
//!
//! Parsed into numbers, two different texts could become one value. What must be the same to the bit is therefore
//! compared as text.

use anyhow::{Context, Result};
use serde::de::IgnoredAny;

/// The scalars of a document in order, each with its path (`best.value`, `history[3]`) and its text.
///
/// # Errors
/// What isn't JSON.
pub fn flatten(text: &str) -> Result<Vec<(String, String)>> {
    let _: IgnoredAny = serde_json::from_str(text).context("not JSON")?;
    let mut walk = Walk { rest: text, found: Vec::new() };
    walk.value("");
    Ok(walk.found)
}

/// A walk over text that is known to be JSON.
struct Walk<'a> {
    rest: &'a str,
    found: Vec<(String, String)>,
}

impl<'a> Walk<'a> {
    fn value(&mut self, path: &str) {
        self.rest = self.rest.trim_start();
        match self.rest.as_bytes().first() {
            Some(b'{') => self.members('}', |walk, _| {
                let key = walk.scalar();
                let key = key.trim_matches('"');
                walk.rest = walk.rest.trim_start().strip_prefix(':').unwrap_or(walk.rest);
                walk.value(&if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") });
            }),
            Some(b'[') => self.members(']', |walk, index| walk.value(&format!("{path}[{index}]"))),
            _ => {
                let scalar = self.scalar().to_owned();
                self.found.push((path.to_owned(), scalar));
            }
        }
    }

    /// Each member between two brackets.
    fn members(&mut self, close: char, mut member: impl FnMut(&mut Self, usize)) {
        self.rest = &self.rest[1..];
        for index in 0.. {
            self.rest = self.rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
            if let Some(rest) = self.rest.strip_prefix(close) {
                self.rest = rest;
                return;
            }
            member(self, index);
        }
    }

    fn scalar(&mut self) -> &'a str {
        let bytes = self.rest.as_bytes();
        let end = if bytes.first() == Some(&b'"') {
            let mut at = 1;
            while bytes[at] != b'"' {
                at += if bytes[at] == b'\\' { 2 } else { 1 };
            }
            at + 1
        } else {
            self.rest.find(|c: char| c.is_whitespace() || ",]}".contains(c)).unwrap_or(self.rest.len())
        };
        let (scalar, rest) = self.rest.split_at(end);
        self.rest = rest;
        scalar
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        flatten(text).unwrap()
    }

    #[test]
    fn every_scalar_has_its_path_and_its_text() {
        let found = pairs(
            r#" {"a": 0.10000000000000001, "b": {"c": [1, {"d": null}, []], "e": "x\"},y"}, "f": {}, "g":true } "#,
        );
        let expected = [
            ("a", "0.10000000000000001"),
            ("b.c[0]", "1"),
            ("b.c[1].d", "null"),
            ("b.e", r#""x\"},y""#),
            ("g", "true"),
        ];
        assert_eq!(found, expected.map(|(path, text)| (path.to_owned(), text.to_owned())));
        assert_eq!(pairs("7"), [(String::new(), "7".to_owned())]);
    }

    #[test]
    fn what_is_not_json_is_an_error() {
        for text in ["", "{", "{\"a\": 1", "[1,]", "{\"a\": 1} x"] {
            assert!(flatten(text).is_err(), "{text}");
        }
    }
}
