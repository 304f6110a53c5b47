//! The Hub's address, cache and token: the environment variables of Hugging Face's own tools.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::cache::user_cache;
use crate::error::{FetchError, Result};

const OFFICIAL: &str = "https://huggingface.co";

/// How to reach the Hub. [`HubSettings::from_env`] reads what Hugging Face's Python tools read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubSettings {
    /// Scheme, host and port, without a slash at the end (`HF_ENDPOINT`).
    pub endpoint: String,
    /// The cache, shared with Python (`HF_HUB_CACHE`, else `HF_HOME/hub`, else `~/.cache/huggingface/hub`).
    pub cache: PathBuf,
    /// Sent to the endpoint, and to it alone (`HF_TOKEN`, else the file that `hf auth login` writes).
    pub token: Option<HubToken>,
    /// Use the cache only (`HF_HUB_OFFLINE` or `TRANSFORMERS_OFFLINE`).
    pub offline: bool,
}

/// An access token, and where it was found, for messages.
#[derive(Clone, PartialEq, Eq)]
pub struct HubToken {
    secret: String,
    origin: String,
}

impl HubToken {
    /// `origin` completes "the token in ...": `the environment variable HF_TOKEN`.
    pub fn new(secret: impl Into<String>, origin: impl Into<String>) -> Self {
        Self { secret: secret.into(), origin: origin.into() }
    }

    pub(crate) fn secret(&self) -> &str {
        &self.secret
    }

    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }
}

/// Without the secret.
impl std::fmt::Debug for HubToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HubToken").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl HubSettings {
    /// Reads the process's environment.
    ///
    /// # Errors
    /// [`FetchError::NoHome`] without any place for the cache, [`FetchError::BadName`] for an endpoint that is no
    /// web address.
    pub fn from_env() -> Result<Self> {
        Self::from_vars(|name| std::env::var_os(name))
    }

    /// Reads the environment that `var` gives; tests pass their own.
    ///
    /// # Errors
    /// As [`HubSettings::from_env`].
    pub(crate) fn from_vars(var: impl Fn(&str) -> Option<OsString>) -> Result<Self> {
        let first = |names: &[&str]| names.iter().find_map(|name| var(name).filter(|value| !value.is_empty()));
        let text = |names: &[&str]| first(names).and_then(|value| value.into_string().ok());
        let path = |names: &[&str]| first(names).map(|value| expand_home(value, &var));

        let home = match path(&["HF_HOME"]) {
            Some(home) => home,
            None => user_cache(&var)?.join("huggingface"),
        };
        let cache = path(&["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"]).unwrap_or_else(|| home.join("hub"));
        let token_of = |secret: String, origin: String| {
            let secret = secret.trim();
            (!secret.is_empty()).then(|| HubToken::new(secret, origin))
        };
        let in_variable = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"]
            .iter()
            .find_map(|name| token_of(text(&[*name])?, format!("the environment variable {name}")));
        let in_file = || {
            let file = path(&["HF_TOKEN_PATH"]).unwrap_or_else(|| home.join("token"));
            token_of(std::fs::read_to_string(&file).ok()?, format!("the file {}", file.display()))
        };
        let token = in_variable.or_else(in_file);
        let offline = text(&["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
            .is_some_and(|value| matches!(value.to_uppercase().as_str(), "1" | "ON" | "YES" | "TRUE"));
        let endpoint = text(&["HF_ENDPOINT"]).unwrap_or_else(|| OFFICIAL.to_owned());
        Self { endpoint, cache, token, offline }.checked()
    }

    /// The Hub's official endpoint with a given cache, without a token.
    pub fn with_cache(cache: impl Into<PathBuf>) -> Self {
        Self { endpoint: OFFICIAL.to_owned(), cache: cache.into(), token: None, offline: false }
    }

    pub(crate) fn checked(mut self) -> Result<Self> {
        let bad = |name: &str, expected, problem: &str| {
            Err(FetchError::BadName { name: name.to_owned(), expected, problem: problem.to_owned() })
        };
        self.endpoint.truncate(self.endpoint.trim_end_matches('/').len());
        let host = self.endpoint.strip_prefix("https://").or_else(|| self.endpoint.strip_prefix("http://"));
        if host.is_none_or(str::is_empty) || self.endpoint.contains(char::is_whitespace) {
            return bad(&self.endpoint, "an address for HF_ENDPOINT", "it must start with https:// or http://");
        }
        // A line break in a header would be refused much later and with less to go by.
        if let Some(HubToken { secret, origin }) = &self.token
            && !secret.chars().all(|c| c.is_ascii_graphic())
        {
            return bad(
                origin,
                "a place with a token",
                "what it holds has a space, a line break or another odd character",
            );
        }
        Ok(self)
    }
}

fn expand_home(value: OsString, var: &impl Fn(&str) -> Option<OsString>) -> PathBuf {
    let path = PathBuf::from(value);
    match (path.strip_prefix("~"), var("HOME")) {
        (Ok(rest), Some(home)) => Path::new(&home).join(rest),
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<HubSettings> {
        HubSettings::from_vars(|name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn defaults_are_those_of_the_python_tools() {
        let settings = read(&[("HOME", "/nowhere")]).unwrap();
        assert_eq!(settings.endpoint, "https://huggingface.co");
        assert_eq!(settings.cache, Path::new("/nowhere/.cache/huggingface/hub"));
        assert_eq!(settings.token, None);
        assert!(!settings.offline);
        let settings = read(&[("HOME", "/nowhere"), ("XDG_CACHE_HOME", "/xdg")]).unwrap();
        assert_eq!(settings.cache, Path::new("/xdg/huggingface/hub"));
    }

    #[test]
    fn every_variable_is_honored() {
        let settings = read(&[
            ("HOME", "/nowhere"),
            ("HF_HOME", "~/hf"),
            ("HF_ENDPOINT", "http://localhost:8080/"),
            ("HF_TOKEN", " hf_secret\n"),
            ("HF_HUB_OFFLINE", "true"),
        ])
        .unwrap();
        assert_eq!(settings.endpoint, "http://localhost:8080");
        assert_eq!(settings.cache, Path::new("/nowhere/hf/hub"));
        assert_eq!(settings.token, Some(HubToken::new("hf_secret", "the environment variable HF_TOKEN")));
        assert!(settings.offline);
        assert!(!format!("{settings:?}").contains("secret"));
        let settings = read(&[("HOME", "/x"), ("HF_HOME", "/hf"), ("HF_HUB_CACHE", "/c"), ("HF_HUB_OFFLINE", "0")]);
        let settings = settings.unwrap();
        assert_eq!(settings.cache, Path::new("/c"));
        assert!(!settings.offline);
    }

    #[test]
    fn the_token_file_is_read_and_the_variable_wins() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("token"), "hf_from_file\n").unwrap();
        let hf_home = home.path().to_str().unwrap();
        let settings = read(&[("HF_HOME", hf_home)]).unwrap();
        let file = home.path().join("token");
        assert_eq!(settings.token, Some(HubToken::new("hf_from_file", format!("the file {}", file.display()))));
        let settings = read(&[("HF_HOME", hf_home), ("HF_TOKEN", "hf_from_var")]).unwrap();
        assert_eq!(settings.token, Some(HubToken::new("hf_from_var", "the environment variable HF_TOKEN")));
    }

    #[test]
    fn invalid_values_are_refused_by_name() {
        let error = read(&[("HOME", "/x"), ("HF_ENDPOINT", "huggingface.co")]).unwrap_err().to_string();
        assert!(error.contains("HF_ENDPOINT") && error.contains("https://"), "{error}");
        let error = read(&[("HOME", "/x"), ("HF_TOKEN", "two words")]).unwrap_err().to_string();
        assert!(error.contains("HF_TOKEN") && !error.contains("two words"), "{error}");
    }
}
