//! The trainer's checkpoints: when they are due, what they contain, and how to resume from one.

use std::path::PathBuf;
use std::time::Instant;

use model::tensor_bytes;
use run::checkpoints::step_of;
use run::{CALIBRATION, CalibrationRecord, EndReason, Event, METRICS, RunFolder};
use serde_json::Value;

use super::Trainer;
use crate::checkpoint::{FORMAT, LoadedCheckpoint, TrainerState};
use crate::error::{MemoryShortage, Result, TrainError};
use crate::observe::Notice;
use crate::signals::Signal;

impl Trainer<'_> {
    /// Restores the state of a checkpoint.
    pub(crate) fn resume_from(&mut self, checkpoint: &LoadedCheckpoint) -> Result<()> {
        let state = &checkpoint.state;
        self.step.restore(state.step, &checkpoint.weights()?, &checkpoint.optimizer()?, &checkpoint.path)?;
        self.steps_done = state.step;
        self.evaluated = state.evaluated;
        self.best = state.best.clone();
        self.evaluations_without_better = state.evaluations_without_better;
        self.step.micro_batch_parts = state.micro_batch_parts;
        // Another --eval-batch-size is a wish to try that one.
        let saved = state.config.get("eval_batch_size").and_then(Value::as_u64);
        if saved == Some(self.config.eval_batch_size as u64) {
            self.eval_batch_size = state.eval_batch_size.unwrap_or(self.eval_batch_size);
        }
        self.seconds_before = state.seconds;
        self.retention.resume_from(checkpoint)?;
        let is_finished = self.reason_to_end().is_some() && self.folder.file(METRICS).is_file();
        let calibration = self.calibration();
        // Its model is the best one already, but for its temperature.
        if is_finished && calibration.is_some() {
            return Ok(());
        }
        self.retention.publish_best_of(checkpoint)?;
        if is_finished {
            return Ok(());
        }
        self.folder.cut_logs(&state.logs)?;
        if let Some(CalibrationRecord { temperature, .. }) = calibration {
            self.folder.remove(CALIBRATION)?;
            let run = self.folder.path().display();
            tracing::warn!(
                "training continues, so {run} holds the model as it was trained again, without its temperature of \
                 {temperature:.3} (hint: `cargo xtask calibrate --run {run}` fits one when the training has ended)"
            );
        }
        Ok(())
    }

    /// The calibration of the run's model. A record that can't be read counts as none: no checkpoint depends on it.
    fn calibration(&self) -> Option<CalibrationRecord> {
        CalibrationRecord::of(self.folder.path()).unwrap_or_else(|error| {
            tracing::warn!("{error}");
            None
        })
    }

    pub(super) fn save_is_due(&self) -> bool {
        let every = self.config.checkpoint.save_every.is_some_and(|steps| self.steps_done.is_multiple_of(steps));
        let due = every || self.steps_done.is_multiple_of(self.steps_per_epoch);
        due && self.steps_done > 0 && !self.is_saved()
    }

    pub(super) fn is_saved(&self) -> bool {
        self.retention.has(self.steps_done, self.evaluated)
    }

    /// Saves the current state; with `publish`, its model becomes the model of the run.
    pub(super) fn save(&mut self, publish: bool) -> Result<()> {
        let began = Instant::now();
        self.observers.notify(&Notice::SaveStarts);
        if self.identity.base_weights_sha256.is_empty() {
            self.identity.base_weights_sha256 = self.setup.base_weights_sha256()?;
        }
        let state = TrainerState {
            format: FORMAT,
            step: self.steps_done,
            epoch: self.steps_done / self.steps_per_epoch,
            step_in_epoch: self.steps_done % self.steps_per_epoch,
            evaluated: self.evaluated,
            best: self.best.clone(),
            evaluations_without_better: self.evaluations_without_better,
            micro_batch_parts: self.step.micro_batch_parts,
            eval_batch_size: Some(self.eval_batch_size).filter(|size| *size < self.config.eval_batch_size),
            seconds: self.seconds(),
            logs: self.folder.log_lengths()?,
            config: self.config.to_json()?,
            identity: self.identity.clone(),
        };
        let (model, optimizer) = self.step.up_to_date()?;
        self.retention.save(state, model.parameters(), optimizer, publish)?;
        tracing::debug!("step {}: saved in {:?}", self.steps_done, began.elapsed());
        self.observers.notify(&Notice::Saved { step: self.steps_done, seconds: began.elapsed().as_secs_f64() });
        Ok(())
    }

    /// Saves the current state unless it is already saved. Returns the checkpoint.
    pub(super) fn ensure_saved(&mut self) -> Result<PathBuf> {
        if !self.is_saved() {
            self.save(false)?;
        }
        Ok(self.retention.last().unwrap_or_default())
    }

    /// Additional bytes that the checkpoints of the run will need on disk.
    pub(super) fn space_needed(&mut self) -> Result<u64> {
        let (model, optimizer) = self.step.up_to_date()?;
        let weights = model.parameters().iter().map(|parameter| parameter.master());
        let state = optimizer.state();
        let each = tensor_bytes(weights.chain(state.iter().map(|(_, tensor)| *tensor)));
        // The latest checkpoints, the best one, and the one being written.
        let at_once = self.config.checkpoint.save_total as u64 + 2;
        let saves =
            self.config.epochs + self.config.checkpoint.save_every.map_or(0, |steps| self.total_steps / steps) + 1;
        Ok((each * at_once.min(saves)).saturating_sub(self.folder.checkpoint_bytes()?))
    }

    /// The error of a run that ends because memory is too small, after the state is saved. A state in which some weights
    /// are a step ahead of others is not saved; the checkpoint before it stays the newest.
    ///
    /// # Errors
    /// A checkpoint that can't be written.
    pub(super) fn stopped_by(&mut self, shortage: MemoryShortage, at: String) -> Result<TrainError> {
        if !shortage.partly_updated {
            self.ensure_saved()?;
        }
        let last = self.retention.last().unwrap_or_default();
        let safe = last.file_name().and_then(|name| step_of(&name.to_string_lossy()));
        Ok(TrainError::StoppedOutOfMemory { at, shortage, safe, run: self.folder.path().to_owned() })
    }

    /// Saves the state and ends a run after a signal.
    pub(super) fn stop(mut self, signal: Signal) -> Result<RunFolder> {
        self.ensure_saved()?;
        let end = self.end(EndReason::Interrupted);
        self.observers.record(Event::End(end));
        let run = self.folder.path().to_owned();
        Err(TrainError::Interrupted { signal, run, step: self.steps_done })
    }
}
