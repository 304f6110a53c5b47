//! `cargo xtask torture`: the tests that look for faults, at length.
//!
//! They are the same tests that `cargo xtask test` runs with small numbers. Each reads from the environment how far to
//! go and where to begin, so a failure is repeated by the seed that is printed with it.

use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};

use crate::arguments::Arguments;
use crate::test::{CheckOutcome, table};
use crate::{command, setup};

pub(crate) const HELP: &str = "\
cargo xtask torture [FLAGS]

Kills training processes and studies at random instants and compares their end with that of undisturbed ones, lets every
file-system call of a save fail, truncates and flips every byte of a checkpoint, and feeds each parser with damaged input.

  --kills N      how many trainings are killed, and a tenth as many studies [default: 1000]
  --mutants M    damaged inputs for each parser [default: 100000]
  --seed S       where the random choices begin [default: the clock; it is printed]";

/// How far to go, and from where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct TortureFlags {
    kills: u64,
    mutants: u64,
    /// `None`: from the clock.
    seed: Option<u64>,
}

impl TortureFlags {
    fn parse(arguments: &[String]) -> Result<TortureFlags> {
        let mut extent = TortureFlags { kills: 1000, mutants: 100_000, seed: None };
        let mut words = Arguments::new(arguments);
        while let Some(flag) = words.next() {
            if !["--kills", "--mutants", "--seed"].contains(&flag.as_str()) {
                bail!("torture has no flag {flag:?}\n\n{HELP}");
            }
            let value = words.value(&flag)?;
            let number = value.parse().with_context(|| format!("{flag} {value}: it must be a whole number"))?;
            match flag.as_str() {
                "--seed" => extent.seed = Some(number),
                _ if number == 0 => bail!("{flag} 0 would test nothing (hint: 1 or more)"),
                "--kills" => extent.kills = number,
                _ => extent.mutants = number,
            }
        }
        Ok(extent)
    }
}

/// Some tests of the workspace: what they are called here, what follows `cargo test`, and a part of their names. All of
/// the workspace, because a package tested alone has other features of its dependencies, and so a build of its own.
struct TortureStep {
    name: &'static str,
    targets: &'static str,
    filter: &'static str,
}

/// What is run, in this order.
const STEPS: [TortureStep; 3] = [
    TortureStep { name: "kills", targets: "--workspace --test end_to_end", filter: "torture" },
    TortureStep { name: "save path", targets: "--workspace --lib", filter: "checkpoint::tests" },
    TortureStep { name: "fuzz", targets: "--workspace --test fuzz", filter: "" },
];

/// Runs the task.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    let extent = TortureFlags::parse(arguments)?;
    let clock = || SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs());
    let seed = extent.seed.unwrap_or_else(clock);
    let root = command::root();
    std::env::set_current_dir(&root)?;
    let libtorch = setup::ensure(None)?.folder;
    eprintln!("torture: {} kills, {} mutants a parser, seed {seed}", extent.kills, extent.mutants);

    let cargo = |step: &TortureStep| {
        let mut cargo = command::cargo(Some(&libtorch));
        cargo.arg("test").args(step.targets.split(' '));
        cargo
    };
    let mut summary = Vec::new();
    // Building first: a mistake in the last target should not show after an hour, and the times below are of tests only.
    let begin = Instant::now();
    for step in &STEPS {
        command::must_succeed(cargo(step).arg("--no-run"))?;
    }
    summary.push(("build", CheckOutcome::Passed, begin.elapsed()));
    for step in &STEPS {
        let mut tests = cargo(step);
        tests.args((!step.filter.is_empty()).then_some(step.filter)).args(["--", "--nocapture"]);
        tests.env("OMP_NUM_THREADS", "1").env("VERDICT_SEED", seed.to_string());
        tests.env("VERDICT_KILLS", extent.kills.to_string()).env("VERDICT_MUTANTS", extent.mutants.to_string());
        let (end, time) = take(step.name, &mut tests)?;
        summary.push((step.name, end, time));
    }
    let sound = summary.iter().all(|(_, end, _)| *end == CheckOutcome::Passed);
    let TortureFlags { kills, mutants, .. } = extent;
    eprint!("\n{}", table(&summary));
    eprintln!("again with: cargo xtask torture --kills {kills} --mutants {mutants} --seed {seed}");
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs one step and shows what it prints. A filter that no test answers to is a failure.
fn take(name: &str, tests: &mut Command) -> Result<(CheckOutcome, Duration)> {
    let begin = Instant::now();
    eprintln!("\n==> {name}: {}", command::shown(tests));
    let mut child = tests.stdout(Stdio::piped()).spawn().context("could not start cargo")?;
    let mut run = 0;
    for line in child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).lines()) {
        let line = line?;
        run += tests_begun(&line);
        println!("{line}");
    }
    let passed = child.wait()?.success();
    if passed && run == 0 {
        eprintln!("{name}: no test was run");
    }
    let (end, time) = (if passed && run > 0 { CheckOutcome::Passed } else { CheckOutcome::Failed }, begin.elapsed());
    eprintln!("==> {name}: {}, {:.1} s", if end == CheckOutcome::Passed { "ok" } else { "FAILED" }, time.as_secs_f64());
    Ok((end, time))
}

/// The number of a line such as `running 3 tests`.
fn tests_begun(line: &str) -> u64 {
    let number =
        line.strip_prefix("running ").and_then(|rest| rest.strip_suffix(" tests").or(rest.strip_suffix(" test")));
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<TortureFlags> {
        TortureFlags::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn numbers_are_taken_from_flags_in_any_order() {
        assert_eq!(parse("").unwrap(), TortureFlags { kills: 1000, mutants: 100_000, seed: None });
        let asked = parse("--seed 7 --kills=25 --mutants 2000").unwrap();
        assert_eq!(asked, TortureFlags { kills: 25, mutants: 2000, seed: Some(7) });
        assert_eq!(parse("--seed 0").unwrap().seed, Some(0));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (line, word) in [
            ("--kill 5", "\"--kill\""),
            ("5", "\"5\""),
            ("--kills", "--kills needs a value"),
            ("--kills many", "--kills many: it must be a whole number"),
            ("--seed -1", "--seed -1: it must be a whole number"),
            ("--mutants 0", "would test nothing"),
        ] {
            let error = parse(line).unwrap_err().to_string();
            assert!(error.contains(word), "{line}: {error}");
        }
    }

    #[test]
    fn a_run_without_a_test_is_noticed() {
        let lines = ["running 3 tests", "test a ... ok", "running 1 test", "running 0 tests", "running away"];
        assert_eq!(lines.map(tests_begun), [3, 0, 1, 0, 0]);
    }

    #[cfg(unix)]
    #[test]
    fn a_step_passes_only_where_tests_ran_and_passed() {
        for (script, expected) in [
            ("echo running 2 tests", CheckOutcome::Passed),
            ("echo running 0 tests", CheckOutcome::Failed),
            ("echo running 2 tests; exit 101", CheckOutcome::Failed),
        ] {
            assert_eq!(take("a step", Command::new("sh").args(["-c", script])).unwrap().0, expected, "{script}");
        }
    }
}
