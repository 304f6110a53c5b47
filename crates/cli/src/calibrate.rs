//! `verdict calibrate`: makes a run as sure as it is right, by one temperature that its logits are divided by.
//!
//! The temperature is fitted on the validation split and folded into weight and bias of the classifier, so that every program that
//! reads the model computes the same probabilities. No label changes, which is checked.

mod output;
mod summary;

use std::path::PathBuf;

use ::predict::Predictor;
use anyhow::{Context, Result, bail};
use clap::Args;
use collective::Alone;
use data::Split;
use disk::{sha256_file, sha256_of};
use judge::{Calibration, ScoredRows};
use metrics::{Bootstrap, DegenerateFit, fit_temperature, logits_of};
use model::{DeviceChoice, LoadOptions, SequenceClassifier};
use run::{CalibratedSplit, CalibrationRecord, ChosenRun, MODEL, RunFolder};
use train::evaluate::evaluate;

use crate::evaluate::{ScoredData, check_labels, labeled_split, run_precision, trained_on};
use crate::{chosen_device, chosen_run};
use output::CalibratedOutput;

/// The flags of `calibrate`.
#[derive(Args)]
pub(crate) struct CalibrateArgs {
    /// Folder of the run [default: the newest under runs/]
    #[arg(long, value_name = "DIR")]
    run: Option<PathBuf>,
    /// Prepared data whose validation split the temperature is fitted on [default: the run's own]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// New folder for a calibrated copy of the run, which itself stays as it is [default: the run is changed]
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Calibrate a run again that is calibrated already
    #[arg(long)]
    force: bool,
    /// Examples per forward pass
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    batch_size: u16,
    /// Where to compute
    #[arg(long, ignore_case = true, default_value = "auto")]
    device: DeviceChoice,
}

/// A labeled split and what the model says of its rows.
struct LabeledSplit {
    scored: ScoredData,
    truth: Vec<u32>,
}

/// What a model says of the rows of a split.
struct Predicted {
    predictions: Vec<u32>,
    probabilities: Vec<Vec<f32>>,
    measured: Calibration,
}

/// Calibrates a run, prints what that changes, and writes the model.
pub(crate) fn run(args: &CalibrateArgs) -> Result<()> {
    let ChosenRun { path: run, .. } = chosen_run(args.run.as_deref())?;
    RunFolder::open(&run)?;
    let output = CalibratedOutput::prepare(&run, args.output.as_deref())?;
    let earlier = CalibrationRecord::of(&run).map_err(|error| {
        let hint = "hint: delete calibration.json and calibrate again; weights with a temperature in them get another one close to 1";
        anyhow::Error::from(error).context(format!("the calibration of {} is not known ({hint})", run.display()))
    })?;
    if let Some(earlier) = earlier.as_ref().filter(|_| !args.force) {
        bail!(
            "{} is calibrated already, with a temperature of {:.3} (hint: --force fits another one on top of it)",
            run.display(),
            earlier.temperature
        );
    }
    let device = chosen_device(args.device)?;
    let trained_on = trained_on(&run, &args.data)?;
    let split = |split| {
        let scored = labeled_split(args.data.as_deref(), split, &run, &trained_on)?;
        Ok::<_, anyhow::Error>(scored.map(LabeledSplit::new))
    };
    let Some(validation) = split(Split::Validation)? else {
        bail!(
            "{}: the data has no labeled validation split to fit a temperature on (hint: --data DIR names prepared data that \
             has one)",
            run.display()
        );
    };
    let test = split(Split::Test)?;
    let (precision, known_by) = run_precision(&run, None, device)?;
    let options = LoadOptions { device, precision: precision.float(), new_head: false, reinit_layers: 0, seed: 0 };
    let (mut model, _) = SequenceClassifier::load(&run, Predictor::config(&run)?, &options)?;
    check_labels(&run, &model.config().label_names(), &trained_on)?;
    let splits = || [Some(&validation), test.as_ref()].into_iter().flatten();
    let listed: Vec<String> = splits().map(LabeledSplit::name_and_rows).collect();
    disk::print_message(format!("calibrating {} in {precision}{known_by}: {}", run.display(), listed.join(", ")));

    let all = |model: &SequenceClassifier| -> Result<Vec<Predicted>> {
        splits().map(|split| split.predicted(model, usize::from(args.batch_size))).collect()
    };
    let before = all(&model)?;
    let temperature = fitted(&validation, &before[0])?;
    model.scale_logits(1.0 / temperature);
    let after = all(&model)?;
    for ((split, before), after) in splits().zip(&before).zip(&after) {
        check_predictions(&split.name_and_rows(), &before.predictions, &after.predictions)?;
    }

    let mut changed = splits().zip(before).zip(after).map(|((split, before), after)| CalibratedSplit {
        split: split.scored.split.clone(),
        rows: split.truth.len() as u64,
        before: before.measured,
        after: after.measured,
    });
    let trained_weights = || sha256_file(&run.join(MODEL));
    let record = CalibrationRecord {
        temperature: temperature * earlier.as_ref().map_or(1.0, |earlier| earlier.temperature),
        data: validation.scored.data.clone(),
        fitted_on: changed.next().context("the validation split was measured")?,
        held_out: changed.next(),
        precision: precision.name(),
        trained_weights_sha256: earlier.map_or_else(trained_weights, |earlier| Ok(earlier.trained_weights_sha256))?,
        calibrated_weights_sha256: sha256_of(|sum| model.write_weights(sum))
            .context("failed to compute the sum of the weights")?,
    };
    let written = output.write(&model, &record)?;
    disk::print(summary::text(&record))?;
    for path in written {
        disk::print_message(format!("wrote {}", path.display()));
    }
    Ok(())
}

impl LabeledSplit {
    fn new(scored: ScoredData) -> Self {
        let truth = (0..scored.examples.len()).filter_map(|row| scored.examples.label(row)).collect();
        Self { scored, truth }
    }

    /// `validation (872 rows)`.
    fn name_and_rows(&self) -> String {
        format!("{} ({} rows)", self.scored.split, self.truth.len())
    }

    fn predicted(&self, model: &SequenceClassifier, batch_size: usize) -> Result<Predicted> {
        let label_names = model.config().label_names();
        let split = &self.scored.split;
        let evaluation = evaluate(model, &self.scored.examples, split, &label_names, batch_size, &Alone)?;
        let rows = ScoredRows {
            label_names: &label_names,
            truth: &self.truth,
            predictions: &evaluation.predictions,
            probabilities: &evaluation.probabilities,
            facts: &[],
        };
        rows.check().with_context(|| format!("the {split} split can't be measured"))?;
        let measured = Calibration::of(&rows, &Bootstrap::default());
        Ok(Predicted { predictions: evaluation.predictions, probabilities: evaluation.probabilities, measured })
    }
}

/// The temperature for the predictions of a split: the least change that its rows can't tell from the best. On other rows that is
/// the safer one: with MiniLM the test splits of SST-5 and SST-2, three seeds each, had a lower log loss so than at the best.
///
/// # Errors
/// Predictions that no temperature is best for.
fn fitted(split: &LabeledSplit, predicted: &Predicted) -> Result<f64> {
    let fitted = fit_temperature(&split.truth, &logits_of(&predicted.probabilities));
    let name = split.name_and_rows();
    match fitted.degenerate {
        None if fitted.cautious == 1.0 => bail!(
            "{name}: these rows can't tell the model's probabilities from calibrated ones (the best temperature would be {:.3}), so \
             the run stays as it is (hint: --data DIR names prepared data with a larger validation split)",
            fitted.temperature
        ),
        None => Ok(fitted.cautious),
        Some(DegenerateFit::AlwaysRight) => bail!(
            "{name}: the model makes no mistakes there, or hardly any, so that it could never be too sure, and no temperature is \
             the best (hint: --data DIR names prepared data with a larger validation split)"
        ),
        Some(DegenerateFit::NoBetterThanAGuess | DegenerateFit::EqualLogits) => bail!(
            "{name}: the model's probabilities are no better there than a guess, and no temperature changes that (hint: \
             `evaluate --split {}` shows what it predicts; `train` with another --learning-rate or more --epochs)",
            split.scored.split
        ),
    }
}

/// Refuses weights that give a row another label than before.
fn check_predictions(split: &str, before: &[u32], after: &[u32]) -> Result<()> {
    let changed: Vec<usize> = (0..before.len()).filter(|row| before[*row] != after[*row]).collect();
    if let Some(first) = changed.first() {
        bail!(
            "{split}: {} of the labels would change, the first in row {first}, because two classes are equally probable there \
             but for rounding; the run stays as it is (hint: --data DIR fits another temperature on other data)",
            changed.len()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_that_would_change_is_refused_with_its_row() {
        assert!(check_predictions("test (3 rows)", &[0, 1, 1], &[0, 1, 1]).is_ok());
        let error = check_predictions("test (3 rows)", &[0, 1, 1], &[0, 1, 0]).unwrap_err().to_string();
        assert!(error.starts_with("test (3 rows): 1 of the labels would change, the first in row 2"), "{error}");
    }
}
