//! The project's chores, as `cargo xtask TASK`.
//!
//! This crate imports nothing of the workspace and nothing heavy: it calls commands. It is the first thing that is
//! built on a new machine, before libtorch is there, and it brings libtorch.

mod cargo_config;
mod command;
mod doctor;
mod download;
mod extract;
mod libtorch;
mod product;
mod quickstart;
mod setup;
mod test;
#[cfg(test)]
mod tidy;
mod torture;
mod wheels;

use std::process::ExitCode;

use anyhow::{Result, bail};

const HELP: &str = "\
cargo xtask TASK [ARGUMENTS]

  quickstart            from nothing to a fine-tuned, evaluated model (--help lists its flags)
  prepare-data ARGS     a data set, tokenized and ready for training
  train ARGS            fine-tunes; the same as `cargo run -p train -- ARGS`
  tune ARGS             tries many configurations, and keeps the best model
  evaluate ARGS         scores a run on a split
  predict ARGS TEXT...  label and probabilities of texts
  verify-resume ARGS    trains with ARGS twice, once killed and resumed again and again, and compares the ends

  setup [--cpu|--cuda]  brings libtorch and tells cargo where it lies; the tasks above do it by themselves
  doctor                checks this machine, and says how to mend what is broken
  test                  every check there is; CI runs exactly this
  bench [SUITE...]      measures against Python peers, --quick in five minutes (--help lists suites and flags)
  torture               kills, failing disks and damaged files, at length (--help lists its flags)

`cargo xtask TASK --help` shows the flags of a task.";

/// What `cargo xtask` was asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    Setup,
    Doctor,
    Quickstart,
    PrepareData,
    Train,
    Tune,
    Evaluate,
    Predict,
    VerifyResume,
    Test,
    Torture,
    Bench,
    Help,
}

impl Task {
    fn parse(name: Option<&str>) -> Result<Task> {
        Ok(match name {
            Some("setup") => Task::Setup,
            Some("doctor") => Task::Doctor,
            Some("quickstart") => Task::Quickstart,
            Some("prepare-data") => Task::PrepareData,
            Some("train") => Task::Train,
            Some("tune") => Task::Tune,
            Some("evaluate") => Task::Evaluate,
            Some("predict") => Task::Predict,
            Some("verify-resume") => Task::VerifyResume,
            Some("test") => Task::Test,
            Some("torture") => Task::Torture,
            Some("bench") => Task::Bench,
            None | Some("help" | "--help" | "-h") => Task::Help,
            Some(other) => bail!("there is no task {other:?}\n\n{HELP}"),
        })
    }

    fn run(self, arguments: &[String]) -> Result<ExitCode> {
        match self {
            Task::Setup => setup::run(arguments),
            Task::Doctor => doctor::run(arguments),
            Task::Quickstart => quickstart::run(arguments),
            Task::PrepareData => product::PREPARE_DATA.hand_over(arguments),
            Task::Train => product::TRAIN.hand_over(arguments),
            Task::Tune => product::TUNE.hand_over(arguments),
            Task::Evaluate => product::EVALUATE.hand_over(arguments),
            Task::Predict => product::PREDICT.hand_over(arguments),
            Task::VerifyResume => product::VERIFY_RESUME.hand_over(arguments),
            Task::Test => test::run(arguments),
            Task::Torture => torture::run(arguments),
            Task::Bench => product::bench(arguments),
            Task::Help => {
                println!("{HELP}");
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let task = Task::parse(arguments.first().map(String::as_str));
    match task.and_then(|task| task.run(arguments.get(1..).unwrap_or_default())) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_in_the_help_is_one_and_the_reverse_is_told() {
        for line in HELP.lines().filter(|line| line.starts_with("  ")) {
            let name = line.split_whitespace().next();
            assert_ne!(Task::parse(name).unwrap(), Task::Help, "{line}");
        }
        let error = Task::parse(Some("tset")).unwrap_err().to_string();
        assert!(error.contains("\"tset\"") && error.contains("quickstart"), "{error}");
    }
}
