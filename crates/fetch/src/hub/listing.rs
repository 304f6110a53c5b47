//! Which files a revision has, all of one commit.

use super::{Hub, RepoRef};
use crate::error::Result;

/// A revision's commit and the paths of all its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    pub commit: String,
    pub files: Vec<String>,
}

impl Hub {
    /// The files of the repository's revision, as they were when it was first requested: a second call asks the network
    /// nothing, and offline the list is still whole, whichever of its files are in the cache.
    ///
    /// # Errors
    /// As [`Hub::file`].
    pub fn listing(&self, repo: &RepoRef) -> Result<Listing> {
        let store = self.store(repo);
        let noted = store.commit().and_then(|commit| Some(Listing { files: store.listing(&commit)?, commit }));
        noted.map_or_else(|| self.current_listing(repo), Ok)
    }

    /// The files of the repository's revision as the Hub has it now, which is remembered.
    ///
    /// # Errors
    /// As [`Hub::file`].
    pub fn current_listing(&self, repo: &RepoRef) -> Result<Listing> {
        let info = self.resolve(repo)?;
        let files: Vec<String> = info.siblings.into_iter().map(|sibling| sibling.rfilename).collect();
        self.store(repo).set_listing(&info.sha, &files)?;
        Ok(Listing { commit: info.sha, files })
    }
}
