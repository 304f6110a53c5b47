//! Files of `tests/fixtures`, by their name below that folder, such as `bert/training.json`.
//!
//! Each was made by a script that lies beside it (`make_….py`).

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::repository;

/// Where a fixture is. It panics, and lists what there is, where there is none of that name.
pub fn fixture_path(name: &str) -> PathBuf {
    let path = repository().join("tests/fixtures").join(name);
    assert!(path.is_file(), "{}", missing(name, &path));
    path
}

fn missing(name: &str, path: &Path) -> String {
    let entries = path.parent().and_then(|folder| std::fs::read_dir(folder).ok()).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    let found = if names.is_empty() { "no such folder".to_owned() } else { names.join(", ") };
    format!("fixture {name} doesn't exist in tests/fixtures (found: {found}; hint: run the script that makes it)")
}

/// A fixture's bytes.
pub fn fixture_bytes(name: &str) -> Vec<u8> {
    std::fs::read(fixture_path(name)).unwrap_or_else(|error| panic!("fixture {name}: {error}"))
}

/// A fixture's text.
pub fn fixture_text(name: &str) -> String {
    String::from_utf8(fixture_bytes(name)).unwrap_or_else(|error| panic!("fixture {name}: {error}"))
}

/// A fixture in JSON.
pub fn fixture<T: DeserializeOwned>(name: &str) -> T {
    serde_json::from_slice(&fixture_bytes(name))
        .unwrap_or_else(|error| panic!("fixture {name}: {error} (hint: the script beside it says what it holds)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_fixture_is_named_with_what_there_is() {
        let panic = std::panic::catch_unwind(|| fixture_path("tune/regrets.json")).unwrap_err();
        let message = panic.downcast_ref::<String>().unwrap();
        assert!(message.contains("fixture tune/regrets.json doesn't exist"), "{message}");
        assert!(message.contains("make_regret.py, ") && message.contains("regret.json, "), "{message}");
    }

    #[test]
    fn a_fixture_is_read_as_the_type_that_is_asked_for() {
        let value: serde_json::Value = fixture("tune/regret.json");
        assert!(value["functions"].is_array());
        assert!(fixture_text("tune/sobol.txt").starts_with('#'));
    }
}
