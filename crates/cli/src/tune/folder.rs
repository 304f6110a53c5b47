//! The folder of a study.
//!
//! | file | what it is |
//! | --- | --- |
//! | `study.jsonl` | the study itself, in Optuna's journal format |
//! | `trials/0007/` | the run of trial 7; `trials/0007.toml` is its configuration, `0007.txt` its output |
//! | `best.toml`, `best/` | the winner's configuration, and its run: the model |
//! | `study.html`, `trials.csv`, `trials.json` | the study as a page and as tables |
//!
//! Only the weights of the best trial are kept, but logs and metrics of all.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use disk::{StagedFolder, create_folder_all, sha256_file, write_atomic};
use run::checkpoints::CHECKPOINTS;
use run::{CalibrationRecord, MODEL};
use train::TrainingFiles;

/// The folder of studies without `--study`, relative to the working directory.
pub(super) const STUDIES: &str = "studies";

#[derive(Debug, Clone)]
pub(super) struct StudyFolder {
    path: PathBuf,
}

impl StudyFolder {
    /// Creates it unless it exists.
    pub(super) fn create(path: PathBuf) -> Result<Self> {
        create_folder_all(&path.join("trials"))?;
        Ok(Self { path })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn journal(&self) -> PathBuf {
        self.path.join("study.jsonl")
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The run folder of a trial.
    pub(super) fn run(&self, number: u64) -> PathBuf {
        self.path.join(format!("trials/{number:04}"))
    }

    pub(super) fn config(&self, number: u64) -> PathBuf {
        self.path.join(format!("trials/{number:04}.toml"))
    }

    pub(super) fn output(&self, number: u64) -> PathBuf {
        self.path.join(format!("trials/{number:04}.txt"))
    }

    /// The files of a trial's process.
    pub(super) fn training_files(&self, number: u64) -> TrainingFiles {
        TrainingFiles { config: self.config(number), run: self.run(number), output: self.output(number) }
    }

    /// The winner's run folder.
    pub(super) fn best(&self) -> PathBuf {
        self.path.join("best")
    }

    /// Removes the weights of a finished trial: its checkpoints, and its model unless `keep_model`.
    pub(super) fn remove_weights(&self, number: u64, keep_model: bool) {
        let run = self.run(number);
        let removed = [
            ignore_not_found(fs::remove_dir_all(run.join(CHECKPOINTS))),
            if keep_model { Ok(()) } else { ignore_not_found(fs::remove_file(run.join(MODEL))) },
        ];
        for error in removed.into_iter().filter_map(Result::err) {
            disk::print_message(format!(
                "warning: failed to remove the weights of trial {number} from {}: {error}",
                run.display()
            ));
        }
    }

    /// Publishes trial `number` as the best: its configuration and, if its model exists, its run under the fixed name
    /// `best`. Files are hard links to the trial's if the file system supports them, else copies. Returns whether the
    /// model exists.
    pub(super) fn publish_best(&self, number: u64, configuration: &str) -> Result<bool> {
        write_atomic(&self.file("best.toml"), configuration)?;
        let (run, best) = (self.run(number), self.best());
        if !run.join(MODEL).is_file() {
            return Ok(false);
        }
        if same_file(&run.join(MODEL), &best.join(MODEL)) || is_calibrated_from(&best, &run.join(MODEL)) {
            return Ok(true);
        }
        let publish = || -> Result<()> {
            let made = StagedFolder::create(&best, MODEL)?;
            for entry in fs::read_dir(&run)? {
                let entry = entry?;
                // Without locks and folders.
                if entry.file_type()?.is_file() && !entry.file_name().to_string_lossy().starts_with('.') {
                    let to = made.path().join(entry.file_name());
                    fs::hard_link(entry.path(), &to).or_else(|_| copy(&entry.path(), &to))?;
                }
            }
            Ok(made.publish()?)
        };
        publish().with_context(|| format!("failed to copy the model of trial {number} to {}", best.display()))?;
        Ok(true)
    }
}

/// A copy with the modification time of the original, by which the same winner is recognized.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    let copied = fs::File::options().write(true).open(to)?;
    copied.set_modified(from.metadata()?.modified()?)?;
    copied.sync_all()
}

fn ignore_not_found(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

/// Whether the model of `best` is this one, calibrated since it was published.
fn is_calibrated_from(best: &Path, model: &Path) -> bool {
    let calibration = CalibrationRecord::of(best).ok().flatten();
    calibration.is_some_and(|calibration| {
        sha256_file(model).is_ok_and(|trained| trained == calibration.trained_weights_sha256)
    })
}

/// Whether two files are probably the same: they have the same length and modification time.
fn same_file(one: &Path, other: &Path) -> bool {
    let state = |path: &Path| path.metadata().ok().and_then(|file| Some((file.len(), file.modified().ok()?)));
    matches!((state(one), state(other)), (Some(one), Some(other)) if one == other)
}

#[cfg(test)]
mod tests {
    use run::{METRICS, RUN_TOML};

    use super::*;

    fn folder() -> (tempfile::TempDir, StudyFolder) {
        let root = tempfile::tempdir().unwrap();
        let folder = StudyFolder::create(root.path().join("study")).unwrap();
        for (number, weights) in [(0, "zero"), (1, "one")] {
            fs::create_dir_all(folder.run(number).join(CHECKPOINTS).join("step-00000001")).unwrap();
            for (name, text) in [(MODEL, weights), (RUN_TOML, "seed = 1"), (METRICS, "{}"), (".lock", "")] {
                fs::write(folder.run(number).join(name), text).unwrap();
            }
        }
        (root, folder)
    }

    #[test]
    fn the_best_trial_is_published_and_replaced() {
        let (_root, folder) = folder();
        assert!(folder.publish_best(0, "epochs = 3").unwrap());
        assert_eq!(fs::read_to_string(folder.best().join(MODEL)).unwrap(), "zero");
        assert!(!folder.best().join(".lock").exists() && !folder.best().join(CHECKPOINTS).exists());
        fs::write(folder.best().join("evaluation-test.json"), "{}").unwrap();
        assert!(folder.publish_best(0, "epochs = 3").unwrap());
        assert!(folder.best().join("evaluation-test.json").exists(), "the same winner keeps its scores");
        assert!(folder.publish_best(1, "epochs = 4").unwrap());
        assert_eq!(fs::read_to_string(folder.best().join(MODEL)).unwrap(), "one");
        assert!(!folder.best().join("evaluation-test.json").exists(), "another one doesn't inherit them");
        assert_eq!(fs::read_to_string(folder.file("best.toml")).unwrap(), "epochs = 4");
        let mut names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["best", "best.toml", "trials"], "nothing unfinished is left");
        assert!(!folder.publish_best(7, "epochs = 5").unwrap(), "a trial without a model");
    }

    #[test]
    fn a_trial_without_weights_keeps_its_scores() {
        let (_root, folder) = folder();
        folder.remove_weights(0, true);
        folder.remove_weights(1, false);
        folder.remove_weights(1, false);
        copy(&folder.run(0).join(MODEL), &folder.file("copy")).unwrap();
        assert!(same_file(&folder.run(0).join(MODEL), &folder.file("copy")));
        assert!(folder.run(0).join(MODEL).exists() && !folder.run(0).join(CHECKPOINTS).exists());
        assert!(!folder.run(1).join(MODEL).exists() && folder.run(1).join(METRICS).exists());
    }
}
