//! What the scores of an evaluation mean: its rows, with all that is known of them, are judged.

use std::path::Path;

use ::predict::Predictor;
use anyhow::Result;
use data::source::SourceChoice;
use judge::{
    Calibration, ClassCurves, Comparison, HeadlineFigures, Judgement, Mistakes, SCHEMA_VERSION, ScoredRows,
    SelectivePrediction, Slices,
};
use metrics::Bootstrap;
use run::CalibrationRecord;
use tch::Device;
use train::evaluate::Evaluation;

use super::against;
use super::baseline_rows::baselines;
use super::row_facts::row_facts;
use super::scored_data::ScoredData;
use super::treebank_nodes::treebank_scores;

/// Accuracies that one may want, of which those are looked at that the model does not have anyway.
const WANTED: [f64; 4] = [0.8, 0.9, 0.95, 0.99];

/// What is judged, and what is asked for besides.
pub(super) struct JudgeRequest<'a> {
    pub run: &'a Path,
    pub scored: &'a ScoredData,
    pub predictor: &'a Predictor,
    pub evaluation: &'a Evaluation,
    pub device: Device,
    /// Another run to compare with.
    pub against: Option<&'a Path>,
    /// Accuracies to reach by abstaining, 0 to 1.
    pub wanted: &'a [f64],
    /// Where the treebank's trees come from, if their phrases are to be scored.
    pub treebank: Option<&'a SourceChoice>,
}

/// The judgement, and notes for the user. Probabilities that are not numbers can't be judged, which is a note.
///
/// # Errors
/// Another run or trees that can't be used.
pub(super) fn judged(request: &JudgeRequest<'_>) -> Result<(Option<Judgement>, Vec<String>)> {
    let JudgeRequest { run, scored, predictor, evaluation, device, .. } = *request;
    let bootstrap = Bootstrap::default();
    let labels = predictor.label_names();
    let truth: Vec<u32> = (0..scored.examples.len()).filter_map(|row| scored.examples.label(row)).collect();
    let facts = row_facts(scored, predictor.tokenizer())?;
    let rows = ScoredRows {
        label_names: labels,
        truth: &truth,
        predictions: &evaluation.predictions,
        probabilities: &evaluation.probabilities,
        facts: &facts,
    };
    if let Err(error) = rows.check() {
        return Ok((None, vec![format!("warning: the scores are not judged: {error}")]));
    }

    let HeadlineFigures { scores, per_class, caution } = HeadlineFigures::of(&rows, &bootstrap)?;
    let mut notes: Vec<String> = caution.into_iter().collect();
    notes.extend(CalibrationRecord::of(run)?.map(|record| record.to_string()));
    let accuracy = evaluation.report.accuracy;
    let mut wanted: Vec<f64> = WANTED.into_iter().filter(|wanted| *wanted > accuracy).collect();
    wanted.extend(request.wanted);
    wanted.sort_by(f64::total_cmp);
    wanted.dedup();
    let comparison = match request.against {
        None => None,
        Some(other) => {
            disk::print_message(format!("comparing with {}", other.display()));
            let theirs = against::predictions(other, device, labels, &scored.examples)?;
            Some(Comparison::of(&rows, &theirs, other.display().to_string(), &bootstrap)?)
        }
    };
    notes.extend(comparison.as_ref().and_then(Comparison::caution));
    let treebank = match request.treebank {
        None => None,
        Some(source) => {
            let (scores, about_trees) = treebank_scores(source, scored, predictor, &bootstrap)?;
            notes.extend(about_trees);
            Some(scores)
        }
    };
    let (baselines, about_baselines) = baselines(run, &scored.split, &rows, &bootstrap);
    notes.extend(about_baselines);
    let judgement = Judgement {
        schema_version: SCHEMA_VERSION,
        level: 0.95,
        resamples: bootstrap.resamples,
        seed: bootstrap.seed,
        scores,
        per_class,
        calibration: Calibration::of(&rows, &bootstrap),
        selective: SelectivePrediction::of(&rows, &wanted),
        curves: ClassCurves::of_all(&rows),
        slices: Slices::of(&rows, &scored.slice_columns),
        baselines,
        comparison,
        mistakes: Mistakes::of(&rows),
        treebank,
    };
    Ok((Some(judgement), notes))
}
