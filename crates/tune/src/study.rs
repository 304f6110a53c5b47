//! A study: its trials, and what a worker does to them.
//!
//! Everything that changes the study goes through its journal: under the lock, after reading what others did, and synced
//! before the call returns. What isn't allowed any more by then (a trial that somebody finished, or took over) is an
//! error and changes nothing. Reading never waits: [`trials`](Study::trials) are those of the last
//! [`sync`](Study::sync) or change.

mod ownership;
#[cfg(test)]
mod tests;
mod view;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

pub use self::ownership::{HEARTBEAT, Holder, SILENCE};
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
    /// Early, because others did better; its last intermediate value becomes its value, as in Optuna.
    Pruned,
    Failed,
}

/// What came of asking for a new trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// It is there, under this number.
    Started(u64),
    /// It isn't: this earlier trial has the same configuration.
    Identical(u64),
    /// It isn't: others created trials in the meantime, so the configuration was chosen without knowing them.
    Overtaken,
}

/// Whether a configuration may be tried that was tried before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    Refuse,
    Allow,
}

impl Study {
    /// Opens a study, and makes the journal and the study in it where they aren't there. The folder must be.
    ///
    /// # Errors
    /// [`TuneError::Disk`]; [`TuneError::Damaged`]; [`TuneError::OtherDirection`] and [`TuneError::Objectives`] where the
    /// study is there and optimises something else.
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
            return Err(TuneError::OtherDirection { path, study, found, wanted: direction });
        }
        Ok(study)
    }

    /// Opens a study that is there, without writing anything.
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
            [code] => StudyDirection::from_code(code).ok_or_else(|| "no direction".to_owned()),
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

    /// Reads what others did.
    ///
    /// # Errors
    /// [`TuneError::Disk`], [`TuneError::Damaged`], [`TuneError::Replaced`], and [`TuneError::NoStudy`] where somebody
    /// deleted the study.
    pub fn sync(&mut self) -> Result<()> {
        self.journal.sync()?;
        self.view(self.journal.replay()).map(drop)
    }

    /// All trials, by number.
    pub fn trials(&self) -> &[Trial] {
        self.journal.replay().by_id(self.id).map_or(&[], |study| &study.trials)
    }

    pub fn trial(&self, number: u64) -> Result<&Trial> {
        self.view(self.journal.replay())?.trial(number).map(|(trial, _)| trial)
    }

    /// What people keep with the study.
    pub fn user_attrs(&self) -> BTreeMap<String, Value> {
        self.journal.replay().by_id(self.id).map(|study| study.user_attrs.clone()).unwrap_or_default()
    }

    /// What programs keep with the study.
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

    /// Begins trial `number`, which must be the next: with a `number` of [`trials`](Self::trials)`().len()` the
    /// configuration was chosen with all trials known that there are.
    ///
    /// # Errors
    /// [`TuneError::BadParam`] for a value out of its range, or a distribution that this study can't take; those of
    /// [`sync`](Self::sync).
    pub fn begin(
        &mut self,
        number: u64,
        params: Params,
        user_attrs: BTreeMap<String, Value>,
        repeat: Repeat,
    ) -> Result<Begun> {
        let new = NewTrial { params, user_attrs, ..NewTrial::new(TrialState::Running) };
        self.create(number, repeat, || NewTrial { started: Some(now()), ..new.clone() })
    }

    /// Adds trial `number` as one that is over already, by the rules of [`begin`](Self::begin): one that was run
    /// elsewhere, or whose outcome is known without running it.
    ///
    /// # Errors
    /// As [`begin`](Self::begin), and [`TuneError::NotANumber`].
    pub fn record(
        &mut self,
        number: u64,
        params: Params,
        user_attrs: BTreeMap<String, Value>,
        outcome: TrialOutcome,
        repeat: Repeat,
    ) -> Result<Begun> {
        let (state, value) = outcome.ending(number, None)?;
        let values = value.map(|value| vec![value]);
        let new = NewTrial { params, user_attrs, values, ..NewTrial::new(state) };
        self.create(number, repeat, || NewTrial { started: Some(now()), completed: Some(now()), ..new.clone() })
    }

    fn create(&mut self, number: u64, repeat: Repeat, new: impl Fn() -> NewTrial) -> Result<Begun> {
        let params = new().params;
        self.transact(|study, worker| {
            if study.state.trials.len() as u64 != number {
                return Ok((Vec::new(), Begun::Overtaken));
            }
            let identical = study.state.trials.iter().find(|trial| trial.has_params(&params));
            if let Some(trial) = identical.filter(|_| repeat == Repeat::Refuse) {
                return Ok((Vec::new(), Begun::Identical(trial.number)));
            }
            study.check(&params)?;
            let mut new = new();
            new.system_attrs.insert(WORKER.to_owned(), worker.to_json());
            Ok((vec![operation::create_trial(&worker.id, study.id, &new)], Begun::Started(number)))
        })
    }

    /// Puts a trial into the queue, for whoever next asks for one by [`claim`](Self::claim) or, in Optuna, at all. These
    /// parameters must get these values, others are chosen when it begins. Returns its number.
    ///
    /// # Errors
    /// Those of [`sync`](Self::sync).
    pub fn enqueue(
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

    /// Begins the first trial of the queue, if there is one. Its parameters are yet to be chosen, those of
    /// [`fixed_params`](Trial::fixed_params) as they say, and set by [`set_params`](Self::set_params).
    ///
    /// # Errors
    /// Those of [`sync`](Self::sync).
    pub fn claim(&mut self) -> Result<Option<u64>> {
        self.transact(|study, worker| {
            let waiting = study.state.trials.iter().zip(&study.state.owned);
            let Some((trial, owned)) = waiting.into_iter().find(|(trial, _)| trial.state == TrialState::Waiting) else {
                return Ok((Vec::new(), None));
            };
            // In this order, or a process killed in between would have the trial and never have said who it is.
            let who = operation::trial_system_attr(&worker.id, owned.id, WORKER, &worker.to_json());
            let state = operation::trial_state(&worker.id, owned.id, TrialState::Running, None, &now());
            Ok((vec![who, state], Some(trial.number)))
        })
    }

    /// Sets parameters of a trial that this worker has.
    ///
    /// # Errors
    /// [`TuneError::BadParam`] as in [`begin`](Self::begin); those of [`report`](Self::report).
    pub fn set_params(&mut self, number: u64, params: &Params) -> Result<()> {
        self.update(number, "take parameters", |study, worker, _, id| {
            study.check(params)?;
            let line = |(name, param): (&String, &Param)| operation::trial_param(&worker.id, id, name, param);
            Ok(params.iter().map(line).collect())
        })
    }

    /// Notes a value on the way of a trial that this worker has. A value that is no number is noted as such.
    ///
    /// # Errors
    /// [`TuneError::NoTrial`]; [`TuneError::WrongState`] for one that doesn't run any more; [`TuneError::NotOwner`] for
    /// one that another worker took over; those of [`sync`](Self::sync).
    pub fn report(&mut self, number: u64, step: u64, value: f64) -> Result<()> {
        self.update(number, "report a value", |_, worker, _, id| {
            Ok(vec![operation::intermediate(&worker.id, id, step, value)])
        })
    }

    /// Keeps something with a trial that this worker has.
    ///
    /// # Errors
    /// As [`report`](Self::report).
    pub fn set_trial_user_attrs(&mut self, number: u64, attrs: &BTreeMap<String, Value>) -> Result<()> {
        self.update(number, "take attributes", |_, worker, _, id| {
            let line = |(key, value): (&String, &Value)| operation::trial_user_attr(&worker.id, id, key, value);
            Ok(attrs.iter().map(line).collect())
        })
    }

    /// Keeps something of a program's with a trial that this worker has.
    ///
    /// # Errors
    /// As [`report`](Self::report).
    pub fn set_trial_system_attr(&mut self, number: u64, key: &str, value: &Value) -> Result<()> {
        self.update(number, "take attributes", |_, worker, _, id| {
            Ok(vec![operation::trial_system_attr(&worker.id, id, key, value)])
        })
    }

    /// Ends a trial that this worker has. It is never run again.
    ///
    /// # Errors
    /// As [`report`](Self::report), and [`TuneError::NotANumber`] for a complete trial's value.
    pub fn finish(&mut self, number: u64, outcome: TrialOutcome) -> Result<()> {
        self.update(number, "be finished", |_, worker, trial, id| {
            let (state, value) = outcome.ending(number, trial.last_intermediate())?;
            Ok(vec![operation::trial_state(&worker.id, id, state, value, &now())])
        })
    }

    /// Keeps something with the study.
    ///
    /// # Errors
    /// Those of [`sync`](Self::sync).
    pub fn set_user_attr(&mut self, key: &str, value: &Value) -> Result<()> {
        self.transact(|study, worker| Ok((vec![operation::study_user_attr(&worker.id, study.id, key, value)], ())))
    }

    fn view<'a>(&self, replay: &'a Replay) -> Result<StudyView<'a>> {
        StudyView::of(replay, self.id).ok_or_else(|| no_study(self.path(), &self.name, replay))
    }

    /// Appends what `decide` wants appended after it has seen everything that was appended so far.
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
        doing: &'static str,
        lines: impl Fn(&StudyView, &Worker, &Trial, u64) -> Result<Vec<String>>,
    ) -> Result<()> {
        self.transact(|study, worker| {
            let (trial, owned) = study.trial(number)?;
            if trial.state != TrialState::Running {
                return Err(TuneError::WrongState { number, state: trial.state, doing });
            }
            if owned.owner.as_deref() != Some(&worker.id) {
                return Err(TuneError::NotOwner { number, owner: study.owner_in_words(owned) });
            }
            Ok((lines(study, worker, trial, owned.id)?, ()))
        })
    }
}

impl TrialOutcome {
    fn ending(self, number: u64, last: Option<f64>) -> Result<(TrialState, Option<f64>)> {
        match self {
            Self::Complete(value) if value.is_nan() => Err(TuneError::NotANumber { number }),
            Self::Complete(value) => Ok((TrialState::Complete, Some(value))),
            Self::Pruned => Ok((TrialState::Pruned, last.filter(|value| !value.is_nan()))),
            Self::Failed => Ok((TrialState::Fail, None)),
        }
    }
}
