//! Which checkpoints a run has, and which of them stay.

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
    /// How many of the last ones stay.
    total: usize,
    publication: Publication,
    /// Step, and step of the best model, of each checkpoint in order.
    history: Vec<(u64, Option<u64>)>,
    /// Step of the last one, and whether the evaluation due then had been done.
    last: Option<(u64, bool)>,
}

impl Retention {
    /// The checkpoints of a run that has none.
    pub(crate) fn new(run: &Path, total: usize, publication: Publication) -> Self {
        Self { run: run.to_owned(), total, publication, history: Vec::new(), last: None }
    }

    /// Takes over the checkpoints up to `from`, and makes the best model that it knows of the run's again: a later one
    /// may have taken its place before the run was stopped. Checkpoints after `from` are of no use and go with the next save.
    ///
    /// # Errors
    /// A folder that can't be read or written.
    pub(crate) fn resume_from(&mut self, from: &LoadedCheckpoint) -> Result<()> {
        let folder = self.run.join(CHECKPOINTS);
        for step in steps_in(&folder)?.into_iter().filter(|step| *step < from.state.step) {
            // What can't be read isn't worth a place among the last ones.
            let text = fs::read(folder.join(name_of(step)).join(STATE)).unwrap_or_default();
            if let Ok(state) = TrainerState::parse(&text) {
                self.history.push((step, state.best_step()));
            }
        }
        self.history.push((from.state.step, from.state.best_step()));
        self.last = Some((from.state.step, from.state.evaluated));
        let Some(step) = from.state.best_step() else { return Ok(()) };
        let best = folder.join(name_of(step));
        match if best == from.path { Ok(()) } else { LoadedCheckpoint::open(&best).map(drop) } {
            Ok(()) => publish(&best, &self.run, &self.publication),
            Err(error) => {
                tracing::warn!("{error}; the run's model stays as it is");
                Ok(())
            }
        }
    }

    /// Whether this very state is saved already.
    pub(crate) fn has(&self, step: u64, evaluated: bool) -> bool {
        self.last == Some((step, evaluated))
    }

    pub(crate) fn last(&self) -> Option<PathBuf> {
        self.last.map(|(step, _)| self.run.join(CHECKPOINTS).join(name_of(step)))
    }

    /// Saves; with `publish` the model becomes the run's.
    ///
    /// # Errors
    /// Whatever the disk refuses; the run can then still go on from the checkpoint before.
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
        SaveJob { run: &self.run, tensors, state, publication, keep: self.kept() }.run()?;
        self.last = last;
        Ok(())
    }

    /// The steps of the checkpoints that stay: the last ones, and the best that each of them knows of.
    fn kept(&self) -> Vec<u64> {
        let surplus = self.history.len().saturating_sub(self.total);
        let last = &self.history[surplus..];
        let mut keep: Vec<u64> = last.iter().flat_map(|(step, best)| [Some(*step), *best]).flatten().collect();
        keep.sort_unstable();
        keep.dedup();
        keep
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stays after each of these saves: step, and whether it is the best so far.
    fn kept(total: usize, saves: &[(u64, bool)]) -> Vec<Vec<u64>> {
        let mut retention = Retention::new(Path::new("run"), total, Vec::new());
        let mut best = None;
        let after = |&(step, better): &(u64, bool)| {
            best = if better { Some(step) } else { best };
            retention.history.push((step, best));
            retention.kept()
        };
        saves.iter().map(after).collect()
    }

    #[test]
    fn the_last_ones_stay() {
        assert_eq!(kept(1, &[(9_999, false), (10_000, false)]), [vec![9_999], vec![10_000]]);
        assert_eq!(kept(2, &[(1, false), (2, false), (3, false)])[2], [2, 3]);
    }

    #[test]
    fn the_best_stays_while_a_kept_one_knows_it_as_the_best() {
        let saves = [(5, true), (10, false), (15, false), (20, true), (25, false)];
        assert_eq!(kept(1, &saves), [vec![5], vec![5, 10], vec![5, 15], vec![20], vec![20, 25]]);
        // Going back to 15 must find 5.
        assert_eq!(kept(2, &saves)[3], [5, 15, 20]);
        assert_eq!(kept(2, &saves)[4], [20, 25]);
    }
}
