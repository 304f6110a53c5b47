//! `verdict verify-resume`: trains once uninterrupted and once killed again and again, and compares the results.
//!
//! The killed processes are real ones, ended by SIGKILL: in training, inside a save, and while they recover from the
//! kill before. What the two trainings write must be bit-identical, apart from timings.

mod compare;
mod kill;
mod process;

use std::fmt::Write as _;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use data::manifest::{Prepared, newest_prepared};
use disk::{create_folder_all, write_atomic};
use model::{PrecisionChoice, device_name};
use run::{Event, RUNS, StepRecord, read_log};
use serde::Serialize;
use train::{TrainArgs, TrainConfig};

use crate::this_program;
use compare::{PartComparison, compare, predictions_of};
use kill::{Kill, KillMoment, Killer, SeededRandom, Timeline, steps_of_saves};
use process::{KillPlan, watch};

/// The flags of `verify-resume`: those of `train`, and these.
#[derive(Args)]
pub(crate) struct VerifyResumeArgs {
    #[command(flatten)]
    train: TrainArgs,
    /// Number of processes to kill
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..),
        help_heading = "Verification")]
    kills: u32,
    /// Seed of the random times of the kills
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Verification")]
    kill_seed: u64,
    /// Also write the result to this file, as JSON
    #[arg(long, value_name = "FILE", help_heading = "Verification")]
    report: Option<PathBuf>,
}

/// The JSON that `--report` writes.
#[derive(Serialize)]
struct Report {
    identical: bool,
    /// Whether every kill lost only steps after the last checkpoint that was due.
    lost_at_most_an_interval: bool,
    kills: usize,
    kills_in_training: usize,
    kills_inside_a_save: usize,
    kills_in_recovery: usize,
    kill_seed: u64,
    killed_runs: usize,
    steps: u64,
    save_interval: u64,
    most_steps_lost: u64,
    most_saves_lost: usize,
    threads: usize,
    seconds: f64,
    comparisons: Vec<PartComparison>,
    deaths: Vec<Kill>,
}

/// Trains, kills, compares, and prints the comparison.
pub(crate) fn run(args: &VerifyResumeArgs) -> Result<()> {
    let started = Instant::now();
    let (config, split) = resolve_config(args)?;
    let threads = config.threads.unwrap_or(1);
    let work = work_folder()?;
    let saved = work.join("train.toml");
    write_atomic(&saved, config.to_toml())?;
    let train = |run: &Path, resume: bool| {
        let mut command = this_program("train")?;
        command.arg("--config").arg(&saved).arg("--output").arg(run).args(resume.then_some("--resume"));
        Ok(command)
    };

    let reference = work.join("uninterrupted");
    disk::print_message(format!(
        "training uninterrupted, then with {} kills (seed {}); in {}",
        args.kills,
        args.kill_seed,
        work.display()
    ));
    let timeline = uninterrupted(train(&reference, false)?, &reference, &config)?;
    let random = SeededRandom(args.kill_seed);
    let mut killer = Killer { command: &train, timeline, target: args.kills as usize, random, kills: Vec::new() };
    let runs = killer.run(&work)?;

    for run in runs.iter().chain([&reference]) {
        predict(run, &split, threads)?;
    }
    let comparisons = compare(&reference, &runs)?;
    let most_saves_lost = killer.kills.iter().map(|kill| kill.lost_saves).max().unwrap_or(0);
    let report = Report {
        identical: comparisons.iter().all(|comparison| comparison.identical),
        lost_at_most_an_interval: most_saves_lost == 0,
        kills: killer.kills.len(),
        kills_in_training: killer.count(KillMoment::Training),
        kills_inside_a_save: killer.count(KillMoment::Saving),
        kills_in_recovery: killer.count(KillMoment::Recovering),
        kill_seed: args.kill_seed,
        killed_runs: runs.len(),
        steps: killer.timeline.steps(),
        save_interval: killer.timeline.interval(),
        most_steps_lost: killer.kills.iter().map(|kill| kill.lost_steps).max().unwrap_or(0),
        most_saves_lost,
        threads,
        seconds: started.elapsed().as_secs_f64(),
        comparisons,
        deaths: killer.kills,
    };
    if let Some(path) = &args.report {
        write_atomic(path, serde_json::to_string_pretty(&report)? + "\n")?;
    }
    disk::print(report_text(&report)?)?;
    if !(report.identical && report.lost_at_most_an_interval) {
        bail!("a killed and resumed training differs from the uninterrupted one; both are kept in {}", work.display());
    }
    if let Err(error) = fs::remove_dir_all(&work) {
        disk::print_message(format!("warning: failed to remove {}: {error}", work.display()));
    }
    // This fails, as it should, if other runs are in it.
    let _ = fs::remove_dir(RUNS);
    Ok(())
}

/// The configuration to train with, threads, data and number format included, and the split to predict.
fn resolve_config(args: &VerifyResumeArgs) -> Result<(TrainConfig, String)> {
    let mut config = TrainConfig::from_args(&args.train)?;
    ensure!(
        config.output.is_none(),
        "verify-resume creates its own run folders (hint: leave --output out; the folders are kept if something differs)"
    );
    ensure!(
        args.train.resume.is_none(),
        "verify-resume starts and resumes its own trainings (hint: leave --resume out and give the flags of the training to verify)"
    );
    let device = config.device.device()?;
    ensure!(
        device == tch::Device::Cpu,
        "a resumed training is bit-identical on the CPU only, expected device cpu, found {} (hint: --device cpu)",
        device_name(device)
    );
    // The order of additions depends on the number of threads, so all processes use the same number.
    config.threads = Some(config.threads.unwrap_or(tch::get_num_threads() as usize));
    let dir = match config.data.take() {
        Some(dir) => dir,
        None => newest_prepared()?,
    };
    let split = if Prepared::open(&dir)?.manifest.splits.contains_key("validation") { "validation" } else { "train" };
    config.data = Some(dir);
    // So does the number format, which `auto` would measure in each process.
    if config.precision == PrecisionChoice::Auto {
        config.precision = train::resolve_precision(&config)?.format.into();
    }
    Ok((config, split.to_owned()))
}

/// A new folder for all trainings, beside the runs.
fn work_folder() -> Result<PathBuf> {
    create_folder_all(Path::new(RUNS))?;
    let mut number = 1;
    loop {
        let path = Path::new(RUNS).join(format!("verify-resume-{number}"));
        match fs::create_dir(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
            made => {
                made.with_context(|| format!("failed to create the folder {}", path.display()))?;
                return Ok(path);
            }
        }
    }
}

/// Trains without a kill and measures how long steps and saves take.
fn uninterrupted(command: Command, run: &Path, config: &TrainConfig) -> Result<Timeline> {
    let began = Instant::now();
    let mut process = watch(command, run, KillPlan::Uninterrupted, Duration::MAX)?;
    let took = began.elapsed();
    let step = |event| if let Event::Step(step) = event { Some(step) } else { None };
    let steps: Vec<StepRecord> = read_log(run)?.into_iter().filter_map(step).collect();
    let epoch = steps.first().map(|step| step.epoch).filter(|epoch| *epoch > 0.0);
    let epoch = epoch.with_context(|| format!("the log in {} holds no step", run.display()))?;
    disk::print_message(format!("uninterrupted: {} steps in {:.1} s", steps.len(), took.as_secs_f64()));
    // The first step is this share of an epoch.
    let steps_per_epoch = (1.0 / epoch).round() as u64;
    process.saves.sort();
    Ok(Timeline {
        seconds: steps.iter().map(|step| step.seconds).collect(),
        due: steps_of_saves(steps.len() as u64, steps_per_epoch, config.checkpoint.save_every),
        startup: process.startup.unwrap_or(took),
        // The median; a save that is too short to be noticed takes a few milliseconds at most.
        save: process.saves.get(process.saves.len() / 2).copied().unwrap_or(Duration::from_millis(3)),
        timeout: Duration::from_secs(60) + took * 20,
    })
}

/// Writes the predictions of a run to a file beside it.
fn predict(run: &Path, split: &str, threads: usize) -> Result<()> {
    let path = predictions_of(run);
    let file = fs::File::create(&path).with_context(|| path.display().to_string())?;
    let mut command = this_program("predict")?;
    command.arg("--run").arg(run).args(["--split", split, "--json", "--precision", "fp32", "--device", "cpu"]);
    let status = command.env("OMP_NUM_THREADS", threads.to_string()).stdout(file).status();
    let status = status.context("failed to start this program again")?;
    ensure!(status.success(), "predicting with {} failed ({status})", run.display());
    Ok(())
}

fn report_text(report: &Report) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    let runs = if report.killed_runs == 1 { "run" } else { "runs" };
    writeln!(out, "{} killed {runs} against the uninterrupted one, {} steps each\n", report.killed_runs, report.steps)?;
    for comparison in &report.comparisons {
        writeln!(out, "{:<24} {}", comparison.part, if comparison.identical { "identical" } else { "DIFFERENT" })?;
        for difference in &comparison.differences {
            writeln!(out, "    {difference}")?;
        }
    }
    writeln!(
        out,
        "\nkills                    {}: {} in training, {} inside a save, {} during recovery (seed {})",
        report.kills, report.kills_in_training, report.kills_inside_a_save, report.kills_in_recovery, report.kill_seed
    )?;
    writeln!(
        out,
        "work lost by a kill      at most {} steps, a checkpoint being due every {}; {}",
        report.most_steps_lost,
        report.save_interval,
        match report.most_saves_lost {
            0 => "no checkpoint was lost".to_owned(),
            lost => format!("{lost} CHECKPOINTS WERE LOST"),
        }
    )?;
    writeln!(out, "threads                  {}", report.threads)?;
    writeln!(out, "took                     {:.1} s", report.seconds)?;
    Ok(out)
}
