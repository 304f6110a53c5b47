//! Writes a checkpoint, publishes its model in the run folder, and deletes old checkpoints.
//!
//! Saving blocks training, so no tensor has to be copied first: the files are written from the memory that training
//! uses. To save time, both large files are written in parallel, and a separate thread for each computes its sum from
//! the same memory. A second save of the same step, as after an evaluation, writes the state alone and links the rest.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::thread::scope;

use disk::{DiskError, NewFile, UNFINISHED, join, link_atomic, sha256_of, spawn, write_atomic};
use model::{Parameters, tensor_bytes, write_tensors};
use run::MODEL;
use run::checkpoints::{CHECKPOINTS, name_of, steps_in};
use tch::Tensor;

use super::{OPTIMIZER, STATE, SUMMED, SUMS, TrainerState, WEIGHTS, discard};
use crate::error::{Result, TrainError};
use crate::free_space;
use crate::optim::Optimizer;

/// The files that make a run folder a usable model besides its weights, by name.
pub(crate) type Publication = Vec<(String, Vec<u8>)>;

/// The tensors that training changes: references to them, not copies.
#[derive(Debug)]
pub(crate) struct Tensors {
    pub(super) weights: Vec<(String, Tensor)>,
    pub(super) optimizer: Vec<(String, Tensor)>,
}

#[derive(Debug)]
pub(crate) struct SaveJob<'a> {
    pub run: &'a Path,
    pub tensors: Tensors,
    pub state: TrainerState,
    /// The files to write into the run folder besides the weights, if this model is published.
    pub publication: Option<&'a Publication>,
    /// The steps of the checkpoints to keep, including this one.
    pub kept_steps: Vec<u64>,
    /// Whether this process has saved or loaded a checkpoint of the same step, so that its tensors are these.
    pub has_same_tensors: bool,
}

impl Tensors {
    /// The tensors of a run. They must not change until they are written.
    pub(super) fn of(parameters: &Parameters, optimizer: &Optimizer) -> Self {
        let weights = parameters.iter().map(|parameter| (parameter.name(), parameter.master()));
        let state = optimizer.state();
        Self {
            weights: shallow_clones(weights),
            optimizer: shallow_clones(state.iter().map(|(name, of)| (&**name, *of))),
        }
    }

    /// The size of the checkpoint on disk, to within a few kilobytes.
    fn bytes(&self) -> u64 {
        tensor_bytes(self.weights.iter().chain(&self.optimizer).map(|(_, tensor)| tensor))
    }
}

/// New handles to the same tensors, because each thread needs its own.
fn shallow_clones<'a>(tensors: impl Iterator<Item = (&'a str, &'a Tensor)>) -> Vec<(String, Tensor)> {
    tensors.map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone())).collect()
}

impl SaveJob<'_> {
    /// Writes the checkpoint, publishes its model if requested, and deletes the checkpoints not in `kept_steps`.
    ///
    /// # Errors
    /// Any write error. Afterwards either the previous checkpoints or this one exist.
    pub(super) fn run(&self) -> Result<()> {
        let folder = self.run.join(CHECKPOINTS);
        self.save_into(&folder).map_err(|source| TrainError::NotSaved {
            step: self.state.step,
            safe: steps_in(&folder).unwrap_or_default().pop(),
            run: self.run.to_owned(),
            source: Box::new(source),
        })
    }

    fn save_into(&self, folder: &Path) -> Result<()> {
        match disk::create_folder(folder) {
            // A process that was killed before it synced the name may have created it.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => disk::sync_folder(self.run),
            created => created,
        }
        .map_err(|error| {
            let error = DiskError::at("create the folder", folder)(error);
            free_space::explain(error, folder, self.tensors.bytes())
        })?;
        free_space::check(folder, self.tensors.bytes())?;
        let target = folder.join(name_of(self.state.step));
        self.write(folder, &target)?;
        if let Some(publication) = self.publication {
            publish(&target, self.run, publication)?;
        }
        for step in steps_in(folder)? {
            if !self.kept_steps.contains(&step) {
                discard(&folder.join(name_of(step)))?;
            }
        }
        Ok(())
    }

    fn write(&self, folder: &Path, target: &Path) -> Result<()> {
        let unfinished = folder.join(format!("{UNFINISHED}{}", name_of(self.state.step)));
        if unfinished.exists() {
            disk::clear_unfinished(folder)?;
        }
        let linked = self.has_same_tensors && self.fill_with_links(&unfinished, target).is_ok();
        let filled = if linked { Ok(()) } else { self.fill(&unfinished) };
        let written = filled.and_then(|()| {
            // A checkpoint of the same step exists if the run was stopped before an evaluation, if the checkpoint is
            // damaged, or if the run was resumed from an earlier one.
            if target.exists() {
                return disk::replace_folder(&unfinished, target);
            }
            disk::rename(&unfinished, target)?;
            disk::sync_folder(folder)
        });
        written.map_err(|error| {
            // An incomplete checkpoint is useless, and its space may be needed.
            let _ = disk::clear_unfinished(folder);
            free_space::explain(DiskError::at("write", target)(error), folder, self.tensors.bytes())
        })
    }

    /// Fills a folder as [`fill`](Self::fill) does, with links to the tensors' files in `same`. The sums are those of
    /// that checkpoint, so what has happened to its files since is noticed when this one is loaded.
    fn fill_with_links(&self, folder: &Path, same: &Path) -> io::Result<()> {
        create_anew(folder)?;
        let known = fs::read_to_string(same.join(SUMS))?;
        let sum_of = |name: &str| known.lines().find_map(|line| line.strip_suffix(name)?.strip_suffix("  "));
        let (Some(weights), Some(optimizer)) = (sum_of(WEIGHTS), sum_of(OPTIMIZER)) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        for name in [WEIGHTS, OPTIMIZER] {
            link_atomic(&same.join(name), &folder.join(name)).map_err(|error| error.source)?;
        }
        self.fill_with_state(folder, [weights.to_owned(), optimizer.to_owned()])
    }

    fn fill(&self, folder: &Path) -> io::Result<()> {
        create_anew(folder)?;
        let Tensors { weights, optimizer } = &self.tensors;
        let (weights, optimizer) = scope(|scope| {
            let (path, optimizer) = (folder.join(OPTIMIZER), clones(optimizer));
            let optimizer = spawn(scope, "save-optimizer", move || write_and_hash_tensors(&path, &optimizer))?;
            let weights = write_and_hash_tensors(&folder.join(WEIGHTS), weights);
            Ok::<_, io::Error>((weights, join(optimizer)))
        })?;
        self.fill_with_state(folder, [weights?, optimizer?])
    }

    /// Writes everything besides the tensors, whose sums are given.
    fn fill_with_state(&self, folder: &Path, [weights, optimizer]: [String; 2]) -> io::Result<()> {
        let state = serde_json::to_vec_pretty(&self.state)?;
        let sums = [weights, optimizer, write_and_hash(&folder.join(STATE), &state)?];
        write_and_hash(&folder.join(SUMS), sums_text(&sums).as_bytes())?;
        disk::sync_folder(folder)
    }
}

/// Creates an empty folder in the place of the one that a failed attempt of this save left there.
fn create_anew(folder: &Path) -> io::Result<()> {
    if folder.exists() {
        disk::remove_folder(folder)?;
    }
    disk::create_folder(folder)
}

/// Makes a checkpoint's model the model of the run. Writes the weights last, because they make the folder a complete
/// model.
pub(super) fn publish(checkpoint: &Path, run: &Path, publication: &Publication) -> Result<()> {
    for (name, bytes) in publication {
        let path = run.join(name);
        if fs::read(&path).is_ok_and(|there| there == *bytes) {
            continue;
        }
        write_atomic(&path, bytes)?;
    }
    Ok(link_atomic(&checkpoint.join(WEIGHTS), &run.join(MODEL))?)
}

/// The content of `SHA256SUMS`: what `sha256sum` prints for the files.
pub(super) fn sums_text(sums: &[String; 3]) -> String {
    SUMMED.iter().zip(sums).map(|(name, sum)| format!("{sum}  {name}\n")).collect()
}

/// Writes a small file and returns its sum.
fn write_and_hash(path: &Path, bytes: &[u8]) -> io::Result<String> {
    let mut output = NewFile::create(path)?;
    output.write_all(bytes)?;
    output.finish()?;
    sha256_of(|sum| sum.write_all(bytes))
}

/// Writes tensors into a file and returns its sum, which another thread computes at the same time.
fn write_and_hash_tensors(path: &Path, tensors: &[(String, Tensor)]) -> io::Result<String> {
    scope(|scope| {
        let same = clones(tensors);
        let sum = spawn(scope, "save-sum", move || sha256_of(|sum| write_tensors(sum, named(&same))))?;
        let mut output = NewFile::create(path)?;
        write_tensors(&mut output, named(tensors))?;
        output.finish()?;
        join(sum)
    })
}

fn named(tensors: &[(String, Tensor)]) -> impl Iterator<Item = (&str, &Tensor)> + Clone {
    tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
}

fn clones(tensors: &[(String, Tensor)]) -> Vec<(String, Tensor)> {
    shallow_clones(named(tensors))
}
