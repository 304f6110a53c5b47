//! What is kept of evaluations in a run's folder, and where the data and the model came from.

use std::path::Path;

use anyhow::{Context, Result, bail};
use data::manifest::{Manifest, Prepared};
use disk::sha256_file;
use judge::SCHEMA_VERSION;
use run::{DATA, EvaluationResult, MODEL};
use serde::Deserialize;

use super::Provenance;

/// What tells a judgement of another version from none.
#[derive(Deserialize)]
struct JudgementVersion {
    judgement: Option<VersionOnly>,
}

#[derive(Deserialize)]
struct VersionOnly {
    schema_version: Option<u64>,
}

/// The evaluation of a split or a file, by the name of its JSON. One of an older program has no judgement.
///
/// # Errors
/// A file that isn't there, isn't what this program writes, or has another version.
pub(crate) fn read(run: &Path, split: &str) -> Result<EvaluationResult> {
    let result = EvaluationResult::read(run, split)?;
    if result.judgement.is_none() {
        let path = EvaluationResult::path(run, split);
        let bytes = std::fs::read(&path).with_context(|| format!("failed to read {}", path.display()))?;
        let found: JudgementVersion = serde_json::from_slice(&bytes)?;
        if let Some(VersionOnly { schema_version }) = found.judgement {
            let found = schema_version.map_or_else(|| "none".to_owned(), |version| version.to_string());
            bail!(
                "{}: expected version {SCHEMA_VERSION} of the judgement, found {found} (hint: verdict evaluate --run {} \
                 --split {split})",
                path.display(),
                run.display()
            );
        }
    }
    Ok(result)
}

/// All that are kept: of the test split first, then of validation, then the others by name.
///
/// # Errors
/// Those of [`read`].
pub(crate) fn all(run: &Path) -> Result<Vec<EvaluationResult>> {
    names(run)?.iter().map(|name| read(run, name)).collect()
}

/// Whether the weights in the folder are others than those that were scored; `None` where that was not recorded.
pub(crate) fn is_of_other_weights(result: &EvaluationResult, run: &Path) -> Option<bool> {
    let scored = result.environment.as_ref()?.weights_sha256.as_ref()?;
    Some(sha256_file(&run.join(MODEL)).ok()? != *scored)
}

/// Where its rows and the model came from, as far as the run's folder tells.
pub(crate) fn about(result: &EvaluationResult, run: &Path) -> Provenance {
    let trained_on = manifest(run);
    let of_data = prepared(result, trained_on.as_ref());
    let examples = result.report.examples;
    Provenance {
        dataset: result.dataset.clone(),
        variant: of_data
            .as_ref()
            .map_or_else(|| format!("{}: {examples} rows", result.dataset), |manifest| manifest.variant.clone()),
        source: result.source.clone(),
        license: of_data.map(|manifest| manifest.license),
        model: result.model.clone(),
        model_origin: trained_on.as_ref().map(|manifest| manifest.model.origin.to_string()),
        max_length: trained_on.map(|manifest| manifest.max_length),
    }
}

/// The manifest of the prepared data that its rows are of: the run's own, or that of another folder that is still there.
fn prepared(result: &EvaluationResult, trained_on: Option<&Manifest>) -> Option<Manifest> {
    let is_of = |manifest: &Manifest| is_of(manifest, result);
    let own = trained_on.filter(|manifest| is_of(manifest)).cloned();
    own.or_else(|| Prepared::open(Path::new(&result.data)).ok().map(|found| found.manifest).filter(is_of))
}

/// Whether a result is of a split of this prepared data, by everything that both record of it.
pub(crate) fn is_of(manifest: &Manifest, result: &EvaluationResult) -> bool {
    let support = result.report.per_class.iter().map(|class| class.support);
    let split = manifest.splits.get(&result.split);
    manifest.dataset == result.dataset
        && manifest.source == result.source
        && split.is_some_and(|split| split.label_counts.iter().map(|&count| count as u64).eq(support))
}

/// The names of the splits and files that a run was scored on, in the order to show them.
///
/// # Errors
/// A folder that can't be read.
pub(crate) fn names(run: &Path) -> Result<Vec<String>> {
    let listed = || -> std::io::Result<Vec<String>> {
        let entries = std::fs::read_dir(run)?.collect::<std::io::Result<Vec<_>>>()?;
        let name = |entry: &std::fs::DirEntry| {
            let name = entry.file_name().into_string().ok()?;
            Some(name.strip_prefix("evaluation-")?.strip_suffix(".json")?.to_owned())
        };
        Ok(entries.iter().filter_map(name).collect())
    };
    let mut names = listed().with_context(|| format!("failed to list the folder {}", run.display()))?;
    let rank = |name: &str| ["test", "validation"].iter().position(|first| *first == name).unwrap_or(2);
    names.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.cmp(b)));
    Ok(names)
}

/// The manifest of the data that a run was trained on; `None` in a folder of other making.
pub(crate) fn manifest(run: &Path) -> Option<Manifest> {
    Manifest::from_json(&std::fs::read_to_string(run.join(DATA)).ok()?).ok()
}
