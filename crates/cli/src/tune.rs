//! `verdict tune`: runs the trials of a hyper-parameter study and keeps the best model by the validation split.
//!
//! The study is one append-only file (the crate `tune`); each trial is a process. Reading order: `args`, `plan` (the settings
//! of all trials), `study_context` (what makes their values comparable), `study_precision` (their number format), `folder` (the files of a study), `runner` (the
//! loop, in which each trial is a process of `train`), `table` (the progress output), `winner` (the best trial), `optimism`, `export` (page and tables).

mod args;
mod attributes;
mod export;
mod folder;
mod optimism;
mod plan;
mod runner;
mod study_context;
mod study_precision;
mod table;
mod winner;

use std::cell::Cell;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use metrics::Direction as Better;
use train::signals;
use tune::space::Space;
use tune::{Study, StudyDirection, TrialState};

pub(crate) use args::TuneArgs;

use folder::{STUDIES, StudyFolder};
use plan::StudyPlan;
use runner::{Runner, StopReason};
use study_precision::study_precision;
use table::{TrialTable, format_value};
use winner::Winner;

/// The page and the tables are written at most this often.
const EXPORT_INTERVAL: Duration = Duration::from_secs(5);

/// Starts or continues a study.
pub(crate) fn run(args: &TuneArgs) -> Result<ExitCode> {
    if args.print_space {
        disk::print(Space::default_file())?;
        return Ok(ExitCode::SUCCESS);
    }
    let space = StudyPlan::space(args)?;
    let mut plan = StudyPlan::new(args)?;
    let folder = StudyFolder::create(args.study.clone().unwrap_or_else(|| Path::new(STUDIES).join(plan.name())))?;
    let mut study = open(&folder, &plan)?;
    plan.context(&space).check_compatible(&mut study)?;
    signals::install()?;
    let precision = study_precision(&mut study, &space, plan.base_config())?;
    plan.precision = precision.map(|chosen| chosen.format);

    let (sampler, pruner) = (args.sampler.sampler(args.seed), args.pruner.pruner());
    let finished = study.trials().iter().filter(|trial| trial.state.is_finished()).count();
    let so_far = if finished == 0 { String::new() } else { format!(", {finished} trials finished before") };
    let computed = precision.map_or_else(String::new, |precision| format!(", in {precision}"));
    disk::print_message(format!(
        "study {} ({} on {}): sampler {}, pruner {}; {}{computed}{so_far}",
        folder.path().display(),
        plan.metric,
        plan.manifest.dataset,
        args.sampler,
        args.pruner,
        plan.describe_workers()
    ));
    let parameters = space.parameters().iter().map(|parameter| parameter.name.clone()).collect();
    let mut table = TrialTable::new(&plan.metric.to_string(), parameters);
    // A process may have died between the end of a trial and the removal of its weights.
    let best = study.best().map(|best| best.number);
    for trial in study.trials().iter().filter(|trial| trial.state.is_finished()) {
        folder.remove_weights(trial.number, best == Some(trial.number));
    }
    let written = Cell::new(None::<Instant>);
    let write_all = |study: &Study| {
        if written.get().is_some_and(|written| written.elapsed() < EXPORT_INTERVAL) {
            return Ok(());
        }
        export::write(study, &folder, &plan, &space, None)?;
        written.set(Some(Instant::now()));
        Ok(())
    };
    let end = Runner {
        plan: &plan,
        space: &space,
        sampler: &*sampler,
        pruner: &*pruner,
        folder: &folder,
        study: &mut study,
        table: &mut table,
        after_trial: &write_all,
    }
    .run();
    table.close();
    let end = end?;

    let mut winner = Winner::publish(&study, &folder, &plan, &space)?;
    if let (Some(winner), StopReason::Done | StopReason::Time) = (&mut winner, end) {
        winner.score_on_test(&mut study, &folder, &plan, &space)?;
    }
    export::write(&study, &folder, &plan, &space, winner.as_ref())?;
    let printed = disk::print(describe_result(&study, &folder, &plan, winner.as_ref(), end)?);
    if let StopReason::Signal(signal) = end {
        // The terminal may be gone.
        return Ok(ExitCode::from(signal.exit_code()));
    }
    printed?;
    Ok(ExitCode::SUCCESS)
}

/// The study in a folder's journal: the existing one, whatever its name, or a new one.
fn open(folder: &StudyFolder, plan: &StudyPlan) -> Result<Study> {
    let journal = folder.journal();
    let names = if journal.is_file() { Study::names(&journal)? } else { Vec::new() };
    let name = match &names[..] {
        [name] => name.clone(),
        _ => plan.name(),
    };
    let direction = match plan.metric.direction() {
        Better::Higher => StudyDirection::Maximize,
        Better::Lower => StudyDirection::Minimize,
    };
    Study::open(&journal, &name, direction).with_context(|| format!("the study in {}", folder.path().display()))
}

/// The result, for standard output.
fn describe_result(
    study: &Study,
    folder: &StudyFolder,
    plan: &StudyPlan,
    winner: Option<&Winner>,
    end: StopReason,
) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    let trials = study.trials();
    let count = |state: TrialState| trials.iter().filter(|trial| trial.state == state).count();
    let finished = trials.iter().filter(|trial| trial.state.is_finished()).count();
    let path = |name: &str| folder.file(name).display().to_string();
    writeln!(out)?;
    writeln!(
        out,
        "study    {}: {finished} trials, {} pruned, {} failed",
        folder.path().display(),
        count(TrialState::Pruned),
        count(TrialState::Fail)
    )?;
    match winner {
        None => writeln!(out, "best     none: no trial is complete")?,
        Some(winner) => describe_winner(&mut out, winner, folder, plan, end)?,
    }
    writeln!(out, "files    {}, {}, {}", path("study.html"), path("trials.csv"), path("trials.json"))?;
    match end {
        StopReason::Done => {}
        StopReason::OthersRun(others) => {
            writeln!(out, "\n{others} trials are running in other processes; the last of these finishes the study")?
        }
        StopReason::Time => {
            writeln!(out, "\nThe time limit is reached. The same command continues the study for the same time again.")?
        }
        StopReason::Signal(_) => writeln!(out, "\nStopped. The same command continues the study.")?,
    }
    Ok(out)
}

fn describe_winner(
    out: &mut String,
    winner: &Winner,
    folder: &StudyFolder,
    plan: &StudyPlan,
    end: StopReason,
) -> std::fmt::Result {
    let trial = &winner.trial;
    let value = trial.value.unwrap_or(f64::NAN);
    writeln!(out, "best     trial {}: {} {value:.4} on validation, which selected it", trial.number, plan.metric)?;
    for (name, param) in &trial.params {
        writeln!(out, "           {name} = {}", format_value(&param.value()))?;
    }
    match (winner.test_score(), end) {
        (Some(test), _) => {
            let times = match winner.test_scores.len() {
                1 => "scored once, after the selection".to_owned(),
                times => format!("scored {times} times in this study, which makes it less reliable"),
            };
            writeln!(out, "test     {} {:.4} on {} texts, {times}", plan.metric, test.value, test.examples)?;
            if let Some(optimism) = winner.optimism(plan) {
                writeln!(out, "           {optimism}")?;
            }
        }
        (None, StopReason::Done | StopReason::Time) if winner.has_model => {
            writeln!(out, "test     not scored: the data has no labeled test split")?
        }
        (None, _) => writeln!(out, "test     not scored yet: this is done once, at the end")?,
    }
    if winner.has_model {
        writeln!(out, "model    {}", folder.best().display())?;
    } else {
        writeln!(
            out,
            "model    not available: trial {} was trained elsewhere; the configuration below trains it again",
            trial.number
        )?;
    }
    writeln!(out, "config   {}", folder.file("best.toml").display())
}
