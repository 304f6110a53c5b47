//! What an evaluation is about: labeled examples, and where they come from.

use std::io;

use anyhow::Result;
use collective::Collective;
use data::store::Examples;
use disk::sha256_of;
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

impl ScoredData {
    /// Checks that all processes score the same rows in batches of the same size.
    ///
    /// # Errors
    /// Processes that differ, by name; a row that can't be read.
    pub(crate) fn check_same(&self, batch_size: usize, ranks: &dyn Collective) -> Result<()> {
        if ranks.world() == 1 {
            return Ok(());
        }
        let examples = &self.examples;
        let sha256 = sha256_of(|hasher| {
            for row in 0..examples.len() {
                let ids = examples.input_ids(row).map_err(io::Error::other)?;
                hasher.update((ids.len() as u64).to_le_bytes());
                ids.iter().for_each(|id| hasher.update(id.to_le_bytes()));
                hasher.update(examples.label(row).map_or(-1, i64::from).to_le_bytes());
            }
            Ok(())
        })?;
        let rows = examples.len();
        let statement = format!("{rows} rows with the sha256 {sha256} in batches of {batch_size}");
        Ok(ranks.agree("what they evaluate", &statement)?)
    }
}
