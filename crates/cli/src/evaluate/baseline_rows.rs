//! The baselines of an evaluation, fitted on the training split that the run was trained on.

use std::path::Path;

use anyhow::{Context, Result, bail};
use data::Split;
use data::manifest::Prepared;
use data::store::Examples;
use judge::{Baselines, ScoredRows};
use metrics::Bootstrap;
use run::RunFolder;

use super::{data_of, manifest_of};

/// The baselines on these rows of `split`, and notes for the user. Without the run's training data there are no baselines,
/// which is a note and no error: the scores of the model don't need them.
pub(super) fn baselines(
    run: &Path,
    split: &str,
    rows: &ScoredRows<'_>,
    bootstrap: &Bootstrap,
) -> (Option<Baselines>, Vec<String>) {
    let fitted = training_split(run).and_then(|examples| fitted(&examples, rows, bootstrap));
    match fitted {
        Ok(baselines) => {
            let seen = (split == Split::Train.name())
                .then(|| "the baselines are scored on the rows that they were fitted on, as the model is".to_owned());
            (Some(baselines), seen.into_iter().collect())
        }
        Err(error) => (None, vec![format!("no baselines: {error:#}")]),
    }
}

/// The training split, as it was when the run was trained on it.
fn training_split(run: &Path) -> Result<Examples> {
    let trained_on = manifest_of(run)?.context("the model was not trained here, so its training data is not known")?;
    let prepared = Prepared::open(&data_of(&RunFolder::open(run)?)?)?;
    if prepared.manifest.fingerprint != trained_on.fingerprint {
        bail!(
            "{} has been prepared again since the run was trained on it (hint: prepare it with the same options as before)",
            prepared.dir.display()
        );
    }
    Ok(prepared.split(Split::Train.name())?)
}

fn fitted(examples: &Examples, rows: &ScoredRows<'_>, bootstrap: &Bootstrap) -> Result<Baselines> {
    let (mut texts, mut labels) = (Vec::with_capacity(examples.len()), Vec::with_capacity(examples.len()));
    for row in 0..examples.len() {
        if let Some(label) = examples.label(row) {
            texts.push(examples.text(row)?);
            labels.push(label);
        }
    }
    if texts.is_empty() {
        bail!("no row of the training split has a label");
    }
    Ok(Baselines::of(&texts, &labels, rows, bootstrap))
}
