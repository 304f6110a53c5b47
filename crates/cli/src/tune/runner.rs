//! Trials, one process each, until there are enough: what to try is asked of the sampler, whether to go on of the pruner,
//! and everything that is known lies in the study, so that this process may end at any instant.
//!
//! A single thread polls all running trials in turn. It never waits for one of them.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use disk::write_atomic;
use run::LogFollower;
use serde_json::{Value, json};
use train::signals::{self, Signal};
use tune::pruner::Pruner;
use tune::sampler::Sampler;
use tune::space::Space;
use tune::{StartOutcome, TrialOwner, Param, Duplicates, Study, TrialOutcome, TrialState, TuneError};

use super::attributes::{EPOCHS, ERROR, SAME_AS, SECONDS, STEPS};
use super::folder::StudyFolder;
use super::plan::StudyPlan;
use super::process::{Ended, TrialProcess};
use super::table::TrialTable;

/// Between two polls of the trials.
const POLL_EVERY: Duration = Duration::from_millis(50);
/// Between two signs of life; the study wants one every 30 seconds.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(15);
/// So often a trial may lose its process, while this one lives, before it counts as failed.
const MOST_LOSSES: u32 = 3;
/// So often it may lose the process of the study too, each time without having come farther: a trial that takes the
/// whole machine's memory would otherwise end every start of the study.
const MOST_DEATHS: u64 = 10;
/// With so many failed trials and no other, something is wrong with all of them.
const MOST_FAILURES: usize = 3;

/// The attribute that counts how often a trial's workers died, and at which step.
const DEATHS: &str = "verdict:deaths";

/// Why a runner came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StopReason {
    /// All trials that were wanted, or that there are, are over.
    Done,
    /// The same, but for trials of other processes.
    OthersRun(usize),
    /// The time is over.
    Time,
    /// Somebody asked.
    Signal(Signal),
}

/// Works on a study.
pub(super) struct Runner<'a> {
    pub plan: &'a StudyPlan,
    pub space: &'a Space,
    pub sampler: &'a dyn Sampler,
    pub pruner: &'a dyn Pruner,
    pub folder: &'a StudyFolder,
    pub study: &'a mut Study,
    pub table: &'a mut TrialTable,
    /// Called after each trial that ended.
    pub after_trial: &'a dyn Fn(&Study) -> Result<()>,
}

/// A trial of this process.
struct Running {
    number: u64,
    process: TrialProcess,
    /// How often its process was lost here.
    losses: u32,
}

/// What there is for a free place.
enum Next {
    Trial {
        number: u64,
        resumed: bool,
    },
    /// Nothing now, perhaps later: somebody else's trial may yet be left to us.
    Wait,
    Nothing,
}

impl Runner<'_> {
    /// Runs trials until [`StopReason`].
    ///
    /// # Errors
    /// A study that can't be written; a program that can't be started; trials that all fail.
    pub(super) fn run(&mut self) -> Result<StopReason> {
        let began = Instant::now();
        let mut places: Vec<Option<Running>> = (0..self.plan.workers).map(|_| None).collect();
        let mut end = None;
        let mut heartbeat = Instant::now();
        loop {
            if end.is_none() {
                end = match signals::requested() {
                    Some(signal) => Some(StopReason::Signal(signal)),
                    None => self.plan.time.filter(|time| began.elapsed() >= *time).map(|_| StopReason::Time),
                };
                if end.is_some() {
                    self.table.say("stopping: running trials save and wait for the next start");
                    places.iter_mut().flatten().for_each(|running| running.process.stop());
                }
            }
            let mut waits = false;
            for (index, place) in places.iter_mut().enumerate() {
                if let Some(running) = place.take() {
                    *place = self.poll(running, index, end.is_some())?;
                }
                if place.is_none() && end.is_none() {
                    match self.next()? {
                        Next::Trial { number, resumed } => *place = self.begin(number, resumed, index)?,
                        Next::Wait => waits = true,
                        Next::Nothing => {}
                    }
                }
            }
            if places.iter().all(Option::is_none) && !waits {
                break;
            }
            if heartbeat.elapsed() >= HEARTBEAT_EVERY {
                self.study.heartbeat()?;
                heartbeat = Instant::now();
            }
            let note = if waits { "; waiting for a trial of a worker that isn't heard of" } else { "" };
            self.table.state(self.study.trials(), self.study.best(), self.plan.trials, note);
            sleep(POLL_EVERY);
        }
        Ok(match end {
            Some(end) => end,
            None => match self.others() {
                0 => StopReason::Done,
                others => StopReason::OthersRun(others),
            },
        })
    }

    /// How many trials run in other processes. Those of Optuna's workers aren't counted: they don't say whether they live.
    fn others(&self) -> usize {
        let trials = self.study.trials().iter().filter(|trial| trial.state == TrialState::Running);
        trials.filter(|trial| matches!(self.study.owner(trial.number), Ok(Some(TrialOwner::Alive(_))))).count()
    }

    /// What to do next: what somebody left, what somebody asked for, or something new.
    fn next(&mut self) -> Result<Next> {
        if let Some(number) = self.study.take_over()? {
            return Ok(Next::Trial { number, resumed: true });
        }
        let trials = self.study.trials();
        if let Some(number) = trials
            .iter()
            .any(|trial| trial.state == TrialState::Waiting)
            .then(|| self.study.claim())
            .transpose()?
            .flatten()
        {
            return self.choose_for(number);
        }
        loop {
            let trials = self.study.trials();
            let number = trials.len() as u64;
            let sampled = match self.plan.trials {
                Some(wanted) if number >= wanted => None,
                _ => self.sampler.sample(self.space, trials, number, self.study.direction())?,
            };
            let Some(params) = sampled else {
                let silent =
                    (0..number).any(|number| matches!(self.study.owner(number), Ok(Some(TrialOwner::Silent(..)))));
                return Ok(if silent { Next::Wait } else { Next::Nothing });
            };
            let run = self.folder.run(number);
            if run.exists() {
                self.study.sync()?;
                if self.study.trials().len() as u64 > number {
                    continue;
                }
                bail!(
                    "{} is there already, and the study doesn't know of it (hint: was study.jsonl removed or replaced? \
                     Remove the old trials too, or begin another study with --study DIR)",
                    run.display()
                );
            }
            let attrs = self.plan.attributes(self.space, &params);
            match self.study.start_trial(number, params.clone(), attrs, Duplicates::Refuse)? {
                StartOutcome::Started(number) => return Ok(Next::Trial { number, resumed: false }),
                // Others were quicker: the next choice knows theirs.
                StartOutcome::Outdated => {}
                StartOutcome::Duplicate(earlier) => {
                    let earlier = self.study.trial(earlier)?.clone();
                    let outcome = match (earlier.state, earlier.value) {
                        (TrialState::Complete, Some(value)) => TrialOutcome::Complete(value),
                        (TrialState::Fail, _) => TrialOutcome::Failed,
                        (TrialState::Pruned, _) => TrialOutcome::Pruned,
                        _ => return Ok(Next::Wait),
                    };
                    let attrs = BTreeMap::from([(SAME_AS.to_owned(), json!(earlier.number))]);
                    self.study.add_trial(number, params, attrs, outcome, Duplicates::Allow)?;
                }
            }
        }
    }

    /// The parameters of a trial that somebody put into the queue: theirs, and chosen ones where they left some open.
    fn choose_for(&mut self, number: u64) -> Result<Next> {
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
                    let why = format!("the queue wants {name} = {value}, which the space doesn't have");
                    self.fail(number, &why)?;
                    return self.next();
                }
            }
        }
        self.study.set_params(number, &params)?;
        self.study.set_trial_user_attrs(number, &self.plan.attributes(self.space, &params))?;
        Ok(Next::Trial { number, resumed: false })
    }

    /// How often in a row a trial was left by somebody who died before it had come farther than the time before.
    fn deaths(&mut self, number: u64) -> Result<u64> {
        let mut log = LogFollower::new(&self.folder.run(number));
        log.follow().with_context(|| format!("can't read the log of trial {number}"))?;
        let step = log.step.map_or(0, |step| step.step);
        let noted = self.study.trial(number)?.system_attrs.get(DEATHS).cloned().unwrap_or_default();
        let farther = noted["step"].as_u64().is_some_and(|before| step > before);
        let count = if farther { 1 } else { noted["count"].as_u64().unwrap_or(0) + 1 };
        self.study.set_trial_system_attr(number, DEATHS, &json!({"step": step, "count": count}))?;
        Ok(count)
    }

    /// Starts the process of a trial. None where the trial was lost too often.
    fn begin(&mut self, number: u64, resumed: bool, place: usize) -> Result<Option<Running>> {
        if resumed && self.deaths(number)? > MOST_DEATHS {
            self.fail(number, "every process that worked on it died, and always as early")?;
            return Ok(None);
        }
        let trial = self.study.trial(number)?;
        self.table.begin(number, &trial.params, resumed);
        let config = self.folder.config(number);
        // That of the first start stays: another number of threads would be another training.
        if !config.is_file() {
            let settings = self.plan.configuration(self.space, &trial.params);
            write_atomic(&config, toml::to_string(&settings).context("a configuration that TOML can't hold")?)?;
        }
        let process = TrialProcess::start(self.folder, number, self.plan.gpu(place))?;
        Ok(Some(Running { number, process, losses: 0 }))
    }

    /// Passes on what a trial told, and gives it up or brings it to its end where that is due.
    fn poll(&mut self, mut running: Running, place: usize, stopping: bool) -> Result<Option<Running>> {
        let number = running.number;
        let ended = running.process.poll()?;
        match self.pass_on(&running) {
            Ok(false) => {}
            Ok(true) => {
                let (steps, epochs) = cost_so_far(&running);
                running.process.kill()?;
                let attrs = [(STEPS, json!(steps)), (EPOCHS, json!(epochs))];
                self.finish(number, TrialOutcome::Pruned, "given up", attrs.into())?;
                return Ok(None);
            }
            Err(TuneError::NotOwner { .. }) => {
                self.table.say(&format!("trial {number} goes on elsewhere: this process was taken for dead"));
                running.process.kill()?;
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
            Some(Ended::Done) => {
                let Some(end) = &running.process.log.end else {
                    self.fail(number, "its log has no end")?;
                    return Ok(None);
                };
                let attrs = [(STEPS, json!(end.step)), (EPOCHS, json!(end.epoch)), (SECONDS, json!(end.seconds))];
                match end.best.as_ref().map(|best| best.value).filter(|value| !value.is_nan()) {
                    Some(value) => self.finish(number, TrialOutcome::Complete(value), "complete", attrs.into())?,
                    None => self.fail(number, "its score is NaN")?,
                }
            }
            Some(Ended::Failed(why)) => self.fail(number, &why)?,
            // A signal of a terminal goes to both, and may come to a process that doesn't know yet what to do with it.
            Some(Ended::Stopped | Ended::Killed(_)) if stopping || signals::requested().is_some() => {
                let (_, epochs) = cost_so_far(&running);
                self.study.release(number)?;
                self.table.end(self.study.trial(number)?, "interrupted", Some(epochs));
            }
            Some(Ended::Stopped) => return self.again(running, place, "asked to stop by somebody else"),
            Some(Ended::Killed(how)) => return self.again(running, place, &format!("ended by {how}")),
        }
        Ok(None)
    }

    /// Starts a process anew that was lost, but not for ever.
    fn again(&mut self, lost: Running, place: usize, how: &str) -> Result<Option<Running>> {
        let (number, losses) = (lost.number, lost.losses + 1);
        if losses == MOST_LOSSES {
            let hint = "(hint: where memory is short, fewer --workers)";
            self.fail(number, &format!("its process was {how}, {losses} times {hint}"))?;
            return Ok(None);
        }
        self.table.say(&format!("trial {number}: its process was {how}; it goes on from its checkpoint"));
        let process = TrialProcess::start(self.folder, number, self.plan.gpu(place))?;
        Ok(Some(Running { number, process, losses }))
    }

    /// Reports new evaluations to the study; true where one of them, not the last one, ends the trial.
    fn pass_on(&mut self, running: &Running) -> tune::Result<bool> {
        for (step, evaluation) in (1..).zip(&running.process.log.evaluations) {
            if self.study.trial(running.number)?.intermediate.contains_key(&step) {
                continue;
            }
            self.study.report(running.number, step, evaluation.value)?;
            // At its end there is nothing left to save, and a value to lose.
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
        self.table.say(&format!("trial {number} failed: {why}"));
        self.finish(number, TrialOutcome::Failed, "failed", [(ERROR, json!(why))].into())?;
        let trials = self.study.trials();
        let failed = trials.iter().filter(|trial| trial.state == TrialState::Fail).count();
        let others = trials.iter().any(|trial| matches!(trial.state, TrialState::Complete | TrialState::Pruned));
        if failed >= MOST_FAILURES && !others {
            bail!(
                "the first {failed} trials all failed, the last one so: {why} (hint: what they said is in {})",
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

    /// Keeps the weights of the best trial alone. Only what just ended can have changed which one that is.
    fn remove_weights(&self, ended: u64) {
        let best = self.study.best().map(|best| best.number);
        self.folder.remove_weights(ended, best == Some(ended));
        if best == Some(ended) {
            let over = |trial: &&tune::Trial| trial.state.is_finished() && trial.number != ended;
            self.study.trials().iter().filter(over).for_each(|trial| self.folder.remove_weights(trial.number, false));
        }
    }
}

/// Optimizer steps and epochs that a trial has trained.
fn cost_so_far(running: &Running) -> (u64, f64) {
    running.process.log.step.as_ref().map_or((0, 0.0), |step| (step.step, step.epoch))
}
