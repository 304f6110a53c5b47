//! Finds the newest valid checkpoint and reads it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use disk::{DiskError, clear_unfinished, folder_of, sha256_file};
use model::read_tensors;
use run::checkpoints::{CHECKPOINTS, name_of, step_of, steps_in};
use tch::Tensor;

use super::save::sums_text;
use super::{OPTIMIZER, STATE, SUMMED, SUMS, TrainerState, WEIGHTS};
use crate::error::{Result, TrainError};

/// A checkpoint whose files match their sums.
#[derive(Debug)]
pub(crate) struct LoadedCheckpoint {
    pub path: PathBuf,
    pub state: TrainerState,
}

impl LoadedCheckpoint {
    /// Verifies a checkpoint's files against their sums and reads its state.
    ///
    /// # Errors
    /// Names the file that has changed since it was written.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let damaged = |name: &str, problem: String| damaged(&path.join(name), &problem);
        let mut sums = [const { String::new() }; 3];
        for (name, sum) in SUMMED.into_iter().zip(&mut sums) {
            let file = path.join(name);
            if !file.is_file() {
                return Err(damaged(name, "is missing".to_owned()));
            }
            *sum = sha256_file(&file)?;
        }
        let expected = sums_text(&sums);
        let found = fs::read(path.join(SUMS)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => damaged(SUMS, "is missing".to_owned()),
            _ => DiskError::at("read", path.join(SUMS))(error).into(),
        })?;
        if found != expected.as_bytes() {
            return Err(damaged_file_error(path, &found, &sums));
        }
        let file = path.join(STATE);
        let text = fs::read(&file).map_err(DiskError::at("read", &file))?;
        let state = TrainerState::parse(&text).map_err(|problem| damaged(STATE, problem))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if step_of(&name).is_some_and(|step| step != state.step) {
            return Err(damaged(STATE, format!("is of step {}, in a folder named {name}", state.step)));
        }
        Ok(Self { path: path.to_owned(), state })
    }

    /// The checkpoint at `path`, which was asked for by name.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(crate) fn named(path: &Path) -> Result<Self> {
        clear(folder_of(path))?;
        Self::open(path)
    }

    /// The newest valid checkpoint of a run, with a warning for each one skipped; `None` if there is no checkpoint.
    /// Removes the files of interrupted saves.
    ///
    /// # Errors
    /// None of the checkpoints is valid.
    pub(crate) fn newest(run: &Path) -> Result<Option<Self>> {
        let folder = run.join(CHECKPOINTS);
        let unfinished = clear(&folder)?;
        let steps = steps_in(&folder)?;
        let mut skipped = Vec::new();
        let good = |step: u64| Self::open(&folder.join(name_of(step))).map_err(|error| skipped.push(error)).ok();
        let Some(found) = steps.into_iter().rev().find_map(good) else {
            if skipped.is_empty() {
                for path in unfinished {
                    tracing::warn!("{}: a half-made checkpoint, removed", path.display());
                }
                return Ok(None);
            }
            let details: String = skipped.iter().map(|error| format!("\n  {error}")).collect();
            return Err(TrainError::Refused(format!(
                "none of the checkpoints in {} is good:{details}\n  (hint: a copy of that folder made earlier may be; \
                 deleting it lets --resume start an unfinished run from nothing)",
                folder.display()
            )));
        };
        for path in unfinished {
            tracing::warn!("{}: incomplete and removed; continuing from {}", path.display(), found.path.display());
        }
        for error in skipped {
            tracing::warn!("{error}; continuing from {}", found.path.display());
        }
        Ok(Some(found))
    }

    pub(crate) fn weights(&self) -> Result<Vec<(String, Tensor)>> {
        Ok(read_tensors(&self.path.join(WEIGHTS))?)
    }

    pub(crate) fn optimizer(&self) -> Result<Vec<(String, Tensor)>> {
        Ok(read_tensors(&self.path.join(OPTIMIZER))?)
    }
}

/// Ends what a killed process had begun in a folder of checkpoints. Returns what was removed.
fn clear(folder: &Path) -> Result<Vec<PathBuf>> {
    let cleared = clear_unfinished(folder)?;
    for path in cleared.put_back {
        tracing::warn!("{}: a save that was to replace it was interrupted, so it stays", path.display());
    }
    Ok(cleared.removed)
}

/// The error that names the damaged file, if `SHA256SUMS` has unexpected content.
fn damaged_file_error(path: &Path, found: &[u8], sums: &[String; 3]) -> TrainError {
    let found = String::from_utf8_lossy(found);
    let lines: Vec<&str> = found.lines().collect();
    for (name, sum) in SUMMED.iter().zip(sums) {
        let recorded = lines.iter().find_map(|line| line.strip_suffix(name)?.strip_suffix("  "));
        let is_sum = |recorded: &&str| recorded.len() == 64 && recorded.bytes().all(|byte| byte.is_ascii_hexdigit());
        if let Some(recorded) = recorded.filter(is_sum).filter(|recorded| recorded != sum) {
            let problem = format!("has the sha256 {sum}, and {SUMS} says {recorded}");
            return damaged(&path.join(name), &problem);
        }
    }
    damaged(&path.join(SUMS), "has changed since it was written")
}

/// The error for a checkpoint file that has changed since it was written.
fn damaged(file: &Path, problem: &str) -> TrainError {
    TrainError::Refused(format!("damaged checkpoint: {} {problem}", file.display()))
}
