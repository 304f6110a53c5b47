//! The worker that owns a trial, and how another takes it over. The rules are those of [`journal`](crate::journal).

use std::time::{Duration, Instant};

use super::{Study, StudyView};
use crate::error::Result;
use crate::journal::operation;
use crate::journal::replay::{Ownership, Replay};
use crate::journal::{WORKER, Worker, WorkerState};
use crate::trial::{Trial, TrialState, now};

/// A worker with running trials calls [`Study::heartbeat`] at least this often.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(30);
/// A worker on another machine is considered dead after this long without an operation.
pub const WORKER_TIMEOUT: Duration = Duration::from_secs(120);

/// The system attribute that a worker changes to show that it is alive.
const HEARTBEAT_ATTR: &str = "verdict:heartbeat";

/// The owner of a running trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrialOwner {
    ThisWorker,
    Alive(Worker),
    /// A worker on another machine or in another container, with the time since its last operation. It may be alive.
    Silent(Worker, Duration),
    Dead(Worker),
    /// A worker that did not identify itself, as Optuna's don't.
    Unknown,
    /// The trial was released.
    None,
}

impl Study {
    /// The owner of a trial; `None` for one that is not running.
    pub fn owner(&self, number: u64) -> Result<Option<TrialOwner>> {
        let view = self.view(self.journal.replay())?;
        let (trial, owned) = view.trial(number)?;
        let running = trial.state == TrialState::Running;
        Ok(running.then(|| owner(owned, &self.worker, view.replay, WORKER_TIMEOUT)))
    }

    /// How often a trial was taken over because its worker was dead or released it.
    pub fn takeovers(&self, number: u64) -> Result<u32> {
        self.view(self.journal.replay())?.trial(number).map(|(_, owned)| owned.takeovers)
    }

    /// Takes over the first running trial whose worker is dead or released it. The trial continues from what its worker
    /// saved; what it reported stays.
    ///
    /// # Errors
    /// Those of [`sync`](Self::sync).
    pub fn take_over(&mut self) -> Result<Option<u64>> {
        self.take_over_after(WORKER_TIMEOUT)
    }

    /// As [`take_over`](Self::take_over) with another timeout.
    pub(super) fn take_over_after(&mut self, timeout: Duration) -> Result<Option<u64>> {
        self.sync()?;
        let view = self.view(self.journal.replay())?;
        // Checked without the lock first, since usually there is none.
        if abandoned(&view, &self.worker, timeout).is_none() {
            return Ok(None);
        }
        let number = self.transact(|study, worker| {
            let Some((trial, owned)) = abandoned(study, worker, timeout) else { return Ok((Vec::new(), None)) };
            let value = worker.to_takeover(owned.owner.as_deref());
            let line = operation::trial_system_attr(&worker.id, owned.id, WORKER, &value);
            Ok((vec![line], Some(trial.number)))
        })?;
        // The first takeover in the file counts, even if the lock let two workers write.
        match number {
            Some(number) if self.owner(number)? == Some(TrialOwner::ThisWorker) => Ok(Some(number)),
            _ => Ok(None),
        }
    }

    /// Releases a trial of this worker, so that another can continue it at once.
    ///
    /// # Errors
    /// As [`report`](Self::report).
    pub fn release(&mut self, number: u64) -> Result<()> {
        self.update(number, "be released", |_, worker, _, id| {
            Ok(vec![operation::trial_system_attr(&worker.id, id, WORKER, &worker.to_release())])
        })
    }

    /// Shows workers on other machines that this one is alive, by one line in the journal, if it has running trials.
    ///
    /// # Errors
    /// Those of [`sync`](Self::sync).
    pub fn heartbeat(&mut self) -> Result<()> {
        self.transact(|study, worker| {
            let mine = running(study).find(|(_, owned)| owned.owner.as_deref() == Some(&worker.id));
            let line = mine
                .map(|(_, owned)| operation::trial_system_attr(&worker.id, owned.id, HEARTBEAT_ATTR, &now().into()));
            Ok((line.into_iter().collect(), ()))
        })
    }
}

fn running<'a>(view: &StudyView<'a>) -> impl Iterator<Item = (&'a Trial, &'a Ownership)> {
    view.state.trials.iter().zip(&view.state.owned).filter(|(trial, _)| trial.state == TrialState::Running)
}

/// The first running trial whose worker is dead or released it.
fn abandoned<'a>(view: &StudyView<'a>, worker: &Worker, timeout: Duration) -> Option<(&'a Trial, &'a Ownership)> {
    running(view)
        .find(|(_, owned)| matches!(owner(owned, worker, view.replay, timeout), TrialOwner::Dead(_) | TrialOwner::None))
}

fn owner(owned: &Ownership, me: &Worker, replay: &Replay, timeout: Duration) -> TrialOwner {
    let Some(id) = &owned.owner else { return TrialOwner::None };
    if *id == me.id {
        return TrialOwner::ThisWorker;
    }
    let Some(worker) = replay.worker(id).cloned() else { return TrialOwner::Unknown };
    match worker.state() {
        WorkerState::Alive => TrialOwner::Alive(worker),
        WorkerState::Dead => TrialOwner::Dead(worker),
        WorkerState::Elsewhere => {
            // Counted from when this process read the line, so from when it opened the study at the earliest.
            let silent_for = replay.last_seen(id).map_or(Duration::ZERO, |seen| Instant::now() - seen);
            if silent_for >= timeout { TrialOwner::Dead(worker) } else { TrialOwner::Silent(worker, silent_for) }
        }
    }
}
