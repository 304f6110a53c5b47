//! Checkpoints: everything that a run needs to resume as if it had never stopped.
//!
//! ```text
//! RUN/checkpoints/step-00000100/model.safetensors      fp32 weights under Hugging Face's names
//!                               optimizer.safetensors  the optimizer's averages
//!                               trainer.json           everything else, see `TrainerState`
//!                               SHA256SUMS             written last, as `sha256sum` writes it
//! ```
//!
//! A checkpoint is written under a hidden name, synced, and renamed, so a checkpoint with its final name is complete.
//! It is valid if `SHA256SUMS` equals, byte for byte, the sums computed from the other files: any changed byte is
//! detected, and `sha256sum -c SHA256SUMS` checks it without this program.
//!
//! No random state is stored: batch order, learning rate and dropout are functions of the step.

mod load;
mod retention;
mod save;
mod state;

use std::path::Path;

use disk::{DiskError, UNFINISHED, folder_of};
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

/// Reads and verifies a whole checkpoint and returns its step.
///
/// # Errors
/// Names the file that has changed since it was written or that has invalid content.
pub fn check(checkpoint: &Path) -> Result<u64> {
    let checkpoint = LoadedCheckpoint::open(checkpoint)?;
    checkpoint.weights()?;
    checkpoint.optimizer()?;
    Ok(checkpoint.state.step)
}

/// Removes a checkpoint: renames it to a hidden name first, then deletes its files.
fn discard(checkpoint: &Path) -> Result<()> {
    let name = checkpoint.file_name().unwrap_or_default().to_string_lossy();
    let hidden = checkpoint.with_file_name(format!("{UNFINISHED}removal-of-{name}"));
    let discard = || {
        if hidden.exists() {
            disk::remove_folder(&hidden)?;
        }
        disk::rename(checkpoint, &hidden)?;
        // Else a power cut could give the name back to a folder without its files.
        disk::sync_folder(folder_of(checkpoint))?;
        disk::remove_folder(&hidden)
    };
    Ok(discard().map_err(DiskError::at("remove", checkpoint))?)
}

#[cfg(test)]
mod tests;
