//! The entry point of training: resolves the options, loads data and model, opens the run folder and starts the
//! trainer.

use std::collections::BTreeMap;

use model::{ChosenPrecision, LoadReport};
use run::{RUN_TOML, RunFolder};

use crate::error::{Result, TrainError};
use crate::options::TrainArgs;
use crate::resume::{self, Begin, TrainRequest};
use crate::setup::{Setup, absolute, recorded_name};
use crate::step::TrainStep;
use crate::trainer::Trainer;

/// Trains a new run or resumes one from a checkpoint, and returns the folder of the finished run.
///
/// # Errors
/// Any problem that prevents a run from starting, reported before the first step; a loss that is not finite; a
/// checkpoint that can't be written; [`Interrupted`](crate::TrainError::Interrupted) after SIGINT, SIGTERM or SIGHUP.
pub fn train(args: &TrainArgs) -> Result<RunFolder> {
    let TrainRequest { config, given, begin } = TrainRequest::new(args)?;
    if let Begin::Finished(folder) = begin {
        tracing::info!("{} is finished: there is nothing to do", folder.path().display());
        return Ok(folder);
    }
    let recorded = begin.recorded_precision();
    let setup = Setup::new(&config, recorded).map_err(|error| match error {
        TrainError::Options(error) => given.locate(error).into(),
        other => other,
    })?;
    if setup.validation.is_none() {
        given.refuse_evaluation_options()?;
    }
    let mut identity = setup.identity()?;
    let (model, report) = setup.load_model(&config)?;
    let (folder, checkpoint) = match begin {
        Begin::Fresh => {
            let dataset = &setup.prepared.manifest.dataset;
            (RunFolder::create(config.output.as_deref(), dataset, &setup.pretrained.name)?, None)
        }
        Begin::Finished(folder) | Begin::Restart(folder) => (folder, None),
        Begin::Resume(folder, checkpoint) => {
            setup.prepared.verify()?;
            identity.base_weights_sha256 = setup.base_weights_sha256()?;
            resume::check_compatible(&checkpoint, &config, &identity, args.allow_change)?;
            (folder, Some(checkpoint))
        }
    };
    // The saved configuration contains the data and model that were chosen by default.
    let mut resolved = config.clone();
    resolved.data = Some(absolute(&setup.prepared.dir));
    resolved.model = Some(recorded_name(&setup.pretrained));
    folder.write(RUN_TOML, resolved.to_toml())?;
    log_setup(&setup, &report, &folder, recorded);
    if checkpoint.is_none() {
        folder.cut_logs(&BTreeMap::new())?;
    }
    let step = TrainStep::new(&resolved, model, setup.class_weights(&resolved))?;
    let mut trainer = Trainer::new(&resolved, setup, step, folder, identity)?;
    if args.profile {
        trainer.profile();
    }
    if let Some(checkpoint) = checkpoint {
        trainer.resume_from(&checkpoint)?;
    }
    trainer.train()
}

fn log_setup(setup: &Setup, report: &LoadReport, folder: &RunFolder, recorded: Option<ChosenPrecision>) {
    let manifest = &setup.prepared.manifest;
    tracing::info!("data: {} ({}), {}", setup.prepared.dir.display(), manifest.variant, manifest.source);
    let since = if recorded == Some(setup.precision) { ", as before" } else { "" };
    tracing::info!("model: {} in {}{since}", setup.pretrained.name, setup.precision);
    for note in manifest.notes.iter().cloned().chain(setup.notes()) {
        disk::print_message(format!("note: {note}"));
    }
    if let Some(line) = head_line(report) {
        tracing::info!("{line}");
    }
    tracing::info!("run: {}", folder.path().display());
}

/// What is learned from the data alone, and why, where the model has a head of its own.
fn head_line(report: &LoadReport) -> Option<String> {
    let new = format!("new, to be learned from your data: {}", report.initialized.join(", "));
    match &report.head_note {
        Some(note) if report.initialized.is_empty() => Some(note.clone()),
        Some(note) => Some(format!("{new} ({note})")),
        None => Some(new).filter(|_| !report.initialized.is_empty()),
    }
}
