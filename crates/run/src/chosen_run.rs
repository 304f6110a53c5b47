//! Which run a command opens: the one that `--run` names, the best member where it names a group, or the newest.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use disk::DiskError;

use crate::error::{Result, RunError};
use crate::folder::{MODEL, RUNS, RunFolder, names_in};
use crate::group::{GroupKind, RunGroup};
use crate::group_scores::mean_and_deviation;

/// A run to open, and the group that it is the best member of, if it was chosen from one.
#[derive(Debug, Clone)]
pub struct ChosenRun {
    pub path: PathBuf,
    pub group: Option<ChosenGroup>,
}

/// A group of runs and its folder.
#[derive(Debug, Clone)]
pub struct ChosenGroup {
    pub folder: PathBuf,
    pub record: RunGroup,
}

impl ChosenRun {
    /// The run that is `requested`, which may be a folder of other making and is not opened here; for a group its best
    /// member; without a request the newest run or group with a usable model under [`RUNS`].
    ///
    /// # Errors
    /// A group without a finished member, or whose `group.json` is damaged; no run under [`RUNS`].
    pub fn find(requested: Option<&Path>) -> Result<Self> {
        match requested {
            Some(path) if RunGroup::is_at(path) => Self::best_of(path),
            Some(path) => Ok(Self { path: path.to_owned(), group: None }),
            None => Self::newest_in(Path::new(RUNS)),
        }
    }

    /// What a command says when it opens a member of a group that it chose; `None` for a run that was named.
    pub fn note(&self) -> Option<String> {
        let ChosenGroup { folder, record } = self.group.as_ref()?;
        let (name, best) =
            (record.best.as_deref()?, record.results().find(|(name, _)| Some(*name) == record.best.as_deref())?.1);
        let metric = record.metric;
        let values: Vec<f64> = record.results().map(|(_, result)| result.value).collect();
        let spread = match mean_and_deviation(&values) {
            (mean, deviation) if !deviation.is_nan() => format!(", mean {mean:.4}, standard deviation {deviation:.4}"),
            _ => String::new(),
        };
        let (finished, all) = (record.finished(), record.members.len());
        let of = if finished == all { format!("{all}") } else { format!("the {finished} finished of {all}") };
        let own = if record.kind == GroupKind::Folds { ", each fold on its own rows" } else { "" };
        Some(format!(
            "{} is a group of runs; {name} is taken, the best of {of} by {metric} on validation ({:.4}{spread}{own})",
            folder.display(),
            best.value
        ))
    }

    fn best_of(folder: &Path) -> Result<Self> {
        let record = RunGroup::read(folder)?;
        let Some(best) = &record.best else {
            return Err(RunError::NoMember { path: folder.to_owned(), members: record.members.len() });
        };
        Ok(Self { path: folder.join(best), group: Some(ChosenGroup { folder: folder.to_owned(), record }) })
    }

    /// The newest run or group with a usable model under `root`: the one whose model was saved last (for a group, the last
    /// of its members'), and of equals the one whose name comes last (names start with the time unless `--output` gave
    /// another).
    fn newest_in(root: &Path) -> Result<Self> {
        let none = || RunError::NoRun { root: root.to_owned() };
        let names = match names_in(root) {
            Ok(names) => names,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(none()),
            Err(error) => return Err(DiskError::at("list the folder", root)(error).into()),
        };
        let candidates = names.iter().filter_map(|name| {
            let path = root.join(name);
            if !RunGroup::is_at(&path) {
                let run = RunFolder::open(&path).ok()?;
                return Some((saved(run.path()), path.clone(), Self { path, group: None }));
            }
            let chosen = Self::best_of(&path).ok()?;
            RunFolder::open(&chosen.path).ok()?;
            let members = chosen.group.iter().flat_map(|group| group.record.results());
            let newest = members.filter_map(|(name, _)| saved(&path.join(name))).max();
            Some((newest, path, chosen))
        });
        let newest = candidates.max_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
        newest.map(|(_, _, chosen)| chosen).ok_or_else(none)
    }
}

/// When the model of a run was saved.
fn saved(run: &Path) -> Option<SystemTime> {
    run.join(MODEL).metadata().and_then(|file| file.modified()).ok()
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::time::Duration;

    use super::*;
    use crate::folder::{LOG, RUN_TOML};
    use crate::group::tests::group;

    fn folder(root: &Path, name: &str, files: &[&str]) -> PathBuf {
        let path = root.join(name);
        fs::create_dir_all(&path).unwrap();
        files.iter().for_each(|file| fs::write(path.join(file), "").unwrap());
        path
    }

    fn saved_at(run: &Path, seconds: u64) {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_413_884 + seconds);
        File::options().write(true).open(run.join(MODEL)).unwrap().set_modified(time).unwrap();
    }

    #[test]
    fn the_newest_run_is_the_one_whose_model_was_saved_last() {
        let root = tempfile::tempdir().unwrap();
        let newest = || ChosenRun::newest_in(root.path()).unwrap().path.file_name().unwrap().to_owned();
        let early = folder(root.path(), "my-own-name", &[RUN_TOML, MODEL]);
        let late = folder(root.path(), "20261123-070000-sst2-tiny", &[RUN_TOML, MODEL]);
        folder(root.path(), "20261123-080000-sst2-tiny", &[RUN_TOML, LOG]);
        folder(root.path(), "20261123-090000-not-ours", &[MODEL]);
        saved_at(&early, 0);
        saved_at(&late, 60);
        assert_eq!(newest(), "20261123-070000-sst2-tiny");
        saved_at(&early, 60);
        assert_eq!(newest(), "my-own-name");
    }

    #[test]
    fn no_run_is_an_error_that_says_how_to_make_one() {
        let root = tempfile::tempdir().unwrap();
        for folder in [root.path().to_owned(), root.path().join(RUNS)] {
            let message = ChosenRun::newest_in(&folder).unwrap_err().to_string();
            assert!(message.contains(&folder.display().to_string()) && message.contains("run -p train"), "{message}");
        }
        let message = RunFolder::open(root.path()).unwrap_err().to_string();
        assert!(message.contains("has no model.safetensors"), "{message}");
    }

    /// A group whose members have these values.
    fn group_at(root: &Path, name: &str, values: &[Option<f64>]) -> PathBuf {
        let group = group("accuracy", values);
        let path = folder(root, name, &[]);
        for (at, member) in (0..).zip(&group.members) {
            saved_at(&folder(&path, &member.name, &[RUN_TOML, MODEL]), 10 * at);
        }
        group.write(&path).unwrap();
        path
    }

    #[test]
    fn of_a_group_the_best_member_is_taken_and_the_note_says_so() {
        let root = tempfile::tempdir().unwrap();
        let path = group_at(root.path(), "mine-seeds", &[Some(0.875), Some(0.9375), Some(0.8125)]);
        let chosen = ChosenRun::find(Some(&path)).unwrap();
        assert_eq!(chosen.path, path.join("seed-43"));
        assert_eq!(
            chosen.note().unwrap(),
            format!(
                "{} is a group of runs; seed-43 is taken, the best of 3 by accuracy on validation (0.9375, mean 0.8750, \
                 standard deviation 0.0625)",
                path.display()
            )
        );
        let one = ChosenRun::find(Some(&path.join("seed-44"))).unwrap();
        assert!(one.path.ends_with("seed-44") && one.note().is_none(), "a member is a run like any other");
        let unfinished = group_at(root.path(), "unfinished-seeds", &[Some(0.5), None]);
        let note = ChosenRun::find(Some(&unfinished)).unwrap().note().unwrap();
        assert!(note.contains("the best of the 1 finished of 2 by accuracy on validation (0.5000)"), "{note}");
    }

    #[test]
    fn a_group_without_a_finished_member_has_no_model() {
        let root = tempfile::tempdir().unwrap();
        let path = group_at(root.path(), "begun-seeds", &[None, None]);
        let message = ChosenRun::find(Some(&path)).unwrap_err().to_string();
        assert!(message.contains("none of its 2 runs is finished") && message.contains("--resume"), "{message}");
        assert!(ChosenRun::newest_in(root.path()).is_err());
    }

    #[test]
    fn the_newest_may_be_a_group() {
        let root = tempfile::tempdir().unwrap();
        let newest = || ChosenRun::newest_in(root.path()).unwrap().path;
        let path = group_at(root.path(), "a-seeds", &[Some(0.875), Some(0.5)]);
        assert_eq!(newest(), path.join("seed-42"));
        // The group's last model was saved ten seconds after its first one.
        let run = folder(root.path(), "b-run", &[RUN_TOML, MODEL]);
        saved_at(&run, 5);
        assert_eq!(newest(), path.join("seed-42"));
        saved_at(&run, 11);
        assert_eq!(newest(), run);
    }
}
