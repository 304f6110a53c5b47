//! The state that the operations of a journal lead to, by Optuna's rules, with the owners of trials.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use serde_json::Value;

use super::operation::{JournalEntry, NewTrial, Operation};
use super::worker::{WORKER, Worker};
use crate::trial::{Param, Trial, TrialState};

#[derive(Debug, Default)]
pub(crate) struct Replay {
    /// By id; deleted studies keep their id.
    studies: Vec<StudyState>,
    /// Study and number of each trial, by id.
    trials: Vec<(usize, usize)>,
    /// The workers that identified themselves, by worker id.
    workers: HashMap<String, Worker>,
    /// When a line of a worker was last read, by worker id.
    seen: HashMap<String, Instant>,
}

#[derive(Debug)]
pub(crate) struct StudyState {
    pub(crate) name: String,
    /// Optuna's numbers of the directions, one for each objective.
    pub(crate) directions: Vec<u64>,
    pub(crate) user_attrs: BTreeMap<String, Value>,
    pub(crate) system_attrs: BTreeMap<String, Value>,
    pub(crate) trials: Vec<Trial>,
    /// The ownership of each trial.
    pub(crate) owned: Vec<Ownership>,
    deleted: bool,
}

/// What the journal knows of a trial besides the trial itself.
#[derive(Debug)]
pub(crate) struct Ownership {
    pub(crate) id: u64,
    /// The worker that the trial belongs to while it runs; `None` if that one released it.
    pub(crate) owner: Option<String>,
    /// How often the trial was taken over because its owner was dead or released it.
    pub(crate) takeovers: u32,
}

impl Replay {
    pub(crate) fn study(&self, name: &str) -> Option<(u64, &StudyState)> {
        let (id, study) = self.studies.iter().enumerate().find(|(_, study)| !study.deleted && study.name == name)?;
        Some((id as u64, study))
    }

    /// The study of an id, if it isn't deleted.
    pub(crate) fn by_id(&self, id: u64) -> Option<&StudyState> {
        self.studies.get(usize::try_from(id).ok()?).filter(|study| !study.deleted)
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.studies.iter().filter(|study| !study.deleted).map(|study| study.name.clone()).collect()
    }

    pub(crate) fn worker(&self, id: &str) -> Option<&Worker> {
        self.workers.get(id)
    }

    pub(crate) fn last_seen(&self, id: &str) -> Option<Instant> {
        self.seen.get(id).copied()
    }

    /// Applies one line. A line that contradicts those before it changes nothing, as in Optuna.
    pub(crate) fn apply(&mut self, entry: JournalEntry) {
        let JournalEntry { worker, operation } = entry;
        match operation {
            Operation::CreateStudy { name, directions } => self.create_study(name, directions),
            Operation::DeleteStudy { study } => {
                if let Some(study) = self.existing(study) {
                    study.deleted = true;
                }
            }
            Operation::StudyUserAttr { study, key, value } => {
                if let Some(study) = self.existing(study) {
                    study.user_attrs.insert(key, value);
                }
            }
            Operation::StudySystemAttr { study, key, value } => {
                if let Some(study) = self.existing(study) {
                    study.system_attrs.insert(key, value);
                }
            }
            Operation::CreateTrial { study, trial } => self.create_trial(study, *trial, &worker),
            Operation::TrialParam { trial, name, param } => self.set_param(trial, name, param),
            Operation::TrialState { trial, state, values, time } => {
                if let Some((trial, owned)) = self.unfinished(trial) {
                    set_state(trial, owned, state, values, time, &worker);
                }
            }
            Operation::Intermediate { trial, step, value } => {
                if let Some((trial, _)) = self.unfinished(trial) {
                    trial.intermediate.insert(step, value);
                }
            }
            Operation::TrialUserAttr { trial, key, value } => {
                if let Some((trial, _)) = self.unfinished(trial) {
                    trial.user_attrs.insert(key, value);
                }
            }
            Operation::TrialSystemAttr { trial, key, value } => {
                if key == WORKER {
                    self.identify(&value, &worker);
                }
                if let Some((trial, owned)) = self.unfinished(trial) {
                    if key == WORKER && trial.state == TrialState::Running {
                        take_over(owned, &value, &worker);
                    }
                    trial.system_attrs.insert(key, value);
                }
            }
            Operation::Ignored => {}
        }
        self.seen.insert(worker, Instant::now());
    }

    fn existing(&mut self, id: u64) -> Option<&mut StudyState> {
        self.studies.get_mut(usize::try_from(id).ok()?).filter(|study| !study.deleted)
    }

    /// A trial that isn't finished; as in Optuna, also one of a deleted study.
    fn unfinished(&mut self, id: u64) -> Option<(&mut Trial, &mut Ownership)> {
        let &(study, number) = self.trials.get(usize::try_from(id).ok()?)?;
        let StudyState { trials, owned, .. } = self.studies.get_mut(study)?;
        let trial = trials.get_mut(number).filter(|trial| !trial.state.is_finished())?;
        Some((trial, owned.get_mut(number)?))
    }

    /// Remembers how a worker identified itself. A worker can do this only for itself.
    fn identify(&mut self, value: &Value, worker: &str) {
        if let Some(known) = Worker::from_json(value).filter(|known| known.id == worker) {
            self.workers.insert(worker.to_owned(), known);
        }
    }

    fn create_study(&mut self, name: String, directions: Vec<u64>) {
        if self.study(&name).is_some() {
            return;
        }
        self.studies.push(StudyState {
            name,
            directions,
            user_attrs: BTreeMap::new(),
            system_attrs: BTreeMap::new(),
            trials: Vec::new(),
            owned: Vec::new(),
            deleted: false,
        });
    }

    fn create_trial(&mut self, study: u64, new: NewTrial, worker: &str) {
        if let Some(value) = new.system_attrs.get(WORKER) {
            self.identify(value, worker);
        }
        let id = self.trials.len() as u64;
        let Some(state) = self.existing(study) else { return };
        let number = state.trials.len();
        let owner = (new.state == TrialState::Running).then(|| worker.to_owned());
        state.owned.push(Ownership { id, owner, takeovers: 0 });
        state.trials.push(Trial {
            number: number as u64,
            state: new.state,
            value: single(new.values.as_deref()),
            params: new.params,
            intermediate: new.intermediate,
            user_attrs: new.user_attrs,
            system_attrs: new.system_attrs,
            started: new.started,
            completed: new.completed,
        });
        self.trials.push((study as usize, number));
    }

    fn set_param(&mut self, id: u64, name: String, param: Param) {
        let Some(&(study, _)) = usize::try_from(id).ok().and_then(|id| self.trials.get(id)) else { return };
        let first = self.studies[study].trials.iter().find_map(|trial| trial.params.get(&name));
        let fits = first.is_none_or(|first| first.distribution.check_compatible(&param.distribution).is_ok());
        if let Some((trial, _)) = self.unfinished(id).filter(|_| fits) {
            trial.params.insert(name, param);
        }
    }
}

/// The value of a study with one objective.
fn single(values: Option<&[f64]>) -> Option<f64> {
    match values {
        Some([value]) => Some(*value),
        _ => None,
    }
}

fn set_state(
    trial: &mut Trial,
    owned: &mut Ownership,
    state: TrialState,
    values: Option<Vec<f64>>,
    time: Option<String>,
    worker: &str,
) {
    if state == TrialState::Running {
        if trial.state == TrialState::Running {
            return;
        }
        trial.started = time;
        owned.owner = Some(worker.to_owned());
    } else if state.is_finished() {
        trial.completed = time;
    }
    trial.state = state;
    if values.is_some() {
        trial.value = single(values.as_deref());
    }
}

/// Passes a running trial from its owner to the worker that wrote this line, or releases it.
fn take_over(owned: &mut Ownership, value: &Value, worker: &str) {
    let from = value["from"].as_str();
    let released = value["id"].is_null() && from == Some(worker);
    let taken = value["id"].as_str() == Some(worker) && value.get("from").is_some();
    if owned.owner.as_deref() != from {
        return;
    }
    if released {
        owned.owner = None;
    } else if taken {
        owned.owner = Some(worker.to_owned());
        owned.takeovers += 1;
    }
}
