//! What all suites stand on: what was asked for, the programs of both sides, and the results so far.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::material::Material;
use crate::options::BenchArgs;
use crate::peers::Peers;
use crate::process::{self, Finished};
use crate::results::Results;

pub(crate) struct Measuring {
    pub options: BenchArgs,
    /// Of both sides.
    pub threads: usize,
    /// Everything that is made along the way.
    pub folder: PathBuf,
    /// Where cargo put what it built.
    pub programs: PathBuf,
    pub peers: Option<Peers>,
    pub material: Material,
    pub results: Results,
}

impl Measuring {
    /// Our program with the number of threads that both sides get.
    pub(crate) fn verdict(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.programs.join("verdict"));
        let threads = self.threads.to_string();
        command.args(words).env("OMP_NUM_THREADS", &threads).env("RAYON_NUM_THREADS", &threads);
        command
    }

    /// `train` on some prepared data, with everything else as it is for everybody.
    pub(crate) fn train(&self, data: &Path, run: &Path, steps: usize) -> Command {
        let mut command = self.verdict(&["train", "--device", self.options.device.name()]);
        command.arg("--data").arg(data).arg("--output").arg(run);
        command.args(["--max-steps", &steps.to_string(), "--threads", &self.threads.to_string()]);
        command
    }

    /// One of the peers' scripts, with the device and the number of threads that both sides get.
    pub(crate) fn peer(&self, script: &str) -> Result<Command> {
        let mut command = self.peers.as_ref().context("no peers")?.script(script);
        command.args(["--device", self.options.device.name(), "--threads", &self.threads.to_string()]);
        Ok(command)
    }

    /// Runs a process, tells about it, and keeps what it did. `run` is the folder whose log is watched for a first step.
    pub(crate) fn measure(&mut self, what: &str, mut command: Command, run: Option<&Path>) -> Result<Finished> {
        eprint!("bench: {what} ...");
        let finished = process::run(&mut command, run, &self.folder);
        match &finished {
            Ok(finished) => {
                eprintln!(" {:.1} s", finished.seconds);
                self.results.keep(what, &command, finished);
            }
            Err(_) => eprintln!(" failed"),
        }
        finished.with_context(|| what.to_owned())
    }

    /// A fresh place for a run.
    pub(crate) fn run_folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join("runs").join(name);
        remove(&folder)?;
        Ok(folder)
    }
}

/// Removes a folder and all below it, where there is one.
pub(crate) fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).with_context(|| format!("could not remove {}", folder.display()))?;
    }
    Ok(())
}
