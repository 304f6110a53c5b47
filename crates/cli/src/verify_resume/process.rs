//! A training process and its run, watched from start to end, or to the instant at which it is killed.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use run::last_step;

use super::watch::{self, LogState, Unfinished};

/// Between two polls of the run. One costs some microseconds.
const POLL_EVERY: Duration = Duration::from_micros(100);
const SIGKILL: i32 = 9;

/// When a process shall be killed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum KillPlan {
    /// Never.
    Undisturbed,
    /// This long after its log has this step.
    AfterStep(u64, Duration),
    /// This long after the beginning of a save, the first `skip` saves left alone.
    AfterSaveBegins { skip: u64, delay: Duration },
    /// This long after its start.
    AfterStart(Duration),
}

/// How a process ended.
#[derive(Debug)]
pub enum End {
    /// By itself and well.
    Done,
    /// By the signal.
    Killed {
        /// Whether its log was still as it found it.
        log_untouched: bool,
        /// Whether it left an unfinished file or folder.
        inside_save: bool,
    },
}

/// What was learnt by watching.
#[derive(Debug, Default, Clone)]
pub struct Seen {
    /// From the start of a process to its first step.
    pub startups: Vec<Duration>,
    /// From the appearance to the completion of a checkpoint.
    pub saves: Vec<Duration>,
}

/// Kills its process when it goes out of scope, so that none outlives an error here.
struct Guarded(Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A process in a run's folder.
pub struct Watched<'a> {
    child: Guarded,
    run: &'a Path,
    output: PathBuf,
    started: Instant,
    log_before: LogState,
    unfinished_before: BTreeSet<Unfinished>,
    stepped: bool,
    saving: Option<(Unfinished, Instant)>,
    saves_begun: u64,
    due: Option<Instant>,
}

impl<'a> Watched<'a> {
    /// Starts `command`, which trains into `run`; what it prints is appended to `output`.
    ///
    /// # Errors
    /// A program that can't be started.
    pub fn start(mut command: Command, run: &'a Path, output: &Path) -> Result<Self> {
        let said = File::options().create(true).append(true).open(output);
        let said = said.with_context(|| format!("can't write {}", output.display()))?;
        command.stdin(std::process::Stdio::null()).stdout(said.try_clone()?).stderr(said);
        let (log_before, unfinished_before) = (watch::log_state(run), watch::unfinished(run));
        let started = Instant::now();
        let child = Guarded(command.spawn().context("can't start this program again as `train`")?);
        Ok(Self {
            child,
            run,
            output: output.to_owned(),
            started,
            log_before,
            unfinished_before,
            stepped: false,
            saving: None,
            saves_begun: 0,
            due: None,
        })
    }

    /// Watches until it ends by itself, or kills it as planned.
    ///
    /// # Errors
    /// An end by itself that isn't a good one; more time than `most`.
    pub fn see_through(mut self, plan: KillPlan, most: Duration, seen: &mut Seen) -> Result<End> {
        loop {
            if let Some(status) = self.child.0.try_wait()? {
                return self.ended(status);
            }
            self.poll(plan, seen);
            if self.due.is_some_and(|due| Instant::now() >= due) {
                self.child.0.kill().context("can't kill the training process")?;
                let status = self.child.0.wait()?;
                return self.ended(status);
            }
            if self.started.elapsed() > most {
                let waited = most.as_secs();
                bail!("a training process has not ended after {waited} s{}", self.last_words());
            }
            sleep(POLL_EVERY);
        }
    }

    /// Polls the run, and notes when to kill it as soon as that is known.
    fn poll(&mut self, plan: KillPlan, seen: &mut Seen) {
        let now = Instant::now();
        if let KillPlan::AfterStart(delay) = plan {
            self.due = Some(self.started + delay);
        }
        self.poll_saves(plan, now, seen);
        // Until a process that goes on has cut the log, the steps in it are those of the life before.
        if (self.stepped && !matches!(plan, KillPlan::AfterStep(..))) || watch::log_state(self.run) == self.log_before {
            return;
        }
        let Some(step) = last_step(self.run) else { return };
        if !self.stepped {
            self.stepped = true;
            seen.startups.push(now - self.started);
        }
        if let KillPlan::AfterStep(awaited, delay) = plan
            && step >= awaited
        {
            self.due.get_or_insert(now + delay);
        }
    }

    fn poll_saves(&mut self, plan: KillPlan, now: Instant, seen: &mut Seen) {
        let unfinished = watch::unfinished_checkpoints(self.run);
        if let Some((save, began)) = &self.saving {
            if unfinished.contains(save) {
                return;
            }
            seen.saves.push(now - *began);
            self.saving = None;
        }
        let Some(save) = unfinished.into_iter().find(|save| !self.unfinished_before.contains(save)) else { return };
        if let KillPlan::AfterSaveBegins { skip, delay } = plan
            && self.saves_begun >= skip
        {
            self.due.get_or_insert(now + delay);
        }
        self.saves_begun += 1;
        self.saving = Some((save, now));
    }

    fn ended(&self, status: ExitStatus) -> Result<End> {
        if status.signal() == Some(SIGKILL) && self.due.is_some() {
            let inside_save = watch::unfinished(self.run).difference(&self.unfinished_before).next().is_some();
            return Ok(End::Killed { log_untouched: watch::log_state(self.run) == self.log_before, inside_save });
        }
        if !status.success() {
            bail!("a training process ended by itself ({status}){}", self.last_words());
        }
        Ok(End::Done)
    }

    /// The end of what it printed, for a message.
    fn last_words(&self) -> String {
        let text = std::fs::read_to_string(&self.output).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(5)..].join("\n    ");
        format!("; {} ends with\n    {tail}", self.output.display())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The fields of a step's record beside its number, as a shell writes them between double quotes.
    pub(crate) const STEP_FIELDS: &str = r#"\"total_steps\":30,\"epoch\":1.0,\"loss\":0.5,\"learning_rate\":1e-5,\"gradient_norm\":1.0,\"examples\":1,\"tokens\":1,\"examples_per_second\":1.0,\"tokens_per_second\":1.0,\"seconds\":1.0"#;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn see(script: &str, plan: KillPlan, most: Duration) -> (Result<End>, Seen) {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        let mut command = shell(script);
        command.current_dir(folder.path());
        let mut seen = Seen::default();
        let watched = Watched::start(command, &run, &folder.path().join("said.txt")).unwrap();
        (watched.see_through(plan, most, &mut seen), seen)
    }

    const LONG: Duration = Duration::from_secs(20);
    /// Long enough to be seen, and told from the next one, on a machine with other work to do.
    const SAVE: &str =
        "mkdir -p run/checkpoints/.unfinished-a; sleep 0.5; rm -r run/checkpoints/.unfinished-a; sleep 0.5;";

    #[test]
    fn a_good_end_a_bad_one_and_none() {
        assert!(matches!(see("true", KillPlan::Undisturbed, LONG).0, Ok(End::Done)));
        let error = see("echo no such file; exit 3", KillPlan::Undisturbed, LONG).0.unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.ends_with("no such file"), "{error}");
        let error = see("exec sleep 30", KillPlan::Undisturbed, Duration::ZERO).0.unwrap_err().to_string();
        assert!(error.contains("has not ended after 0 s"), "{error}");
    }

    #[test]
    fn somebody_elses_signal_is_not_ours() {
        assert!(see("kill -9 $$", KillPlan::Undisturbed, LONG).0.is_err());
    }

    #[test]
    fn a_save_is_seen_begin_and_end_and_is_hit() {
        let (end, seen) = see(&format!("{SAVE} {SAVE}"), KillPlan::Undisturbed, LONG);
        assert!(matches!(end, Ok(End::Done)) && seen.saves.len() == 2, "{seen:?}");
        let plan = KillPlan::AfterSaveBegins { skip: 1, delay: Duration::ZERO };
        let (end, seen) = see(&format!("{SAVE} {SAVE} exec sleep 30"), plan, LONG);
        assert!(matches!(end, Ok(End::Killed { inside_save: true, log_untouched: true })), "{end:?}");
        assert_eq!(seen.saves.len(), 1);
    }

    #[test]
    fn a_step_is_awaited() {
        let script = format!(
            r#"mkdir run; for step in 1 2 3; do
            echo "{{\"event\":\"step\",\"step\":$step,{STEP_FIELDS}}}" >> run/log.jsonl; sleep 0.02; done; exec sleep 30"#
        );
        let (end, seen) = see(&script, KillPlan::AfterStep(3, Duration::from_millis(1)), LONG);
        assert!(matches!(end, Ok(End::Killed { inside_save: false, log_untouched: false })), "{end:?}");
        assert_eq!(seen.startups.len(), 1);
    }

    #[test]
    fn before_anything_is_done() {
        let (end, _) = see("exec sleep 30", KillPlan::AfterStart(Duration::from_millis(5)), LONG);
        assert!(matches!(end, Ok(End::Killed { inside_save: false, log_untouched: true })), "{end:?}");
    }
}
