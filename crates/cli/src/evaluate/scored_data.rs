//! What an evaluation is about: labeled examples, and where they come from.

use data::store::Examples;
use tempfile::TempDir;

use crate::run_report::Provenance;

pub(super) struct ScoredData {
    pub examples: Examples,
    /// The split's or the file's name, in titles and in the names of what is written.
    pub split: String,
    /// The prepared folder, or the files.
    pub data: String,
    pub about: Provenance,
    pub notes: Vec<String>,
    /// Holds the examples' file if it was made for this evaluation.
    pub _temporary: Option<TempDir>,
}
