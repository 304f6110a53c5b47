//! The report of an evaluation, in the run's folder: an HTML page, and its pictures as files.
//!
//! A section of the page is a file below `run_report/`: its heading, what it computes from the evaluation, how it shows
//! that, and its tests. [`SECTIONS`] orders them.

use std::path::PathBuf;

use anyhow::Result;
use data::manifest::Manifest;
use data::store::Examples;
use report::{Page, Section};
use run::RunFolder;
use train::evaluate::Evaluation;

mod classes;
mod configuration;
mod confusion_matrix;
mod examples;
mod headline;
mod origins;
mod scores;
#[cfg(test)]
mod tests;
mod training_curves;

pub(crate) use scores::averages;

/// The page's sections, from top to bottom. One without content is left out.
const SECTIONS: &[fn(&ReportInput) -> Result<Section>] = &[
    headline::section,
    scores::section,
    classes::section,
    confusion_matrix::section,
    training_curves::section,
    examples::section,
    origins::section,
    configuration::section,
];

/// What a section may show: an evaluation, and what was evaluated on what.
pub(crate) struct ReportInput<'a> {
    pub run: &'a RunFolder,
    pub split: &'a str,
    pub evaluation: &'a Evaluation,
    /// The names of the classes.
    pub labels: &'a [String],
    /// The rows of the split, in the order of the evaluation's predictions.
    pub examples: &'a Examples,
    /// Of the data that the split is from.
    pub manifest: &'a Manifest,
    /// Of the data that the model was trained on.
    pub trained_on: &'a Manifest,
    pub notes: &'a [String],
}

/// Writes `report-SPLIT.html` and the sections' pictures, each as SVG and PNG; returns their paths.
pub(crate) fn write(input: &ReportInput) -> Result<Vec<PathBuf>> {
    let sections = SECTIONS.iter().map(|section| section(input)).collect::<Result<Vec<_>>>()?;
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    for (name, picture) in sections.iter().flat_map(|section| &section.pictures) {
        files.push((format!("{name}.svg"), picture.svg().into()));
        files.push((format!("{name}.png"), picture.png()?));
    }
    let page = Page {
        title: &format!("{}: {} on {}", input.trained_on.model.name, input.manifest.dataset, input.split),
        subtitle: &input.run.path().display().to_string(),
        notes: input.notes,
        sections,
    };
    files.push((format!("report-{}.html", input.split), page.html().into_bytes()));
    let mut paths = Vec::with_capacity(files.len());
    for (name, bytes) in files {
        input.run.write(&name, bytes)?;
        paths.push(input.run.file(&name));
    }
    Ok(paths)
}
