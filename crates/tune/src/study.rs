//! A study: its trials, and what a worker does to them.
//!
//! Everything that changes the study goes through its journal: under the lock, after reading what other workers did, and synced
//! before the call returns. What is no longer allowed by then (on a trial that another worker finished or took over) is
//! an error and changes nothing. Reading never waits: [`trials`](Study::trials) are those of the last
//! [`sync`](Study::sync) or change.

mod ownership;
#[cfg(test)]
mod tests;
mod view;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

pub use self::ownership::{HEARTBEAT_INTERVAL, TrialOwner, WORKER_TIMEOUT};
use self::view::{StudyView, no_study};
use crate::distribution::ParamValue;
use crate::error::{Result, TuneError};
use crate::journal::file::JournalFile;
use crate::journal::operation::{self, NewTrial};
use crate::journal::replay::Replay;
use crate::journal::{Journal, WORKER, Worker};
use crate::trial::{FIXED_PARAMS, Param, Params, StudyDirection, Trial, TrialState, now};

/// A study in a journal, and this process as one of its workers.
#[derive(Debug)]
pub struct Study {
    journal: Journal,
    id: u64,
    name: String,
    direction: StudyDirection,
    worker: Worker,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TrialOutcome {
    Complete(f64),
    /// Stopped early; its last intermediate value becomes its value, as in Optuna.
    Pruned,
    Failed,
}

/// The result of [`Study::start_trial`] and [`Study::add_trial`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartOutcome {
    /// The trial was created, with this number.
    Started(u64),
    /// Nothing was created: this earlier trial has the same configuration.
    Duplicate(u64),
    /// Nothing was created: other workers created trials in the meantime, which the sampler did not know.
    Outdated,
}

/// Whether two trials may have the same configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duplicates {
    Refuse,
    Allow,
}

impl Study {
    /// Opens a study; creates the journal and the study if they do not exist. The folder must exist.
    ///
    /// # Errors
    /// [`TuneError::Disk`]; [`TuneError::Damaged`]; [`TuneError::OtherDirection`] and [`TuneError::Objectives`] where the
    /// study exists and optimizes something else.
    pub fn open(path: &Path, name: &str, direction: StudyDirection) -> Result<Self> {
        JournalFile::create(path)?;
        let mut journal = Journal::open(path)?;
        let worker = Worker::new();
        if journal.replay().study(name).is_none() {
            journal.transact(|replay| {
                let create = || operation::create_study(&worker.id, name, direction);
                Ok((if replay.study(name).is_some() { Vec::new() } else { vec![create()] }, ()))
            })?;
        }
        let study = Self::find(journal, name, worker)?;
        if study.direction != direction {
            let (path, study, found) = (path.to_owned(), study.name, study.direction);
            return Err(TuneError::OtherDirection { path, study, found, expected: direction });
        }
        Ok(study)
    }

    /// Opens an existing study without writing anything.
    ///
    /// # Errors
    /// As [`open`](Self::open), and [`TuneError::NoStudy`].
    pub fn load(path: &Path, name: &str) -> Result<Self> {
        Self::find(Journal::open(path)?, name, Worker::new())
    }

    /// The names of all studies of a journal.
    ///
    /// # Errors
    /// [`TuneError::Disk`], [`TuneError::Damaged`].
    pub fn names(path: &Path) -> Result<Vec<String>> {
        Ok(Journal::open(path)?.replay().names())
    }

    fn find(journal: Journal, name: &str, worker: Worker) -> Result<Self> {
        let replay = journal.replay();
        let (id, state) = replay.study(name).ok_or_else(|| no_study(journal.path(), name, replay))?;
        let direction = match state.directions[..] {
            [code] => StudyDirection::from_code(code).ok_or_else(|| "one without a direction".to_owned()),
            _ => Err(format!("{} objectives", state.directions.len())),
        };
        let direction = direction.map_err(|objectives| {
            let (path, study) = (journal.path().to_owned(), name.to_owned());
            TuneError::Objectives { path, study, objectives }
        })?;
        Ok(Self { id, name: name.to_owned(), direction, worker, journal })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn direction(&self) -> StudyDirection {
        self.direction
    }

    pub fn path(&self) -> &Path {
        self.journal.path()
    }

    /// This process, as a worker of this study.
    pub fn worker(&self) -> &Worker {
        &self.worker
    }

    /// Reads what other workers appended.
    ///
    /// # Errors
    /// [`TuneError::Disk`], [`TuneError::Damaged`], [`TuneError::Replaced`], and [`TuneError::NoStudy`] where the
    /// study was deleted.
    pub fn sync(&mut self) -> Result<()> {
        self.journal.sync()?;
        self.view(self.journal.replay()).map(drop)
    }

    /// All trials by number.
    pub fn trials(&self) -> &[Trial] {
        self.journal.replay().by_id(self.id).map_or(&[], |study| &study.trials)
    }

    pub fn trial(&self, number: u64) -> Result<&Trial> {
        self.view(self.journal.replay())?.trial(number).map(|(trial, _)| trial)
    }

    /// The user attributes of the study.
    pub fn user_attrs(&self) -> BTreeMap<String, Value> {
        self.journal.replay().by_id(self.id).map(|study| study.user_attrs.clone()).unwrap_or_default()
    }

    /// The system attributes of the study, which are for programs.
    pub fn system_attrs(&self) -> BTreeMap<String, Value> {
        self.journal.replay().by_id(self.id).map(|study| study.system_attrs.clone()).unwrap_or_default()
    }

    /// The complete trial with the best value, the earliest of several.
    pub fn best(&self) -> Option<&Trial> {
        let complete = self.trials().iter().filter(|trial| trial.state == TrialState::Complete);
        let valued = complete.filter_map(|trial| Some((trial, trial.value.filter(|value| !value.is_nan())?)));
        let best = valued.reduce(|best, next| if self.direction.better(next.1, best.1) { next } else { best });
        best.map(|(trial, _)| trial)
    }

    /// Creates trial `number` as running. It must be the next: with a `number` of [`trials`](Self::trials)`().len()` the
    /// configuration was chosen with all trials known.
    ///
    /// # Errors
    /// [`TuneError::BadParam`] for a value out of its range, or a distribution that is incompatible with the study's; those of
    /// [`sync`](Self::sync).
    pub fn start_trial(
        &mut self,
        number: u64,
        params: Params,
        user_attrs: BTreeMap<String, Value>,
        duplicates: Duplicates,
    ) -> Result<StartOutcome> {
        let new = NewTrial { params, user_attrs, ..NewTrial::new(TrialState::Running) };
        self.create(number, duplicates, || NewTrial { started: Some(now()), ..new.clone() })
    }

    /// Adds trial `number` as finished, by the rules of [`start_trial`](Self::start_trial): one that was run elsewhere, or
    /// whose outcome is known without running it.
    ///
    /// # Errors
    /// As [`start_trial`](Self::start_trial), and [`TuneError::NanValue`].
    pub fn add_trial(
        &mut self,
        number: u64,
        params: Params,
        user_attrs: BTreeMap<String, Value>,
        outcome: TrialOutcome,
        duplicates: Duplicates,
    ) -> Result<StartOutcome> {
        let (state, value) = outcome.final_state(number, None)?;
        let values = value.map(|value| vec![value]);
        let new = NewTrial { params, user_attrs, values, ..NewTrial::new(state) };
        self.create(number, duplicates, || NewTrial { started: Some(now()), completed: Some(now()), ..new.clone() })
    }

    fn create(&mut self, number: u64, duplicates: Duplicates, new: impl Fn() -> NewTrial) -> Result<StartOutcome> {
        let params = new().params;
        self.transact(|study, worker| {
            if study.state.trials.len() as u64 != number {
                return Ok((Vec::new(), StartOutcome::Outdated));
            }
            let identical = study.state.trials.iter().find(|trial| trial.has_params(&params));
            if let Some(trial) = identical.filter(|_| duplicates == Duplicates::Refuse) {
                return Ok((Vec::new(), StartOutcome::Duplicate(trial.number)));
            }
            study.check(&params)?;
            let mut new = new();
            new.system_attrs.insert(WORKER.to_owned(), worker.to_json());
            Ok((vec![operation::create_trial(&worker.id, study.id, &new)], StartOutcome::Started(number)))
        })
    }

    /// Puts a trial into the queue, for the next worker that calls [`claim`](Self::claim) or, in Optuna, asks for a trial.
    /// These parameters get these values, the others are sampled when it starts. Returns its number.
    ///
    /// # Errors
    /// Those of [`sync`](Self::sync).
    pub fn enqueue_trial(
        &mut self,
        fixed: &BTreeMap<String, ParamValue>,
        user_attrs: BTreeMap<String, Value>,
    ) -> Result<u64> {
        let fixed: Map<String, Value> = fixed.iter().map(|(name, value)| (name.clone(), value.to_value())).collect();
        let system_attrs = BTreeMap::from([(FIXED_PARAMS.to_owned(), Value::Object(fixed))]);
        let new = NewTrial { user_attrs, system_attrs, ..NewTrial::new(TrialState::Waiting) };
        self.transact(|study, worker| {
            let number = study.state.trials.len() as u64;
            Ok((vec![operation::create_trial(&worker.id, study.id, &new)], number))
        })
    }

    /// Starts the first trial of the queue, if there is one. Its parameters must then be set by
    /// [`set_params`](Self::set_params), those of [`fixed_params`](Trial::fixed_params) to their fixed values.
    ///
    /// # Errors
    /// Those of [`sync`](Self::sync).
    pub fn claim(&mut self) -> Result<Option<u64>> {
        self.transact(|study, worker| {
            let waiting = study.state.trials.iter().zip(&study.state.owned);
            let Some((trial, owned)) = waiting.into_iter().find(|(trial, _)| trial.state == TrialState::Waiting) else {
                return Ok((Vec::new(), None));
            };
            // In this order, or a process killed in between would own the trial without being identified.
            let who = operation::trial_system_attr(&worker.id, owned.id, WORKER, &worker.to_json());
            let state = operation::trial_state(&worker.id, owned.id, TrialState::Running, None, &now());
            Ok((vec![who, state], Some(trial.number)))
        })
    }

    /// Sets parameters of a trial that belongs to this worker.
    ///
    /// # Errors
    /// [`TuneError::BadParam`] as in [`start_trial`](Self::start_trial); those of [`report`](Self::report).
    pub fn set_params(&mut self, number: u64, params: &Params) -> Result<()> {
        self.update(number, "get parameters", |study, worker, _, id| {
            study.check(params)?;
            let line = |(name, param): (&String, &Param)| operation::trial_param(&worker.id, id, name, param);
            Ok(params.iter().map(line).collect())
        })
    }

    /// Reports an intermediate value of a trial that belongs to this worker. NaN is allowed.
    ///
    /// # Errors
    /// [`TuneError::NoTrial`]; [`TuneError::WrongState`] for one that is not running; [`TuneError::NotOwner`] for one
    /// that another worker took over; those of [`sync`](Self::sync).
    pub fn report(&mut self, number: u64, step: u64, value: f64) -> Result<()> {
        self.update(number, "report a value", |_, worker, _, id| {
            Ok(vec![operation::intermediate(&worker.id, id, step, value)])
        })
    }

    /// Sets user attributes of a trial that belongs to this worker.
    ///
    /// # Errors
    /// As [`report`](Self::report).
    pub fn set_trial_user_attrs(&mut self, number: u64, attrs: &BTreeMap<String, Value>) -> Result<()> {
        self.update(number, "get attributes", |_, worker, _, id| {
            let line = |(key, value): (&String, &Value)| operation::trial_user_attr(&worker.id, id, key, value);
            Ok(attrs.iter().map(line).collect())
        })
    }

    /// Sets a system attribute of a trial that belongs to this worker.
    ///
    /// # Errors
    /// As [`report`](Self::report).
    pub fn set_trial_system_attr(&mut self, number: u64, key: &str, value: &Value) -> Result<()> {
        self.update(number, "get attributes", |_, worker, _, id| {
            Ok(vec![operation::trial_system_attr(&worker.id, id, key, value)])
        })
    }

    /// Finishes a trial that belongs to this worker. It is never run again.
    ///
    /// # Errors
    /// As [`report`](Self::report), and [`TuneError::NanValue`] for a complete trial's value.
    pub fn finish(&mut self, number: u64, outcome: TrialOutcome) -> Result<()> {
        self.update(number, "be finished", |_, worker, trial, id| {
            let (state, value) = outcome.final_state(number, trial.last_intermediate())?;
            Ok(vec![operation::trial_state(&worker.id, id, state, value, &now())])
        })
    }

    /// Sets a user attribute of the study.
    ///
    /// # Errors
    /// Those of [`sync`](Self::sync).
    pub fn set_user_attr(&mut self, key: &str, value: &Value) -> Result<()> {
        self.transact(|study, worker| Ok((vec![operation::study_user_attr(&worker.id, study.id, key, value)], ())))
    }

    /// The user attribute of this name; if the study has none, sets it to `value` first. Of several processes that do so at
    /// the same time, one sets it.
    ///
    /// # Errors
    /// Those of [`sync`](Self::sync).
    pub fn user_attr_or_set(&mut self, key: &str, value: &Value) -> Result<Value> {
        self.transact(|study, worker| match study.state.user_attrs.get(key) {
            Some(found) => Ok((Vec::new(), found.clone())),
            None => Ok((vec![operation::study_user_attr(&worker.id, study.id, key, value)], value.clone())),
        })
    }

    fn view<'a>(&self, replay: &'a Replay) -> Result<StudyView<'a>> {
        StudyView::of(replay, self.id).ok_or_else(|| no_study(self.path(), &self.name, replay))
    }

    /// Appends the lines that `decide` returns for everything that was appended so far.
    fn transact<T>(&mut self, decide: impl Fn(&StudyView, &Worker) -> Result<(Vec<String>, T)>) -> Result<T> {
        let Self { journal, id, name, worker, .. } = self;
        let path = journal.path().to_owned();
        journal.transact(|replay| {
            let view = StudyView::of(replay, *id).ok_or_else(|| no_study(&path, name, replay))?;
            decide(&view, worker)
        })
    }

    /// Appends lines about a running trial of this worker.
    fn update(
        &mut self,
        number: u64,
        action: &'static str,
        lines: impl Fn(&StudyView, &Worker, &Trial, u64) -> Result<Vec<String>>,
    ) -> Result<()> {
        self.transact(|study, worker| {
            let (trial, owned) = study.trial(number)?;
            if trial.state != TrialState::Running {
                return Err(TuneError::WrongState { number, state: trial.state, action });
            }
            if owned.owner.as_deref() != Some(&worker.id) {
                return Err(TuneError::NotOwner { number, owner: study.describe_owner(owned) });
            }
            Ok((lines(study, worker, trial, owned.id)?, ()))
        })
    }
}

impl TrialOutcome {
    fn final_state(self, number: u64, last: Option<f64>) -> Result<(TrialState, Option<f64>)> {
        match self {
            Self::Complete(value) if value.is_nan() => Err(TuneError::NanValue { number }),
            Self::Complete(value) => Ok((TrialState::Complete, Some(value))),
            Self::Pruned => Ok((TrialState::Pruned, last.filter(|value| !value.is_nan()))),
            Self::Failed => Ok((TrialState::Fail, None)),
        }
    }
}
