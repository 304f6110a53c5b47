//! Checkpoints: everything that a run needs to go on as if it had never stopped.
//!
//! ```text
//! RUN/checkpoints/step-00000100/model.safetensors      fp32 weights under Hugging Face's names
//!                               optimizer.safetensors  the optimizer's averages
//!                               trainer.json           the rest: see `TrainerState`
//!                               SHA256SUMS             written last, as `sha256sum` writes it
//! ```
//!
//! A checkpoint is filled under a hidden name, synced, and renamed, so one with its proper name is whole. It is good if
//! `SHA256SUMS` is, to the byte, what the other files' sums say it must be: a byte changed anywhere is noticed, and
//! `sha256sum -c SHA256SUMS` checks it without us.
//!
//! Nothing random is stored: order, learning rate and dropout follow from the step.

mod load;
mod retention;
mod save;
mod state;

use std::path::Path;

use disk::{DiskError, UNFINISHED};
pub(crate) use load::LoadedCheckpoint;
pub(crate) use retention::Retention;
use run::checkpoints::SUMS;
pub(crate) use save::Publication;
use save::{SaveJob, Tensors, publish};
pub(crate) use state::{BestModel, FORMAT, Identity, TrainerState, config_differences};

use crate::error::Result;

/// fp32 weights.
pub(crate) const WEIGHTS: &str = "model.safetensors";
/// The optimizer's state.
pub(crate) const OPTIMIZER: &str = "optimizer.safetensors";
/// Everything else.
pub(crate) const STATE: &str = "trainer.json";
/// The files whose sums are in `SHA256SUMS`, in this order.
pub(crate) const SUMMED: [&str; 3] = [WEIGHTS, OPTIMIZER, STATE];

/// Reads all of one checkpoint and tells its step.
///
/// # Errors
/// The file that isn't as it was written, or that isn't what it should be.
pub fn check(checkpoint: &Path) -> Result<u64> {
    let checkpoint = LoadedCheckpoint::open(checkpoint)?;
    checkpoint.weights()?;
    checkpoint.optimizer()?;
    Ok(checkpoint.state.step)
}

/// Takes a checkpoint away: out of sight at once, then file by file.
fn discard(checkpoint: &Path) -> Result<()> {
    let name = checkpoint.file_name().unwrap_or_default().to_string_lossy();
    let hidden = checkpoint.with_file_name(format!("{UNFINISHED}removal-of-{name}"));
    let discard = || {
        if hidden.exists() {
            disk::remove_folder(&hidden)?;
        }
        disk::rename(checkpoint, &hidden)?;
        disk::remove_folder(&hidden)
    };
    Ok(discard().map_err(DiskError::at("remove", checkpoint))?)
}

#[cfg(test)]
mod tests;
