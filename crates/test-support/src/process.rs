//! Tests with several processes: starts this test binary again to run one ignored test as a child process.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

const READY: &str = "the other process is ready";

/// Another process, killed at the latest when this is dropped.
pub struct TestProcess {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl TestProcess {
    /// Starts the ignored test of that full name and waits until it says that it is ready.
    pub fn start(test: &str, environment: &[(&str, &OsStr)]) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "--nocapture", test]).envs(environment.iter().copied());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut process = Self { child, output };
        process.wait_for(READY);
        process
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Reads what the process writes until a line ends with `text`.
    pub fn wait_for(&mut self, text: &str) {
        let mut line = String::new();
        while !line.trim_end().ends_with(text) {
            line.clear();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "the process ended without saying \"{text}\"");
        }
    }

    /// Ends it by SIGKILL and waits until it is gone.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.wait();
    }

    /// Waits until it has ended by itself.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// In the other process: lets [`start`](Self::start) return.
    pub fn say_ready() {
        Self::say(READY);
    }

    /// In the other process: a line for [`wait_for`](Self::wait_for).
    pub fn say(text: &str) {
        let mut stdout = std::io::stdout();
        stdout.write_all(format!("{text}\n").as_bytes()).unwrap();
        stdout.flush().unwrap();
    }

    /// In the other process: waits to be killed, and no longer than the process that started this one lives.
    pub fn live_until_killed() {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
    }
}

impl Drop for TestProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
