//! The report of an evaluation, in the run's folder: an HTML page, and its pictures as files.
//!
//! A section of the page is a file below `run_report/`: its heading, what it computes from the evaluation, how it shows
//! that, and its tests. [`SECTIONS`] orders them.

use std::path::{Path, PathBuf};

use anyhow::Result;
use data::store::Examples;
use disk::write_atomic;
use report::{Page, Section};
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
    /// The run's or the model's folder.
    pub run: &'a Path,
    pub split: &'a str,
    pub evaluation: &'a Evaluation,
    /// The names of the classes.
    pub labels: &'a [String],
    /// The rows of the split, in the order of the evaluation's predictions.
    pub examples: &'a Examples,
    pub about: &'a Provenance,
    pub notes: &'a [String],
}

/// Where the examples and the model come from.
pub(crate) struct Provenance {
    /// The data set's or the file's name.
    pub dataset: String,
    /// Which form of it, with its size.
    pub variant: String,
    pub source: String,
    /// `None` if nothing is known of it.
    pub license: Option<String>,
    pub model: String,
    /// `None` for a model folder of other making.
    pub model_origin: Option<String>,
    /// The most token ids of a text.
    pub max_length: usize,
}

/// Writes `report-SPLIT.html` and the sections' pictures, each as SVG and PNG, into `folder`; returns their paths.
pub(crate) fn write(input: &ReportInput, folder: &Path) -> Result<Vec<PathBuf>> {
    let sections = SECTIONS.iter().map(|section| section(input)).collect::<Result<Vec<_>>>()?;
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    for (name, picture) in sections.iter().flat_map(|section| &section.pictures) {
        files.push((format!("{name}.svg"), picture.svg().into()));
        files.push((format!("{name}.png"), picture.png()?));
    }
    let page = Page {
        title: &format!("{}: {} on {}", input.about.model, input.about.dataset, input.split),
        subtitle: &input.run.display().to_string(),
        notes: input.notes,
        sections,
    };
    files.push((format!("report-{}.html", input.split), page.html().into_bytes()));
    let mut paths = Vec::with_capacity(files.len());
    for (name, bytes) in files {
        let path = folder.join(name);
        write_atomic(&path, bytes)?;
        paths.push(path);
    }
    Ok(paths)
}
