//! The first use of a run in int8: its predictions are held against those in fp32, once.

use std::path::Path;

use ::predict::Predictor;
use anyhow::Result;
use collective::Alone;
use model::{InferencePrecision, Precision};
use run::{Int8Comparison, WeightsFile};
use tch::Device;

use super::prepared_split::validation_split;

/// Examples per forward pass.
const BATCH_SIZE: usize = 32;

/// What the user should know about a run that computes in this format: if that is int8, how its predictions differ from
/// those in fp32 on the run's validation split. That is computed once and kept with the run.
///
/// # Errors
/// A failure of the evaluation itself. A run without a validation split is no error but a note.
pub(crate) fn int8_notes(run: &Path, predictor: &Predictor, precision: InferencePrecision) -> Result<Vec<String>> {
    if precision != InferencePrecision::Int8 {
        return Ok(Vec::new());
    }
    let mut notes: Vec<String> = precision.note().into_iter().collect();
    match Int8Comparison::read(run) {
        Some(kept) => notes.push(kept.to_string()),
        None => notes.extend(compare(run, predictor)?),
    }
    Ok(notes)
}

fn compare(run: &Path, predictor: &Predictor) -> Result<Vec<String>> {
    let (examples, split) = match validation_split(run) {
        Ok(found) => found,
        Err(error) => {
            return Ok(vec![format!(
                "int8 was not compared with fp32, because there is no validation split: {error:#}"
            )]);
        }
    };
    disk::print_message(format!("comparing int8 with fp32 on the {split} split ({} rows), once", examples.len()));
    let weights = WeightsFile::of(run)?;
    let evaluate = |predictor: &Predictor| {
        train::evaluate::evaluate(predictor.model(), &examples, &split, predictor.label_names(), BATCH_SIZE, &Alone)
    };
    let int8 = evaluate(predictor)?;
    let fp32 = evaluate(&Predictor::open(run, Device::Cpu, Precision::Fp32)?)?;
    let same = int8.predictions.iter().zip(&fp32.predictions).filter(|(int8, fp32)| int8 == fp32).count();
    let comparison = Int8Comparison {
        split,
        rows: examples.len(),
        same_labels: same,
        accuracy_int8: int8.report.accuracy,
        accuracy_fp32: fp32.report.accuracy,
        weights,
    };
    let mut notes = vec![comparison.to_string()];
    if let Err(error) = comparison.write(run) {
        notes.push(format!("the comparison of int8 with fp32 is not kept with the run: {error}"));
    }
    Ok(notes)
}
