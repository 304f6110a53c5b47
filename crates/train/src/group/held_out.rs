//! The predictions of the rows that folds hold out: each training row by the one model that did not train on it.

use collective::Alone;
use data::folds::Folds;
use data::manifest::Prepared;
use metrics::{ClassificationReport, ConfusionMatrix, ReportOptions};
use model::{Config, LoadOptions, SequenceClassifier};
use run::{GroupScores, HELD_OUT, OUT_OF_FOLD, OutOfFold, OutOfFoldRow, RunFolder, RunGroup, last_step};

use crate::error::{Result, TrainError};
use crate::evaluate::evaluate;
use crate::options::{TrainArgs, TrainConfig};
use crate::ranks::set_threads;

/// Predicts the rows that a fold holds out with the best model of its run, and writes them into the run.
pub(crate) fn predict_held_out(run: &RunFolder, args: &TrainArgs, fold: u32) -> Result<()> {
    let config = TrainConfig::from_args(args)?;
    let refused = |what: &str| TrainError::Refused(format!("--held-out {fold}: {what}"));
    let dir = config.data.clone().ok_or_else(|| refused("the configuration names no data"))?;
    let folds = dir.parent().map(Folds::read).transpose()?.flatten();
    let rows = folds.ok_or_else(|| refused("the data is not that of a fold"))?.held_out(fold);
    let prepared = Prepared::open(&dir)?;
    let examples = prepared.split("validation")?;
    if examples.len() != rows.len() {
        return Err(refused(&format!("expected {} validation rows, found {}", rows.len(), examples.len())));
    }
    set_threads(&config, &Alone);
    let device = config.device.device()?;
    let model_config = Config::from_folder(run.path())?;
    let precision = config.precision.on(device, &model_config);
    let options = LoadOptions { device, precision, new_head: false, reinit_layers: 0, seed: 0 };
    let (model, _) = SequenceClassifier::load(run.path(), model_config, &options)?;
    let label_names = prepared.manifest.label_names.clone();
    let evaluation = evaluate(&model, &examples, "validation", &label_names, config.eval_batch_size, &Alone);
    let evaluation = match evaluation {
        // The training itself is finished and saved.
        Err(TrainError::Stopped(signal)) => {
            let step = last_step(run.path()).unwrap_or_default();
            return Err(TrainError::Interrupted { signal, run: run.path().to_owned(), step });
        }
        evaluation => evaluation?,
    };
    let row = |(at, (row, probabilities)): (usize, (usize, Vec<f32>))| -> Result<OutOfFoldRow> {
        let label = examples.label(at).ok_or_else(|| refused("a row has no label"))?;
        Ok(OutOfFoldRow { row: row as u64, fold, text: examples.text(at)?.to_owned(), label, probabilities })
    };
    let predicted = rows.into_iter().zip(evaluation.probabilities).enumerate();
    let rows = predicted.map(row).collect::<Result<_>>()?;
    Ok(OutOfFold { label_names, rows }.write(&run.file(HELD_OUT))?)
}

/// Gathers the predictions of all folds in the group's folder, and scores them together.
pub(super) fn gather(folder: &RunFolder, group: &mut RunGroup) -> Result<()> {
    let parts: Vec<OutOfFold> = group
        .members
        .iter()
        .map(|member| OutOfFold::read(&folder.file(&member.name).join(HELD_OUT)))
        .collect::<run::Result<_>>()?;
    let count = group.results().map(|(_, result)| result.rows as usize).sum();
    let all = OutOfFold::merge(parts, count)
        .map_err(|what| TrainError::Refused(format!("{}: {what}", folder.path().display())))?;
    all.write(&folder.file(OUT_OF_FOLD))?;
    let confusion = ConfusionMatrix::from_pairs(&all.truth(), &all.predictions(), all.label_names.len())?;
    let report = ClassificationReport::new(&confusion, &all.label_names, ReportOptions::default())?;
    let of_label = |row: &OutOfFoldRow| -f64::from(row.probabilities[row.label as usize]).ln();
    let loss = all.rows.iter().map(of_label).sum::<f64>() / all.rows.len() as f64;
    group.out_of_fold = Some(GroupScores::of_report(&report, loss));
    Ok(())
}
