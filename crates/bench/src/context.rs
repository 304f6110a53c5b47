//! The context of all suites: the options, the programs of both sides, and the results so far.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::corpus::Corpus;
use crate::options::BenchArgs;
use crate::peers::Peers;
use crate::process::{self, Finished};
use crate::results::Results;

pub(crate) struct BenchContext {
    pub options: BenchArgs,
    /// Of both sides.
    pub threads: usize,
    /// For all files that are written.
    pub folder: PathBuf,
    /// The folder of the built programs.
    pub programs: PathBuf,
    pub peers: Option<Peers>,
    pub corpus: Corpus,
    pub results: Results,
}

impl BenchContext {
    /// Our program with the number of threads that both sides get.
    pub(crate) fn verdict(&self, words: &[&str]) -> Command {
        self.verdict_on(self.threads, words)
    }

    fn verdict_on(&self, threads: usize, words: &[&str]) -> Command {
        let mut command = Command::new(self.programs.join("verdict"));
        let threads = threads.to_string();
        command.args(words).env("OMP_NUM_THREADS", &threads).env("RAYON_NUM_THREADS", &threads);
        command
    }

    /// `train` on prepared data, otherwise with its defaults.
    pub(crate) fn train(&self, data: &Path, run: &Path, steps: usize) -> Command {
        self.train_on(self.threads, data, run, steps)
    }

    /// The same with another number of threads.
    pub(crate) fn train_on(&self, threads: usize, data: &Path, run: &Path, steps: usize) -> Command {
        let mut command = self.verdict_on(threads, &["train", "--device", self.options.device.name()]);
        command.arg("--data").arg(data).arg("--output").arg(run);
        command.args(["--max-steps", &steps.to_string(), "--threads", &threads.to_string()]);
        command
    }

    /// A script of the peers with the device and the number of threads that both sides get; `None` without peers.
    pub(crate) fn peer(&self, script: &str) -> Option<Command> {
        Some(self.peer_on(self.threads, self.peers.as_ref()?.script(script)))
    }

    /// A script of the peers in several processes, started by torchrun, which share these threads and meet at this port.
    pub(crate) fn peer_in_processes(&self, script: &str, processes: usize, port: u16) -> Option<Command> {
        let threads = self.threads / processes;
        let mut command = self.peer_on(threads, self.peers.as_ref()?.script_in_processes(script, processes, port));
        command.env("OMP_NUM_THREADS", threads.to_string());
        Some(command)
    }

    fn peer_on(&self, threads: usize, mut command: Command) -> Command {
        command.args(["--device", self.options.device.name(), "--threads", &threads.to_string()]);
        // What torch.compile made is used again by the next round and the next benchmark.
        let compiled = self.folder.join("compiled");
        command.env("TORCHINDUCTOR_CACHE_DIR", std::path::absolute(&compiled).unwrap_or(compiled));
        command
    }

    /// Runs a process, prints its progress, and records its results. `run` is the folder whose log is read for the first
    /// step.
    pub(crate) fn measure(&mut self, what: &str, command: Command, run: Option<&Path>) -> Result<Finished> {
        self.measure_together(what, vec![command], run)
    }

    /// Runs the processes of one training; the first one writes to `run`.
    pub(crate) fn measure_together(
        &mut self,
        what: &str,
        mut commands: Vec<Command>,
        run: Option<&Path>,
    ) -> Result<Finished> {
        eprint!("bench: {what} ...");
        let finished = process::run_together(&mut commands, run, &self.folder);
        match &finished {
            Ok(finished) => {
                eprintln!(" {:.1} s", finished.seconds);
                self.results.add_process(what, &commands[0], finished);
            }
            Err(_) => eprintln!(" failed"),
        }
        finished.with_context(|| what.to_owned())
    }

    /// Runs a peer. `None` if it failed, or said that it is not available on this machine; both are recorded.
    pub(crate) fn measure_peer(&mut self, what: &str, command: Command, run: Option<&Path>) -> Option<Finished> {
        let finished = self.measure(what, command, run);
        let finished = self.results.record(false, finished)?;
        if let Some(reason) = finished.output.get("unavailable").and_then(Value::as_str) {
            self.results.note(format!("{what} is left out: {reason}"));
            return None;
        }
        Some(finished)
    }

    /// An unused folder for a run.
    pub(crate) fn run_folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join("runs").join(name);
        remove(&folder)?;
        Ok(folder)
    }
}

/// Removes a folder if it exists.
pub(crate) fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).with_context(|| format!("failed to remove {}", folder.display()))?;
    }
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn a_peer_that_is_not_available_is_left_out_with_a_note_and_does_not_fail_the_benchmark() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["train.txt", "dev.txt", "test.txt"] {
            std::fs::write(folder.path().join(name), "(1 (2 a) (2 film))\n(4 (3 one))\n").unwrap();
        }
        let mut context = BenchContext {
            options: BenchArgs::parse_from(["bench"]),
            threads: 1,
            folder: folder.path().join("bench"),
            programs: folder.path().to_owned(),
            peers: None,
            corpus: Corpus::make(folder.path(), &folder.path().join("data")).unwrap(),
            results: Results::default(),
        };
        let mut measure = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            context.measure_peer("torch.compile", command, None).is_some()
        };
        assert!(measure("echo '{\"seconds\": 1.5}'"));
        assert!(!measure("echo '{\"unavailable\": \"no compiler\"}'"));
        assert!(!measure("exit 1"));
        let notes = &context.results.notes;
        assert_eq!(notes[0], "torch.compile is left out: no compiler");
        assert!(notes[1].starts_with("FAILED: torch.compile"), "{notes:?}");
        assert!(!context.results.failed);
    }
}
