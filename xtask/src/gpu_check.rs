//! `cargo xtask gpu-check`: packs what checks the program on a machine that has a GPU and PyTorch, but no Rust.

use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result};

use crate::arguments::Arguments;
use crate::command::{built_program, must_succeed, output_of, root};
use crate::{product, setup};

pub(crate) const HELP: &str = "\
cargo xtask gpu-check

Packs the program and the scripts of gpu-check/ into target/gpu-check/gpu-check.tar.gz. On a Linux machine with an NVIDIA
GPU and a python3 with PyTorch 2.11.0, this checks the GPU and leaves a report (--help lists the flags):

  tar xf gpu-check.tar.gz && python3 gpu-check/run.py";

pub(crate) fn run(arguments: Arguments) -> Result<ExitCode> {
    arguments.finish()?;
    let libtorch = setup::ensure(None)?.folder;
    let mut build = product::DOCTOR.build(&libtorch);
    let built = build.arg("--message-format=json").stderr(Stdio::inherit()).output()?;
    let program = built_program(&String::from_utf8_lossy(&built.stdout), "verdict").context("the build failed")?;
    let (script, folder) = (root().join("gpu-check/pack.py"), root().join("target/gpu-check"));
    let commit = output_of("git", &["-C", &root().to_string_lossy(), "describe", "--always", "--dirty"]);
    must_succeed(Command::new("python3").args([&script, &program, &folder]).args(commit))?;
    let (run, lib) = (folder.join("gpu-check/run.py"), libtorch.join("lib"));
    eprintln!("there: tar xf gpu-check.tar.gz && python3 gpu-check/run.py");
    eprintln!("here, without a GPU: python3 {} --device cpu --libtorch {}", run.display(), lib.display());
    Ok(ExitCode::SUCCESS)
}
