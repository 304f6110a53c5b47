//! Mistakes in the training rows of a group of folds: each was predicted by a model that was not trained on it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use judge::{Mistakes, RowFacts, ScoredRows};
use run::{OUT_OF_FOLD, OutOfFold};

use super::written::write_mistakes;

/// Writes `mistakes-train.csv` into the folder of a group of folds; `None` in the folder of another group, or of one that is not
/// finished.
///
/// # Errors
/// Predictions that can't be read; a folder that can't be written to.
pub(super) fn write(group: &Path) -> Result<Option<PathBuf>> {
    let predictions = group.join(OUT_OF_FOLD);
    if !predictions.is_file() {
        return Ok(None);
    }
    let found = OutOfFold::read(&predictions)?;
    let facts: Vec<RowFacts> =
        found.rows.iter().map(|row| RowFacts { text: &row.text, ..RowFacts::default() }).collect();
    let rows = ScoredRows {
        label_names: &found.label_names,
        truth: &found.truth(),
        predictions: &found.predictions(),
        probabilities: &found.probabilities(),
        facts: &facts,
    };
    rows.check().with_context(|| predictions.display().to_string())?;
    let path = group.join("mistakes-train.csv");
    write_mistakes(&path, &Mistakes::of(&rows))?;
    Ok(Some(path))
}
