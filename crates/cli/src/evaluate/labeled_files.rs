//! Labeled files, read with the labels and the tokenizer of the model that is scored.

use std::path::Path;

use ::predict::Predictor;
use anyhow::{Context, Result};
use data::manifest::Manifest;
use data::{KnownLabels, ScoredFile, ScoringRequest, tokenize_labeled_files};
use run::slug;
use table::{ColumnRequest, TEXT_SEPARATOR};

use super::EvaluateArgs;
use super::scored_data::ScoredData;
use crate::run_report::Provenance;

pub(super) fn open(
    args: &EvaluateArgs,
    run: &Path,
    trained_on: Option<&Manifest>,
    predictor: &Predictor,
) -> Result<ScoredData> {
    let files = table::expand(&args.file)?;
    let names = predictor.label_names();
    let labels = match (&args.label_map, trained_on) {
        (Some(map), _) => KnownLabels::mapped(names, &map.0)?,
        (None, Some(manifest)) => KnownLabels::new(names, &manifest.label_values),
        (None, None) => KnownLabels::new(names, &Default::default()),
    };
    let temporary =
        tempfile::tempdir().context("failed to make a folder for temporary files (hint: TMPDIR names one)")?;
    let request = ScoringRequest {
        files: &files,
        columns: ColumnRequest {
            text: args.text_column.as_deref(),
            label: args.label_column.as_deref(),
            label_optional: false,
        },
        separator: args.text_separator.as_deref().unwrap_or(TEXT_SEPARATOR),
        options: &args.read,
        drop_empty: args.drop_empty,
        slice_columns: &args.slice_column,
    };
    let arrow = temporary.path().join("examples.arrow");
    let scored = tokenize_labeled_files(request, &labels, predictor.tokenizer(), &arrow)?;
    let ScoredFile { examples, slice_columns, slice_values, mut notes } = scored;
    let name = |path: &Path| path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let listed: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
    let (listed, dataset) = match listed.as_slice() {
        [only] => (only.clone(), name(&files[0])),
        [first, ..] => (format!("{first} and {} more", listed.len() - 1), format!("{} files", listed.len())),
        [] => Default::default(),
    };
    let folder = run.file_name().map_or_else(|| run.display().to_string(), |name| name.to_string_lossy().into_owned());
    let about = Provenance {
        variant: format!("{dataset}: {} rows", examples.len()),
        source: listed.clone(),
        license: None,
        model: trained_on.map_or(folder, |manifest| manifest.model.name.clone()),
        model_origin: trained_on.map(|manifest| manifest.model.origin.to_string()),
        max_length: Some(predictor.tokenizer().max_length()),
        dataset,
    };
    notes.extend(trained_on.and_then(|manifest| manifest.model.note.clone()));
    Ok(ScoredData {
        examples,
        split: name_of_scores(&name(&files[0])),
        data: listed,
        about,
        slice_columns,
        slice_values,
        notes,
        _temporary: Some(temporary),
    })
}

/// A file's name with its ending, and never that of a split, so that the scores of `test.csv` or of a folder `test` don't take
/// the place of those of the run's own test split.
fn name_of_scores(file: &str) -> String {
    match slug(file, "file") {
        split if matches!(split.as_str(), "train" | "validation" | "test") => format!("file-{split}"),
        name => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_of_a_file_are_never_those_of_a_split() {
        let names = ["test.csv", "test", "new reviews.csv", "imdb"].map(name_of_scores);
        assert_eq!(names, ["test.csv", "file-test", "new-reviews.csv", "imdb"]);
    }
}
