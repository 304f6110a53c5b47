//! Runs trials, one process each: the sampler chooses their configurations, the pruner stops them early. All state is in
//! the study, so that this process may end at any time.
//!
//! A single thread polls all running trials in turn, and never waits for one of them.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use disk::write_atomic;
use run::LogFollower;
use serde_json::{Value, json};
use train::signals::{self, Signal};
use train::{TrainingExit, TrainingProcess};
use tune::pruner::Pruner;
use tune::sampler::Sampler;
use tune::space::Space;
use tune::{Duplicates, Param, StartOutcome, Study, TrialOutcome, TrialOwner, TrialState, TuneError};

use super::attributes::{EPOCHS, ERROR, SAME_AS, SECONDS, STEPS};
use super::folder::StudyFolder;
use super::plan::StudyPlan;
use super::table::TrialTable;
use crate::this_program;

/// Between two polls of the trials.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Between two heartbeats; the study needs one every 30 seconds.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(15);
/// A trial fails when its process was killed this often while this one is alive.
const MAX_RESTARTS: u32 = 3;
/// A trial fails when the study's process died with it more often than this without progress: a trial that uses up the
/// machine's memory would otherwise end every start of the study.
const MAX_CRASHES: u64 = 10;
/// The study stops when the first trials, this many, all failed.
const MAX_FAILURES: usize = 3;

/// The attribute that counts how often a trial's workers died, and at which step.
const CRASHES: &str = "verdict:deaths";

/// Why a runner stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StopReason {
    /// All trials are finished.
    Done,
    /// All but this many trials, which run in other processes.
    OthersRun(usize),
    /// The time limit is reached.
    Time,
    /// This signal was received.
    Signal(Signal),
}

/// Runs the trials of a study.
pub(super) struct Runner<'a> {
    pub plan: &'a StudyPlan,
    pub space: &'a Space,
    pub sampler: &'a dyn Sampler,
    pub pruner: &'a dyn Pruner,
    pub folder: &'a StudyFolder,
    pub study: &'a mut Study,
    pub table: &'a mut TrialTable,
    /// Called after each finished trial.
    pub after_trial: &'a dyn Fn(&Study) -> Result<()>,
}

/// A trial of this process.
struct Running {
    number: u64,
    process: TrainingProcess,
    /// How often its process was restarted.
    restarts: u32,
}

/// What a free worker does next.
enum NextAction {
    Trial {
        number: u64,
        resumed: bool,
    },
    /// Nothing now, but perhaps later: another worker may turn out to be dead.
    Wait,
    Nothing,
}

impl Runner<'_> {
    /// Runs trials until [`StopReason`].
    ///
    /// # Errors
    /// A study that can't be written; a program that can't be started; trials that all fail.
    pub(super) fn run(&mut self) -> Result<StopReason> {
        let started = Instant::now();
        let mut slots: Vec<Option<Running>> = (0..self.plan.workers).map(|_| None).collect();
        let mut end = None;
        let mut heartbeat = Instant::now();
        loop {
            if end.is_none() {
                end = match signals::requested() {
                    Some(signal) => Some(StopReason::Signal(signal)),
                    None => self.plan.time.filter(|time| started.elapsed() >= *time).map(|_| StopReason::Time),
                };
                if end.is_some() {
                    self.table.print_line("stopping: running trials save, and are resumed by the next start");
                    slots.iter_mut().flatten().for_each(|running| running.process.stop());
                }
            }
            let mut waits = false;
            for (worker, slot) in slots.iter_mut().enumerate() {
                if let Some(running) = slot.take() {
                    *slot = self.poll(running, worker, end.is_some())?;
                }
                if slot.is_none() && end.is_none() {
                    match self.next()? {
                        NextAction::Trial { number, resumed } => *slot = self.start(number, resumed, worker)?,
                        NextAction::Wait => waits = true,
                        NextAction::Nothing => {}
                    }
                }
            }
            if slots.iter().all(Option::is_none) && !waits {
                break;
            }
            if heartbeat.elapsed() >= HEARTBEAT_INTERVAL {
                self.study.heartbeat()?;
                heartbeat = Instant::now();
            }
            let note = if waits { "; waiting for a worker that does not respond" } else { "" };
            self.table.summary(self.study.trials(), self.study.best(), self.plan.trials, note);
            sleep(POLL_INTERVAL);
        }
        Ok(match end {
            Some(end) => end,
            None => match self.running_elsewhere() {
                0 => StopReason::Done,
                others => StopReason::OthersRun(others),
            },
        })
    }

    /// The number of trials in other living processes, except Optuna's workers, which can't be checked.
    fn running_elsewhere(&self) -> usize {
        let trials = self.study.trials().iter().filter(|trial| trial.state == TrialState::Running);
        trials.filter(|trial| matches!(self.study.owner(trial.number), Ok(Some(TrialOwner::Alive(_))))).count()
    }

    /// The next trial: one of a dead worker, one from the queue, or a new one.
    fn next(&mut self) -> Result<NextAction> {
        if let Some(number) = self.study.take_over()? {
            return Ok(NextAction::Trial { number, resumed: true });
        }
        let trials = self.study.trials();
        if let Some(number) = trials
            .iter()
            .any(|trial| trial.state == TrialState::Waiting)
            .then(|| self.study.claim())
            .transpose()?
            .flatten()
        {
            return self.start_queued(number);
        }
        loop {
            let trials = self.study.trials();
            let number = trials.len() as u64;
            let sampled = match self.plan.trials {
                Some(total) if number >= total => None,
                _ => self.sampler.sample(self.space, trials, number, self.study.direction())?,
            };
            let Some(params) = sampled else {
                let silent =
                    (0..number).any(|number| matches!(self.study.owner(number), Ok(Some(TrialOwner::Silent(..)))));
                return Ok(if silent { NextAction::Wait } else { NextAction::Nothing });
            };
            let run = self.folder.run(number);
            if run.exists() {
                self.study.sync()?;
                if self.study.trials().len() as u64 > number {
                    continue;
                }
                bail!(
                    "{} exists, but the study has no such trial (hint: if study.jsonl was removed or replaced, remove the old \
                     trials too, or start another study with --study DIR)",
                    run.display()
                );
            }
            let attrs = self.plan.attributes(self.space, &params);
            match self.study.start_trial(number, params.clone(), attrs, Duplicates::Refuse)? {
                StartOutcome::Started(number) => return Ok(NextAction::Trial { number, resumed: false }),
                // Another process was faster: sample again, with its trial known.
                StartOutcome::Outdated => {}
                StartOutcome::Duplicate(earlier) => {
                    let earlier = self.study.trial(earlier)?.clone();
                    let outcome = match (earlier.state, earlier.value) {
                        (TrialState::Complete, Some(value)) => TrialOutcome::Complete(value),
                        (TrialState::Fail, _) => TrialOutcome::Failed,
                        (TrialState::Pruned, _) => TrialOutcome::Pruned,
                        _ => return Ok(NextAction::Wait),
                    };
                    let attrs = BTreeMap::from([(SAME_AS.to_owned(), json!(earlier.number))]);
                    self.study.add_trial(number, params, attrs, outcome, Duplicates::Allow)?;
                }
            }
        }
    }

    /// Sets the parameters of a trial from the queue: the fixed ones, and sampled ones for the rest.
    fn start_queued(&mut self, number: u64) -> Result<NextAction> {
        let trial = self.study.trial(number)?.clone();
        let sampled = self.sampler.sample(self.space, self.study.trials(), number, self.study.direction())?;
        let mut params = sampled.unwrap_or_default();
        for (name, value) in trial.fixed_params() {
            let parameter = self.space.parameters().iter().find(|parameter| parameter.name == name);
            let fits = parameter.and_then(|parameter| {
                let internal = parameter.distribution.to_internal(&value)?;
                let distribution = parameter.distribution.clone();
                distribution.contains(internal).then_some(Param { distribution, internal })
            });
            match fits {
                Some(param) => drop(params.insert(name, param)),
                None => {
                    let why = format!("the queued trial has {name} = {value}, which is not in the search space");
                    self.fail(number, &why)?;
                    return self.next();
                }
            }
        }
        self.study.set_params(number, &params)?;
        self.study.set_trial_user_attrs(number, &self.plan.attributes(self.space, &params))?;
        Ok(NextAction::Trial { number, resumed: false })
    }

    /// How often in a row a worker of this trial died without progress.
    fn count_crashes(&mut self, number: u64) -> Result<u64> {
        let mut log = LogFollower::new(&self.folder.run(number));
        log.follow().with_context(|| format!("failed to read the log of trial {number}"))?;
        let step = log.step.map_or(0, |step| step.step);
        let stored = self.study.trial(number)?.system_attrs.get(CRASHES).cloned().unwrap_or_default();
        let has_progressed = stored["step"].as_u64().is_some_and(|before| step > before);
        let count = if has_progressed { 1 } else { stored["count"].as_u64().unwrap_or(0) + 1 };
        self.study.set_trial_system_attr(number, CRASHES, &json!({"step": step, "count": count}))?;
        Ok(count)
    }

    /// Starts the process of a trial. `None` if its workers died too often.
    fn start(&mut self, number: u64, resumed: bool, worker: usize) -> Result<Option<Running>> {
        if resumed && self.count_crashes(number)? > MAX_CRASHES {
            self.fail(number, "its processes crashed repeatedly without progress")?;
            return Ok(None);
        }
        let trial = self.study.trial(number)?;
        self.table.begin(number, &trial.params, resumed);
        let config = self.folder.config(number);
        // The configuration of the first start stays: another number of threads would give another result.
        if !config.is_file() {
            let settings = self.plan.configuration(self.space, &trial.params);
            write_atomic(&config, toml::to_string(&settings).context("failed to write a configuration as TOML")?)?;
        }
        let process = self.start_process(number, worker)?;
        Ok(Some(Running { number, process, restarts: 0 }))
    }

    fn start_process(&self, number: u64, worker: usize) -> Result<TrainingProcess> {
        let files = self.folder.training_files(number);
        let process = TrainingProcess::start(this_program("train")?, &files, self.plan.gpu(worker));
        process.with_context(|| format!("trial {number}"))
    }

    /// Reports a trial's progress, and prunes or finishes it if necessary.
    fn poll(&mut self, mut running: Running, worker: usize, stopping: bool) -> Result<Option<Running>> {
        let number = running.number;
        let ended = running.process.poll().with_context(|| format!("trial {number}"))?;
        match self.report_evaluations(&running) {
            Ok(false) => {}
            Ok(true) => {
                let (steps, epochs) = trained_so_far(&running);
                running.process.kill().context("failed to kill a trial's process")?;
                let attrs = [(STEPS, json!(steps)), (EPOCHS, json!(epochs))];
                self.finish(number, TrialOutcome::Pruned, "pruned", attrs.into())?;
                return Ok(None);
            }
            Err(TuneError::NotOwner { .. }) => {
                self.table.print_line(&format!(
                    "trial {number} was taken over by another worker, which considered this process dead"
                ));
                running.process.kill().context("failed to kill a trial's process")?;
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        }
        if let Some(step) = &running.process.log.step {
            let last = running.process.log.evaluations.last().map(|evaluation| evaluation.value);
            self.table.progress(number, step, last);
        }
        match ended {
            None => return Ok(Some(running)),
            Some(TrainingExit::Done) => {
                let Some(end) = &running.process.log.end else {
                    self.fail(number, "its log is incomplete")?;
                    return Ok(None);
                };
                let attrs = [(STEPS, json!(end.step)), (EPOCHS, json!(end.epoch)), (SECONDS, json!(end.seconds))];
                match end.best.as_ref().map(|best| best.value).filter(|value| !value.is_nan()) {
                    Some(value) => self.finish(number, TrialOutcome::Complete(value), "complete", attrs.into())?,
                    None => self.fail(number, "its score is NaN")?,
                }
            }
            Some(TrainingExit::Failed(why)) => self.fail(number, &why)?,
            // A terminal sends its signal to both processes, and the trial may get it before its handler is installed.
            Some(TrainingExit::Stopped | TrainingExit::Killed(_)) if stopping || signals::requested().is_some() => {
                let (_, epochs) = trained_so_far(&running);
                self.study.release(number)?;
                self.table.end(self.study.trial(number)?, "interrupted", Some(epochs));
            }
            Some(TrainingExit::Stopped) => return self.restart(running, worker, "stopped by another process"),
            Some(TrainingExit::Killed(how)) => return self.restart(running, worker, &format!("killed ({how})")),
        }
        Ok(None)
    }

    /// Restarts a trial's process, but not endlessly.
    fn restart(&mut self, lost: Running, worker: usize, how: &str) -> Result<Option<Running>> {
        let (number, restarts) = (lost.number, lost.restarts + 1);
        if restarts == MAX_RESTARTS {
            let hint = "(hint: use fewer --workers if memory is short)";
            self.fail(number, &format!("its process was {how}, {restarts} times {hint}"))?;
            return Ok(None);
        }
        self.table.print_line(&format!("trial {number}: its process was {how}; restarting from its checkpoint"));
        let process = self.start_process(number, worker)?;
        Ok(Some(Running { number, process, restarts }))
    }

    /// Reports new evaluations to the study; returns whether the trial should be pruned.
    fn report_evaluations(&mut self, running: &Running) -> tune::Result<bool> {
        for (step, evaluation) in (1..).zip(&running.process.log.evaluations) {
            if self.study.trial(running.number)?.intermediate.contains_key(&step) {
                continue;
            }
            self.study.report(running.number, step, evaluation.value)?;
            // At the end of the training pruning would save nothing and lose the final value.
            let last_step = &running.process.log.step;
            if last_step.as_ref().is_some_and(|last| evaluation.step >= last.total_steps) {
                continue;
            }
            let trial = self.study.trial(running.number)?;
            if self.pruner.should_prune(self.study.trials(), trial, self.study.direction()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn fail(&mut self, number: u64, why: &str) -> Result<()> {
        self.table.print_line(&format!("trial {number} failed: {why}"));
        self.finish(number, TrialOutcome::Failed, "failed", [(ERROR, json!(why))].into())?;
        let trials = self.study.trials();
        let failed = trials.iter().filter(|trial| trial.state == TrialState::Fail).count();
        let others = trials.iter().any(|trial| matches!(trial.state, TrialState::Complete | TrialState::Pruned));
        if failed >= MAX_FAILURES && !others {
            bail!(
                "the first {failed} trials all failed, the last one with: {why} (hint: their output is in {})",
                self.folder.output(number).with_file_name("").display()
            );
        }
        Ok(())
    }

    fn finish(&mut self, number: u64, outcome: TrialOutcome, word: &str, attrs: BTreeMap<&str, Value>) -> Result<()> {
        let epochs = attrs.get(EPOCHS).and_then(Value::as_f64);
        let attrs = attrs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        self.study.set_trial_user_attrs(number, &attrs)?;
        self.study.finish(number, outcome)?;
        self.table.end(self.study.trial(number)?, word, epochs);
        self.remove_weights(number);
        (self.after_trial)(self.study)
    }

    /// Keeps only the weights of the best trial. Only the trial that just ended can have become the best.
    fn remove_weights(&self, ended: u64) {
        let best = self.study.best().map(|best| best.number);
        self.folder.remove_weights(ended, best == Some(ended));
        if best == Some(ended) {
            let finished = |trial: &&tune::Trial| trial.state.is_finished() && trial.number != ended;
            self.study
                .trials()
                .iter()
                .filter(finished)
                .for_each(|trial| self.folder.remove_weights(trial.number, false));
        }
    }
}

/// The optimizer steps and epochs that a trial has trained.
fn trained_so_far(running: &Running) -> (u64, f64) {
    running.process.log.step.as_ref().map_or((0, 0.0), |step| (step.step, step.epoch))
}
