//! The state of a study at one moment, which is checked before something is written.

use std::path::Path;

use crate::error::{Result, TuneError};
use crate::journal::Worker;
use crate::journal::replay::{Ownership, Replay, StudyState};
use crate::trial::{Params, Trial};

pub(super) struct StudyView<'a> {
    pub(super) id: u64,
    pub(super) state: &'a StudyState,
    pub(super) replay: &'a Replay,
}

pub(super) fn no_study(path: &Path, name: &str, replay: &Replay) -> TuneError {
    TuneError::NoStudy { path: path.to_owned(), study: name.to_owned(), found: replay.names() }
}

impl<'a> StudyView<'a> {
    pub(super) fn of(replay: &'a Replay, id: u64) -> Option<Self> {
        Some(Self { id, state: replay.by_id(id)?, replay })
    }

    pub(super) fn trial(&self, number: u64) -> Result<(&'a Trial, &'a Ownership)> {
        let pair = usize::try_from(number)
            .ok()
            .and_then(|index| Some((self.state.trials.get(index)?, self.state.owned.get(index)?)));
        pair.ok_or_else(|| {
            let count = self.state.trials.len() as u64;
            TuneError::NoTrial { study: self.state.name.clone(), number, count }
        })
    }

    /// Refuses values out of range and distributions that are incompatible with the study's.
    pub(super) fn check(&self, params: &Params) -> Result<()> {
        for (name, param) in params {
            let bad = |problem: &str| TuneError::BadParam { name: name.clone(), problem: problem.to_owned() };
            param.distribution.check().map_err(bad)?;
            if !param.distribution.contains(param.internal) {
                return Err(bad("has a value that is out of its range or not on a step"));
            }
            let first = self.state.trials.iter().find_map(|trial| trial.params.get(name));
            first.map_or(Ok(()), |first| first.distribution.check_compatible(&param.distribution)).map_err(bad)?;
        }
        Ok(())
    }

    pub(super) fn describe_owner(&self, owned: &Ownership) -> String {
        match &owned.owner {
            None => "no worker".to_owned(),
            Some(id) => self.replay.worker(id).map_or_else(|| format!("worker {id}"), Worker::to_string),
        }
    }
}
