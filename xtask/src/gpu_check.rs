//! `cargo xtask gpu-check`: packs what checks the program on a machine that has a GPU and PyTorch, but no Rust.

use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result};

use crate::arguments::Arguments;
use crate::command::{built_program, must_succeed, root};
use crate::{product, setup};

pub(crate) const HELP: &str = "\
cargo xtask gpu-check

Packs the program and the scripts of gpu-check/ into target/gpu-check/gpu-check.tar.gz, and says how to run them on a
Linux machine with an NVIDIA GPU and a python3 with PyTorch 2.11.0, where they leave a report.";

pub(crate) fn run(arguments: Arguments) -> Result<ExitCode> {
    arguments.finish()?;
    let mut build = product::DOCTOR.build(&setup::ensure(None)?.folder);
    let built = build.arg("--message-format=json").stderr(Stdio::inherit()).output()?;
    let program = built_program(&String::from_utf8_lossy(&built.stdout), "verdict").context("the build failed")?;
    let (script, folder) = (root().join("gpu-check/pack.py"), root().join("target/gpu-check"));
    must_succeed(Command::new("python3").args([script, program, folder]))?;
    Ok(ExitCode::SUCCESS)
}
