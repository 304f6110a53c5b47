//! The trainer's checkpoints: when they are due, what goes into them, and going on from one.

use std::path::PathBuf;
use std::time::Instant;

use model::tensor_bytes;

use super::Trainer;
use crate::checkpoint::{FORMAT, Found, State, as_map};
use crate::error::{Result, TrainError};
use crate::observe::{EndReason, Observer};
use crate::run_directory::{METRICS, RunDirectory};
use crate::signals::Signal;

impl Trainer<'_> {
    /// Takes up the state of a checkpoint.
    pub(crate) fn go_on_from(&mut self, found: &Found) -> Result<()> {
        let state = &found.state;
        self.setup.model.parameters_mut().restore(&found.weights()?, &found.path)?;
        self.optimizer.load_state(state.step, &found.optimizer()?)?;
        self.step = state.step;
        self.evaluated = state.evaluated;
        self.best = state.best.clone();
        self.evaluations_without_better = state.evaluations_without_better;
        self.micro_batch_parts = state.micro_batch_parts;
        self.seconds_before = state.seconds;
        self.keeper.go_on_from(found)?;
        if self.reason_to_end().is_some() && self.directory.file(METRICS).is_file() {
            return Ok(());
        }
        self.directory.cut_logs(&state.logs)
    }

    pub(super) fn save_is_due(&self) -> bool {
        let every = self.config.save_every.is_some_and(|steps| self.step.is_multiple_of(steps));
        let due = every || self.step.is_multiple_of(self.steps_per_epoch);
        due && self.step > 0 && !self.keeper.has(self.step, self.evaluated)
    }

    /// Saves where the run stands; with `publish` its model becomes the run's.
    pub(super) fn save(&mut self, publish: bool) -> Result<()> {
        let began = Instant::now();
        self.observers.on_save_start(self.step);
        if self.identity.base_weights_sha256.is_empty() {
            self.identity.base_weights_sha256 = self.setup.base_weights_sha256()?;
        }
        let state = State {
            format: FORMAT,
            step: self.step,
            epoch: self.step / self.steps_per_epoch,
            step_in_epoch: self.step % self.steps_per_epoch,
            evaluated: self.evaluated,
            best: self.best.clone(),
            evaluations_without_better: self.evaluations_without_better,
            micro_batch_parts: self.micro_batch_parts,
            seconds: self.seconds(),
            logs: self.directory.log_lengths()?,
            config: as_map(self.config)?,
            identity: self.identity.clone(),
        };
        self.keeper.save(state, self.setup.model.parameters(), &self.optimizer, publish)?;
        tracing::debug!("step {}: saved in {:?}", self.step, began.elapsed());
        self.observers.on_save(self.step, began.elapsed().as_secs_f64());
        Ok(())
    }

    /// Saves where the run stands unless that is saved. Returns the checkpoint.
    pub(super) fn saved(&mut self) -> Result<PathBuf> {
        if !self.keeper.has(self.step, self.evaluated) {
            self.save(false)?;
        }
        Ok(self.keeper.last().unwrap_or_default())
    }

    /// Bytes that the run's checkpoints will take beyond what they take now.
    pub(super) fn room_needed(&self) -> Result<u64> {
        let weights = self.setup.model.parameters().iter().map(|parameter| parameter.master());
        let state = self.optimizer.state();
        let each = tensor_bytes(weights.chain(state.iter().map(|(_, tensor)| *tensor)));
        // The last ones, the best one, and the one that is being written.
        let at_once = self.config.save_total as u64 + 2;
        let saves = self.config.epochs + self.config.save_every.map_or(0, |steps| self.total_steps / steps) + 1;
        Ok((each * at_once.min(saves)).saturating_sub(self.directory.checkpoint_bytes()?))
    }

    /// Ends a run that somebody asked to stop; all is saved.
    pub(super) fn stop(mut self, signal: Signal) -> Result<RunDirectory> {
        self.saved()?;
        let end = self.end(EndReason::Interrupted);
        self.observers.on_end(&end);
        let run = self.directory.path().to_owned();
        Err(TrainError::Interrupted { signal, run, step: self.step })
    }
}
