//! The report of an evaluation, in the run's folder: an HTML page, and its pictures as files.
//!
//! A section of the page is a file below `run_report/`: its heading, what it computes from the evaluation, how it shows
//! that, and its tests. [`SECTIONS`] orders them. What the figures say in sentences is in `remarks.rs`, how they are written
//! in `wording.rs`; `kept.rs` reads evaluations back from a run's folder, `model_card.rs` writes its `README.md`.

use std::path::{Path, PathBuf};

use anyhow::Result;
use data::store::Examples;
use disk::write_atomic;
use judge::Judgement;
use report::{Page, Section};
use run::{Environment, EvaluationResult};
use train::evaluate::Evaluation;

mod audit;
mod baselines;
mod calibration;
mod classes;
mod commands;
mod comparison;
mod configuration;
mod confusion_matrix;
mod environment;
mod examples;
mod hashes;
mod headline;
pub(crate) mod kept;
mod mistakes;
pub(crate) mod model_card;
mod origins;
pub(crate) mod remarks;
mod scores;
mod selective;
mod slices;
#[cfg(test)]
mod tests;
mod threshold_curves;
mod training_curves;
mod treebank;
mod verdict;
pub(crate) mod wording;

pub(crate) use calibration::confidence_bins;
pub(crate) use configuration::options;
pub(crate) use kept::{is_of, manifest, names};
pub(crate) use scores::averages;
pub(crate) use selective::{COVERAGE, RISK, risk_over_coverage};

/// The page's sections, from top to bottom. One without content is left out.
const SECTIONS: &[fn(&ReportInput) -> Result<Section>] = &[
    headline::section,
    verdict::section,
    comparison::section,
    baselines::section,
    scores::section,
    classes::section,
    confusion_matrix::section,
    slices::section,
    treebank::section,
    mistakes::section,
    calibration::section,
    selective::section,
    threshold_curves::section,
    training_curves::section,
    examples::section,
    audit::section,
    origins::section,
    configuration::section,
    environment::section,
    hashes::section,
    commands::section,
];

/// What a section may show: an evaluation, and what was evaluated on what.
pub(crate) struct ReportInput<'a> {
    /// The run's or the model's folder.
    pub run: &'a Path,
    pub result: &'a EvaluationResult,
    /// The rows with their predictions, where they were just computed and not only their scores are kept.
    pub rows: Option<PredictedRows<'a>>,
    pub about: &'a Provenance,
}

impl<'a> ReportInput<'a> {
    /// What the scores mean, where that was judged.
    pub(crate) fn judgement(&self) -> Option<&'a Judgement> {
        self.result.judgement.as_ref()
    }

    /// With what was scored, where that is known.
    pub(crate) fn environment(&self) -> Option<&'a Environment> {
        self.result.environment.as_ref()
    }
}

/// The rows of a split, in the order of the evaluation's predictions.
#[derive(Clone, Copy)]
pub(crate) struct PredictedRows<'a> {
    pub evaluation: &'a Evaluation,
    pub examples: &'a Examples,
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
    /// The most token ids of a text; `None` if that isn't known.
    pub max_length: Option<usize>,
}

/// Writes `report-SPLIT.html` and the sections' pictures, each as SVG and PNG, into `folder`; returns their paths.
pub(crate) fn write(input: &ReportInput, folder: &Path) -> Result<Vec<PathBuf>> {
    let sections = SECTIONS.iter().map(|section| section(input)).collect::<Result<Vec<_>>>()?;
    let title = format!("{}: {} on {}", input.about.model, input.about.dataset, input.result.split);
    let subtitle = input.run.display().to_string();
    let page = Page { title: &title, subtitle: &subtitle, notes: &input.result.notes, sections };
    write_page(&page, &folder.join(format!("report-{}.html", input.result.split)))
}

/// Writes a page, and beside it its pictures, each as SVG and PNG; returns the paths, that of the page last.
pub(crate) fn write_page(page: &Page, path: &Path) -> Result<Vec<PathBuf>> {
    let mut files: Vec<(PathBuf, Vec<u8>)> = Vec::new();
    for (name, picture) in page.sections.iter().flat_map(|section| &section.pictures) {
        files.push((path.with_file_name(format!("{name}.svg")), picture.svg().into()));
        files.push((path.with_file_name(format!("{name}.png")), picture.png()?));
    }
    files.push((path.to_owned(), page.html().into_bytes()));
    let mut paths = Vec::with_capacity(files.len());
    for (path, bytes) in files {
        write_atomic(&path, bytes)?;
        paths.push(path);
    }
    Ok(paths)
}
