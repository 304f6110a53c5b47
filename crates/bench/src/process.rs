//! One measured process: its duration, its peak memory, and the end of its first training step.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use run::LogFollower;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// How often a log is read until it has the first step.
const POLL_INTERVAL: Duration = Duration::from_millis(2);
/// The same after the first step, when only the end is waited for.
const END_INTERVAL: Duration = Duration::from_millis(10);
/// A training that logs nothing for so long is stopped: with torch.compile one process may wait for another that has died.
const SILENCE: Duration = Duration::from_secs(15 * 60);
/// How long it has to end, and to end the processes that it has started.
#[cfg(unix)]
const GRACE: Duration = Duration::from_secs(60);
/// The number of lines of a failed process's output in the error.
const LAST_LINES: usize = 12;

/// A process that succeeded.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Finished {
    /// Its output: JSON, or a string.
    pub output: Value,
    /// From its start to its end.
    pub seconds: f64,
    /// Of the processors, in it and in the processes that it waited for; `None` if the system doesn't report it.
    pub cpu_seconds: Option<f64>,
    /// Its peak memory; `None` if the system doesn't report it.
    #[serde(rename = "peak_rss_mib")]
    pub peak_mib: Option<f64>,
    /// From its start to the first step in its log.
    #[serde(rename = "first_step_seconds")]
    pub first_step: Option<f64>,
}

impl Finished {
    /// The JSON that it printed.
    pub(crate) fn figures<T: DeserializeOwned>(&self) -> Result<T> {
        T::deserialize(&self.output).with_context(|| format!("expected JSON, found {}", self.output))
    }
}

/// Runs a command to its end. `log` is the folder whose log is watched for its first step; output goes through files in
/// `scratch`, so that a full pipe can't block the process.
///
/// # Errors
/// A process that fails, or whose log is given and does not grow for a quarter of an hour.
pub(crate) fn run(command: &mut Command, log: Option<&Path>, scratch: &Path) -> Result<Finished> {
    run_unless_silent(command, log, scratch, SILENCE)
}

fn run_unless_silent(command: &mut Command, log: Option<&Path>, scratch: &Path, silence: Duration) -> Result<Finished> {
    disk::create_folder_all(scratch)?;
    let (stdout, stderr) = (scratch.join("stdout.txt"), scratch.join("stderr.txt"));
    let create = |path: &Path| File::create(path).with_context(|| format!("failed to write {}", path.display()));
    command.stdin(Stdio::null()).stdout(create(&stdout)?).stderr(create(&stderr)?);
    let started = Instant::now();
    let mut child = command.spawn().with_context(|| format!("failed to start `{}`", shown(command)))?;
    let mut growth = log.map(|folder| LogGrowth::new(folder.join(run::LOG)));
    let (mut log, mut first_step) = (log.map(LogFollower::new), None);
    let end = loop {
        if let Some(end) = wait(&mut child)? {
            break end;
        }
        if log.as_mut().is_some_and(|log| log.follow().is_ok() && log.step.is_some()) {
            (log, first_step) = (None, Some(started.elapsed().as_secs_f64()));
        }
        if growth.as_mut().is_some_and(|growth| growth.silent_for() > silence) {
            stop(&mut child)?;
            bail!("`{}` logged nothing for {} seconds, and was stopped", shown(command), silence.as_secs());
        }
        std::thread::sleep(if log.is_some() { POLL_INTERVAL } else { END_INTERVAL });
    };
    let seconds = started.elapsed().as_secs_f64();
    if !end.status.success() {
        let output = std::fs::read(&stderr).unwrap_or_default();
        bail!("`{}` failed ({})\n{}", shown(command), end.status, last_lines(&String::from_utf8_lossy(&output)));
    }
    let text = std::fs::read(&stdout).with_context(|| format!("failed to read {}", stdout.display()))?;
    let text = String::from_utf8_lossy(&text);
    let output = serde_json::from_str(text.trim()).unwrap_or_else(|_| Value::from(text.trim()));
    let ProcessEnd { cpu_seconds, peak_mib, .. } = end;
    Ok(Finished { output, seconds, cpu_seconds, peak_mib, first_step })
}

/// Runs the processes of one training to their ends; of their parts only the processors' seconds are added up, all else is
/// of the first one.
///
/// # Errors
/// What each process that failed said: one of them is the cause, and the others were left alone.
pub(crate) fn run_together(commands: &mut [Command], log: Option<&Path>, scratch: &Path) -> Result<Finished> {
    let ends: Vec<Result<Finished>> = std::thread::scope(|scope| {
        let start = |(rank, command): (usize, _)| {
            let scratch = if rank == 0 { scratch.to_owned() } else { scratch.join(format!("rank-{rank}")) };
            scope.spawn(move || run(command, log.filter(|_| rank == 0), &scratch))
        };
        let running: Vec<_> = commands.iter_mut().enumerate().map(start).collect();
        running.into_iter().map(|one| one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    let failures: Vec<String> = ends.iter().filter_map(|end| Some(format!("{:#}", end.as_ref().err()?))).collect();
    if !failures.is_empty() {
        bail!("{}", failures.join("\n"));
    }
    let mut ends = ends.into_iter().flatten();
    let first = ends.next().context("expected a process to run, found none")?;
    let cpu_seconds = ends.try_fold(first.cpu_seconds, |sum, other| Some(Some(sum? + other.cpu_seconds?))).flatten();
    Ok(Finished { cpu_seconds, ..first })
}

/// A port of this machine that nothing listens on.
pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("failed to find a free port")?;
    Ok(listener.local_addr()?.port())
}

/// The command as typed in a shell.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args()).map(|word| word.to_string_lossy());
    words
        .map(|word| if word.contains(' ') { format!("'{word}'") } else { word.into_owned() })
        .collect::<Vec<_>>()
        .join(" ")
}

/// When a log last grew. It is looked at once a second.
struct LogGrowth {
    path: PathBuf,
    bytes: u64,
    grew: Instant,
    looked: Instant,
}

impl LogGrowth {
    fn new(path: PathBuf) -> Self {
        let now = Instant::now();
        Self { path, bytes: 0, grew: now, looked: now }
    }

    fn silent_for(&mut self) -> Duration {
        if self.looked.elapsed() > Duration::from_secs(1) {
            self.looked = Instant::now();
            let bytes = self.path.metadata().map_or(0, |metadata| metadata.len());
            if bytes != self.bytes {
                (self.bytes, self.grew) = (bytes, self.looked);
            }
        }
        self.grew.elapsed()
    }
}

/// Asks a process to end, which torchrun passes on, and then makes it.
fn stop(child: &mut Child) -> Result<()> {
    #[cfg(unix)]
    {
        let pid = libc::pid_t::try_from(child.id())?;
        // SAFETY: the process was not waited for, so that its number is its own.
        unsafe { libc::kill(pid, libc::SIGTERM) };
        let asked = Instant::now();
        while asked.elapsed() < GRACE {
            if wait(child)?.is_some() {
                return Ok(());
            }
            std::thread::sleep(END_INTERVAL);
        }
    }
    child.kill().context("failed to stop a process")?;
    child.wait().context("failed to wait for a process")?;
    Ok(())
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}

struct ProcessEnd {
    status: ExitStatus,
    cpu_seconds: Option<f64>,
    peak_mib: Option<f64>,
}

/// How the process ended; `None` if it is running.
///
/// `wait4` is the only call that reports the peak of one process; `getrusage` reports the largest of all children.
#[cfg(unix)]
fn wait(child: &mut Child) -> Result<Option<ProcessEnd>> {
    use std::os::unix::process::ExitStatusExt;
    let pid = libc::pid_t::try_from(child.id())?;
    loop {
        let mut status = 0;
        // SAFETY: `rusage` is a plain structure of numbers, of which zeroes are valid values.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: both pointers are to live local variables of the types that the call writes.
        let found = unsafe { libc::wait4(pid, &raw mut status, libc::WNOHANG, &raw mut usage) };
        if found == pid {
            let unit = if cfg!(target_os = "macos") { 1.0 } else { 1024.0 };
            let peak_mib = Some(usage.ru_maxrss as f64 * unit / f64::from(1 << 20));
            let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
            let cpu_seconds = Some(seconds(usage.ru_utime) + seconds(usage.ru_stime));
            return Ok(Some(ProcessEnd { status: ExitStatus::from_raw(status), cpu_seconds, peak_mib }));
        }
        if found == 0 {
            return Ok(None);
        }
        let error = std::io::Error::last_os_error();
        if error.kind() != std::io::ErrorKind::Interrupted {
            return Err(error).context("failed to wait for a process");
        }
    }
}

#[cfg(not(unix))]
fn wait(child: &mut Child) -> Result<Option<ProcessEnd>> {
    Ok(child.try_wait()?.map(|status| ProcessEnd { status, cpu_seconds: None, peak_mib: None }))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn time_memory_and_output_are_those_of_the_process() {
        let scratch = tempfile::tempdir().unwrap();
        // More than a pipe holds.
        let finished =
            super::run(&mut shell("sleep 0.2; head -c 200000 /dev/zero | tr '\\0' x"), None, scratch.path()).unwrap();
        assert_eq!((finished.output.as_str().map(str::len), finished.first_step), (Some(200_000), None));
        assert!((0.2..20.0).contains(&finished.seconds), "{}", finished.seconds);
        assert!(finished.cpu_seconds.is_some_and(|cpu| cpu < finished.seconds * 8.0), "{:?}", finished.cpu_seconds);
        assert!(finished.peak_mib.is_some_and(|peak| peak > 0.1), "{:?}", finished.peak_mib);
    }

    #[test]
    fn the_first_step_is_noticed_when_it_is_logged() {
        let scratch = tempfile::tempdir().unwrap();
        let log = scratch.path().join(run::LOG);
        // As the peer's script writes it.
        let step = "{\"event\": \"step\", \"step\": 1, \"total_steps\": 9, \"epoch\": 0.1, \"loss\": null, \"learning_rate\": 1e-5, \
                    \"gradient_norm\": null, \"examples\": 2, \"tokens\": 9, \"examples_per_second\": 4.0, \
                    \"tokens_per_second\": 18.0, \"seconds\": 0.5}";
        let script =
            format!("sleep 0.2; echo '{{\"event\":\"start\"}}' > {0}; echo '{step}' >> {0}; sleep 0.5", log.display());
        let finished = super::run(&mut shell(&script), Some(scratch.path()), scratch.path()).unwrap();
        let first = finished.first_step.unwrap();
        assert!((0.2..finished.seconds - 0.3).contains(&first), "{first} of {}", finished.seconds);
    }

    #[test]
    fn processor_seconds_are_those_of_all_processes_without_their_waiting() {
        let scratch = tempfile::tempdir().unwrap();
        let busy = "i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done";
        let cpu = |script: &str| super::run(&mut shell(script), None, scratch.path()).unwrap().cpu_seconds.unwrap();
        let (idle, here, child) = (cpu("sleep 0.2"), cpu(busy), cpu(&format!("sh -c '{busy}'; true")));
        assert!(idle < 0.1 && here > idle && child > idle, "{idle} {here} {child}");
    }

    #[test]
    fn processes_that_belong_together_run_at_the_same_time() {
        let scratch = tempfile::tempdir().unwrap();
        let (mine, other) = (scratch.path().join("first"), scratch.path().join("second"));
        // Each waits for the other one.
        let script = |mine: &Path, other: &Path, name: &str| {
            let (mine, other) = (mine.display(), other.display());
            shell(&format!("touch {mine}; while [ ! -e {other} ]; do sleep 0.01; done; echo '\"{name}\"'"))
        };
        let mut commands = [script(&mine, &other, "rank 0"), script(&other, &mine, "rank 1")];
        let finished = super::run_together(&mut commands, None, scratch.path()).unwrap();
        assert_eq!(finished.output, "rank 0");
    }

    #[test]
    fn the_processor_seconds_of_processes_that_belong_together_are_added_up() {
        let scratch = tempfile::tempdir().unwrap();
        let mut commands = [shell("true"), shell("i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done")];
        let together = super::run_together(&mut commands, None, scratch.path()).unwrap().cpu_seconds.unwrap();
        assert!(together > super::run(&mut shell("true"), None, scratch.path()).unwrap().cpu_seconds.unwrap());
    }

    #[test]
    fn the_failure_of_any_process_is_one_of_all() {
        let scratch = tempfile::tempdir().unwrap();
        let mut commands = [shell("true"), shell("echo no memory >&2; exit 4")];
        let error = super::run_together(&mut commands, None, scratch.path()).unwrap_err().to_string();
        assert!(error.contains("exit status: 4") && error.ends_with("\nno memory"), "{error}");
    }

    #[test]
    fn results_are_parsed_from_the_output() {
        let scratch = tempfile::tempdir().unwrap();
        let finished = super::run(&mut shell("echo '[1, 2]'"), None, scratch.path()).unwrap();
        assert_eq!(finished.figures::<Vec<u32>>().unwrap(), [1, 2]);
        let error = finished.figures::<String>().unwrap_err().to_string();
        assert_eq!(error, "expected JSON, found [1,2]");
    }

    #[test]
    fn a_training_that_logs_nothing_is_stopped_and_one_that_does_or_has_no_log_is_not() {
        let scratch = tempfile::tempdir().unwrap();
        let run = |script: &str, log: Option<&Path>| {
            super::run_unless_silent(&mut shell(script), log, scratch.path(), Duration::from_millis(2500))
        };
        let began = Instant::now();
        let error = run("echo begins; exec sleep 100", Some(scratch.path())).unwrap_err().to_string();
        assert!(error.ends_with("logged nothing for 2 seconds, and was stopped"), "{error}");
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
        let logs = format!(
            "for i in 1 2 3 4 5 6 7 8; do echo '{{}}' >> {}; sleep 0.5; done",
            scratch.path().join(run::LOG).display()
        );
        run(&logs, Some(scratch.path())).unwrap();
        // Such as each process of a training but the first.
        run("exec sleep 4", None).unwrap();
    }

    #[test]
    fn a_failure_includes_the_last_output_lines() {
        let scratch = tempfile::tempdir().unwrap();
        let error = super::run(&mut shell("seq 1 40 >&2; exit 3"), None, scratch.path()).unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.ends_with("\n39\n40") && !error.contains("\n28"), "{error}");
    }
}
