//! The tasks that set up libtorch and then run the product's own command with the same arguments.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::arguments::Arguments;
use crate::libtorch::Variant;
use crate::{command, setup};

/// A command of the product: its package and binary, and the words before the user's arguments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Product {
    package: &'static str,
    binary: &'static str,
    words: &'static [&'static str],
}

pub(crate) const PREPARE_DATA: Product = verdict(&["prepare"]);
pub(crate) const TRAIN: Product = Product { package: "train", binary: "train", words: &[] };
pub(crate) const DOCTOR: Product = verdict(&["doctor"]);

pub(crate) const fn verdict(words: &'static [&'static str]) -> Product {
    Product { package: "cli", binary: "verdict", words }
}

impl Product {
    /// The cargo command that builds and starts it, in the current folder.
    pub(crate) fn command(self, libtorch: &Path) -> Command {
        let mut cargo = command::cargo(Some(libtorch));
        cargo.args(["run", "--quiet", "--package", self.package, "--bin", self.binary, "--"]).args(self.words);
        cargo
    }

    /// The cargo command that builds it, with cargo's own progress output.
    pub(crate) fn build(self, libtorch: &Path) -> Command {
        let mut cargo = command::cargo(Some(libtorch));
        cargo.args(["build", "--package", self.package, "--bin", self.binary]);
        cargo
    }

    /// Sets up, builds, and replaces this process by the command.
    pub(crate) fn hand_over(self, arguments: Arguments) -> Result<ExitCode> {
        let mut command = self.command(&setup::ensure(None)?.folder);
        command.args(arguments.rest());
        command::exec(command)
    }
}

/// The task `bench`: sets up, builds what is measured, and replaces this process by the benchmark. Its help needs no set-up.
pub(crate) fn bench(arguments: Arguments) -> Result<ExitCode> {
    let arguments = arguments.rest();
    let has = |words: &[&str]| arguments.iter().any(|argument| words.contains(&argument.as_str()));
    let mut cargo = command::cargo(None);
    if !has(&["--help", "-h"]) {
        let cuda = has(&["--device=cuda"]) || arguments.windows(2).any(|pair| pair == ["--device", "cuda"]);
        let libtorch = setup::ensure(cuda.then_some(Variant::Cuda))?;
        let mut build = command::cargo(Some(&libtorch.folder));
        build.args("build --package cli --bin verdict --package tokenize --example tokenize_speed".split(' '));
        command::must_succeed(build.args(["--package", "bench", "--bin", "bench"]))?;
        cargo.env("LIBTORCH", &libtorch.folder).env("VERDICT_LIBTORCH_VERSION", &libtorch.version);
    }
    cargo.args(["run", "--quiet", "--package", "bench", "--bin", "bench", "--"]).args(arguments);
    command::exec(cargo)
}
