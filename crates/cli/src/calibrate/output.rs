//! Where a calibrated model is written: into its run, or with a copy of the run into a new folder.
//!
//! The record is written before the weights, and names them by their sum. If the program ends between the two, the record is of
//! other weights than those that are there, and so the run counts as not calibrated.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use disk::{StagedFolder, write_atomic, write_atomic_with};
use model::SequenceClassifier;
use run::{CALIBRATION, CONFIG, CalibrationRecord, DATA, EvaluationResult, LOG, METRICS, MODEL, RUN_TOML, RunFolder};
use tokenize::{Casing, published_files};

use crate::evaluate::is_read_only;

/// What a copy of a run holds besides weights and tokenizer. Evaluations are left out: they are of other probabilities.
const COPIED: [&str; 5] = [CONFIG, DATA, RUN_TOML, METRICS, LOG];

/// What is added to the notes of evaluations.
const OUTDATED: &str = "warning: the model was calibrated after this evaluation, which gave it other probabilities and another loss; its \
                        labels are the same (hint: `cargo xtask evaluate` scores it again)";

/// The folder that is written to.
pub(super) enum CalibratedOutput {
    /// The run's, owned by this process until the end.
    InPlace(RunFolder),
    Copy {
        run: PathBuf,
        staged: StagedFolder,
    },
}

impl CalibratedOutput {
    /// Makes sure that the model can be written before it is computed.
    ///
    /// # Errors
    /// A run that another process writes to, or that is read-only; a run that is still to be trained, or an `output` that is not
    /// empty.
    pub(super) fn prepare(run: &Path, output: Option<&Path>) -> Result<Self> {
        let Some(output) = output else {
            return match RunFolder::open_to_resume(run).map_err(anyhow::Error::from) {
                Err(error) if is_read_only(&error) => {
                    bail!("{} can't be written to (hint: --output DIR writes a calibrated copy)", run.display())
                }
                opened => Ok(Self::InPlace(opened?)),
            };
        };
        if !run.join(METRICS).is_file() {
            let run = run.display();
            bail!(
                "--output: {run} has no {METRICS}, so its training has not ended, and a copy could not be trained further (hint: \
                 `cargo run -p train -- --resume {run}` ends it; without --output it is calibrated where it is)"
            );
        }
        if output.exists() && !output.read_dir().is_ok_and(|mut entries| entries.next().is_none()) {
            bail!("--output: {} is not an empty folder (hint: give the name of a new one)", output.display());
        }
        Ok(Self::Copy { run: run.to_owned(), staged: StagedFolder::create(output, MODEL)? })
    }

    /// Writes record and weights. Returns the paths of what was written.
    ///
    /// # Errors
    /// A full disk, or a folder that can't be written to. The model is then the one from before.
    pub(super) fn write(self, model: &SequenceClassifier, record: &CalibrationRecord) -> Result<Vec<PathBuf>> {
        match self {
            Self::InPlace(folder) => {
                write_model(folder.path(), model, record)?;
                mark_evaluations(folder.path());
                Ok(vec![folder.file(CALIBRATION), folder.file(MODEL)])
            }
            Self::Copy { run, staged } => {
                for name in COPIED.into_iter().filter(|name| run.join(name).is_file()) {
                    let content = std::fs::read(run.join(name)).with_context(|| format!("failed to read {name}"))?;
                    write_atomic(&staged.path().join(name), content)?;
                }
                for (name, content) in published_files(&run, Casing::AsConfigured)? {
                    write_atomic(&staged.path().join(name), content)?;
                }
                write_model(staged.path(), model, record)?;
                let place = staged.place().to_owned();
                staged.publish()?;
                Ok(vec![place])
            }
        }
    }
}

fn write_model(folder: &Path, model: &SequenceClassifier, record: &CalibrationRecord) -> Result<()> {
    write_atomic(&CalibrationRecord::path(folder), record.to_json()?)?;
    Ok(write_atomic_with(&folder.join(MODEL), |out| model.write_weights(out))?)
}

/// Notes in the evaluations of a run that they are of the model before. One that can't be read or written is said and left.
fn mark_evaluations(run: &Path) {
    let names = std::fs::read_dir(run).into_iter().flatten().flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    let splits = names.filter_map(|name| Some(name.strip_prefix("evaluation-")?.strip_suffix(".json")?.to_owned()));
    let mut splits: Vec<String> = splits.collect();
    splits.sort();
    for split in splits {
        let marked = || -> Result<()> {
            let mut evaluation = EvaluationResult::read(run, &split)?;
            if !evaluation.notes.iter().any(|note| note == OUTDATED) {
                evaluation.notes.push(OUTDATED.to_owned());
                write_atomic(&EvaluationResult::path(run, &split), evaluation.to_json()?)?;
            }
            Ok(())
        };
        let path = EvaluationResult::path(run, &split);
        disk::print_message(match marked() {
            Ok(()) => format!(
                "note: {} is of the model before, which it says now (hint: `cargo xtask evaluate --run {}` scores it again)",
                path.display(),
                run.display()
            ),
            Err(error) => format!("warning: {} is of the model before: {error:#}", path.display()),
        });
    }
}
