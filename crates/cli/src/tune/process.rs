//! The process of a trial: a separate `train`, so that all its memory is freed, followed through its log.
//!
//! Its standard input is a pipe that is never written to. Closing it tells the training to save and stop; the system also
//! closes it if this process dies, so that no training outlives its study.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use run::{LogFollower, RunError};
use train::{TrainArgs, TrainError, signals};

use super::folder::StudyFolder;
use crate::this_program;

/// The flags of `trial`, which only [`TrialProcess`] starts.
#[derive(Args)]
pub(crate) struct TrialArgs {
    #[arg(long)]
    config: PathBuf,
    #[arg(long)]
    output: PathBuf,
}

/// How long a trial waits for a run folder that another training still uses.
const FOLDER_TIMEOUT: Duration = Duration::from_secs(120);

/// Trains one trial, from its last checkpoint if it has one.
pub(crate) fn run(args: &TrialArgs) -> Result<()> {
    signals::install()?;
    signals::stop_at_end_of_input()?;
    let output = args.output.to_str().with_context(|| format!("{} is not UTF-8", args.output.display()))?;
    let mut args = TrainArgs { config: Some(args.config.clone()), resume: Some(None), ..TrainArgs::default() };
    args.set("output", output)?;
    let started = Instant::now();
    loop {
        match train::train(&args) {
            // The training of a killed study ends by itself when it has saved.
            Err(TrainError::Run(RunError::InUse { .. }))
                if started.elapsed() < FOLDER_TIMEOUT && signals::requested().is_none() =>
            {
                std::thread::sleep(Duration::from_millis(50));
            }
            outcome => return outcome.map(drop).map_err(Into::into),
        }
    }
}

/// A running trial.
#[derive(Debug)]
pub(super) struct TrialProcess {
    child: Child,
    input: Option<ChildStdin>,
    output: PathBuf,
    pub log: LogFollower,
}

/// How a trial's process ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TrialExit {
    /// The training is complete.
    Done,
    /// It was asked to stop, and saved.
    Stopped,
    /// With this error message.
    Failed(String),
    /// By a signal, such as when the system runs out of memory.
    Killed(String),
}

impl TrialProcess {
    /// Starts trial `number`, on `gpu` if one is given.
    pub(super) fn start(folder: &StudyFolder, number: u64, gpu: Option<&str>) -> Result<Self> {
        let output = folder.output(number);
        let file = File::options().create(true).append(true).open(&output);
        let file = file.with_context(|| format!("failed to write {}", output.display()))?;
        let mut command = this_program("trial")?;
        command.arg("--config").arg(folder.config(number)).arg("--output").arg(folder.run(number));
        command.stdin(Stdio::piped()).stdout(file.try_clone()?).stderr(file);
        command.envs(gpu.map(|gpu| ("CUDA_VISIBLE_DEVICES", gpu)));
        let mut child = command.spawn().context("failed to start the trial's process")?;
        let input = child.stdin.take();
        Ok(Self { child, input, output, log: LogFollower::new(&folder.run(number)) })
    }

    /// Reads the new lines of the log; returns how the process ended if it has.
    pub(super) fn poll(&mut self) -> Result<Option<TrialExit>> {
        // In this order: nothing is logged after the end.
        let status = self.child.try_wait()?;
        self.log.follow().with_context(|| format!("failed to read the log of {}", self.output.display()))?;
        let Some(status) = status else { return Ok(None) };
        Ok(Some(match status.code() {
            Some(0) => TrialExit::Done,
            Some(code) if code > 128 => TrialExit::Stopped,
            Some(_) => TrialExit::Failed(self.last_error()),
            None => TrialExit::Killed(status.to_string()),
        }))
    }

    /// Tells it to save and stop.
    pub(super) fn stop(&mut self) {
        self.input = None;
    }

    /// Kills it without saving.
    pub(super) fn kill(mut self) -> Result<()> {
        self.child.kill().and_then(|()| self.child.wait()).map(drop).context("failed to kill a trial's process")
    }

    fn last_error(&self) -> String {
        let text = std::fs::read(&self.output).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let last = |matches: &dyn Fn(&&str) -> bool| text.lines().rev().map(str::trim).find(matches);
        let line = last(&|line| line.starts_with("error: ")).or_else(|| last(&|line| !line.is_empty()));
        line.unwrap_or("the process failed without a message").trim_start_matches("error: ").to_owned()
    }
}
