//! The official archive of the treebank.

use super::local::{Trees, treebank_folder};
use crate::error::DataError;

/// The treebank's three splits as trees.
pub(super) fn treebank() -> Result<Trees, DataError> {
    let folder = fetch::stanford::treebank().map_err(|source| DataError::Fetch { source_name: "stanford", source })?;
    Ok(Trees { source: "nlp.stanford.edu, trainDevTestTrees_PTB.zip".into(), ..treebank_folder(&folder)? })
}
