//! The folder of a run: a Hugging Face model folder plus the run's own files.
//!
//! | file | what it is |
//! | --- | --- |
//! | `run.toml` | the resolved configuration; marks the folder as a verdict run |
//! | `model.safetensors`, `config.json`, the tokenizer's files | the best model; marks the run as usable |
//! | `log.jsonl`, `events.out.tfevents.*` | what was observed |
//! | `data.json` | the manifest of the data that the model was trained on |
//! | `metrics.json` | the scores of the best model; marks the run as finished |
//! | `int8.json`, `calibration.json` | how the model computes in int8, held against fp32, once it was used so; the temperature in it |
//! | `README.md` | the model card, once the run was evaluated |
//! | `checkpoints/` | what training needs to resume |
//! | `.lock` | held by the process that trains into the folder |
//!
//! Paths inside are relative, so a folder can be moved or copied.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use disk::{
    DiskError, Lock, LockAttempt, UNFINISHED, clear_unfinished, create_folder, create_folder_all, remove_file_durably,
    write_atomic,
};

use crate::checkpoints::{CHECKPOINTS, name_of, read_names, steps_in};
use crate::error::{Result, RunError};

/// The folder of runs without `--output`, relative to the working directory.
pub const RUNS: &str = "runs";
pub const RUN_TOML: &str = "run.toml";
pub const MODEL: &str = "model.safetensors";
/// The model's configuration in a Hugging Face model folder.
pub const CONFIG: &str = "config.json";
/// The prepared data's manifest, copied into the run: what the model was trained on, and how its texts are cut.
pub const DATA: &str = "data.json";
/// JSON lines, one an event of the run.
pub const LOG: &str = "log.jsonl";
pub const METRICS: &str = "metrics.json";
/// The mean duration of a step by phase, of a run with `--profile`.
pub const PROFILE: &str = "profile.json";
/// Prefix of the names of TensorBoard's files.
pub const EVENTS: &str = "events.out.tfevents.";
/// The file that the process which trains into the folder keeps locked.
const LOCK: &str = ".lock";

#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
    /// Held where this process trains into the folder.
    _lock: Option<Arc<Lock>>,
}

impl RunFolder {
    /// A folder to train into: `output`, or a new one under [`RUNS`] named after time, data set and model.
    ///
    /// An `output` that exists must be empty or hold a verdict run that never got as far as a checkpoint; of such a run
    /// the log, the event files and the scores are removed, so that two runs never mix. The folder belongs to this process
    /// until the last copy of the result is dropped.
    ///
    /// # Errors
    /// Files of another program, checkpoints or a trained model in `output`; a folder that can't be made, or that another
    /// process owns.
    pub fn create(output: Option<&Path>, dataset: &str, model: &str) -> Result<Self> {
        match output {
            Some(path) => Self::create_at(path),
            None => Self::create_under(Path::new(RUNS), &run_name(SystemTime::now(), dataset, model)),
        }
    }

    /// A folder for a group of runs: `output`, or a new one under [`RUNS`] named after time, data set, model and `kind`.
    ///
    /// # Errors
    /// An `output` with files in it; a folder that can't be made, or that another process owns.
    pub fn create_for_group(output: Option<&Path>, dataset: &str, model: &str, kind: &str) -> Result<Self> {
        let Some(path) = output else {
            let name = format!("{}-{kind}", run_name(SystemTime::now(), dataset, model));
            return Self::create_under(Path::new(RUNS), &name);
        };
        create_folder_all(path)?;
        let names = names_in(path).map_err(DiskError::at("list the folder", path))?;
        match names.first() {
            _ if names.iter().any(|name| name == RUN_TOML) => Err(RunError::SingleRun { path: path.to_owned() }),
            Some(found) => Err(RunError::NotEmpty { path: path.to_owned(), found: found.clone() }),
            None => Self::lock(path.to_owned()),
        }
    }

    /// An existing run with a usable model.
    ///
    /// # Errors
    /// A folder without model or configuration.
    pub fn open(path: &Path) -> Result<Self> {
        match [MODEL, RUN_TOML].into_iter().find(|name| !path.join(name).is_file()) {
            None => Ok(Self { path: path.to_owned(), _lock: None }),
            Some(missing) => Err(RunError::NotARun { path: path.to_owned(), missing }),
        }
    }

    /// The folder of an unfinished run or group, to resume it. Unfinished files of killed processes are removed.
    ///
    /// # Errors
    /// A folder that another process owns.
    pub fn open_to_resume(path: &Path) -> Result<Self> {
        Self::lock(path.to_owned())
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Puts a file into it, whole or not at all.
    ///
    /// # Errors
    /// A folder that can't be written to, a full disk; the old content then stays.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> Result<()> {
        Ok(write_atomic(&self.file(name), bytes)?)
    }

    /// Removes a file of the run if it exists.
    ///
    /// # Errors
    /// A folder that can't be written to.
    pub fn remove(&self, name: &str) -> Result<()> {
        Ok(remove_file_durably(&self.file(name))?)
    }

    /// How long the run's logs are, by name.
    pub fn log_lengths(&self) -> Result<BTreeMap<String, u64>> {
        let list = || -> io::Result<_> {
            let logs = names_in(&self.path)?.into_iter().filter(|name| is_log(name));
            logs.map(|name| Ok((name.clone(), self.file(&name).metadata()?.len()))).collect()
        };
        Ok(list().map_err(DiskError::at("list the folder", &self.path))?)
    }

    /// Cuts the logs back to `lengths`: what was logged after a checkpoint will be logged again.
    pub fn cut_logs(&self, lengths: &BTreeMap<String, u64>) -> Result<()> {
        for (name, length) in self.log_lengths()? {
            let path = self.file(&name);
            match lengths.get(&name) {
                None => fs::remove_file(&path).map_err(DiskError::at("remove", &path))?,
                Some(kept) if *kept < length => {
                    let cut = File::options().write(true).open(&path).and_then(|file| file.set_len(*kept));
                    cut.map_err(DiskError::at("shorten", &path))?;
                }
                Some(kept) if *kept > length => {
                    tracing::warn!("{}: its last {} bytes are missing", path.display(), kept - length);
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// What the run's checkpoints take on the disk.
    pub fn checkpoint_bytes(&self) -> Result<u64> {
        let folder = self.file(CHECKPOINTS);
        let mut bytes = 0;
        for step in steps_in(&folder)? {
            let checkpoint = folder.join(name_of(step));
            let files = fs::read_dir(&checkpoint).map_err(DiskError::at("list the folder", &checkpoint))?;
            bytes += files.flatten().filter_map(|file| Some(file.metadata().ok()?.len())).sum::<u64>();
        }
        Ok(bytes)
    }

    fn lock(path: PathBuf) -> Result<Self> {
        let lock = match Lock::try_acquire(&path.join(LOCK))? {
            LockAttempt::Acquired(lock) => lock,
            LockAttempt::Held(holder) => return Err(RunError::InUse { path, holder }),
            LockAttempt::Unsupported(lock) => {
                let folder = path.display();
                tracing::warn!("{folder} is on a file system without locks: make sure that only one run writes there");
                lock
            }
        };
        // No other process writes here now, so unfinished files are left over from a killed one.
        clear_unfinished(&path)?;
        Ok(Self { path, _lock: Some(Arc::new(lock)) })
    }

    /// A new folder: where the name is taken (two runs in one second), it gets a number.
    fn create_under(root: &Path, name: &str) -> Result<Self> {
        create_folder_all(root)?;
        let mut path = root.join(name);
        for number in 2.. {
            match create_folder(&path) {
                Ok(()) => break,
                Err(error) if error.kind() == ErrorKind::AlreadyExists => path = root.join(format!("{name}-{number}")),
                Err(error) => return Err(DiskError::at("create the folder", path)(error).into()),
            }
        }
        Self::lock(path)
    }

    fn create_at(path: &Path) -> Result<Self> {
        create_folder_all(path)?;
        let names = names_in(path).map_err(DiskError::at("list the folder", path))?;
        let has = |wanted: &str| names.iter().any(|name| name == wanted);
        if !names.is_empty() && !has(RUN_TOML) {
            return Err(RunError::NotEmpty { path: path.to_owned(), found: names[0].clone() });
        }
        let run = Self::lock(path.to_owned())?;
        let checkpoints = path.join(CHECKPOINTS);
        // A checkpoint that was being replaced is one of the run.
        clear_unfinished(&checkpoints)?;
        if let Some(step) = steps_in(&checkpoints)?.pop().filter(|_| !has(METRICS)) {
            return Err(RunError::HasCheckpoints { path: path.to_owned(), step });
        }
        if has(MODEL) && has(RUN_TOML) {
            return Err(RunError::Finished { path: path.to_owned() });
        }
        for name in names.iter().filter(|name| is_log(name) || *name == METRICS) {
            run.remove(name)?;
        }
        Ok(run)
    }
}

/// `YYYYmmdd-HHMMSS-DATASET-MODEL` in UTC; of a path or Hub id only the last part, in characters fit for any file name.
fn run_name(now: SystemTime, dataset: &str, model: &str) -> String {
    let time = DateTime::<Utc>::from(now).format("%Y%m%d-%H%M%S");
    format!("{time}-{}-{}", slug(dataset, "data"), slug(model, "model"))
}

/// The last part of a path or Hub id in characters fit for any file name; `otherwise` where nothing is left.
pub fn slug(name: &str, otherwise: &str) -> String {
    let last = name.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next().unwrap_or_default();
    let kept = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.');
    let slug: String = last.chars().map(|character| if kept(character) { character } else { '-' }).take(64).collect();
    let slug = slug.trim_matches(['-', '.']);
    if slug.is_empty() { otherwise.to_owned() } else { slug.to_owned() }
}

fn is_log(name: &str) -> bool {
    name == LOG || name.starts_with(EVENTS)
}

/// The names in a folder in order, without the lock and what killed processes left unfinished.
pub(crate) fn names_in(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = read_names(folder)?;
    names.retain(|name| !name.starts_with(UNFINISHED) && name != LOCK);
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use disk::faults::power_cuts;
    use test_support::TestProcess;

    use super::*;

    /// 2026-11-23 06:04:44 UTC.
    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_413_884)
    }

    /// A folder with these files in it.
    fn folder(root: &Path, name: &str, files: &[&str]) -> PathBuf {
        let path = root.join(name);
        fs::create_dir_all(&path).unwrap();
        for file in files {
            fs::write(path.join(file), "").unwrap();
        }
        path
    }

    #[test]
    fn a_name_has_time_data_and_model() {
        assert_eq!(run_name(now(), "sst2", "bert-base-uncased"), "20261123-060444-sst2-bert-base-uncased");
        let name = run_name(now(), "my data/reviews v1.csv", "sentence-transformers/all-MiniLM-L6-v2/");
        assert_eq!(name, "20261123-060444-reviews-v1.csv-all-MiniLM-L6-v2");
        assert_eq!(run_name(now(), "..", ""), "20261123-060444-data-model");
    }

    #[test]
    fn two_runs_in_one_second_get_two_folders() {
        let root = tempfile::tempdir().unwrap();
        let create = || RunFolder::create_under(&root.path().join(RUNS), "now-sst2-tiny").unwrap();
        assert!(create().path().ends_with("now-sst2-tiny"));
        assert!(create().path().ends_with("now-sst2-tiny-2"));
        assert!(create().path().ends_with("now-sst2-tiny-3"));
    }

    #[test]
    fn a_new_run_survives_a_power_cut_with_the_folders_above_it() {
        let root = tempfile::tempdir().unwrap();
        let begin = || {
            let run = RunFolder::create_under(&root.path().join(RUNS), "now-sst2-tiny")?;
            run.write(RUN_TOML, "seed = 1")
        };
        let file = root.path().join(RUNS).join("now-sst2-tiny").join(RUN_TOML);
        power_cuts(root.path(), || {}, begin, |begun, state| assert!(begun.is_err() || file.is_file(), "{state}"));
    }

    #[test]
    fn a_run_whose_checkpoint_was_being_replaced_is_not_trained_over() {
        let root = tempfile::tempdir().unwrap();
        let killed = folder(root.path(), "killed", &[RUN_TOML, LOG]);
        folder(&killed, "checkpoints/.replaced-step-00000010", &["SHA256SUMS"]);
        let message = RunFolder::create(Some(&killed), "sst2", "tiny").unwrap_err().to_string();
        assert!(message.contains("10"), "{message}");
        assert!(killed.join("checkpoints/step-00000010/SHA256SUMS").is_file());
    }

    #[test]
    fn an_output_is_made_or_taken_when_empty() {
        let root = tempfile::tempdir().unwrap();
        let new = root.path().join("a/b");
        let run = RunFolder::create(Some(&new), "sst2", "tiny").unwrap();
        assert!(new.is_dir());
        run.write(RUN_TOML, "seed = 1").unwrap();
        assert_eq!(fs::read_to_string(run.file(RUN_TOML)).unwrap(), "seed = 1");
        let left_over = folder(root.path(), "empty", &[".unfinished-3fJ2"]);
        RunFolder::create(Some(&left_over), "sst2", "tiny").unwrap();
    }

    #[test]
    fn files_that_are_not_a_runs_are_kept() {
        let root = tempfile::tempdir().unwrap();
        let home = folder(root.path(), "home", &["thesis.tex", MODEL]);
        let message = RunFolder::create(Some(&home), "sst2", "tiny").unwrap_err().to_string();
        assert!(message.contains("home isn't empty") && message.contains("\"model.safetensors\""), "{message}");
        assert!(message.contains("--output"), "{message}");
        assert_eq!(names_in(&home).unwrap(), [MODEL, "thesis.tex"]);
    }

    #[test]
    fn a_trained_model_is_never_trained_over() {
        let root = tempfile::tempdir().unwrap();
        let done = folder(root.path(), "done", &[RUN_TOML, MODEL, LOG]);
        let message = RunFolder::create(Some(&done), "sst2", "tiny").unwrap_err().to_string();
        assert!(message.contains("done already holds a trained model"), "{message}");
        assert!(message.contains("--output") && message.contains("delete"), "{message}");
        assert_eq!(names_in(&done).unwrap().len(), 3);
    }

    #[test]
    fn a_run_without_a_model_is_restarted_with_an_empty_folder() {
        let root = tempfile::tempdir().unwrap();
        let begun = folder(root.path(), "begun", &[RUN_TOML, LOG, "events.out.tfevents.1.host.2.0", "notes.txt"]);
        RunFolder::create(Some(&begun), "sst2", "tiny").unwrap();
        assert_eq!(names_in(&begun).unwrap(), ["notes.txt", RUN_TOML]);
    }

    const LOCKED: &str = "VERDICT_TEST_LOCKED_FOLDER";

    fn another_process() {
        let folder = std::env::var_os(LOCKED).expect("a folder to lock");
        let _run = RunFolder::open_to_resume(Path::new(&folder)).unwrap();
        TestProcess::say_ready();
        TestProcess::live_until_killed();
    }

    fn owned_by_another_process(folder: &Path) -> TestProcess {
        TestProcess::start(&[(LOCKED, folder.as_os_str())])
    }

    #[test]
    fn a_folder_of_another_process_is_refused_with_its_owner() {
        if TestProcess::is_this() {
            return another_process();
        }
        let folder = tempfile::tempdir().unwrap();
        let other = owned_by_another_process(folder.path());
        for _ in 0..2 {
            let message = RunFolder::open_to_resume(folder.path()).unwrap_err().to_string();
            assert!(message.contains(&format!("is in use by process {}", other.id())), "{message}");
            assert!(message.contains("--output"), "{message}");
        }
    }

    #[test]
    fn files_of_a_killed_process_do_not_block_a_new_run() {
        if TestProcess::is_this() {
            return another_process();
        }
        let folder = tempfile::tempdir().unwrap();
        let lock = folder.path().join(LOCK);
        let mut other = owned_by_another_process(folder.path());
        let pid = other.id().to_string();
        other.kill();
        assert_eq!(fs::read_to_string(&lock).unwrap(), pid, "SIGKILL leaves the file as it was");
        let run = RunFolder::open_to_resume(folder.path()).unwrap();
        assert_eq!(fs::read_to_string(&lock).unwrap(), std::process::id().to_string());
        let message = RunFolder::open_to_resume(folder.path()).unwrap_err().to_string();
        assert!(message.contains(&std::process::id().to_string()), "one process can't own it twice: {message}");
        drop(run);
        assert_eq!(fs::read_to_string(&lock).unwrap(), "");
        RunFolder::open_to_resume(folder.path()).unwrap();
    }

    #[test]
    fn logs_are_cut_back_to_a_checkpoint() {
        let root = tempfile::tempdir().unwrap();
        let run = RunFolder::create(Some(root.path()), "sst2", "tiny").unwrap();
        for name in [LOG, "events.out.tfevents.1", "events.out.tfevents.2", "notes.txt"] {
            fs::write(run.file(name), "0123456789").unwrap();
        }
        let lengths = [(LOG.to_owned(), 4), ("events.out.tfevents.1".to_owned(), 10)].into();
        run.cut_logs(&lengths).unwrap();
        assert_eq!(run.log_lengths().unwrap(), lengths);
        assert_eq!(fs::read_to_string(run.file(LOG)).unwrap(), "0123");
        assert!(run.file("notes.txt").is_file());
    }
}
