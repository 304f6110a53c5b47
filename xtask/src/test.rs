//! `cargo xtask test`: every check there is. CI runs exactly this.

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::{command, setup};

pub(crate) const HELP: &str = "\
cargo xtask test

Sets up, then checks format, lints, tests (the house rules in xtask/src/tidy/ are among them), documentation and,
where cargo-deny is installed, licences and sources of dependencies. Stops at the first step that fails.";

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CheckOutcome {
    /// Well.
    Passed,
    /// Badly.
    Failed,
    /// Not begun.
    Skipped,
}

/// Runs the task.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    if let Some(other) = arguments.first() {
        bail!("test takes no argument, and {other:?} was given (hint: cargo test -p PACKAGE NAME)");
    }
    std::env::set_current_dir(command::root())?;
    let mut summary = Vec::new();
    let begin = Instant::now();
    let libtorch = setup::ensure(None)?.folder;
    summary.push(("set-up", CheckOutcome::Passed, begin.elapsed()));

    let cargo = |line: &str| {
        let mut cargo = command::cargo(Some(&libtorch));
        cargo.args(line.split_whitespace());
        cargo
    };
    let mut document = cargo("doc --workspace --no-deps --document-private-items");
    document.env("RUSTDOCFLAGS", "-D warnings");
    // Tests run side by side. OpenMP's threads wait for each other by spinning, and two tests with two of them each on
    // two processors would spend most of their time on that.
    let mut tests = cargo("test --workspace");
    tests.env("OMP_NUM_THREADS", "1");
    let steps = [
        ("format", Some(cargo("fmt --all --check"))),
        ("lints", Some(cargo("clippy --workspace --all-targets -- -D warnings"))),
        ("tests", Some(tests)),
        ("documentation", Some(document)),
        ("dependencies", deny(cargo("deny --workspace check bans licenses sources"))),
    ];
    for (name, step) in steps {
        let (end, time) = take(name, step)?;
        summary.push((name, end, time));
        if end == CheckOutcome::Failed {
            break;
        }
    }
    let sound = summary.iter().all(|(_, end, _)| *end != CheckOutcome::Failed);
    eprint!("\n{}", table(&summary));
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The check of dependencies where its tool is there.
fn deny(check: Command) -> Option<Command> {
    command::output_of("cargo", &["deny", "--version"]).map(|_| check)
}

fn take(name: &str, step: Option<Command>) -> Result<(CheckOutcome, Duration)> {
    let Some(mut step) = step else {
        eprintln!("\n==> {name}: SKIPPED, cargo-deny is not installed (cargo install --locked cargo-deny)");
        return Ok((CheckOutcome::Skipped, Duration::ZERO));
    };
    eprintln!("\n==> {name}: {}", command::shown(&step));
    let begin = Instant::now();
    let passed = command::status(&mut step)?.success();
    Ok((if passed { CheckOutcome::Passed } else { CheckOutcome::Failed }, begin.elapsed()))
}

/// The steps, how each ended and how long it took.
pub(crate) fn table(summary: &[(&str, CheckOutcome, Duration)]) -> String {
    let line = |(name, end, time): &(&str, CheckOutcome, Duration)| {
        let word = match end {
            CheckOutcome::Passed => "ok",
            CheckOutcome::Failed => "FAILED",
            CheckOutcome::Skipped => "SKIPPED",
        };
        format!("{name:<14} {word:<8} {:>7.1} s\n", time.as_secs_f64())
    };
    summary.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_says_how_each_step_ended() {
        let second = Duration::from_millis(1250);
        let text = table(&[("format", CheckOutcome::Passed, second), ("lints", CheckOutcome::Failed, second)]);
        assert_eq!(text, "format         ok           1.2 s\nlints          FAILED       1.2 s\n");
    }
}
