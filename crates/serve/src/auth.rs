//! The key that clients send, compared so that the time it takes says nothing about it.

use std::path::Path;

use axum::http::{HeaderMap, header};
use subtle::ConstantTimeEq;

use crate::error::ServeError;

/// The sha256 of a key. Digests have one length, so that comparing them doesn't give away that of the key.
#[derive(Clone)]
pub struct ApiKey([u8; 32]);

impl ApiKey {
    /// `origin` names where the key was given, for errors.
    ///
    /// # Errors
    /// A key that no header can hold: empty, or with blanks or other than visible ASCII characters.
    pub fn new(key: &str, origin: &str) -> Result<Self, ServeError> {
        let refuse = |found| Err(ServeError::Key { origin: origin.to_owned(), found });
        match key {
            "" => refuse("an empty one"),
            key if !key.bytes().all(|byte| byte.is_ascii_graphic()) => refuse("other characters"),
            key => Ok(Self(disk::sha256_bytes(key))),
        }
    }

    /// The key in a file, without the line end.
    ///
    /// # Errors
    /// A file that can't be read, and those of [`new`](Self::new).
    pub fn from_file(path: &Path) -> Result<Self, ServeError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ServeError::KeyFile { path: path.display().to_string(), source })?;
        Self::new(text.trim_end_matches(['\n', '\r']), &path.display().to_string())
    }

    /// Whether the headers of a request hold the key.
    pub(crate) fn is_in(&self, headers: &HeaderMap) -> bool {
        let sent = headers.get(header::AUTHORIZATION).and_then(|value| {
            let (scheme, key) = value.as_bytes().split_at_checked(7)?;
            scheme.eq_ignore_ascii_case(b"Bearer ").then_some(key)
        });
        sent.is_some_and(|key| disk::sha256_bytes(key).ct_eq(&self.0).into())
    }
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("ApiKey")
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_the_whole_key_is_taken() {
        let key = ApiKey::new("s3cret", "a test").unwrap();
        let is_in = |value: &str| {
            let value = HeaderValue::from_str(value).unwrap();
            key.is_in(&HeaderMap::from_iter([(header::AUTHORIZATION, value)]))
        };
        assert!(is_in("Bearer s3cret") && is_in("bearer s3cret"));
        for wrong in
            ["", "Bearer", "Bearer ", "Bearer s3cre", "Bearer s3cret2", "Bearer S3cret", "Basic s3cret", "s3cret"]
        {
            assert!(!is_in(wrong), "{wrong:?}");
        }
        assert!(!key.is_in(&HeaderMap::new()));
        assert_eq!(format!("{key:?}"), "ApiKey");
    }

    #[test]
    fn keys_that_no_header_holds_are_refused() {
        for key in ["", "two words", "caf\u{e9}", "a\nb"] {
            let error = ApiKey::new(key, "VERDICT_API_KEY").unwrap_err().to_string();
            assert!(error.starts_with("VERDICT_API_KEY: ") && !error.contains("caf"), "{error}");
        }
    }
}
