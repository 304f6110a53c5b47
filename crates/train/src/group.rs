//! A group of trainings that differ in the seed (`--seeds`) or in the fold that is held out (`--folds`).
//!
//! Each member is a training in a process of its own and a run like any other; what is known of the group is in its
//! `group.json` and in the runs, so that it may be killed at any time. In reading order: `args`, `request` (what the flags ask for),
//! `plan` (a new group, or one that is continued), `runner` (the processes), `progress`, `held_out` (the predictions of the
//! rows of each fold).

mod args;
mod held_out;
mod plan;
mod progress;
mod request;
mod runner;

use std::io;
use std::path::PathBuf;
use std::process::Command;

use model::{ChosenPrecision, Precision, ProductRates};
use run::{GroupKind, MemberResult, OUT_OF_FOLD, RunFolder, RunGroup};

use crate::error::{Result, TrainError};
use crate::signals;
use crate::training_process::visible_gpus;

pub use args::GroupArgs;
pub(crate) use held_out::predict_held_out;
pub(crate) use request::GroupRequest;

use plan::GroupPlan;
use runner::GroupRunner;

/// This program, which trains the members.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Program {
    /// The word after which it has the flags of `train`.
    pub(crate) subcommand: Option<&'static str>,
}

impl Program {
    /// The command that trains, without flags.
    fn command(self) -> io::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(self.subcommand);
        Ok(command)
    }
}

/// Trains the members of a group that are not finished, and returns the group's folder.
pub(crate) fn train_group(request: &GroupRequest<'_>, program: Program) -> Result<PathBuf> {
    let GroupPlan { folder, mut group, config } = GroupPlan::new(request)?;
    signals::install()
        .map_err(|error| TrainError::Refused(format!("failed to install the signal handlers: {error}")))?;
    let path = folder.path().to_owned();
    note_finished(&folder, &mut group);
    group.write(&path)?;
    disk::print_message(describe(&folder, &group, request.workers()));
    let mut runner = GroupRunner {
        folder: &folder,
        group: &mut group,
        config: &config,
        program,
        profile: request.profile(),
        workers: request.workers(),
        gpus: visible_gpus(config.device.device()?),
    };
    if let Some(signal) = runner.run()? {
        let (finished, members) = (group.finished(), group.members.len());
        return Err(TrainError::GroupInterrupted { signal, group: path, finished, members });
    }
    if group.kind == GroupKind::Folds && group.is_finished() {
        held_out::gather(&folder, &mut group)?;
    }
    group.write(&path)?;
    report(&folder, &group)?;
    Ok(path)
}

/// Enters what finished members have written since `group.json` was.
fn note_finished(folder: &RunFolder, group: &mut RunGroup) {
    for member in &mut group.members {
        let result = runner::result_of(folder, member);
        if result.is_some() {
            member.failed = None;
        }
        member.result = result;
    }
    group.summarize();
}

fn describe(folder: &RunFolder, group: &RunGroup, workers: usize) -> String {
    let count = group.members.len();
    let what = match group.kind {
        GroupKind::Seeds => format!("{count} seeds"),
        GroupKind::Folds => format!("{count} folds of the training split"),
    };
    let at_once = if workers > 1 { format!(", {workers} at the same time") } else { String::new() };
    let before = match group.finished() {
        0 => String::new(),
        finished => format!(", {finished} finished before"),
    };
    let precision = match Precision::from_name(&group.precision) {
        Some(format) => {
            let rates = ProductRates::from_names(&group.product_gflops);
            ChosenPrecision { format, rates }.to_string()
        }
        None => group.precision.clone(),
    };
    format!("group {}: {what} in {precision}{at_once}{before}", folder.path().display())
}

/// The scores of all members on stderr.
///
/// # Errors
/// Members that failed.
fn report(folder: &RunFolder, group: &RunGroup) -> Result<()> {
    if let Some(scores) = &group.validation {
        disk::print_message(format!("\n{scores}"));
    }
    if let Some(scores) = &group.out_of_fold {
        let score = |name: &str| scores.get(name).unwrap_or(f64::NAN);
        disk::print_message(format!(
            "all {} rows, each by the run that did not train on it: accuracy {:.4}, macro_f1 {:.4}, loss {:.4}, in {}",
            group.results().map(|(_, result): (_, &MemberResult)| result.rows).sum::<u64>(),
            score("accuracy"),
            score("macro_f1"),
            score("loss"),
            folder.file(OUT_OF_FOLD).display()
        ));
    }
    if let Some(best) = &group.best {
        disk::print_message(format!(
            "best: {best}, by {} on validation; --run {} opens it",
            group.metric,
            folder.path().display()
        ));
    }
    let failed: Vec<String> = group
        .members
        .iter()
        .filter_map(|member| Some(format!("\n  {}: {}", member.name, member.failed.as_ref()?)))
        .collect();
    if failed.is_empty() {
        return Ok(());
    }
    Err(TrainError::Refused(format!(
        "{} of {} runs of {} failed, and mean and deviation are those of the others:{}\n  (hint: the same command tries them \
         again; their output is in {})",
        failed.len(),
        group.members.len(),
        folder.path().display(),
        failed.concat(),
        folder.path().join("NAME.txt").display()
    )))
}
