//! A split of prepared data: the run's own, or another one with the run's tokenizer and labels.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use data::Split;
use data::manifest::{Manifest, Prepared, locate};
use data::store::Examples;
use run::{CONFIG, DATA, RUN_TOML, RunFolder};
use train::TrainConfig;

use super::manifest_of;
use super::scored_data::ScoredData;
use crate::run_report::Provenance;

/// The prepared data that a run was trained on, by its saved configuration; also if both have been moved together.
pub(crate) fn data_of(run: &RunFolder) -> Result<PathBuf> {
    let config = TrainConfig::load(&run.file(RUN_TOML))?;
    let recorded = config.data.with_context(|| {
        format!(
            "{} does not name the data that the run was trained on (hint: --data DIR)",
            run.file(RUN_TOML).display()
        )
    })?;
    Ok(match manifest_of(run.path()) {
        Ok(Some(manifest)) => locate(&recorded, run.path(), &manifest.fingerprint),
        _ => recorded,
    })
}

/// The manifest of a run that was trained here.
pub(crate) fn trained_on(run: &Path, data: &Option<PathBuf>) -> Result<Manifest> {
    let has = |name: &str| run.join(name).is_file();
    if data.is_none() && has(CONFIG) && !has(RUN_TOML) && !has(DATA) {
        let path = run.display();
        bail!(
            "{path} has no run.toml, so it was not trained here and has no splits (hint: --file FILE scores it on a file)"
        );
    }
    RunFolder::open(run)?;
    manifest_of(run)?.with_context(|| format!("{} has no data.json", run.display()))
}

pub(super) fn open(data: Option<&Path>, split: Option<&str>, run: &Path, trained_on: &Manifest) -> Result<ScoredData> {
    let (prepared, mut notes) = find(data, run, trained_on)?;
    let split = match split {
        Some(split) => split.to_owned(),
        None => default_split(&prepared.manifest)?,
    };
    let manifest = &prepared.manifest;
    notes.extend(manifest.notes.iter().chain(&trained_on.model.note).cloned());
    let examples = prepared.split(&split)?;
    let about = Provenance {
        dataset: manifest.dataset.clone(),
        variant: manifest.variant.clone(),
        source: manifest.source.clone(),
        license: Some(manifest.license.clone()),
        model: trained_on.model.name.clone(),
        model_origin: Some(trained_on.model.origin.to_string()),
        max_length: Some(manifest.max_length),
    };
    Ok(ScoredData {
        examples,
        split,
        data: prepared.dir.display().to_string(),
        about,
        slice_columns: Vec::new(),
        slice_values: Vec::new(),
        notes,
        _temporary: None,
    })
}

/// The labeled validation split of the data that a run was trained on, and its name.
pub(super) fn validation_split(run: &Path) -> Result<(Examples, String)> {
    let trained_on = trained_on(run, &None)?;
    let ScoredData { examples, split, .. } = open(None, Some(Split::Validation.name()), run, &trained_on)?;
    if !is_labeled(&examples) {
        bail!("rows of the {split} split have no label");
    }
    Ok((examples, split))
}

/// A split whose rows all have labels; `None` where the data has no such split, or rows of it have none.
pub(crate) fn labeled_split(
    data: Option<&Path>,
    split: Split,
    run: &Path,
    trained_on: &Manifest,
) -> Result<Option<ScoredData>> {
    let (prepared, _) = find(data, run, trained_on)?;
    if !prepared.manifest.splits.contains_key(split.name()) {
        return Ok(None);
    }
    Ok(Some(open(data, Some(split.name()), run, trained_on)?).filter(|scored| is_labeled(&scored.examples)))
}

fn is_labeled(examples: &Examples) -> bool {
    !examples.is_empty() && (0..examples.len()).all(|row| examples.label(row).is_some())
}

/// Refuses a run whose model has other labels than the data that it was trained on.
pub(crate) fn check_labels(run: &Path, labels: &[String], trained_on: &Manifest) -> Result<()> {
    if labels != trained_on.label_names {
        bail!(
            "{}: expected the labels {} in config.json, found {} (hint: copy the run's config.json again)",
            run.display(),
            trained_on.label_names.join(", "),
            labels.join(", ")
        );
    }
    Ok(())
}

/// The data to score on, with notes for the report.
fn find(data: Option<&Path>, run: &Path, trained_on: &Manifest) -> Result<(Prepared, Vec<String>)> {
    let dir = match data {
        Some(dir) => dir.to_owned(),
        None => data_of(&RunFolder::open(run)?)?,
    };
    let prepared = Prepared::open(&dir)?;
    let manifest = &prepared.manifest;
    if manifest.tokenizer_sha256 != trained_on.tokenizer_sha256 || manifest.label_names != trained_on.label_names {
        bail!(
            "{}: the tokenizer or the labels ({}) differ from those of the run ({}) (hint: prepare it with --model {})",
            dir.display(),
            manifest.label_names.join(", "),
            trained_on.label_names.join(", "),
            run.display()
        );
    }
    if manifest.fingerprint == trained_on.fingerprint {
        return Ok((prepared, Vec::new()));
    }
    if data.is_none() {
        bail!(
            "{} has been prepared again since this run was trained on it, so its splits may differ (hint: prepare it with \
             the same options as before, or score on it as it is with --data {})",
            dir.display(),
            dir.display()
        );
    }
    let note = format!("scored on {}, which is not the data that the model was trained on", dir.display());
    Ok((prepared, vec![note]))
}

fn default_split(manifest: &Manifest) -> Result<String> {
    let is_labeled = |name: &&str| manifest.splits.get(*name).is_some_and(|split| split.labeled == split.rows);
    match ["test", "validation"].iter().find(|name| is_labeled(name)) {
        Some(name) => Ok((*name).to_owned()),
        None => bail!("the data has neither a labeled test nor a labeled validation split (hint: --split train)"),
    }
}
