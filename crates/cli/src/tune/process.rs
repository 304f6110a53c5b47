//! A trial's process: a `train` of its own, so that all its memory comes back, watched through its log.
//!
//! Its standard input is a pipe that nobody writes to. Closing it asks the training to save and stop, and the system
//! closes it where this process dies, so that no training outlives its study unseen.

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

/// How long a trial waits for the folder of a training that is still saving.
const PATIENCE: Duration = Duration::from_secs(120);

/// Trains one trial, from its last checkpoint where it has one.
pub(crate) fn run(args: &TrialArgs) -> Result<()> {
    signals::install()?;
    signals::stop_at_end_of_input()?;
    let output = args.output.to_str().with_context(|| format!("{} is not UTF-8", args.output.display()))?;
    let mut args = TrainArgs { config: Some(args.config.clone()), resume: Some(None), ..TrainArgs::default() };
    args.set("output", output)?;
    let began = Instant::now();
    loop {
        match train::train(&args) {
            // The training of a study that was killed ends by itself, as soon as it has saved.
            Err(TrainError::Run(RunError::InUse { .. }))
                if began.elapsed() < PATIENCE && signals::requested().is_none() =>
            {
                std::thread::sleep(Duration::from_millis(50));
            }
            outcome => return outcome.map(drop).map_err(Into::into),
        }
    }
}

/// A trial that trains.
#[derive(Debug)]
pub(super) struct TrialProcess {
    child: Child,
    input: Option<ChildStdin>,
    output: PathBuf,
    pub log: LogFollower,
}

/// How a trial's process ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// All of it is trained.
    Done,
    /// It was asked to stop, and saved.
    Stopped,
    /// By an error, in its own words.
    Failed(String),
    /// By something from outside: a signal, such as that of a system without memory.
    Killed(String),
}

impl TrialProcess {
    /// Starts trial `number`, on `gpu` where one is named.
    pub(super) fn start(folder: &StudyFolder, number: u64, gpu: Option<&str>) -> Result<Self> {
        let output = folder.output(number);
        let file = File::options().create(true).append(true).open(&output);
        let file = file.with_context(|| format!("can't write {}", output.display()))?;
        let mut command = this_program("trial")?;
        command.arg("--config").arg(folder.config(number)).arg("--output").arg(folder.run(number));
        command.stdin(Stdio::piped()).stdout(file.try_clone()?).stderr(file);
        command.envs(gpu.map(|gpu| ("CUDA_VISIBLE_DEVICES", gpu)));
        let mut child = command.spawn().context("can't start this program again as a trial")?;
        let input = child.stdin.take();
        Ok(Self { child, input, output, log: LogFollower::new(&folder.run(number)) })
    }

    /// Reads what the training told since, and says how it ended if it has.
    pub(super) fn poll(&mut self) -> Result<Option<Ended>> {
        // In this order: nothing is told after the end.
        let status = self.child.try_wait()?;
        self.log.follow().with_context(|| format!("can't read the log of {}", self.output.display()))?;
        let Some(status) = status else { return Ok(None) };
        Ok(Some(match status.code() {
            Some(0) => Ended::Done,
            Some(code) if code > 128 => Ended::Stopped,
            Some(_) => Ended::Failed(self.last_error()),
            None => Ended::Killed(status.to_string()),
        }))
    }

    /// Asks it to save and stop.
    pub(super) fn stop(&mut self) {
        self.input = None;
    }

    /// Ends it at once: what it has done isn't wanted.
    pub(super) fn kill(mut self) -> Result<()> {
        self.child.kill().and_then(|()| self.child.wait()).map(drop).context("can't end a trial's process")
    }

    fn last_error(&self) -> String {
        let text = std::fs::read(&self.output).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let last = |wanted: &dyn Fn(&&str) -> bool| text.lines().rev().map(str::trim).find(wanted);
        let line = last(&|line| line.starts_with("error: ")).or_else(|| last(&|line| !line.is_empty()));
        line.unwrap_or("it ended without a word").trim_start_matches("error: ").to_owned()
    }
}
