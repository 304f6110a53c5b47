//! A training process, watched from outside: until it ends, or until the instant at which it is killed.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use disk::UNFINISHED;
use run::checkpoints::CHECKPOINTS;
use run::{LOG, last_step};

/// Between two polls of the run. One costs some microseconds.
const POLL_EVERY: Duration = Duration::from_micros(100);
const SIGKILL: i32 = 9;

/// When to kill a process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum KillPlan {
    /// Never.
    Uninterrupted,
    /// This long after its log has this step.
    AfterStep(u64, Duration),
    /// This long after the beginning of a save, the first `skip` saves left alone.
    AfterSaveBegins { skip: usize, delay: Duration },
    /// This long after its start.
    AfterStart(Duration),
}

/// What was observed of a process.
#[derive(Debug, Default)]
pub(super) struct WatchedProcess {
    /// From its start to the first step.
    pub startup: Option<Duration>,
    /// How long each finished save took.
    pub saves: Vec<Duration>,
    /// `None` if it ended on its own, successfully.
    pub killed: Option<KilledState>,
}

/// The state of the run when its process was killed.
#[derive(Debug, PartialEq)]
pub(super) struct KilledState {
    /// Whether the log was unchanged since the start of the process.
    pub log_untouched: bool,
    /// Whether there was a new unfinished file or folder.
    pub inside_save: bool,
}

/// Kills its process when it goes out of scope, so that an error leaves none running.
struct KillOnDrop(Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts `command`, which trains into `run`, and watches it until it ends on its own or is killed as planned. Its
/// output is appended to a file beside the run.
///
/// # Errors
/// A program that can't be started, one that fails on its own, or one that takes longer than `timeout`.
pub(super) fn watch(mut command: Command, run: &Path, plan: KillPlan, timeout: Duration) -> Result<WatchedProcess> {
    let output = run.with_extension("txt");
    let file = File::options().create(true).append(true).open(&output);
    let file = file.with_context(|| format!("failed to write {}", output.display()))?;
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    let (log_before, unfinished_before) = (log_state(run), unfinished(run));
    let started = Instant::now();
    let mut child = KillOnDrop(command.spawn().context("failed to start this program again as `train`")?);

    let mut observed = WatchedProcess::default();
    let mut save: Option<(Unfinished, Instant)> = None;
    let mut due = match plan {
        KillPlan::AfterStart(delay) => Some(started + delay),
        _ => None,
    };
    let status = loop {
        if let Some(status) = child.0.try_wait()? {
            break status;
        }
        let now = Instant::now();
        let checkpoints = unfinished_in(&run.join(CHECKPOINTS));
        if let Some((_, began)) = save.take_if(|(save, _)| !checkpoints.contains(save)) {
            observed.saves.push(now - began);
        }
        if save.is_none() {
            save = checkpoints.difference(&unfinished_before).next().map(|begun| (begun.clone(), now));
        }
        if let (KillPlan::AfterSaveBegins { skip, delay }, Some((_, began))) = (plan, &save)
            && observed.saves.len() >= skip
        {
            due.get_or_insert(*began + delay);
        }
        // Until a resumed process has cut the log, the steps in it are those of the process before.
        if (observed.startup.is_none() || matches!(plan, KillPlan::AfterStep(..)))
            && log_state(run) != log_before
            && let Some(step) = last_step(run)
        {
            observed.startup.get_or_insert(now - started);
            if let KillPlan::AfterStep(awaited, delay) = plan
                && step >= awaited
            {
                due.get_or_insert(now + delay);
            }
        }
        if due.is_some_and(|due| Instant::now() >= due) {
            child.0.kill().context("failed to kill the training process")?;
            break child.0.wait()?;
        }
        ensure!(
            started.elapsed() <= timeout,
            "a training process has not ended after {} s{}",
            timeout.as_secs(),
            output_tail(&output)
        );
        sleep(POLL_EVERY);
    };
    if status.signal() == Some(SIGKILL) && due.is_some() {
        observed.killed = Some(KilledState {
            log_untouched: log_state(run) == log_before,
            inside_save: !unfinished(run).is_subset(&unfinished_before),
        });
    } else {
        ensure!(status.success(), "a training process failed ({status}){}", output_tail(&output));
    }
    Ok(observed)
}

/// The last lines of a process's output, for a message.
fn output_tail(output: &Path) -> String {
    let text = fs::read_to_string(output).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines[lines.len().saturating_sub(5)..].join("\n    ");
    format!("; {} ends with\n    {tail}", output.display())
}

/// Identifies a state of a run's log: its length and the time of its last change.
fn log_state(run: &Path) -> Option<(u64, SystemTime)> {
    let metadata = fs::metadata(run.join(LOG)).ok()?;
    Some((metadata.len(), metadata.modified().ok()?))
}

/// An unfinished save: its path, and what distinguishes it from a later one of the same name.
type Unfinished = (PathBuf, u64, Option<SystemTime>);

/// Everything unfinished in a run: checkpoints, and files that are to replace others.
fn unfinished(run: &Path) -> BTreeSet<Unfinished> {
    &unfinished_in(&run.join(CHECKPOINTS)) | &unfinished_in(run)
}

fn unfinished_in(folder: &Path) -> BTreeSet<Unfinished> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let unfinished = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(UNFINISHED));
    let identified = unfinished.filter_map(|entry| {
        let metadata = entry.metadata().ok()?;
        Some((entry.path(), metadata.ino(), metadata.created().ok()))
    });
    identified.collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The fields of a step's record beside its number, as a shell writes them between double quotes.
    pub(crate) const STEP_FIELDS: &str = r#"\"total_steps\":30,\"epoch\":1.0,\"loss\":0.5,\"learning_rate\":1e-5,\"gradient_norm\":1.0,\"examples\":1,\"tokens\":1,\"examples_per_second\":1.0,\"tokens_per_second\":1.0,\"seconds\":1.0"#;

    fn watch_script(script: &str, plan: KillPlan, timeout: Duration) -> Result<WatchedProcess> {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(folder.path());
        watch(command, &folder.path().join("run"), plan, timeout)
    }

    fn killed_state(inside_save: bool, log_untouched: bool) -> Option<KilledState> {
        Some(KilledState { log_untouched, inside_save })
    }

    const LONG: Duration = Duration::from_secs(20);
    /// Long enough to be noticed, and distinguished from the next one, on a busy machine.
    const SAVE: &str =
        "mkdir -p run/checkpoints/.unfinished-a; sleep 0.5; rm -r run/checkpoints/.unfinished-a; sleep 0.5;";

    #[test]
    fn success_failure_and_timeout() {
        assert_eq!(watch_script("true", KillPlan::Uninterrupted, LONG).unwrap().killed, None);
        let error = watch_script("echo no such file; exit 3", KillPlan::Uninterrupted, LONG).unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.ends_with("no such file"), "{error}");
        let error = watch_script("exec sleep 30", KillPlan::Uninterrupted, Duration::ZERO).unwrap_err().to_string();
        assert!(error.contains("has not ended after 0 s"), "{error}");
    }

    #[test]
    fn an_external_signal_is_an_error() {
        assert!(watch_script("kill -9 $$", KillPlan::Uninterrupted, LONG).is_err());
    }

    #[test]
    fn a_save_is_noticed_and_killed() {
        let observed = watch_script(&format!("{SAVE} {SAVE}"), KillPlan::Uninterrupted, LONG).unwrap();
        assert!(observed.killed.is_none() && observed.saves.len() == 2, "{observed:?}");
        let plan = KillPlan::AfterSaveBegins { skip: 1, delay: Duration::ZERO };
        let observed = watch_script(&format!("{SAVE} {SAVE} exec sleep 30"), plan, LONG).unwrap();
        assert_eq!((observed.killed, observed.saves.len()), (killed_state(true, true), 1));
    }

    #[test]
    fn a_step_is_awaited() {
        let script = format!(
            r#"mkdir run; for step in 1 2 3; do
            echo "{{\"event\":\"step\",\"step\":$step,{STEP_FIELDS}}}" >> run/log.jsonl; sleep 0.02; done; exec sleep 30"#
        );
        let observed = watch_script(&script, KillPlan::AfterStep(3, Duration::from_millis(1)), LONG).unwrap();
        assert!(observed.killed == killed_state(false, false) && observed.startup.is_some(), "{observed:?}");
    }

    #[test]
    fn a_kill_before_the_first_step() {
        let observed = watch_script("exec sleep 30", KillPlan::AfterStart(Duration::from_millis(5)), LONG).unwrap();
        assert_eq!(observed.killed, killed_state(false, true));
    }

    #[test]
    fn a_log_that_shrank_or_grew_has_another_state() {
        let run = tempfile::tempdir().unwrap();
        let none = log_state(run.path());
        assert_eq!(none, log_state(run.path()));
        fs::write(run.path().join(LOG), "a\n").unwrap();
        let some = log_state(run.path());
        assert_ne!(none, some);
        fs::write(run.path().join(LOG), "a\nb\n").unwrap();
        assert_ne!(some, log_state(run.path()));
    }

    #[test]
    fn what_is_unfinished_is_found_in_both_places() {
        let run = tempfile::tempdir().unwrap();
        fs::create_dir_all(run.path().join(CHECKPOINTS).join(".unfinished-step-00000200")).unwrap();
        fs::create_dir_all(run.path().join(CHECKPOINTS).join("step-00000100")).unwrap();
        assert_eq!(unfinished(run.path()).len(), 1);
        fs::write(run.path().join(".unfinished-model"), "").unwrap();
        assert_eq!(unfinished(run.path()).len(), 2);
        assert_eq!(unfinished_in(&run.path().join(CHECKPOINTS)).len(), 1);
    }
}
