//! The group that a request means: a new one in its folder, or the one that is continued.

use std::path::{Path, PathBuf};

use data::folds::Folds;
use data::manifest::{Manifest, Prepared, locate};
use run::{GroupKind, GroupMember, RUNS, RunFolder, RunGroup};
use serde_json::{Map, Value};

use super::request::{GroupPlace, GroupRequest, unfinished_groups};
use crate::error::{GivenOption, OptionsError, Result, TrainError};
use crate::options::{GivenOptions, TrainConfig};
use crate::setup::{SharedInputs, absolute, data_folder};

/// The folder of the prepared data of the folds, in the group's folder.
const FOLD_DATA: &str = "data";

/// A group whose folder belongs to this process.
pub(super) struct GroupPlan {
    pub(super) folder: RunFolder,
    pub(super) group: RunGroup,
    /// The configuration of all members, without the seed and the data of each.
    pub(super) config: TrainConfig,
}

impl GroupPlan {
    /// Finds or makes the group's folder, and with folds their data.
    ///
    /// # Errors
    /// Options that don't fit; data that can't be used so; a group with other options; a folder that another process owns.
    pub(super) fn new(request: &GroupRequest<'_>) -> Result<Self> {
        let plan = match &request.place {
            GroupPlace::Existing(path) => Self::existing(request, path)?,
            GroupPlace::New(path) => Self::begin(request, Some(path))?,
            GroupPlace::Runs => match begun_with_the_same_flags(request)? {
                Some(path) => {
                    disk::print_message(format!(
                        "note: {} was begun with the same options and is continued (hint: --output DIR begins another group)",
                        path.display()
                    ));
                    Self::existing(request, &path)?
                }
                None => Self::begin(request, None)?,
            },
        };
        if plan.group.kind == GroupKind::Folds {
            write_folds(&plan.folder, &plan.group)?;
        }
        Ok(plan)
    }

    fn begin(request: &GroupRequest<'_>, output: Option<&Path>) -> Result<Self> {
        let (kind, count) = request.members.expect("a new group has members");
        let mut config = configuration(request, GivenOptions::default())?;
        let options = comparable(&config)?;
        if request.workers() > 1 && config.threads.is_none() {
            let cores = usize::try_from(tch::get_num_threads()).unwrap_or(1);
            config.threads = Some((cores / request.workers()).max(1));
        }
        let inputs = SharedInputs::find(&config)?;
        let Prepared { dir, manifest } = &inputs.prepared;
        check_members(kind, count, &config, &inputs.prepared)?;
        let members = (0..count).map(|at| member(kind, at, config.seed)).collect();
        let group = RunGroup {
            kind,
            options,
            dataset: manifest.dataset.clone(),
            data: absolute(dir),
            data_fingerprint: manifest.fingerprint.clone(),
            model: inputs.model.clone(),
            precision: inputs.precision.format.to_string(),
            product_gflops: inputs.precision.rates.map(|rates| rates.by_name()).unwrap_or_default(),
            threads: config.threads,
            metric: config.evaluation.best_metric,
            members,
            best: None,
            validation: None,
            out_of_fold: None,
        };
        let folder = RunFolder::create_for_group(output, &group.dataset, &group.model, kind.name())?;
        group.write(folder.path())?;
        Ok(Self { config: of_all_members(config, &group)?, folder, group })
    }

    fn existing(request: &GroupRequest<'_>, path: &Path) -> Result<Self> {
        let folder = RunFolder::open_to_resume(path)?;
        let mut group = RunGroup::read(path)?;
        // What `--resume` doesn't give is as before. Without it the command must be the same.
        let saved = match request.train.resume {
            Some(_) => GivenOptions::from_json(&group.options)?,
            None => GivenOptions::default(),
        };
        let config = configuration(request, saved)?;
        let mut differences = differences(&group, &config, request.members)?;
        match &config.data {
            None => group.data = locate(&group.data, path, &group.data_fingerprint),
            Some(given) => {
                let prepared = Prepared::open(given)?;
                if prepared.manifest.fingerprint != group.data_fingerprint {
                    differences.push(format!("data was {}, and is {}", group.data.display(), given.display()));
                }
                group.data = absolute(given);
            }
        }
        if !differences.is_empty() {
            let details: String = differences.iter().map(|line| format!("\n  {line}")).collect();
            return Err(TrainError::Refused(format!(
                "{shown} is a group with other options, so its runs could not be compared:{details}\n  (hint: --resume {shown} \
                 without these options continues it; another --output begins a new group)",
                shown = path.display()
            )));
        }
        Ok(Self { config: of_all_members(config, &group)?, folder, group })
    }
}

/// The data of a member: that of its fold, or that of the group.
pub(super) fn data_of(folder: &RunFolder, group: &RunGroup, member: &GroupMember) -> PathBuf {
    match member.fold {
        Some(fold) => absolute(&Folds::data(&folder.file(FOLD_DATA), fold)),
        None => group.data.clone(),
    }
}

fn configuration(request: &GroupRequest<'_>, saved: GivenOptions) -> Result<TrainConfig> {
    Ok(TrainConfig::new(&request.train.with_fallback(saved)?)?)
}

/// The options by which two groups are compared: all that are saved but the data, which is compared by its content.
fn comparable(config: &TrainConfig) -> Result<Map<String, Value>> {
    let mut options = config.to_json()?;
    options.remove("data");
    Ok(options)
}

/// What the group fixes for all of its members, whatever machine they are continued on.
fn of_all_members(mut config: TrainConfig, group: &RunGroup) -> Result<TrainConfig> {
    let unknown = || TrainError::Refused(format!("group.json names the unknown number format {:?}", group.precision));
    let precision = model::Precision::from_name(&group.precision).ok_or_else(unknown)?;
    config.precision = precision.into();
    config.model = Some(group.model.clone());
    config.threads = group.threads;
    Ok(config)
}

fn member(kind: GroupKind, at: u32, seed: u64) -> GroupMember {
    let (name, seed, fold) = match kind {
        GroupKind::Seeds => (format!("seed-{}", seed + u64::from(at)), seed + u64::from(at), None),
        GroupKind::Folds => (format!("fold-{}", at + 1), seed, Some(at + 1)),
    };
    GroupMember { name, seed, fold, result: None, failed: None }
}

/// Refuses members that could not be trained or compared, before anything is written.
fn check_members(kind: GroupKind, count: u32, config: &TrainConfig, prepared: &Prepared) -> Result<()> {
    match kind {
        GroupKind::Folds => Folds::deal(prepared, count, config.seed).map(drop).map_err(Into::into),
        GroupKind::Seeds if config.seed > i64::MAX as u64 - u64::from(count) => {
            let expected = format!("a whole number from 0 to 2^63 - 1 - {count} with --seeds {count}");
            let hint = "a smaller number is as good";
            Err(OptionsError::value(GivenOption::flag("seed", config.seed), expected, hint).into())
        }
        GroupKind::Seeds if !has_validation(&prepared.manifest) => Err(TrainError::Refused(format!(
            "{} has no labeled validation split, so runs with several seeds could not be compared (hint: prepare the data with \
             one; --folds 5 holds out parts of the training split instead)",
            prepared.dir.display()
        ))),
        GroupKind::Seeds => Ok(()),
    }
}

fn has_validation(manifest: &Manifest) -> bool {
    manifest.splits.get("validation").is_some_and(|split| split.rows > 0 && split.labeled == split.rows)
}

/// In what the request differs from a group, one line each.
fn differences(group: &RunGroup, config: &TrainConfig, members: Option<(GroupKind, u32)>) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    let count = group.members.len() as u32;
    if let Some((kind, asked)) = members.filter(|members| *members != (group.kind, count)) {
        lines.push(format!("it has {count} {}, and --{} {asked} is given", group.kind.name(), kind.name()));
    }
    let now = comparable(config)?;
    let value = |options: &Map<String, Value>, name: &str| match options.get(name) {
        None | Some(Value::Null) => "not set".to_owned(),
        Some(value) => value.to_string(),
    };
    let names = now.keys().chain(group.options.keys().filter(|name| !now.contains_key(*name)));
    for name in names {
        let (then, now) = (value(&group.options, name), value(&now, name));
        if then != now {
            lines.push(format!("{name} was {then}, and is {now}"));
        }
    }
    Ok(lines)
}

/// The newest unfinished group under `runs/` that these flags, given again, continue.
fn begun_with_the_same_flags(request: &GroupRequest<'_>) -> Result<Option<PathBuf>> {
    let mut groups = unfinished_groups(Path::new(RUNS));
    if groups.is_empty() {
        return Ok(None);
    }
    let config = configuration(request, GivenOptions::default())?;
    let fingerprint = Prepared::open(&data_folder(&config)?)?.manifest.fingerprint;
    while let Some((_, path)) = groups.pop() {
        let group = RunGroup::read(&path)?;
        if group.data_fingerprint == fingerprint && differences(&group, &config, request.members)?.is_empty() {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Writes the data of the folds unless it is there.
fn write_folds(folder: &RunFolder, group: &RunGroup) -> Result<()> {
    let place = folder.file(FOLD_DATA);
    let count = group.members.len() as u32;
    let seed = group.members.first().map_or(0, |member| member.seed);
    if let Some(found) = Folds::read(&place)? {
        if (&found.fingerprint, found.seed, found.count) == (&group.data_fingerprint, seed, count) {
            return Ok(());
        }
        return Err(TrainError::Refused(format!(
            "{}: its folds are not those of its group.json (hint: remove the folder {0} to deal them again)",
            place.display()
        )));
    }
    let prepared = Prepared::open(&group.data)?;
    Ok(Folds::deal(&prepared, count, seed)?.write(&prepared, &place)?)
}
