//! `cargo xtask torture`: long-running robustness tests (random kills, damaged files, fuzzing).
//!
//! They are the same tests that `cargo xtask test` runs with small numbers. Each reads from the environment how far to
//! go and where to begin, so a failure is repeated by the seed that is printed with it.

use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};

use crate::arguments::Arguments;
use crate::steps::{CheckOutcome, CheckSummary};
use crate::{command, setup, test};

pub(crate) const HELP: &str = "\
cargo xtask torture [FLAGS]

Kills trainings (of a tiny BERT, and of the packaged MiniLM on two threads) and studies at random instants and compares
their results with those of uninterrupted ones, lets every file-system call of a save fail, cuts the power at each call
that publishes something, truncates and flips every byte of a checkpoint, feeds each parser damaged input and the server
broken requests and signals to stop under load, measures the memory of long trainings, runs the kernels on two threads, and
the tests of model, training and program as other devices compute (VERDICT_KERNELS=off).

  --kills N      trainings that are killed, 3 in 100 of them MiniLM; a tenth as many studies, a 20th servers [default: 1000]
  --mutants M    damaged inputs for each parser, and requests [default: 100000]
  --seed S       where the random choices begin [default: the clock; it is printed]";

#[derive(Debug, PartialEq, Eq)]
struct TortureFlags {
    kills: u64,
    mutants: u64,
    seed: u64,
}

impl TortureFlags {
    fn parse(mut arguments: Arguments) -> Result<TortureFlags> {
        let mut number = |flag: &str, default: u64| {
            let value = arguments.value(flag)?.unwrap_or(default.to_string());
            value.parse().with_context(|| format!("{flag} {value}: expected a whole number"))
        };
        let clock = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs());
        let (kills, mutants, seed) =
            (number("--kills", 1000)?, number("--mutants", 100_000)?, number("--seed", clock)?);
        if kills == 0 || mutants == 0 {
            bail!("--kills 0 or --mutants 0 would test nothing (hint: 1 or more)");
        }
        arguments.finish()?;
        Ok(TortureFlags { kills, mutants, seed })
    }
}

/// Some tests: their name here, what follows `cargo`, a part of their own names, and what the environment tells them besides.
/// With `--workspace`, because a package tested alone has other features of its dependencies, and so a separate build.
type Step = (&'static str, &'static str, Option<&'static str>, &'static [(&'static str, &'static str)]);

/// libtorch's operations compute, as on other devices. What a kill can break is mostly the same with them.
const KERNELS_OFF: &[(&str, &str)] =
    &[("VERDICT_KERNELS", "off"), ("VERDICT_KILLS", "100"), ("VERDICT_MUTANTS", "2000")];

const STEPS: [Step; 9] = [
    ("kills", "test --workspace --test end_to_end", Some("random_kills"), &[]),
    ("memory", "test --workspace --test end_to_end", Some("memory_stays_as_planned"), &[("VERDICT_STEPS", "5000")]),
    ("save path", "test --workspace --lib", Some("checkpoint::tests"), &[]),
    ("power cuts", "test --workspace --lib", Some("power_cut"), &[]),
    ("fuzz", "test --workspace --test fuzz", None, &[]),
    ("requests", "test --workspace --test server", Some("hostile"), &[]),
    ("server", "test --workspace --test end_to_end", Some("serving"), &[]),
    ("other devices: model, gradients, steps", "test --workspace --lib --test parity", None, KERNELS_OFF),
    ("other devices: program", "test --workspace --test end_to_end", None, KERNELS_OFF),
];

pub(crate) fn run(arguments: Arguments) -> Result<ExitCode> {
    let TortureFlags { kills, mutants, seed } = TortureFlags::parse(arguments)?;
    std::env::set_current_dir(command::root())?;
    let libtorch = setup::ensure(None)?.folder;
    eprintln!("torture: {kills} kills, {mutants} mutants a parser, seed {seed}");

    let cargo = |line: &str| {
        let mut cargo = command::cargo(Some(&libtorch));
        cargo.args(line.split(' '));
        cargo
    };
    let mut summary = CheckSummary::default();
    // Building first: a mistake in the last target should not show after an hour, and the times below are of tests only.
    summary.step("build", || {
        let lines = STEPS.iter().map(|(_, line, ..)| *line).chain([test::TWO_THREADS]);
        lines.into_iter().try_for_each(|line| command::must_succeed(cargo(line).arg("--no-run")))?;
        Ok(CheckOutcome::Passed)
    })?;
    for (name, line, filter, environment) in STEPS {
        let mut tests = cargo(line);
        tests.args(filter).args(["--", "--nocapture"]).env("OMP_NUM_THREADS", "1");
        let numbers = [("VERDICT_SEED", seed), ("VERDICT_KILLS", kills), ("VERDICT_MUTANTS", mutants)];
        tests.envs(numbers.map(|(name, value)| (name, value.to_string()))).envs(environment.iter().copied());
        summary.step(name, || run_tests(name, &mut tests))?;
    }
    let mut two_threads = cargo(test::TWO_THREADS);
    test::use_two_threads(&mut two_threads, Some(&libtorch));
    summary.step("two threads", || run_tests("two threads", &mut two_threads))?;
    let code = summary.finish();
    eprintln!("again with: cargo xtask torture --kills {kills} --mutants {mutants} --seed {seed}");
    Ok(code)
}

/// Runs one step and shows what it prints. A filter that matches no test is a failure.
fn run_tests(name: &str, tests: &mut Command) -> Result<CheckOutcome> {
    eprintln!("\n==> {name}: {}", command::shown(tests));
    let mut child = tests.stdout(Stdio::piped()).spawn().context("failed to start cargo")?;
    let mut count = 0;
    for line in child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).lines()) {
        let line = line?;
        count += tests_started(&line);
        println!("{line}");
    }
    let passed = child.wait()?.success();
    if passed && count == 0 {
        eprintln!("{name}: no test was run");
    }
    Ok(CheckOutcome::passed_if(passed && count > 0))
}

/// The number in a line such as `running 3 tests`.
fn tests_started(line: &str) -> u64 {
    let rest = line.strip_prefix("running ").unwrap_or_default();
    let number = rest.strip_suffix(" tests").or(rest.strip_suffix(" test"));
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<TortureFlags> {
        TortureFlags::parse(Arguments::typed("torture", line))
    }

    #[test]
    fn numbers_are_taken_from_flags_in_any_order() {
        let default = parse("").unwrap();
        assert!((default.kills, default.mutants) == (1000, 100_000) && default.seed > 1_000_000_000);
        let asked = parse("--seed 7 --kills=25 --mutants 2000").unwrap();
        assert_eq!(asked, TortureFlags { kills: 25, mutants: 2000, seed: 7 });
    }

    #[test]
    fn invalid_values_are_refused() {
        for (line, word) in [
            ("--kill 5", "\"--kill\""),
            ("5", "\"5\""),
            ("--kills", "--kills needs a value"),
            ("--kills many", "--kills many: expected a whole number"),
            ("--seed -1", "--seed -1: expected a whole number"),
            ("--mutants 0", "would test nothing"),
        ] {
            let error = parse(line).unwrap_err().to_string();
            assert!(error.contains(word), "{line}: {error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_step_passes_only_where_tests_ran_and_passed() {
        for (script, expected) in [
            ("echo running 0 tests; echo running 1 test", CheckOutcome::Passed),
            ("echo running 0 tests", CheckOutcome::Failed),
            ("echo running 2 tests; exit 101", CheckOutcome::Failed),
        ] {
            assert_eq!(run_tests("a step", Command::new("sh").args(["-c", script])).unwrap(), expected, "{script}");
        }
    }
}
