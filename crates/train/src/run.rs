//! From what was asked to a running trainer: the plan, its parts, the folder, and whether they still fit together.

use std::collections::BTreeMap;

use crate::config::TrainArgs;
use crate::error::Result;
use crate::resume::{self, Begin, Plan};
use crate::run_directory::{RUN_TOML, RunDirectory};
use crate::setup::Setup;
use crate::trainer::Trainer;

/// Trains as asked, from nothing or from a checkpoint, and returns the finished run directory.
///
/// # Errors
/// Whatever keeps a run from starting, named before the first step; a loss that stops being a number; a checkpoint that
/// can't be written; [`Interrupted`](crate::TrainError::Interrupted) after SIGINT or SIGTERM.
pub fn run(args: &TrainArgs) -> Result<RunDirectory> {
    let Plan { config, begin } = Plan::new(args)?;
    let setup = Setup::new(&config)?;
    let mut identity = setup.identity()?;
    let (directory, found) = match begin {
        Begin::Anew => {
            let manifest = &setup.prepared.manifest;
            (RunDirectory::create(config.output.as_deref(), &manifest.dataset, &setup.checkpoint.name)?, None)
        }
        Begin::Again(directory) => (directory, None),
        Begin::From(directory, found) => {
            setup.prepared.verify()?;
            identity.base_weights_sha256 = setup.base_weights_sha256()?;
            resume::hold(&found, &config, &identity, args.allow_change)?;
            (directory, Some(found))
        }
    };
    // The saved configuration names what was taken where nothing was asked for.
    let mut resolved = config.clone();
    resolved.data = Some(setup.prepared.dir.clone());
    resolved.model = Some(setup.checkpoint.name.clone());
    directory.write(RUN_TOML, resolved.to_toml()?)?;
    say_what_is_used(&setup, &directory);
    if found.is_none() {
        directory.cut_logs(&BTreeMap::new())?;
    }
    let mut trainer = Trainer::new(&resolved, setup, directory, identity)?;
    if args.profile {
        trainer.profile();
    }
    if let Some(found) = found {
        trainer.go_on_from(&found)?;
    }
    trainer.train()
}

fn say_what_is_used(setup: &Setup, directory: &RunDirectory) {
    let manifest = &setup.prepared.manifest;
    tracing::info!("data: {} ({}), {}", setup.prepared.dir.display(), manifest.variant, manifest.source);
    tracing::info!("model: {} in {:?}", setup.checkpoint.name, setup.precision);
    for note in manifest.notes.iter().chain(&setup.checkpoint.note) {
        eprintln!("note: {note}");
    }
    if !setup.report.initialised.is_empty() {
        tracing::info!("new, to be learned from your data: {}", setup.report.initialised.join(", "));
    }
    tracing::info!("run: {}", directory.path().display());
}
