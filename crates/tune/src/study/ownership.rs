//! Whose trial it is, and how it changes hands. The rules are those of [`journal`](crate::journal).

use std::time::{Duration, Instant};

use super::{Study, StudyView};
use crate::error::Result;
use crate::journal::operation;
use crate::journal::replay::{Owned, Replay};
use crate::journal::{WORKER, Worker, WorkerState};
use crate::trial::{Trial, TrialState, now};

/// How often, at least, a worker with running trials calls [`Study::heartbeat`].
pub const HEARTBEAT: Duration = Duration::from_secs(30);
/// After how long without a sign of life a worker on another machine is taken for dead.
pub const SILENCE: Duration = Duration::from_secs(120);

/// The system attribute whose changes say that a worker lives.
const SIGN: &str = "verdict:heartbeat";

/// Who has a running trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    Me,
    Alive(Worker),
    /// One on another machine, or in another container, that was last heard of so long ago. It may be alive.
    Silent(Worker, Duration),
    Dead(Worker),
    /// One that never said who it is: Optuna's.
    Stranger,
    /// Nobody: it was given back.
    Nobody,
}

impl Study {
    /// Who has a trial; `None` for one that doesn't run.
    pub fn holder(&self, number: u64) -> Result<Option<Holder>> {
        let view = self.view(self.journal.replay())?;
        let (trial, owned) = view.trial(number)?;
        let running = trial.state == TrialState::Running;
        Ok(running.then(|| holder(owned, &self.worker, view.replay, SILENCE)))
    }

    /// How often a trial changed hands because its worker was dead or gave it back.
    pub fn takeovers(&self, number: u64) -> Result<u32> {
        self.view(self.journal.replay())?.trial(number).map(|(_, owned)| owned.takeovers)
    }

    /// Takes over the first running trial that nobody works on any more: its worker is dead, or gave it back. The trial
    /// goes on from what its worker kept; what it reported stays.
    ///
    /// # Errors
    /// Those of [`sync`](Self::sync).
    pub fn take_over(&mut self) -> Result<Option<u64>> {
        self.take_over_after(SILENCE)
    }

    /// As [`take_over`](Self::take_over) with another patience.
    pub(super) fn take_over_after(&mut self, silence: Duration) -> Result<Option<u64>> {
        self.sync()?;
        let view = self.view(self.journal.replay())?;
        // Looked at without the lock first: as a rule there is nothing.
        if abandoned(&view, &self.worker, silence).is_none() {
            return Ok(None);
        }
        let number = self.transact(|study, worker| {
            let Some((trial, owned)) = abandoned(study, worker, silence) else { return Ok((Vec::new(), None)) };
            let value = worker.to_takeover(owned.owner.as_deref());
            let line = operation::trial_system_attr(&worker.id, owned.id, WORKER, &value);
            Ok((vec![line], Some(trial.number)))
        })?;
        // The first taker in the file has the trial, even if the lock let two of them write.
        match number {
            Some(number) if self.holder(number)? == Some(Holder::Me) => Ok(Some(number)),
            _ => Ok(None),
        }
    }

    /// Gives a trial of this worker back, so that another may go on with it at once.
    ///
    /// # Errors
    /// As [`report`](Self::report).
    pub fn release(&mut self, number: u64) -> Result<()> {
        self.update(number, "be given back", |_, worker, _, id| {
            Ok(vec![operation::trial_system_attr(&worker.id, id, WORKER, &worker.to_release())])
        })
    }

    /// Tells workers on other machines that this one lives, by one line in the journal, if it has running trials.
    ///
    /// # Errors
    /// Those of [`sync`](Self::sync).
    pub fn heartbeat(&mut self) -> Result<()> {
        self.transact(|study, worker| {
            let mine = running(study).find(|(_, owned)| owned.owner.as_deref() == Some(&worker.id));
            let line = mine.map(|(_, owned)| operation::trial_system_attr(&worker.id, owned.id, SIGN, &now().into()));
            Ok((line.into_iter().collect(), ()))
        })
    }
}

fn running<'a>(view: &StudyView<'a>) -> impl Iterator<Item = (&'a Trial, &'a Owned)> {
    view.state.trials.iter().zip(&view.state.owned).filter(|(trial, _)| trial.state == TrialState::Running)
}

/// The first running trial that nobody works on any more.
fn abandoned<'a>(view: &StudyView<'a>, worker: &Worker, silence: Duration) -> Option<(&'a Trial, &'a Owned)> {
    running(view)
        .find(|(_, owned)| matches!(holder(owned, worker, view.replay, silence), Holder::Dead(_) | Holder::Nobody))
}

fn holder(owned: &Owned, me: &Worker, replay: &Replay, silence: Duration) -> Holder {
    let Some(id) = &owned.owner else { return Holder::Nobody };
    if *id == me.id {
        return Holder::Me;
    }
    let Some(worker) = replay.worker(id).cloned() else { return Holder::Stranger };
    match worker.life() {
        WorkerState::Alive => Holder::Alive(worker),
        WorkerState::Dead => Holder::Dead(worker),
        WorkerState::Elsewhere => {
            // Counted from when this process read the line, so at the earliest from when it opened the study.
            let silent = replay.last_seen(id).map_or(Duration::ZERO, |seen| Instant::now() - seen);
            if silent >= silence { Holder::Dead(worker) } else { Holder::Silent(worker, silent) }
        }
    }
}
