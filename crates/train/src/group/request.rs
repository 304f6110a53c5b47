//! What the flags ask for: a new group of runs, one that is continued, or no group.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use run::{GROUP, GroupKind, RUN_TOML, RUNS, RunGroup};

use crate::error::{GivenOption, OptionsError, Result, TrainError};
use crate::options::TrainArgs;
use crate::resume::newest_unfinished_run;

use super::args::GroupArgs;

/// The most members of a group.
const MAX_MEMBERS: u32 = 1000;

/// A group that the flags ask for.
pub(crate) struct GroupRequest<'a> {
    pub(super) train: &'a TrainArgs,
    /// The kind and number of members; `None`: as in the group that is continued.
    pub(super) members: Option<(GroupKind, u32)>,
    pub(super) place: GroupPlace,
    workers: Option<u16>,
}

/// Where the group is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum GroupPlace {
    /// In this folder, which holds one.
    Existing(PathBuf),
    /// In this folder, which holds none.
    New(PathBuf),
    /// Under `runs/`: the newest unfinished one that was begun with the same flags, else a new one.
    Runs,
}

impl<'a> GroupRequest<'a> {
    /// `None` where the flags ask for a single run.
    ///
    /// # Errors
    /// Flags that exclude each other; numbers that are no group; a folder that holds no group.
    pub(crate) fn new(train: &'a TrainArgs, flags: GroupArgs) -> Result<Option<Self>> {
        let members = members(flags)?;
        let Some(place) = place(train, members)? else {
            return match flags.workers {
                None => Ok(None),
                Some(workers) => Err(OptionsError::NoEffect {
                    setting: Box::new(GivenOption::flag("workers", workers)),
                    why: "without --seeds or --folds one run is trained".to_owned(),
                }
                .into()),
            };
        };
        if train.allow_change {
            return Err(TrainError::Refused(
                "--allow-change is for a single run, because the runs of a group are only comparable with the same options \
                 (hint: leave it out; --resume with the folder of one of its runs continues that one)"
                    .to_owned(),
            ));
        }
        Ok(Some(Self { train, members, place, workers: flags.workers }))
    }

    /// How many runs train at the same time.
    pub(super) fn workers(&self) -> usize {
        usize::from(self.workers.unwrap_or(1))
    }

    pub(super) fn profile(&self) -> bool {
        self.train.profile
    }
}

fn members(flags: GroupArgs) -> Result<Option<(GroupKind, u32)>> {
    let (kind, key, count) = match (flags.seeds, flags.folds) {
        (None, None) => return Ok(None),
        (Some(seeds), Some(folds)) => {
            let both = [GivenOption::flag("seeds", seeds), GivenOption::flag("folds", folds)];
            let why = "the runs of a group differ either in the seed or in the rows that are held out";
            return Err(OptionsError::conflict(both, why, "leave one of them out").into());
        }
        (Some(seeds), None) => (GroupKind::Seeds, "seeds", seeds),
        (None, Some(folds)) => (GroupKind::Folds, "folds", folds),
    };
    if !(2..=MAX_MEMBERS).contains(&count) {
        let hint = match kind {
            GroupKind::Seeds => "leave it out to train one run; --seed N chooses its seed",
            GroupKind::Folds => "leave it out to train one run; 5 or 10 folds are usual",
        };
        let expected = format!("a whole number from 2 to {MAX_MEMBERS}");
        return Err(OptionsError::value(GivenOption::flag(key, count), expected, hint).into());
    }
    Ok(Some((kind, count)))
}

/// Where the group is that the flags ask for; `None` where they ask for a single run.
fn place(train: &TrainArgs, members: Option<(GroupKind, u32)>) -> Result<Option<GroupPlace>> {
    let output = train.output();
    match (&train.resume, output) {
        (Some(Some(path)), output) if RunGroup::is_at(path) => match output.filter(|output| output != path) {
            None => Ok(Some(GroupPlace::Existing(path.clone()))),
            Some(output) => {
                let both =
                    [("resume", path), ("output", &output)].map(|(key, path)| GivenOption::flag(key, path.display()));
                let why = "a group continues in its own folder";
                Err(OptionsError::conflict(both, why, "leave --output out").into())
            }
        },
        (Some(Some(path)), _) => match members {
            None => Ok(None),
            Some((kind, _)) => Err(not_a_group(path, kind)),
        },
        (_, Some(output)) if RunGroup::is_at(&output) => match members.is_some() || train.resume.is_some() {
            true => Ok(Some(GroupPlace::Existing(output))),
            false => Err(TrainError::Refused(format!(
                "{path} holds a group of runs, so no single run can be trained into it (hint: --resume {path} continues \
                     the group; another --output trains a new run)",
                path = output.display()
            ))),
        },
        (_, Some(output)) => Ok(members.map(|_| GroupPlace::New(output))),
        (_, None) if members.is_some() => Ok(Some(GroupPlace::Runs)),
        (Some(None), None) => Ok(newest_if_it_is_a_group(Path::new(RUNS)).map(GroupPlace::Existing)),
        (None, None) => Ok(None),
    }
}

fn not_a_group(path: &Path, kind: GroupKind) -> TrainError {
    let (shown, flag) = (path.display(), kind.name());
    TrainError::Refused(match path.join(RUN_TOML).is_file() {
        true => format!(
            "{shown} is a single run, so --{flag} can't continue it (hint: --resume {shown} without --{flag} continues that \
             run; without --resume a new group is trained)"
        ),
        false => format!(
            "{shown} holds no group of runs (hint: --output {shown} instead of --resume begins one there; the folder of a group \
             holds {GROUP})"
        ),
    })
}

/// The newest unfinished group under `root`, unless an unfinished run was begun later.
fn newest_if_it_is_a_group(root: &Path) -> Option<PathBuf> {
    let (changed, group) = unfinished_groups(root).pop()?;
    let run = newest_unfinished_run(root);
    (run.is_none_or(|(started, _)| started <= changed)).then_some(group)
}

/// The unfinished groups under `root`, the newest last, with the time of the last change.
pub(super) fn unfinished_groups(root: &Path) -> Vec<(SystemTime, PathBuf)> {
    let folders = std::fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
    let unfinished = folders.filter(|path| RunGroup::read(path).is_ok_and(|group| !group.is_finished()));
    let changed = |path: &PathBuf| path.join(GROUP).metadata().and_then(|file| file.modified()).ok();
    let mut found: Vec<_> = unfinished.filter_map(|path| Some((changed(&path)?, path))).collect();
    found.sort();
    found
}
