//! The entry point of training: resolves the options, loads data and model, opens the run folder and starts the
//! trainer.

use std::collections::BTreeMap;
use std::rc::Rc;

use collective::{Alone, Collective};
use model::{ChosenPrecision, LoadReport};
use run::{RUN_TOML, RunFolder};

use crate::error::{Result, TrainError};
use crate::options::{GivenOptions, TrainArgs, TrainConfig};
use crate::ranks::{self, Beginning};
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
    let folder = train_with(args, Rc::new(Alone))?;
    Ok(folder.expect("a single process owns the folder"))
}

/// The same as one of several processes, of which only rank 0 has a folder.
pub(crate) fn train_with(args: &TrainArgs, ranks: Rc<dyn Collective>) -> Result<Option<RunFolder>> {
    let (request, beginning) = begin(args, &*ranks)?;
    let RankRequest { config, given, begin } = request;
    if beginning.finished {
        if let Some(Begin::Finished(folder)) = begin {
            tracing::info!("{} is finished: there is nothing to do", folder.path().display());
            return Ok(Some(folder));
        }
        return Ok(None);
    }
    let recorded = begin.as_ref().and_then(Begin::recorded_precision);
    let setup = set_up(&config, &given, recorded, &*ranks)?;
    if setup.validation.is_none() {
        given.refuse_evaluation_options()?;
    }
    let mut identity = setup.identity()?;
    ranks::check_same(&config, &identity, &*ranks)?;
    identity.processes = ranks.world();
    let (model, report) = setup.load_model(&config)?;
    let (folder, checkpoint) = match begin {
        None => (None, None),
        Some(Begin::Fresh) => {
            let dataset = &setup.prepared.manifest.dataset;
            (Some(RunFolder::create(config.output.as_deref(), dataset, &setup.pretrained.name)?), None)
        }
        Some(Begin::Finished(folder) | Begin::Restart(folder)) => (Some(folder), None),
        Some(Begin::Resume(folder, checkpoint)) => {
            setup.prepared.verify()?;
            identity.base_weights_sha256 = setup.base_weights_sha256()?;
            resume::check_compatible(&checkpoint, &config, &identity, args.allow_change)?;
            note_other_processes(checkpoint.state.identity.processes, ranks.world());
            (Some(folder), Some(checkpoint))
        }
    };
    // The saved configuration contains the data and model that were chosen by default.
    let mut resolved = config.clone();
    resolved.data = Some(absolute(&setup.prepared.dir));
    resolved.model = Some(recorded_name(&setup.pretrained));
    if let Some(folder) = &folder {
        folder.write(RUN_TOML, resolved.to_toml())?;
        log_setup(&setup, &report, folder, recorded);
        if checkpoint.is_none() {
            folder.cut_logs(&BTreeMap::new())?;
        }
    }
    let step = TrainStep::new(&resolved, model, setup.class_weights(&resolved), Rc::clone(&ranks))?;
    let output = folder.map(|folder| (folder, identity));
    let mut trainer = Trainer::new(&resolved, setup, step, output, Rc::clone(&ranks))?;
    if args.profile {
        trainer.profile();
    }
    if let Some(checkpoint) = checkpoint {
        trainer.resume_from(&checkpoint)?;
    }
    if ranks.world() > 1 && trainer.share_state()? && !ranks.is_first() {
        return Ok(None);
    }
    trainer.train()
}

/// What a process is to train, and where it starts; only rank 0 knows the latter.
struct RankRequest {
    config: TrainConfig,
    given: GivenOptions,
    begin: Option<Begin>,
}

/// Resolves the request on rank 0, which tells the others.
fn begin(args: &TrainArgs, ranks: &dyn Collective) -> Result<(RankRequest, Beginning)> {
    if ranks.is_first() {
        let TrainRequest { config, given, begin } = TrainRequest::new(args)?;
        let (continues, finished) = (!matches!(begin, Begin::Fresh), matches!(begin, Begin::Finished(_)));
        let beginning = Beginning::share(Some(Beginning::new(&config, continues, finished)?), ranks)?;
        return Ok((RankRequest { config, given, begin: Some(begin) }, beginning));
    }
    let beginning = Beginning::share(None, ranks)?;
    let (config, given) = beginning.request_of(args)?;
    Ok((RankRequest { config, given, begin: None }, beginning))
}

/// Checks data, model and device. `auto` is measured by rank 0, for all.
fn set_up(
    config: &TrainConfig,
    given: &GivenOptions,
    recorded: Option<ChosenPrecision>,
    ranks: &dyn Collective,
) -> Result<Setup> {
    let located = |error| match error {
        TrainError::Options(error) => given.locate(error).into(),
        other => other,
    };
    if ranks.is_first() {
        let setup = Setup::new(config, recorded, ranks).map_err(located)?;
        ranks::share_precision(Some(setup.precision), ranks)?;
        return Ok(setup);
    }
    let chosen = ranks::share_precision(None, ranks)?;
    Setup::new(config, Some(chosen), ranks).map_err(located)
}

fn note_other_processes(before: usize, now: usize) {
    if before != now {
        let have =
            |count: usize| if count == 1 { "1 process has".to_owned() } else { format!("{count} processes have") };
        let continues = if now == 1 { "continues" } else { "continue" };
        disk::print_message(format!(
            "note: {} trained this run so far, and {now} {continues} it: from here on the numbers differ in the last digits \
             from those of {before}",
            have(before)
        ));
    }
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
