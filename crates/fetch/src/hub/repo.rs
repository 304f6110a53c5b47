//! The name of a repository on the Hub.

use hf_hub::{Repo, RepoType};

use crate::error::{FetchError, Result};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum RepoKind {
    Model,
    Dataset,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RepoRef {
    kind: RepoKind,
    id: String,
    revision: String,
}

impl RepoRef {
    /// A model by its id, `name` or `owner/name`, with an optional `@revision`; without one it is `main`.
    ///
    /// # Errors
    /// [`FetchError::BadName`] when the Hub could not have such a repository or revision.
    pub fn model(name: &str) -> Result<Self> {
        Self::parse(RepoKind::Model, name)
    }

    /// A data set by its id, with an optional `@revision`, such as `stanfordnlp/sst@refs/convert/parquet`.
    ///
    /// # Errors
    /// As [`RepoRef::model`].
    pub fn dataset(name: &str) -> Result<Self> {
        Self::parse(RepoKind::Dataset, name)
    }

    fn parse(kind: RepoKind, name: &str) -> Result<Self> {
        let bad = |problem: String| FetchError::BadName {
            name: name.to_owned(),
            expected: "the id of a repository on the Hub (NAME or OWNER/NAME, with @REVISION or without)",
            problem,
        };
        let (id, revision) = name.split_once('@').unwrap_or((name, "main"));
        let parts: Vec<&str> = id.split('/').collect();
        if parts.len() > 2 {
            return Err(bad("it has more than one `/`".to_owned()));
        }
        for part in &parts {
            check_part(part).map_err(bad)?;
        }
        for part in revision.split('/') {
            check_part(part).map_err(|problem| bad(format!("revision: {problem}")))?;
        }
        Ok(Self { kind, id: id.to_owned(), revision: revision.to_owned() })
    }

    /// The id: `bert-base-uncased`, `stanfordnlp/sst`.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// The same repository at one of its commits.
    ///
    /// # Errors
    /// As [`RepoRef::model`].
    pub fn at(&self, commit: &str) -> Result<Self> {
        Self::parse(self.kind, &format!("{}@{commit}", self.id))
    }

    /// The repository's path on the Hub's web site: a data set's id comes after `datasets/`.
    pub fn page(&self) -> String {
        self.to_hf(&self.revision).url()
    }

    /// hf-hub's name for this repository at a revision.
    pub(crate) fn to_hf(&self, revision: &str) -> Repo {
        let kind = match self.kind {
            RepoKind::Model => RepoType::Model,
            RepoKind::Dataset => RepoType::Dataset,
        };
        Repo::with_revision(self.id.clone(), kind, revision.to_owned())
    }
}

/// One part of an id or revision. It becomes part of a path and of an address, so nothing special may be in it.
fn check_part(part: &str) -> std::result::Result<(), String> {
    if part.is_empty() {
        return Err("a part of it is empty".to_owned());
    }
    if part.starts_with(['.', '-']) || part.contains("..") {
        return Err(format!("{part:?} starts with `.` or `-` or has `..` in it"));
    }
    match part.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))) {
        Some(c) => Err(format!("{c:?} is not allowed in it")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_and_without_owner_and_revision() {
        let plain = RepoRef::model("bert-base-uncased").unwrap();
        assert_eq!((plain.id(), plain.revision()), ("bert-base-uncased", "main"));
        let full = RepoRef::dataset("stanfordnlp/sst@refs/convert/parquet").unwrap();
        assert_eq!((full.id(), full.revision()), ("stanfordnlp/sst", "refs/convert/parquet"));
        assert_eq!(full.page(), "datasets/stanfordnlp/sst");
    }

    #[test]
    fn names_that_could_leave_the_cache_are_refused() {
        for name in ["", "a/b/c", "../x", "a/..", "a/b@../../x", "a/b@", "a b", "/etc", "~/model", "a\\b", "a/-x"] {
            let error = RepoRef::model(name).expect_err(name);
            assert!(matches!(error, FetchError::BadName { .. }), "{name}: {error}");
        }
    }
}
