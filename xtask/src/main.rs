//! The project's chores, as `cargo xtask TASK`.
//!
//! This crate imports nothing of the workspace and nothing heavy: it calls commands. It is the first thing that is
//! built on a new machine, before libtorch is there, and it brings libtorch.

mod arguments;
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

use product::{EVALUATE, PREDICT, PREPARE_DATA, TRAIN, TUNE, VERIFY_RESUME};

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

/// A task, as it is asked for.
struct Task {
    name: &'static str,
    /// `None` where the command that it hands over to has its own.
    help: Option<&'static str>,
    run: fn(&[String]) -> Result<ExitCode>,
}

const TASKS: [Task; 12] = [
    Task { name: "quickstart", help: Some(quickstart::HELP), run: quickstart::run },
    Task { name: "prepare-data", help: None, run: |arguments| PREPARE_DATA.hand_over(arguments) },
    Task { name: "train", help: None, run: |arguments| TRAIN.hand_over(arguments) },
    Task { name: "tune", help: None, run: |arguments| TUNE.hand_over(arguments) },
    Task { name: "evaluate", help: None, run: |arguments| EVALUATE.hand_over(arguments) },
    Task { name: "predict", help: None, run: |arguments| PREDICT.hand_over(arguments) },
    Task { name: "verify-resume", help: None, run: |arguments| VERIFY_RESUME.hand_over(arguments) },
    Task { name: "setup", help: Some(setup::HELP), run: setup::run },
    Task { name: "doctor", help: Some(doctor::HELP), run: doctor::run },
    Task { name: "test", help: Some(test::HELP), run: test::run },
    Task { name: "bench", help: None, run: product::bench },
    Task { name: "torture", help: Some(torture::HELP), run: torture::run },
];

fn run(arguments: &[String]) -> Result<ExitCode> {
    let asks_for_help = |argument: &String| ["--help", "-h"].contains(&argument.as_str());
    let Some((name, rest)) = arguments.split_first().filter(|(name, _)| *name != "help" && !asks_for_help(name)) else {
        println!("{HELP}");
        return Ok(ExitCode::SUCCESS);
    };
    let Some(task) = TASKS.iter().find(|task| task.name == name) else {
        bail!("there is no task {name:?}\n\n{HELP}");
    };
    match task.help.filter(|_| rest.iter().any(asks_for_help)) {
        Some(help) => {
            println!("{help}");
            Ok(ExitCode::SUCCESS)
        }
        None => (task.run)(rest),
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
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
    fn every_task_is_in_the_help_and_the_reverse_is_told() {
        let lines = HELP.lines().filter(|line| line.starts_with("  "));
        let told: Vec<_> = lines.filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(told, TASKS.map(|task| task.name));
        let error = run(&["tset".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("\"tset\"") && error.contains("quickstart"), "{error}");
    }
}
