//! One measured process: how long it took, the most memory it held, and when its first training step was over.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::log;
use crate::command::shown;

/// How often a log is looked at while its first step is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// Lines of a failed process that are shown.
const LAST_LINES: usize = 12;

/// A process that ended well.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    /// What it printed.
    pub stdout: String,
    /// From its start to its end.
    pub seconds: f64,
    /// The most memory that it held at once, in MiB; `None` where the system doesn't say.
    pub peak_mib: Option<f64>,
    /// From its start to the first step in its log.
    pub first_step: Option<f64>,
}

/// Runs a command to its end. `log` is the file of steps to watch; output goes through files in `scratch`, so that no
/// full pipe holds the process up.
pub fn run(command: &mut Command, log: Option<&Path>, scratch: &Path) -> Result<Finished> {
    std::fs::create_dir_all(scratch).with_context(|| format!("could not create {}", scratch.display()))?;
    let (stdout, stderr) = (scratch.join("stdout.txt"), scratch.join("stderr.txt"));
    let create = |path: &Path| File::create(path).with_context(|| format!("could not write {}", path.display()));
    command.stdin(Stdio::null()).stdout(create(&stdout)?).stderr(create(&stderr)?);
    let began = Instant::now();
    let mut child = command.spawn().with_context(|| format!("could not start `{}`", shown(command)))?;
    let mut first_step = None;
    let end = loop {
        let watching = log.filter(|_| first_step.is_none());
        if let Some(end) = wait(&mut child, watching.is_none())? {
            break end;
        }
        if watching.is_some_and(log::has_a_step) {
            first_step = Some(began.elapsed().as_secs_f64());
        } else {
            std::thread::sleep(LOOK_EVERY);
        }
    };
    let seconds = began.elapsed().as_secs_f64();
    if !end.status.success() {
        let said = std::fs::read(&stderr).unwrap_or_default();
        bail!("`{}` failed ({})\n{}", shown(command), end.status, last_lines(&String::from_utf8_lossy(&said)));
    }
    let stdout = std::fs::read(&stdout).with_context(|| format!("could not read {}", stdout.display()))?;
    let stdout = String::from_utf8_lossy(&stdout).into_owned();
    Ok(Finished { stdout, seconds, peak_mib: end.peak_mib, first_step })
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}

struct End {
    status: ExitStatus,
    peak_mib: Option<f64>,
}

/// How the process ended, or `None` where it hasn't and `block` doesn't ask to wait for it.
///
/// `wait4` is the only call that tells the peak of one process; that of all children together, which is what
/// `getrusage` tells, would be the largest of the whole benchmark.
#[cfg(unix)]
fn wait(child: &mut Child, block: bool) -> Result<Option<End>> {
    use std::os::unix::process::ExitStatusExt;
    let pid = libc::pid_t::try_from(child.id())?;
    let flags = if block { 0 } else { libc::WNOHANG };
    loop {
        let mut status = 0;
        // SAFETY: `rusage` is a plain structure of numbers, of which zeroes are valid values.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: both pointers are to live local variables of the types that the call writes.
        let found = unsafe { libc::wait4(pid, &raw mut status, flags, &raw mut usage) };
        if found == pid {
            let unit = if cfg!(target_os = "macos") { 1.0 } else { 1024.0 };
            let peak_mib = Some(usage.ru_maxrss as f64 * unit / f64::from(1 << 20));
            return Ok(Some(End { status: ExitStatus::from_raw(status), peak_mib }));
        }
        if found == 0 {
            return Ok(None);
        }
        let error = std::io::Error::last_os_error();
        if error.kind() != std::io::ErrorKind::Interrupted {
            return Err(error).context("could not wait for a process");
        }
    }
}

#[cfg(not(unix))]
fn wait(child: &mut Child, block: bool) -> Result<Option<End>> {
    let status = if block { Some(child.wait()?) } else { child.try_wait()? };
    Ok(status.map(|status| End { status, peak_mib: None }))
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
            run(&mut shell("sleep 0.2; head -c 200000 /dev/zero | tr '\\0' x"), None, scratch.path()).unwrap();
        assert_eq!((finished.stdout.len(), finished.first_step), (200_000, None));
        assert!((0.2..20.0).contains(&finished.seconds), "{}", finished.seconds);
        assert!(finished.peak_mib.is_some_and(|peak| peak > 0.1), "{:?}", finished.peak_mib);
    }

    #[test]
    fn the_first_step_is_seen_when_it_is_written() {
        let scratch = tempfile::tempdir().unwrap();
        let log = scratch.path().join("log.jsonl");
        let step = "{\"event\": \"step\", \"step\": 1, \"examples\": 2, \"tokens\": 9, \"seconds\": 0.5}";
        let script =
            format!("sleep 0.2; echo '{{\"event\":\"start\"}}' > {0}; echo '{step}' >> {0}; sleep 0.5", log.display());
        let finished = run(&mut shell(&script), Some(&log), scratch.path()).unwrap();
        let first = finished.first_step.unwrap();
        assert!((0.2..finished.seconds - 0.3).contains(&first), "{first} of {}", finished.seconds);
    }

    #[test]
    fn a_failure_tells_its_last_words() {
        let scratch = tempfile::tempdir().unwrap();
        let error = run(&mut shell("seq 1 40 >&2; exit 3"), None, scratch.path()).unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.ends_with("\n39\n40") && !error.contains("\n28"), "{error}");
    }
}
