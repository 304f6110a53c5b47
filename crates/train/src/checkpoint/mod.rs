//! Checkpoints: everything that a run needs to go on as if it had never stopped.
//!
//! ```text
//! RUN/checkpoints/step-00000100/model.safetensors      fp32 weights under Hugging Face's names
//!                               optimizer.safetensors  the optimizer's averages
//!                               trainer.json           the rest: see `State`
//!                               SHA256SUMS             written last, as `sha256sum` writes it
//! ```
//!
//! A checkpoint is filled under a hidden name, synced, and renamed, so one with its proper name is whole. It is good if
//! `SHA256SUMS` is, to the byte, what the other files' sums say it must be: a byte changed anywhere is noticed, and
//! `sha256sum -c SHA256SUMS` checks it without us.
//!
//! Nothing random is stored: order, learning rate and dropout follow from the step.

mod keeper;
mod load;
mod save;
mod state;

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

pub(crate) use keeper::Keeper;
pub(crate) use load::Found;
pub(crate) use save::Publication;
use save::{Job, Tensors, publish};
pub(crate) use state::{BestModel, FORMAT, Identity, State, as_map};

use crate::error::{Result, TrainError};
use crate::files::{self, UNFINISHED};

/// The folder of a run's checkpoints.
pub const CHECKPOINTS: &str = "checkpoints";
/// fp32 weights.
pub(crate) const WEIGHTS: &str = "model.safetensors";
/// The optimizer's state.
pub(crate) const OPTIMIZER: &str = "optimizer.safetensors";
/// Everything else.
pub(crate) const STATE: &str = "trainer.json";
/// The sums of the files above, in this order.
pub(crate) const SUMS: &str = "SHA256SUMS";
/// The summed files.
pub(crate) const SUMMED: [&str; 3] = [WEIGHTS, OPTIMIZER, STATE];

/// Reads all of one checkpoint and tells its step.
///
/// # Errors
/// The file that isn't as it was written, or that isn't what it should be.
pub fn check(checkpoint: &Path) -> Result<u64> {
    let found = Found::open(checkpoint)?;
    found.weights()?;
    found.optimizer()?;
    Ok(found.state.step)
}

/// `step-00000100`.
pub(crate) fn name_of(step: u64) -> String {
    format!("step-{step:08}")
}

/// The step in a checkpoint's name. Names sort by it as numbers, not as text.
fn step_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("step-")?;
    digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// The steps of the checkpoints in `folder` in order, good or not.
pub(crate) fn steps_in(folder: &Path) -> Result<Vec<u64>> {
    let mut steps: Vec<u64> = names_in(folder)?.iter().filter_map(|name| step_of(name)).collect();
    steps.sort_unstable();
    Ok(steps)
}

/// Removes what killed saves left in `folder`, and tells what that was.
pub(crate) fn remove_half_made(folder: &Path) -> Result<Vec<PathBuf>> {
    let half_made = names_in(folder)?.into_iter().filter(|name| name.starts_with(UNFINISHED));
    let paths: Vec<PathBuf> = half_made.map(|name| folder.join(name)).collect();
    for path in &paths {
        let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        removed.map_err(TrainError::io("remove", path))?;
    }
    Ok(paths)
}

/// Takes a checkpoint away: out of sight at once, then file by file.
fn discard(checkpoint: &Path) -> Result<()> {
    let name = checkpoint.file_name().unwrap_or_default().to_string_lossy();
    let hidden = checkpoint.with_file_name(format!("{UNFINISHED}removal-of-{name}"));
    let discard = || {
        if hidden.exists() {
            files::remove_folder(&hidden)?;
        }
        files::rename(checkpoint, &hidden)?;
        files::remove_folder(&hidden)
    };
    discard().map_err(TrainError::io("remove", checkpoint))
}

fn names_in(folder: &Path) -> Result<Vec<String>> {
    let list = || -> io::Result<_> {
        fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    };
    match list() {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        names => names.map_err(TrainError::io("list the folder", folder)),
    }
}

#[cfg(test)]
mod tests;
