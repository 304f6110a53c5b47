//! The project's development tasks, as `cargo xtask TASK`.
//!
//! This crate imports nothing of the workspace and nothing heavy: it calls commands. It is the first thing that is
//! built on a new machine, before libtorch is there, and it brings libtorch.

mod arguments;
mod cargo_config;
mod command;
mod doctor;
mod download;
mod gpu_check;
mod libtorch;
mod product;
mod quickstart;
mod setup;
mod steps;
mod test;
#[cfg(test)]
mod tidy;
mod torture;
mod wheels;

use std::process::ExitCode;

use anyhow::{Result, bail};

use arguments::Arguments;
use product::{PREPARE_DATA, TRAIN, verdict};

const HELP: &str = "\
cargo xtask TASK [ARGUMENTS]

  quickstart            from nothing to a fine-tuned, evaluated model (--help lists its flags)
  prepare-data ARGS     a data set, tokenized and ready for training
  train ARGS            fine-tunes; the same as `cargo run -p train -- ARGS`
  tune ARGS             tries many configurations, and keeps the best model
  evaluate ARGS         scores a run on a split
  calibrate ARGS        makes a run as sure as it is right, by a temperature fitted on validation
  report ARGS RUN...    writes a run's report again, or compares runs on one page
  predict ARGS TEXT...  label and probabilities of texts
  explain ARGS TEXT...  which words of texts their labels come from
  serve ARGS            answers requests over HTTP with a run
  verify-resume ARGS    trains with ARGS twice, once killed and resumed again and again, and compares the results

  setup [--cpu|--cuda]  installs libtorch and tells cargo where it is; the tasks above do it by themselves
  doctor                checks this machine, and says how to fix what is broken
  test                  every check there is; CI runs exactly this
  bench [SUITE...]      measures against Python peers, --quick in five minutes (--help lists suites and flags)
  torture               kills, failing disks and damaged files, at length (--help lists its flags)
  gpu-check             packs what checks the program on a machine with a GPU, which needs no Rust

`cargo xtask TASK --help` shows the flags of a task.";

/// A task: its name, its help unless the command that it hands over to has its own, and what it does.
type Task = (&'static str, Option<&'static str>, fn(Arguments) -> Result<ExitCode>);

/// The product's own commands, set up for and handed over to.
const COMMANDS: &[&str] = &["tune", "evaluate", "calibrate", "report", "predict", "explain", "serve", "verify-resume"];

const TASKS: [Task; 9] = [
    ("quickstart", Some(quickstart::HELP), quickstart::run),
    ("prepare-data", None, |arguments| PREPARE_DATA.hand_over(arguments)),
    ("train", None, |arguments| TRAIN.hand_over(arguments)),
    ("setup", Some(setup::HELP), setup::run),
    ("doctor", Some(doctor::HELP), doctor::run),
    ("test", Some(test::HELP), test::run),
    ("bench", None, product::bench),
    ("torture", Some(torture::HELP), torture::run),
    ("gpu-check", Some(gpu_check::HELP), gpu_check::run),
];

fn run(arguments: &[String]) -> Result<ExitCode> {
    let asks_for_help = |argument: &String| ["--help", "-h"].contains(&argument.as_str());
    let (name, rest) = match arguments.split_first() {
        Some((name, rest)) if name != "help" && !asks_for_help(name) => (name, rest),
        _ => return print(HELP),
    };
    if let Some(at) = COMMANDS.iter().position(|command| command == name) {
        return verdict(&COMMANDS[at..=at]).hand_over(Arguments::new(COMMANDS[at], rest));
    }
    let Some((name, help, run)) = TASKS.iter().find(|(task, ..)| task == name) else {
        bail!("there is no task {name:?}\n\n{HELP}");
    };
    match help.filter(|_| rest.iter().any(asks_for_help)) {
        Some(help) => print(help),
        None => run(Arguments::new(name, rest)),
    }
}

fn print(help: &str) -> Result<ExitCode> {
    println!("{help}");
    Ok(ExitCode::SUCCESS)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    run(&arguments).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_is_in_the_help_and_an_unknown_one_is_refused() {
        let lines = HELP.lines().filter(|line| line.starts_with("  "));
        let listed: std::collections::BTreeSet<_> = lines.filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(listed, TASKS.iter().map(|(name, ..)| *name).chain(COMMANDS.iter().copied()).collect());
        let error = run(&["tset".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("\"tset\"") && error.contains("quickstart"), "{error}");
    }
}
