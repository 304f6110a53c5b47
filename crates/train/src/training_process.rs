//! A training in a process of its own, so that all its memory is freed and a crash affects it alone: each trial of a study
//! and each member of a group is one. It is followed through its log.
//!
//! Its standard input is a pipe that is never written to. Closing it tells the training to save and stop; the system also
//! closes it if this process dies, so that no training outlives the one that started it.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use run::{LogFollower, RunError, RunFolder};
use tch::{Cuda, Device};

use crate::error::{Result, TrainError};
use crate::options::TrainArgs;
use crate::signals;
use crate::start::train;

/// The hidden flag of `train` that makes it [`train_until_input_ends`].
const STOP_AT_END_OF_INPUT: &str = "--stop-at-end-of-input";

/// How long a training waits for a run folder that another process still uses.
const FOLDER_TIMEOUT: Duration = Duration::from_secs(120);

/// The files of a training in a process.
#[derive(Debug, Clone)]
pub struct TrainingFiles {
    /// Its configuration, as `--config` takes it.
    pub config: PathBuf,
    /// The run's folder.
    pub run: PathBuf,
    /// What it prints is appended to this file.
    pub output: PathBuf,
}

/// A running training.
#[derive(Debug)]
pub struct TrainingProcess {
    child: Child,
    input: Option<ChildStdin>,
    output: PathBuf,
    pub log: LogFollower,
}

/// How a training's process ended.
#[derive(Debug, PartialEq, Eq)]
pub enum TrainingExit {
    /// The training is complete.
    Done,
    /// It was asked to stop, and saved.
    Stopped,
    /// With this error message.
    Failed(String),
    /// By a signal, such as when the system runs out of memory.
    Killed(String),
}

impl TrainingProcess {
    /// Starts a training, or continues it from its last checkpoint, on `gpu` if one is given. `program` is the command that
    /// trains, to which flags are added.
    ///
    /// # Errors
    /// A program that can't be started; a file that can't be written to.
    pub fn start(mut program: Command, files: &TrainingFiles, gpu: Option<&str>) -> io::Result<Self> {
        let output = File::options().create(true).append(true).open(&files.output);
        let output = output.map_err(|error| described("write", &files.output, &error))?;
        program.arg("--config").arg(&files.config).arg("--output").arg(&files.run).arg("--resume");
        program.arg(STOP_AT_END_OF_INPUT);
        program.stdin(Stdio::piped()).stdout(output.try_clone()?).stderr(output);
        program.envs(gpu.map(|gpu| ("CUDA_VISIBLE_DEVICES", gpu)));
        let mut child = program.spawn().map_err(|error| {
            let name = PathBuf::from(program.get_program());
            described("start", &name, &error)
        })?;
        let input = child.stdin.take();
        Ok(Self { child, input, output: files.output.clone(), log: LogFollower::new(&files.run) })
    }

    /// Reads the new lines of the log; returns how the process ended if it has.
    ///
    /// # Errors
    /// A log that can't be read.
    pub fn poll(&mut self) -> io::Result<Option<TrainingExit>> {
        // In this order: nothing is logged after the end.
        let status = self.child.try_wait()?;
        self.log.follow().map_err(|error| described("read the log of", &self.output, &error))?;
        let Some(status) = status else { return Ok(None) };
        Ok(Some(match status.code() {
            Some(0) => TrainingExit::Done,
            Some(code) if code > 128 => TrainingExit::Stopped,
            Some(_) => TrainingExit::Failed(self.last_error()),
            None => TrainingExit::Killed(status.to_string()),
        }))
    }

    /// Tells it to save and stop.
    pub fn stop(&mut self) {
        self.input = None;
    }

    /// Kills it without saving.
    ///
    /// # Errors
    /// A process that can't be killed.
    pub fn kill(mut self) -> io::Result<()> {
        self.child.kill().and_then(|()| self.child.wait()).map(drop)
    }

    fn last_error(&self) -> String {
        let text = std::fs::read(&self.output).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let last = |matches: &dyn Fn(&&str) -> bool| text.lines().rev().map(str::trim).find(matches);
        let line = last(&|line| line.starts_with("error: ")).or_else(|| last(&|line| !line.is_empty()));
        line.unwrap_or("the process failed without a message").trim_start_matches("error: ").to_owned()
    }
}

fn described(what: &str, path: &std::path::Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("failed to {what} {}: {error}", path.display()))
}

/// Trains in a process that [`TrainingProcess::start`] started, until the end or until standard input ends.
pub(crate) fn train_until_input_ends(args: &TrainArgs) -> Result<RunFolder> {
    let watched = signals::install().and_then(|()| signals::stop_at_end_of_input());
    watched.map_err(|error| TrainError::Refused(format!("failed to install the signal handlers: {error}")))?;
    let started = Instant::now();
    loop {
        match train(args) {
            // The training of a killed process ends by itself when it has saved.
            Err(TrainError::Run(RunError::InUse { .. }))
                if started.elapsed() < FOLDER_TIMEOUT && signals::requested().is_none() =>
            {
                std::thread::sleep(Duration::from_millis(50));
            }
            outcome => return outcome,
        }
    }
}

/// The names of the GPUs that trainings on `device` can use: those that `CUDA_VISIBLE_DEVICES` lists, else their numbers.
/// None on a CPU.
pub fn visible_gpus(device: Device) -> Vec<String> {
    match device {
        Device::Cuda(_) => named_gpus(std::env::var("CUDA_VISIBLE_DEVICES").ok().as_deref(), Cuda::device_count()),
        _ => Vec::new(),
    }
}

fn named_gpus(visible: Option<&str>, count: i64) -> Vec<String> {
    let count = usize::try_from(count).unwrap_or(0);
    let named = visible.into_iter().flat_map(|list| list.split(',')).map(|name| name.trim().to_owned());
    let named: Vec<String> = named.filter(|name| !name.is_empty()).take(count).collect();
    if named.is_empty() { (0..count).map(|number| number.to_string()).collect() } else { named }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpus_are_those_that_are_visible() {
        assert_eq!(named_gpus(None, 2), ["0", "1"]);
        assert_eq!(named_gpus(Some("3, 1"), 2), ["3", "1"]);
        assert_eq!(named_gpus(Some("2,-1,0"), 1), ["2"]);
        assert!(named_gpus(None, 0).is_empty());
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        let files = TrainingFiles { config: file("a.toml"), run: file("a"), output: file("a.txt") };
        let program = Command::new(file("no-program"));
        let message = TrainingProcess::start(program, &files, None).unwrap_err().to_string();
        assert!(message.starts_with("failed to start ") && message.contains("no-program"), "{message}");
    }
}
