//! `prepare-data`, `train`, `tune`, `evaluate`, `predict`, `verify-resume`: set-up, then the product's own command with the same
//! arguments.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::{command, setup};

/// A command of the product: its package and binary, and the words before the person's arguments.
#[derive(Debug, Clone, Copy)]
pub struct Product {
    package: &'static str,
    binary: &'static str,
    words: &'static [&'static str],
}

/// Reads a data set and writes it tokenized.
pub const PREPARE_DATA: Product = verdict(&["prepare"]);
/// Fine-tunes.
pub const TRAIN: Product = Product { package: "train", binary: "train", words: &[] };
/// Tries many configurations.
pub const TUNE: Product = verdict(&["tune"]);
/// Scores a run.
pub const EVALUATE: Product = verdict(&["evaluate"]);
/// Labels texts.
pub const PREDICT: Product = verdict(&["predict"]);
/// Kills a training, resumes it, and compares its end with an undisturbed one.
pub const VERIFY_RESUME: Product = verdict(&["verify-resume"]);
/// One forward and one backward of a real model.
pub const DOCTOR: Product = verdict(&["doctor"]);

const fn verdict(words: &'static [&'static str]) -> Product {
    Product { package: "cli", binary: "verdict", words }
}

impl Product {
    /// The cargo command that builds and starts it, in the current folder.
    pub fn command(self, libtorch: &Path) -> Command {
        let mut cargo = command::cargo(Some(libtorch));
        cargo.args(["run", "--quiet", "--package", self.package, "--bin", self.binary, "--"]).args(self.words);
        cargo
    }

    /// The cargo command that builds it, with cargo's own account of what it does.
    pub fn build(self, libtorch: &Path) -> Command {
        let mut cargo = command::cargo(Some(libtorch));
        cargo.args(["build", "--package", self.package, "--bin", self.binary]);
        cargo
    }

    /// Sets up, builds and becomes the command.
    fn hand_over(self, arguments: &[String]) -> Result<ExitCode> {
        let libtorch = setup::ensure(None)?;
        let mut command = self.command(&libtorch.folder);
        command.args(arguments);
        command::become_command(command)
    }
}

/// Runs the task `prepare-data`.
pub fn prepare_data(arguments: &[String]) -> Result<ExitCode> {
    PREPARE_DATA.hand_over(arguments)
}

/// Runs the task `train`.
pub fn train(arguments: &[String]) -> Result<ExitCode> {
    TRAIN.hand_over(arguments)
}

/// Runs the task `tune`.
pub fn tune(arguments: &[String]) -> Result<ExitCode> {
    TUNE.hand_over(arguments)
}

/// Runs the task `evaluate`.
pub fn evaluate(arguments: &[String]) -> Result<ExitCode> {
    EVALUATE.hand_over(arguments)
}

/// Runs the task `predict`.
pub fn predict(arguments: &[String]) -> Result<ExitCode> {
    PREDICT.hand_over(arguments)
}

/// Runs the task `verify-resume`.
pub fn verify_resume(arguments: &[String]) -> Result<ExitCode> {
    VERIFY_RESUME.hand_over(arguments)
}
