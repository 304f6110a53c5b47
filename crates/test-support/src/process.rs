//! Tests with several processes: the same test once more, as a child process that takes the other part.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

const READY: &str = "the other process is ready";

/// In a child process: the test whose other part it takes.
const PART_OF: &str = "VERDICT_TEST_PROCESS";

/// The full name of the test that calls this, which the harness gives to the test's thread.
pub(crate) fn this_test() -> String {
    std::thread::current().name().unwrap_or("a thread without a name").to_owned()
}

/// Another process, killed at the latest when this is dropped.
///
/// It runs the test that starts it. Such a test begins with
/// `if TestProcess::is_this() { return other_part(); }`.
pub struct TestProcess {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl TestProcess {
    /// Whether this process was started by [`start`](Self::start) or [`command`](Self::command) in the test that calls this.
    pub fn is_this() -> bool {
        std::env::var(PART_OF).is_ok_and(|test| test == this_test())
    }

    /// The command that runs the calling test's other part; what it prints is not captured.
    pub fn command() -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "--nocapture", &this_test()]).env(PART_OF, this_test());
        command
    }

    /// Starts the calling test's other part and waits until it says that it is ready.
    pub fn start(environment: &[(&str, &OsStr)]) -> Self {
        let mut command = Self::command();
        command.envs(environment.iter().copied());
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
