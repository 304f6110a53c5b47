//! The trainer's checkpoints: when they are due, what they contain, and how to resume from one.

use std::path::PathBuf;
use std::time::Instant;

use collective::CollectiveError;
use model::tensor_bytes;
use run::checkpoints::step_of;
use run::{CALIBRATION, CalibrationRecord, EndReason, Event, RunFolder};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Trainer;
use crate::checkpoint::{BestModel, FORMAT, LoadedCheckpoint, TrainerState};
use crate::error::{MemoryShortage, Result, TrainError};
use crate::observe::Notice;
use crate::ranks;
use crate::signals::Signal;

/// Where a training stands, as rank 0 tells the others.
#[derive(Serialize, Deserialize)]
struct SharedProgress {
    steps_done: u64,
    evaluated: bool,
    best: Option<BestModel>,
    evaluations_without_better: u64,
    micro_batch_parts: usize,
    eval_batch_size: usize,
    is_finished: bool,
}

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
        let is_finished = self.is_finished();
        let Some(writer) = &mut self.writer else { return Ok(()) };
        writer.retention.resume_from(checkpoint)?;
        let calibration = calibration(&writer.folder);
        // Its model is the best one already, but for its temperature.
        if is_finished && calibration.is_some() {
            return Ok(());
        }
        writer.retention.publish_best_of(checkpoint)?;
        if is_finished {
            return Ok(());
        }
        writer.folder.cut_logs(&state.logs)?;
        if let Some(CalibrationRecord { temperature, .. }) = calibration {
            writer.folder.remove(CALIBRATION)?;
            let run = writer.folder.path().display();
            tracing::warn!(
                "training continues, so {run} holds the model as it was trained again, without its temperature of \
                 {temperature:.3} (hint: `cargo xtask calibrate --run {run}` fits one when the training has ended)"
            );
        }
        Ok(())
    }

    /// Gives all processes the state that rank 0 has resumed from; true if the run is finished.
    pub(crate) fn share_state(&mut self) -> Result<bool> {
        let own = SharedProgress {
            steps_done: self.steps_done,
            evaluated: self.evaluated,
            best: self.best.clone(),
            evaluations_without_better: self.evaluations_without_better,
            micro_batch_parts: self.step.micro_batch_parts,
            eval_batch_size: self.eval_batch_size,
            is_finished: self.is_finished(),
        };
        let shared: SharedProgress =
            serde_json::from_slice(&self.ranks.broadcast_message(&serde_json::to_vec(&own)?)?)?;
        if !self.ranks.is_first() {
            self.steps_done = shared.steps_done;
            self.evaluated = shared.evaluated;
            self.best = shared.best;
            self.evaluations_without_better = shared.evaluations_without_better;
            self.step.micro_batch_parts = shared.micro_batch_parts;
            self.eval_batch_size = shared.eval_batch_size;
        }
        if shared.is_finished {
            // Nothing is left to do, so the others need no weights.
            return Ok(true);
        }
        if shared.steps_done > 0 {
            self.step.receive(shared.steps_done)?;
        }
        ranks::check_same_weights(self.step.up_to_date()?.0.parameters(), &*self.ranks)?;
        Ok(false)
    }

    pub(super) fn save_is_due(&self) -> bool {
        let every = self.config.checkpoint.save_every.is_some_and(|steps| self.steps_done.is_multiple_of(steps));
        let due = every || self.steps_done.is_multiple_of(self.steps_per_epoch);
        due && self.steps_done > 0 && !self.is_saved()
    }

    pub(super) fn is_saved(&self) -> bool {
        // The others save nothing.
        self.writer.as_ref().is_none_or(|writer| writer.retention.has(self.steps_done, self.evaluated))
    }

    /// Saves the current state; with `publish`, its model becomes the model of the run.
    pub(super) fn save(&mut self, publish: bool) -> Result<()> {
        let (seconds, began) = (self.seconds(), Instant::now());
        let Some(writer) = &mut self.writer else { return Ok(()) };
        self.observers.notify(&Notice::SaveStarts);
        if writer.identity.base_weights_sha256.is_empty() {
            writer.identity.base_weights_sha256 = self.setup.base_weights_sha256()?;
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
            seconds,
            logs: writer.folder.log_lengths()?,
            config: self.config.to_json()?,
            identity: writer.identity.clone(),
        };
        let (model, optimizer) = self.step.up_to_date()?;
        writer.retention.save(state, model.parameters(), optimizer, publish)?;
        tracing::debug!("step {}: saved in {:?}", self.steps_done, began.elapsed());
        self.observers.notify(&Notice::Saved { step: self.steps_done, seconds: began.elapsed().as_secs_f64() });
        Ok(())
    }

    /// Saves the current state unless it is already saved. Returns the checkpoint.
    pub(super) fn ensure_saved(&mut self) -> Result<PathBuf> {
        if !self.is_saved() {
            self.save(false)?;
        }
        Ok(self.last_checkpoint().unwrap_or_default())
    }

    fn last_checkpoint(&self) -> Option<PathBuf> {
        self.writer.as_ref()?.retention.last()
    }

    /// The newest step that is saved.
    fn last_saved_step(&self) -> Option<u64> {
        step_of(&self.last_checkpoint()?.file_name()?.to_string_lossy())
    }

    fn run_path(&self) -> PathBuf {
        self.writer.as_ref().map(|writer| writer.folder.path().to_owned()).unwrap_or_default()
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
        let written = self.writer.as_ref().map(|writer| writer.folder.checkpoint_bytes()).transpose()?.unwrap_or(0);
        Ok((each * at_once.min(saves)).saturating_sub(written))
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
        Ok(TrainError::StoppedOutOfMemory { at, shortage, safe: self.last_saved_step(), run: self.run_path() })
    }

    /// The error of a run that ends because another process is lost. Rank 0 saves the state after the last step that all
    /// have taken: a step changes nothing before all have their part of it.
    pub(super) fn stopped_by_loss(&mut self, source: Box<CollectiveError>) -> TrainError {
        if self.writer.is_none() {
            return TrainError::Collective(source);
        }
        if let Err(error) = self.ensure_saved() {
            tracing::warn!("{error}");
        }
        TrainError::LostProcess { step: self.steps_done, safe: self.last_saved_step(), run: self.run_path(), source }
    }

    /// [`ensure_saved`](Self::ensure_saved) before all processes end by themselves. The others wait for rank 0: a launcher may stop all as soon as one has
    /// ended, and would interrupt the save.
    pub(super) fn ensure_saved_for_all(&mut self) -> Result<PathBuf> {
        let saved = self.ensure_saved()?;
        match self.ranks.barrier() {
            Err(error) if !self.ranks.is_first() => Err(error.into()),
            _ => Ok(saved),
        }
    }

    /// Saves the state after a signal, and returns the error that ends the run.
    pub(super) fn stop(&mut self, signal: Signal) -> Result<TrainError> {
        self.ensure_saved_for_all()?;
        let end = self.end(EndReason::Interrupted);
        self.observers.record(Event::End(end));
        Ok(TrainError::Interrupted { signal, run: self.run_path(), step: self.steps_done })
    }
}

/// The calibration of a run's model. A record that can't be read counts as none: no checkpoint depends on it.
fn calibration(folder: &RunFolder) -> Option<CalibrationRecord> {
    CalibrationRecord::of(folder.path()).unwrap_or_else(|error| {
        tracing::warn!("{error}");
        None
    })
}
