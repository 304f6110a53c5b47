//! A launcher that does what torchrun promises: it sets the same variables, and when one process fails it stops all and starts
//! them again.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use super::ranks::free_port;
use super::running::Running;
use super::sandbox::{Output, Sandbox};

/// After SIGTERM, until SIGKILL.
const GRACE: Duration = Duration::from_secs(30);

/// One start of all processes.
pub(crate) struct LaunchAttempt {
    /// Each rank's end, in order.
    pub outputs: Vec<Output>,
    /// The message in each rank's error file, where there is one.
    pub errors: Vec<Option<String>>,
    /// Whether a process had to be killed because it did not end.
    pub forced: bool,
}

impl LaunchAttempt {
    pub(crate) fn succeeded(&self) -> bool {
        self.outputs.iter().all(|output| output.code == 0)
    }
}

/// Starts a training by several processes, again and again.
pub(crate) struct RestartingLauncher<'a> {
    sandbox: &'a Sandbox,
    line: String,
    world: usize,
    port: u16,
    /// Further environment variables.
    set: &'a [(&'a str, &'a str)],
    /// How often the processes were started before.
    restarts: u64,
}

impl<'a> RestartingLauncher<'a> {
    pub(crate) fn new(sandbox: &'a Sandbox, world: usize, line: &str, set: &'a [(&'a str, &'a str)]) -> Self {
        Self { sandbox, line: line.to_owned(), world, port: free_port(), set, restarts: 0 }
    }

    /// Starts all processes and waits until all have ended. `meddle` is called with them over and over until it returns true,
    /// and may kill one.
    pub(crate) fn attempt(&mut self, mut meddle: impl FnMut(&mut [Running]) -> bool) -> LaunchAttempt {
        let mut ranks: Vec<Running> = (0..self.world).map(|rank| Running::started(&mut self.command(rank))).collect();
        let mut done = false;
        // As torchrun, which acts as soon as one has failed.
        let failed = |status: Option<ExitStatus>| status.is_some_and(|status| !status.success());
        loop {
            done = done || meddle(&mut ranks);
            let ends: Vec<_> = ranks.iter_mut().map(Running::status).collect();
            if ends.iter().all(Option::is_some) || ends.iter().any(|end| failed(*end)) {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let forced = Self::stop(&mut ranks);
        let files: Vec<PathBuf> = (0..self.world).map(|rank| self.error_file(rank)).collect();
        self.restarts += 1;
        let message = |path: &PathBuf| {
            let value: serde_json::Value = serde_json::from_slice(&fs::read(path).ok()?).expect("whole JSON");
            Some(value["message"]["message"].as_str().expect("a message").to_owned())
        };
        let errors = files.iter().map(message).collect();
        LaunchAttempt { outputs: ranks.into_iter().map(Running::end).collect(), errors, forced }
    }

    /// Ends what still runs: by SIGTERM, and after a time by SIGKILL. True if that was necessary.
    fn stop(ranks: &mut [Running]) -> bool {
        for rank in ranks.iter_mut().filter_map(|rank| rank.status().is_none().then_some(rank)) {
            rank.signal("TERM");
        }
        let began = Instant::now();
        while ranks.iter_mut().any(|rank| rank.status().is_none()) {
            if began.elapsed() > GRACE {
                ranks.iter().for_each(|rank| rank.signal("KILL"));
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    fn error_file(&self, rank: usize) -> PathBuf {
        self.sandbox.path(&format!("errors-{}-{}-{rank}.json", self.port, self.restarts))
    }

    fn command(&self, rank: usize) -> Command {
        let mut command = self.sandbox.command(&self.line);
        let (rank_text, world) = (rank.to_string(), self.world.to_string());
        command.envs([("RANK", &rank_text), ("LOCAL_RANK", &rank_text), ("WORLD_SIZE", &world)]);
        command.envs([("LOCAL_WORLD_SIZE", world), ("TORCHELASTIC_RESTART_COUNT", self.restarts.to_string())]);
        command.env("MASTER_ADDR", "127.0.0.1").env("MASTER_PORT", self.port.to_string());
        command.env("TORCHELASTIC_RUN_ID", "none").env("TORCHELASTIC_USE_AGENT_STORE", "False");
        command.env("TORCHELASTIC_ERROR_FILE", self.error_file(rank)).env("OMP_NUM_THREADS", "1");
        command.envs(self.set.iter().copied());
        command
    }
}
