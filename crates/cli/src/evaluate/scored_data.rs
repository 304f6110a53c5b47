//! What an evaluation is about: labeled examples, and where they come from.

use data::store::Examples;
use tempfile::TempDir;

use crate::run_report::Provenance;

pub(crate) struct ScoredData {
    pub examples: Examples,
    /// The split's or the file's name, in titles and in the names of what is written.
    pub split: String,
    /// The prepared folder, or the files.
    pub data: String,
    pub about: Provenance,
    /// The columns of the files that the scores are split by.
    pub slice_columns: Vec<String>,
    /// For each row its values in these columns.
    pub slice_values: Vec<Vec<String>>,
    pub notes: Vec<String>,
    /// Holds the examples' file if it was made for this evaluation.
    pub _temporary: Option<TempDir>,
}
