//! Another run's labels for the rows of an evaluation.

use std::path::Path;

use ::predict::Predictor;
use anyhow::{Context, Result, bail};
use data::store::Examples;
use run::ChosenRun;
use tch::Device;

use super::run_precision::run_precision;
use crate::chosen_run;

/// The class that the run at `other` gives to each row, as an index into `labels`. The texts are tokenized for that run's own
/// model, which may be another one; it computes in the number format that it was trained in.
///
/// # Errors
/// A folder without a model; a model with other labels.
pub(super) fn predictions(other: &Path, device: Device, labels: &[String], examples: &Examples) -> Result<Vec<u32>> {
    let ChosenRun { path: other, .. } = chosen_run(Some(other))?;
    let other = other.as_path();
    let (precision, _) = run_precision(other, None, device)?;
    let predictor = Predictor::open(other, device, precision).context("--against")?;
    let theirs = predictor.label_names();
    let classes: Option<Vec<u32>> = theirs.iter().map(|name| class_of(name, labels)).collect();
    let Some(classes) = classes.filter(|classes| classes.len() == labels.len()) else {
        bail!(
            "--against {}: expected a model with the labels {}, found {} (hint: compare runs that were trained on the same labels)",
            other.display(),
            labels.join(", "),
            theirs.join(", ")
        );
    };
    let texts = (0..examples.len()).map(|row| examples.text(row)).collect::<Result<Vec<_>, _>>()?;
    let predictions = predictor.predict(&texts)?;
    let class = |label: &str| theirs.iter().position(|name| name == label).map(|own| classes[own]);
    predictions.iter().map(|prediction| class(&prediction.label).context("a label of the model")).collect()
}

fn class_of(name: &str, labels: &[String]) -> Option<u32> {
    labels.iter().position(|label| label == name).map(|class| class as u32)
}
