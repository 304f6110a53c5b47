//! The files of a data set on the Hugging Face Hub.

use std::path::PathBuf;

use fetch::{FetchError, Hub, RepoRef};

use crate::error::DataError;

/// Downloads the files of the three splits; also returns the commit.
pub(super) fn files(repo: &str, paths: [&str; 3]) -> Result<([PathBuf; 3], String), DataError> {
    let fetched = || -> Result<_, FetchError> {
        let hub = Hub::from_env()?;
        let repo = RepoRef::dataset(repo)?;
        let [train, validation, test] = paths;
        let files = [hub.file(&repo, train)?, hub.file(&repo, validation)?, hub.file(&repo, test)?];
        Ok((files, hub.commit(&repo)?))
    };
    fetched().map_err(|source| DataError::Fetch { source_name: "hub", source })
}
