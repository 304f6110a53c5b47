//! Which checkpoints a run has, and which of them are kept.

use std::fs;
use std::path::{Path, PathBuf};

use model::Parameters;
use run::checkpoints::{CHECKPOINTS, name_of, steps_in};

use super::{LoadedCheckpoint, Publication, STATE, SaveJob, Tensors, TrainerState, publish};
use crate::error::Result;
use crate::optim::Optimizer;

/// A run's checkpoints.
pub(crate) struct Retention {
    run: PathBuf,
    /// How many of the latest checkpoints are kept.
    total: usize,
    publication: Publication,
    /// The step of each checkpoint, in order, and the step of the best model at that time.
    history: Vec<(u64, Option<u64>)>,
    /// The step of the latest checkpoint, and whether the evaluation due at that step was done.
    last: Option<(u64, bool)>,
}

impl Retention {
    /// A run without checkpoints.
    pub(crate) fn new(run: &Path, total: usize, publication: Publication) -> Self {
        Self { run: run.to_owned(), total, publication, history: Vec::new(), last: None }
    }

    /// Registers the checkpoints up to `from`. The next save deletes those after it.
    ///
    /// # Errors
    /// A folder that can't be read.
    pub(crate) fn resume_from(&mut self, from: &LoadedCheckpoint) -> Result<()> {
        let folder = self.run.join(CHECKPOINTS);
        for step in steps_in(&folder)?.into_iter().filter(|step| *step < from.state.step) {
            // A checkpoint that can't be read is not counted and will be deleted.
            let text = fs::read(folder.join(name_of(step)).join(STATE)).unwrap_or_default();
            if let Ok(state) = TrainerState::parse(&text) {
                self.history.push((step, state.best_step()));
            }
        }
        self.history.push((from.state.step, from.state.best_step()));
        self.last = Some((from.state.step, from.state.evaluated));
        Ok(())
    }

    /// Publishes the best model recorded in `from` again, because a later model may have replaced it before the run was
    /// stopped, or a calibration may have changed its weights.
    ///
    /// # Errors
    /// A folder that can't be written.
    pub(crate) fn publish_best_of(&self, from: &LoadedCheckpoint) -> Result<()> {
        let Some(step) = from.state.best_step() else { return Ok(()) };
        let best = self.run.join(CHECKPOINTS).join(name_of(step));
        match if best == from.path { Ok(()) } else { LoadedCheckpoint::open(&best).map(drop) } {
            Ok(()) => publish(&best, &self.run, &self.publication),
            Err(error) => {
                tracing::warn!("{error}; the run's model stays as it is");
                Ok(())
            }
        }
    }

    /// Whether this state is already saved.
    pub(crate) fn has(&self, step: u64, evaluated: bool) -> bool {
        self.last == Some((step, evaluated))
    }

    pub(crate) fn last(&self) -> Option<PathBuf> {
        self.last.map(|(step, _)| self.run.join(CHECKPOINTS).join(name_of(step)))
    }

    /// Saves a checkpoint; with `publish`, its model becomes the model of the run.
    ///
    /// # Errors
    /// Any write error; the run can then still be resumed from the previous checkpoint.
    pub(crate) fn save(
        &mut self,
        state: TrainerState,
        parameters: &Parameters,
        optimizer: &Optimizer,
        publish: bool,
    ) -> Result<()> {
        let last = Some((state.step, state.evaluated));
        self.history.retain(|(step, _)| *step != state.step);
        self.history.push((state.step, state.best_step()));
        let tensors = Tensors::of(parameters, optimizer);
        let publication = publish.then_some(&self.publication);
        let has_same_tensors = self.last.is_some_and(|(step, _)| step == state.step);
        let kept_steps = self.kept_steps();
        SaveJob { run: &self.run, tensors, state, publication, kept_steps, has_same_tensors }.run()?;
        self.last = last;
        Ok(())
    }

    /// The steps of the checkpoints to keep: the latest ones, and the best model that each of them records.
    fn kept_steps(&self) -> Vec<u64> {
        let surplus = self.history.len().saturating_sub(self.total);
        let last = &self.history[surplus..];
        let mut kept: Vec<u64> = last.iter().flat_map(|(step, best)| [Some(*step), *best]).flatten().collect();
        kept.sort_unstable();
        kept.dedup();
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kept steps after each of these saves, given as step and whether it is the best so far.
    fn kept(total: usize, saves: &[(u64, bool)]) -> Vec<Vec<u64>> {
        let mut retention = Retention::new(Path::new("run"), total, Vec::new());
        let mut best = None;
        let after = |&(step, better): &(u64, bool)| {
            best = if better { Some(step) } else { best };
            retention.history.push((step, best));
            retention.kept_steps()
        };
        saves.iter().map(after).collect()
    }

    #[test]
    fn the_latest_checkpoints_are_kept() {
        assert_eq!(kept(1, &[(9_999, false), (10_000, false)]), [vec![9_999], vec![10_000]]);
        assert_eq!(kept(2, &[(1, false), (2, false), (3, false)])[2], [2, 3]);
    }

    #[test]
    fn the_best_is_kept_while_a_kept_checkpoint_records_it() {
        let saves = [(5, true), (10, false), (15, false), (20, true), (25, false)];
        assert_eq!(kept(1, &saves), [vec![5], vec![5, 10], vec![5, 15], vec![20], vec![20, 25]]);
        // Resuming from step 15 needs the checkpoint of step 5.
        assert_eq!(kept(2, &saves)[3], [5, 15, 20]);
        assert_eq!(kept(2, &saves)[4], [20, 25]);
    }
}
