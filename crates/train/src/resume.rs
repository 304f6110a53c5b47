//! `--resume`: finds the run and checkpoint to continue from, and checks that data, model and options are unchanged.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use data::manifest::{MANIFEST, Manifest, locate};
use disk::REPLACED;
use model::{ChosenPrecision, Precision, ProductRates, device_name};
use run::checkpoints::CHECKPOINTS;
use run::{DATA, METRICS, RUN_TOML, RUNS, RunFolder, last_start};
use tch::Device;

use crate::checkpoint::{Identity, LoadedCheckpoint, config_differences};
use crate::error::{Result, TrainError};
use crate::options::{GivenOption, GivenOptions, OptionsError, TrainArgs, TrainConfig};

/// The configuration of training and where it starts.
pub(crate) struct TrainRequest {
    pub config: TrainConfig,
    /// The options that the configuration was resolved from.
    pub given: GivenOptions,
    pub begin: Begin,
}

/// Where training starts.
pub(crate) enum Begin {
    /// From the beginning, in the folder that the configuration names or in a new one.
    Fresh,
    /// From the beginning, in the folder of an unfinished run without checkpoints.
    Restart(RunFolder),
    /// From a checkpoint of a run.
    Resume(RunFolder, Box<LoadedCheckpoint>),
    /// Training does not start: the run is finished and has no checkpoints.
    Finished(RunFolder),
}

impl TrainRequest {
    /// # Errors
    /// An invalid configuration; a path without a run; no valid checkpoint among those that exist; a run that is in use
    /// by another process; other options for a finished run without checkpoints.
    pub(crate) fn new(args: &TrainArgs) -> Result<Self> {
        let mut request = Self::resolve(args)?;
        let (run, checkpoint) = match &request.begin {
            Begin::Fresh | Begin::Finished(_) => return Ok(request),
            Begin::Restart(folder) => (folder.path(), None),
            Begin::Resume(folder, checkpoint) => (folder.path(), Some(checkpoint.path.as_path())),
        };
        // The working directory may be another one, or the run may have been moved together with its data.
        if let Some(recorded) = request.config.data.as_mut().filter(|data| !data.join(MANIFEST).is_file()) {
            let manifest = checkpoint
                .into_iter()
                .chain([run])
                .find_map(|folder| Manifest::from_json(&std::fs::read_to_string(folder.join(DATA)).ok()?).ok());
            if let Some(manifest) = manifest {
                *recorded = locate(recorded, run, &manifest.fingerprint);
            }
        }
        Ok(request)
    }

    fn resolve(args: &TrainArgs) -> Result<Self> {
        let new_request = |saved, begin| {
            let given = args.with_fallback(saved)?;
            Ok(Self { config: TrainConfig::new(&given)?, given, begin })
        };
        let Some(requested) = &args.resume else { return new_request(GivenOptions::default(), Begin::Fresh) };
        let Some(target) = ResumeFrom::find(requested.as_deref(), args.output().as_deref())? else {
            tracing::info!("nothing to resume: a new run begins");
            return new_request(GivenOptions::default(), Begin::Fresh);
        };
        let folder = RunFolder::open_to_resume(&target.run)?;
        let found = match &target.checkpoint {
            Some(path) => Some(LoadedCheckpoint::named(path)?),
            None => LoadedCheckpoint::newest(&target.run)?,
        };
        let Some(found) = found else {
            if folder.file(METRICS).exists() {
                let request =
                    new_request(GivenOptions::from_saved_file(&target.run.join(RUN_TOML))?, Begin::Finished(folder))?;
                check_finished(&target.run, &request.config)?;
                return Ok(request);
            }
            tracing::info!("{} has no checkpoint: training starts from the beginning", target.run.display());
            return new_request(GivenOptions::from_saved_file(&target.run.join(RUN_TOML))?, Begin::Restart(folder));
        };
        new_request(found.state.given()?, Begin::Resume(folder, Box::new(found)))
    }
}

impl Begin {
    /// The number format of a run on a CPU that continues or begins again, and the rates that chose it, as far as they are
    /// recorded: by the checkpoint, and by the log.
    pub(crate) fn recorded_precision(&self) -> Option<ChosenPrecision> {
        let (folder, identity) = match self {
            Self::Fresh | Self::Finished(_) => return None,
            Self::Restart(folder) => (folder, None),
            Self::Resume(folder, checkpoint) => (folder, Some(&checkpoint.state.identity)),
        };
        let logged = last_start(folder.path());
        let of_checkpoint = identity.map(|identity| (&identity.device, &identity.precision));
        let of_log = logged.as_ref().map(|start| (&start.device, &start.precision));
        let (device, name) = of_checkpoint.or(of_log)?;
        let format = Precision::from_name(name).filter(|_| *device == device_name(Device::Cpu))?;
        let rates = logged.as_ref().filter(|start| start.precision == *name);
        Some(ChosenPrecision { format, rates: rates.and_then(|start| ProductRates::from_names(&start.product_gflops)) })
    }
}

/// Refuses changed options for a finished run that has no checkpoint to resume from.
fn check_finished(run: &Path, config: &TrainConfig) -> Result<()> {
    let saved = TrainConfig::new(&GivenOptions::from_saved_file(&run.join(RUN_TOML))?)?;
    let differences = config_differences(&saved.to_json()?, &config.to_json()?);
    if differences.is_empty() {
        return Ok(());
    }
    let details: String = differences.iter().map(|line| format!("\n  {line}")).collect();
    Err(TrainError::Refused(format!(
        "{} is finished and has no checkpoints, so it can't be resumed with other options:{details}\n  (hint: another \
         --output, without --resume, trains a new run)",
        run.display()
    )))
}

/// Refuses changes since the checkpoint was saved, or only logs them if `allow` is set.
pub(crate) fn check_compatible(
    found: &LoadedCheckpoint,
    config: &TrainConfig,
    identity: &Identity,
    allow: bool,
) -> Result<()> {
    let differences = found.state.differences(config, identity)?;
    if differences.is_empty() {
        return Ok(());
    }
    let details: String = differences.iter().map(|line| format!("\n  {line}")).collect();
    if allow {
        tracing::warn!("resuming {} with changes:{details}", found.path.display());
        return Ok(());
    }
    Err(TrainError::Refused(format!(
        "{} can't be resumed with other options or data:{details}\n  (hint: use the earlier values, or --allow-change to resume anyway)",
        found.path.display()
    )))
}

/// A run folder, and one of its checkpoints if the path names a specific checkpoint.
struct ResumeFrom {
    run: PathBuf,
    checkpoint: Option<PathBuf>,
}

impl ResumeFrom {
    /// Resolves `--resume PATH` or, without PATH, `--output` or the newest unfinished run; `None` if there is no run.
    fn find(requested: Option<&Path>, output: Option<&Path>) -> Result<Option<Self>> {
        let is_run = |path: &Path| path.join(RUN_TOML).is_file();
        let newest_checkpoint_of = |run: PathBuf| Some(Self { run, checkpoint: None });
        let Some(requested) = requested else {
            return Ok(match output {
                Some(output) => is_run(output).then(|| output.to_owned()).and_then(newest_checkpoint_of),
                None => newest_unfinished(Path::new(RUNS)).and_then(newest_checkpoint_of),
            });
        };
        if let Some(output) = output.filter(|output| *output != requested) {
            let both =
                [("resume", requested), ("output", output)].map(|(key, path)| GivenOption::flag(key, path.display()));
            let why = "a resumed run continues in its own folder";
            return Err(OptionsError::conflict(both, why, "leave --output out").into());
        }
        if is_run(requested) {
            return Ok(newest_checkpoint_of(requested.to_owned()));
        }
        let folder = requested.parent().filter(|folder| folder.ends_with(CHECKPOINTS));
        if let Some(run) = folder.and_then(Path::parent).filter(|run| is_checkpoint(requested) && is_run(run)) {
            return Ok(Some(Self { run: run.to_owned(), checkpoint: Some(requested.to_owned()) }));
        }
        let path = requested.display();
        Err(TrainError::Refused(if requested.exists() {
            format!(
                "{path} is neither a run nor one of its checkpoints (hint: --resume takes the folder that training said \
                 it writes to, or a folder in its checkpoints)"
            )
        } else {
            format!(
                "{path} doesn't exist, so there is nothing to resume (hint: --output {path} --resume continues a run \
                 where there is one and begins it where there is none)"
            )
        }))
    }
}

/// Whether a checkpoint of this name is there, or was being replaced when its process was killed.
fn is_checkpoint(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.is_dir() || path.with_file_name(format!("{REPLACED}{name}")).is_dir()
}

/// The most recently started run under `root` without final metrics.
fn newest_unfinished(root: &Path) -> Option<PathBuf> {
    newest_unfinished_run(root).map(|(_, run)| run)
}

/// The same, with the time of its last start.
pub(crate) fn newest_unfinished_run(root: &Path) -> Option<(SystemTime, PathBuf)> {
    let runs = std::fs::read_dir(root).ok()?.flatten().map(|entry| entry.path());
    let started = |run: &PathBuf| run.join(RUN_TOML).metadata().and_then(|file| file.modified()).ok();
    let unfinished = runs.filter(|run| !run.join(METRICS).exists());
    unfinished.filter_map(|run| Some((started(&run)?, run))).max()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn folder(root: &Path, name: &str, files: &[&str]) -> PathBuf {
        let path = root.join(name);
        fs::create_dir_all(&path).unwrap();
        files.iter().for_each(|file| fs::write(path.join(file), "").unwrap());
        path
    }

    fn found(requested: Option<&Path>, output: Option<&Path>) -> Result<Option<(PathBuf, Option<PathBuf>)>> {
        Ok(ResumeFrom::find(requested, output)?.map(|target| (target.run, target.checkpoint)))
    }

    #[test]
    fn resume_finds_a_run_a_checkpoint_or_the_output_folder() {
        let root = tempfile::tempdir().unwrap();
        let run = folder(root.path(), "run", &[RUN_TOML]);
        let checkpoint = folder(&run, "checkpoints/step-00000010", &[]);
        assert_eq!(found(Some(&run), None).unwrap(), Some((run.clone(), None)));
        assert_eq!(found(Some(&checkpoint), None).unwrap(), Some((run.clone(), Some(checkpoint))));
        assert_eq!(found(None, Some(&run)).unwrap(), Some((run.clone(), None)));
        assert_eq!(found(Some(&run), Some(&run)).unwrap(), Some((run.clone(), None)));
        assert_eq!(found(None, Some(&root.path().join("new"))).unwrap(), None);
        let message = found(Some(&run), Some(root.path())).unwrap_err().to_string();
        assert!(message.contains("can't both be given"), "{message}");
    }

    #[test]
    fn a_path_without_a_run_is_refused() {
        let root = tempfile::tempdir().unwrap();
        for path in [root.path().join("gone"), folder(root.path(), "other", &["thesis.tex"])] {
            let message = found(Some(&path), None).unwrap_err().to_string();
            assert!(message.contains(&path.display().to_string()) && message.contains("hint"), "{message}");
        }
    }

    #[test]
    fn a_finished_run_without_checkpoints_refuses_other_options() {
        let root = tempfile::tempdir().unwrap();
        let run = folder(root.path(), "run", &[METRICS]);
        fs::write(run.join(RUN_TOML), "seed = 7\nepochs = 2\n").unwrap();
        let request = |flags: &[(&str, &str)]| {
            let mut args = TrainArgs { resume: Some(Some(run.clone())), ..TrainArgs::default() };
            flags.iter().for_each(|(key, value)| args.set(key, value).unwrap());
            TrainRequest::new(&args)
        };
        assert!(matches!(request(&[]).unwrap().begin, Begin::Finished(_)));
        assert!(matches!(request(&[("seed", "7"), ("threads", "3")]).unwrap().begin, Begin::Finished(_)));
        let message = request(&[("seed", "8")]).err().unwrap().to_string();
        assert!(message.contains("seed was 7, and is 8") && message.contains("is finished"), "{message}");
        fs::remove_file(run.join(METRICS)).unwrap();
        assert!(matches!(request(&[("seed", "8")]).unwrap().begin, Begin::Restart(_)));
    }

    #[test]
    fn the_newest_run_without_metrics_is_unfinished() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(newest_unfinished(&root.path().join("gone")), None);
        folder(root.path(), "done", &[RUN_TOML, METRICS]);
        folder(root.path(), "other", &["thesis.tex"]);
        assert_eq!(newest_unfinished(root.path()), None);
        let older = folder(root.path(), "z-older", &[RUN_TOML]);
        let newer = folder(root.path(), "a-newer", &[RUN_TOML]);
        let age = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
        fs::File::options().write(true).open(older.join(RUN_TOML)).unwrap().set_modified(age).unwrap();
        assert_eq!(newest_unfinished(root.path()), Some(newer));
    }
}
