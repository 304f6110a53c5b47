//! Writing a checkpoint, making its model the run's, and letting old ones go.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use fetch::cache::sha256_file;
use model::{Parameters, tensor_bytes, write_tensors};
use tch::{Device, Kind, Tensor};

use super::{OPTIMIZER, STATE, SUMMED, SUMS, State, WEIGHTS, discard, name_of, steps_in};
use crate::error::{Result, TrainError};
use crate::files::{self, Output, UNFINISHED, link_atomic, write_atomic};
use crate::optim::Optimizer;
use crate::room;

/// A copy of weights and optimizer state on the CPU, in memory that is used again for the next one.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    pub(super) weights: Vec<(String, Tensor)>,
    pub(super) optimizer: Vec<(String, Tensor)>,
}

/// The files that make a run folder a usable model besides its weights, by name.
pub(crate) type Publication = Vec<(String, Vec<u8>)>;

/// One save, ready to be written by any thread.
#[derive(Debug)]
pub(crate) struct Job {
    /// The run's folder.
    pub run: PathBuf,
    pub snapshot: Snapshot,
    pub state: State,
    /// The weights that training began with, and their sum once somebody has taken it.
    pub base_weights: (PathBuf, Arc<OnceLock<String>>),
    /// What to put into the run's folder with the weights, where they are to be the run's model.
    pub publication: Option<Arc<Publication>>,
    /// The steps of the checkpoints that stay, this one among them.
    pub keep: Vec<u64>,
}

impl Snapshot {
    /// Copies what training will change next.
    pub fn take(&mut self, parameters: &Parameters, optimizer: &Optimizer) -> Result<()> {
        let weights = parameters.iter().map(|parameter| (parameter.name().to_owned(), parameter.master()));
        copy(&mut self.weights, weights)?;
        copy(&mut self.optimizer, optimizer.state().into_iter())
    }

    /// What a checkpoint of this takes on the disk, up to a few kilobytes.
    pub fn bytes(&self) -> u64 {
        tensor_bytes(self.weights.iter().chain(&self.optimizer).map(|(_, tensor)| tensor))
    }
}

fn copy<'a>(own: &mut Vec<(String, Tensor)>, tensors: impl Iterator<Item = (String, &'a Tensor)>) -> Result<()> {
    let first = own.is_empty();
    for (index, (name, tensor)) in tensors.enumerate() {
        if first {
            own.push((name, Tensor::f_empty(tensor.size(), (Kind::Float, Device::Cpu))?));
        }
        own[index].1.f_copy_(tensor)?;
    }
    Ok(())
}

impl Job {
    /// Writes the checkpoint, publishes its model if that is asked for, and removes the checkpoints that needn't stay.
    ///
    /// # Errors
    /// Whatever the disk refuses. The checkpoints that were there are then still there, or this one is.
    pub fn run(&mut self) -> Result<()> {
        let folder = self.run.join(super::CHECKPOINTS);
        self.save_into(&folder).map_err(|source| TrainError::NotSaved {
            step: self.state.step,
            safe: steps_in(&folder).unwrap_or_default().pop(),
            run: self.run.clone(),
            source: Box::new(source),
        })
    }

    fn save_into(&mut self, folder: &Path) -> Result<()> {
        if !folder.is_dir() {
            files::create_folder(folder).map_err(TrainError::io("make the folder", folder))?;
        }
        room::check(folder, self.snapshot.bytes())?;
        let place = folder.join(name_of(self.state.step));
        self.write(folder, &place)?;
        if let Some(publication) = &self.publication {
            publish(&place, &self.run, publication)?;
        }
        for step in steps_in(folder)? {
            if !self.keep.contains(&step) {
                discard(&folder.join(name_of(step)))?;
            }
        }
        Ok(())
    }

    fn write(&mut self, folder: &Path, place: &Path) -> Result<()> {
        let (path, sum) = &self.base_weights;
        if sum.get().is_none() {
            let _ = sum.set(sha256_file(path)?);
        }
        self.state.identity.base_weights_sha256 = sum.get().cloned().unwrap_or_default();
        let unfinished = folder.join(format!("{UNFINISHED}{}", name_of(self.state.step)));
        let written = self.fill(&unfinished).and_then(|()| {
            // One of the same step is there where the run was stopped before an evaluation, where it is damaged, or where
            // it is of a course that this run has left.
            if place.exists() {
                files::exchange(&unfinished, place)?;
                files::sync_folder(folder)?;
                return files::remove_folder(&unfinished);
            }
            files::rename(&unfinished, place)?;
            files::sync_folder(folder)
        });
        written.map_err(|error| {
            // What is half made means nothing, and its room may be needed.
            let _ = fs::remove_dir_all(&unfinished);
            room::explain(TrainError::io("write", place)(error), folder, self.snapshot.bytes())
        })
    }

    fn fill(&self, folder: &Path) -> io::Result<()> {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        files::create_folder(folder)?;
        let state = serde_json::to_vec_pretty(&self.state)?;
        let sums = [
            put(&folder.join(WEIGHTS), |out| write_named(out, &self.snapshot.weights))?,
            put(&folder.join(OPTIMIZER), |out| write_named(out, &self.snapshot.optimizer))?,
            put(&folder.join(STATE), |out| out.write_all(&state))?,
        ];
        put(&folder.join(SUMS), |out| out.write_all(sums_text(&sums).as_bytes()))?;
        files::sync_folder(folder)
    }
}

/// The content of `SHA256SUMS`: what `sha256sum` prints for the files.
pub(super) fn sums_text(sums: &[String; 3]) -> String {
    SUMMED.iter().zip(sums).map(|(name, sum)| format!("{sum}  {name}\n")).collect()
}

/// Makes a checkpoint's model the model of the run. The weights come last: with them the folder is a usable run.
pub(crate) fn publish(checkpoint: &Path, run: &Path, publication: &Publication) -> Result<()> {
    for (name, bytes) in publication {
        let path = run.join(name);
        if fs::read(&path).is_ok_and(|there| there == *bytes) {
            continue;
        }
        write_atomic(&path, bytes)?;
    }
    link_atomic(&checkpoint.join(WEIGHTS), &run.join(crate::run_directory::MODEL))
}

fn put(path: &Path, content: impl FnOnce(&mut Output) -> io::Result<()>) -> io::Result<String> {
    let mut output = Output::create(path)?;
    content(&mut output)?;
    output.finish()
}

fn write_named(out: &mut Output, tensors: &[(String, Tensor)]) -> io::Result<()> {
    write_tensors(out, tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)))
}
