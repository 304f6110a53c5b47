//! `verdict verify-resume`: trains twice, once undisturbed and once killed again and again, and compares the ends.
//!
//! The killed processes are real ones, ended by SIGKILL: in training, inside a save, and while they recover from the
//! kill before. What the two trainings leave behind must be the same to the bit, timings aside.

mod compare;
mod flat_json;
mod killer;
mod process;
mod random;
mod watch;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use data::manifest::{Prepared, newest_prepared};
use disk::{create_folder_all, write_atomic};
use model::device_name;
use run::{Event, RUNS, read_log};
use serde::Serialize;
use train::{TrainArgs, TrainConfig};

use killer::{Kill, Killer, Kind, Timeline};
use process::{End, KillPlan, Seen, Watched};
use random::SplitMix64;

/// The flags of `verify-resume`: those of `train`, and these.
#[derive(Args)]
pub struct VerifyResumeArgs {
    #[command(flatten)]
    train: TrainArgs,
    /// How many processes are killed
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..),
        help_heading = "Verification")]
    kills: u32,
    /// Seed of the instants at which they are killed
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Verification")]
    kill_seed: u64,
    /// Also write what was found to this file, as JSON
    #[arg(long, value_name = "FILE", help_heading = "Verification")]
    report: Option<PathBuf>,
}

/// What `--report` gets.
#[derive(Serialize)]
struct Report {
    identical: bool,
    /// Whether no kill cost more than the steps since the last checkpoint that was due.
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
    comparisons: Vec<Comparison>,
    deaths: Vec<Kill>,
}

/// One part of a run, held against the same part of the undisturbed run.
#[derive(Serialize)]
struct Comparison {
    part: &'static str,
    identical: bool,
    /// File, place and both values, of each killed run that differs.
    differences: Vec<String>,
}

/// Trains, kills, compares and shows.
pub fn run(args: &VerifyResumeArgs) -> Result<()> {
    let started = Instant::now();
    let (config, split) = settle(args)?;
    let threads = config.threads.unwrap_or(1);
    let work = Work::create()?;
    let saved = work.path.join("train.toml");
    write_atomic(&saved, config.to_toml())?;
    let this = std::env::current_exe().context("can't tell which program this is")?;
    let train = |run: &Path, resume: bool| {
        let mut command = Command::new(&this);
        command.arg("train").arg("--config").arg(&saved).arg("--output").arg(run);
        if resume {
            command.arg("--resume");
        }
        command
    };

    let reference = work.path.join("undisturbed");
    eprintln!("training undisturbed, then with {} kills (seed {}); in {}", args.kills, args.kill_seed, work.shown());
    let (timeline, seen) = undisturbed(train(&reference, false), &reference, &config)?;
    let mut killer = Killer {
        command: &train,
        timeline,
        seen,
        wanted: args.kills as usize,
        random: SplitMix64(args.kill_seed),
        kills: Vec::new(),
    };
    let runs = killer.run(&work.path)?;

    let predict = |run: &Path| predictions(&this, run, &split, threads);
    let comparisons = compare(&reference, &runs, &predict)?;
    let count = |kind: Kind| killer.kills.iter().filter(|kill| kill.kind == kind).count();
    let interval = killer.timeline.interval;
    let most_saves_lost = killer.kills.iter().map(|kill| kill.lost_saves).max().unwrap_or(0);
    let report = Report {
        identical: comparisons.iter().all(|comparison| comparison.identical),
        lost_at_most_an_interval: most_saves_lost == 0,
        kills: killer.kills.len(),
        kills_in_training: count(Kind::Training),
        kills_inside_a_save: count(Kind::Saving),
        kills_in_recovery: count(Kind::Recovering),
        kill_seed: args.kill_seed,
        killed_runs: runs.len(),
        steps: killer.timeline.steps(),
        save_interval: interval,
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
    show(&report);
    if !(report.identical && report.lost_at_most_an_interval) {
        bail!("a killed and resumed training did not end as the undisturbed one; both are kept in {}", work.shown());
    }
    work.remove();
    Ok(())
}

/// The configuration to train with, nothing about it left open, and the split to predict.
fn settle(args: &VerifyResumeArgs) -> Result<(TrainConfig, String)> {
    let mut config = TrainConfig::from_args(&args.train)?;
    ensure!(
        config.output.is_none(),
        "verify-resume trains into folders of its own (hint: leave --output out; the folders stay where something differs)"
    );
    ensure!(
        args.train.resume.is_none(),
        "verify-resume begins its trainings itself (hint: leave --resume out; the flags of the run to be verified say the \
         rest)"
    );
    let device = config.device.device()?;
    ensure!(
        device == tch::Device::Cpu,
        "a resumed training is the same to the bit on the CPU only, and this one would run on {} (hint: --device \
         cpu)",
        device_name(device)
    );
    // Another thread count adds in another order, so all processes are told the same one.
    config.threads = Some(config.threads.unwrap_or(tch::get_num_threads() as usize));
    let dir = match config.data.take() {
        Some(dir) => dir,
        None => newest_prepared()?,
    };
    let split = if Prepared::open(&dir)?.manifest.splits.contains_key("validation") { "validation" } else { "train" };
    config.data = Some(dir);
    Ok((config, split.to_owned()))
}

/// The folder of both trainings, beside the runs. It stays unless it is removed.
struct Work {
    path: PathBuf,
}

impl Work {
    fn create() -> Result<Self> {
        create_folder_all(Path::new(RUNS))?;
        for number in 1.. {
            let path = Path::new(RUNS).join(format!("verify-resume-{number}"));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self { path }),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error).with_context(|| format!("can't make the folder {}", path.display())),
            }
        }
        bail!("no name is free for a working folder under {RUNS}");
    }

    fn shown(&self) -> String {
        self.path.display().to_string()
    }

    /// Removes it, and the folder of the runs where nothing else is in that.
    fn remove(self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            eprintln!("warning: {} can't be removed: {error}", self.path.display());
        }
        let _ = fs::remove_dir(RUNS);
    }
}

/// Trains without a kill, and learns how long what takes.
fn undisturbed(command: Command, run: &Path, config: &TrainConfig) -> Result<(Timeline, Seen)> {
    let (began, mut seen) = (Instant::now(), Seen::default());
    let process = Watched::start(command, run, &run.with_extension("txt"))?;
    let End::Done = process.see_through(KillPlan::Undisturbed, Duration::MAX, &mut seen)? else {
        bail!("the undisturbed training was killed");
    };
    let most = Duration::from_secs(60) + began.elapsed() * 20;
    let (mut seconds, mut epoch) = (Vec::new(), None);
    for event in read_log(run)? {
        if let Event::Step(step) = event {
            seconds.push(step.seconds);
            epoch = epoch.or(Some(step.epoch));
        }
    }
    let epoch =
        epoch.filter(|epoch| *epoch > 0.0).with_context(|| format!("the log in {} holds no step", run.display()))?;
    // A checkpoint is written at least at the end of every epoch, of which the first step is this share.
    let steps_per_epoch = (1.0 / epoch).round() as u64;
    eprintln!("undisturbed: {} steps in {:.1} s", seconds.len(), began.elapsed().as_secs_f64());
    Ok((Timeline::new(seconds, steps_per_epoch, config.checkpoint.save_every, most), seen))
}

/// Writes the answers of a run to a file beside it.
fn predictions(this: &Path, run: &Path, split: &str, threads: usize) -> Result<PathBuf> {
    let path = run.with_extension("jsonl");
    let file = fs::File::create(&path).with_context(|| path.display().to_string())?;
    let flags = ["--split", split, "--json", "--precision", "fp32", "--device", "cpu"];
    let mut command = Command::new(this);
    command.args([OsStr::new("predict"), "--run".as_ref(), run.as_os_str()]).args(flags).stdout(file);
    let status =
        command.env("OMP_NUM_THREADS", threads.to_string()).status().context("can't start this program again")?;
    ensure!(status.success(), "predicting with {} failed ({status})", run.display());
    Ok(path)
}

/// Every part of every killed run against the undisturbed one.
fn compare(reference: &Path, runs: &[PathBuf], predict: &dyn Fn(&Path) -> Result<PathBuf>) -> Result<Vec<Comparison>> {
    let parts = compare::PARTS.into_iter().chain([compare::PREDICTIONS]);
    let mut comparisons: Vec<Comparison> =
        parts.map(|part| Comparison { part, identical: true, differences: Vec::new() }).collect();
    let answers = predict(reference)?;
    for run in runs {
        let mut outcomes = compare::runs(reference, run)?;
        // A run that kept the same model to the bit may still answer from another configuration or tokenizer.
        outcomes.push((compare::PREDICTIONS, compare::lines(&answers, &predict(run)?)?));
        for (comparison, (_, difference)) in comparisons.iter_mut().zip(outcomes) {
            let named = difference.map(|text| format!("{}: {text}", run.display()));
            comparison.differences.extend(named);
            comparison.identical = comparison.differences.is_empty();
        }
    }
    Ok(comparisons)
}

fn show(report: &Report) {
    let runs = if report.killed_runs == 1 { "run" } else { "runs" };
    println!("{} killed {runs} against the undisturbed one, {} steps each\n", report.killed_runs, report.steps);
    for comparison in &report.comparisons {
        println!("{:<24} {}", comparison.part, if comparison.identical { "identical" } else { "DIFFERENT" });
        for difference in &comparison.differences {
            println!("    {difference}");
        }
    }
    println!(
        "\nkills                    {}: {} in training, {} inside a save, {} during recovery (seed {})",
        report.kills, report.kills_in_training, report.kills_inside_a_save, report.kills_in_recovery, report.kill_seed
    );
    println!(
        "work lost by a kill      at most {} steps, a checkpoint being due every {}; {}",
        report.most_steps_lost,
        report.save_interval,
        match report.most_saves_lost {
            0 => "none that was due was lost".to_owned(),
            lost => format!("{lost} THAT WERE DUE WERE LOST"),
        }
    );
    println!("threads                  {}", report.threads);
    println!("took                     {:.1} s", report.seconds);
}
