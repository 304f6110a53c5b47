//! `cargo xtask test`: all checks of the project. CI runs exactly this.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::arguments::Arguments;
use crate::steps::{CheckOutcome, CheckSummary};
use crate::{command, setup};

pub(crate) const HELP: &str = "\
cargo xtask test

Sets up, then checks format, lints, tests (the rules in xtask/src/tidy/ are among them), the kernels on two threads,
documentation, and licenses and sources of dependencies (installs cargo-deny into target/tools). Stops at the first that
fails, and ends with a list of skipped tests; tests/known_skips.txt allows them. One test: cargo test -p PACKAGE NAME.";

/// Installed by this command, so that CI checks with it too: it takes 75 seconds of one processor without the optimizer.
const CARGO_DENY: &str = "0.20.2";

/// The tests of the CPU's kernels, against their definitions and against libtorch, for [`use_two_threads`]; with the checks
/// that the dev profile leaves out in their loops.
pub(crate) const TWO_THREADS: &str = "test -p kernels -p model --lib \
    --config profile.dev.package.kernels.overflow-checks=true --config profile.dev.package.kernels.debug-assertions=true";

/// Two threads of libtorch's OpenMP, loaded because the kernels don't link it; `VERDICT_TEST_OPENMP`: fail without it.
pub(crate) fn use_two_threads(cargo: &mut Command, libtorch: Option<&Path>) {
    let runtime = libtorch.map(|folder| folder.join("lib/libgomp.so.1")).filter(|path| path.is_file());
    // Waiting threads sleep: other processes may need the processors.
    cargo.env("OMP_NUM_THREADS", "2").env("OMP_WAIT_POLICY", "PASSIVE").env("VERDICT_TEST_OPENMP", "1");
    cargo.env("LD_PRELOAD", runtime.unwrap_or_else(|| "libgomp.so.1".into()));
}

pub(crate) fn run(arguments: Arguments) -> Result<ExitCode> {
    arguments.finish()?;
    std::env::set_current_dir(command::root())?;
    let mut summary = CheckSummary::default();
    let mut libtorch = None;
    summary.step("set-up", || {
        libtorch = Some(setup::ensure(None)?.folder);
        Ok(CheckOutcome::Passed)
    })?;
    let skips = command::root().join("target/skipped_tests.txt");
    std::fs::create_dir_all("target").and_then(|()| std::fs::write(&skips, ""))?;
    for (name, line) in [
        ("format", "fmt --all --check"),
        ("lints", "clippy --workspace --all-targets -- -D warnings"),
        ("tests", "test --workspace"),
        ("two threads", TWO_THREADS),
        ("documentation", "doc --workspace --no-deps --document-private-items"),
        ("dependencies", "--workspace check bans licenses sources"),
    ] {
        let result = summary.step(name, || {
            let mut cargo = match name {
                "dependencies" => match cargo_deny() {
                    Ok(deny) => deny,
                    Err(error) => {
                        eprintln!("\n==> {name}: SKIPPED, {error:#} (hint: it needs the crates registry)");
                        return Ok(CheckOutcome::Skipped);
                    }
                },
                _ => command::cargo(libtorch.as_deref()),
            };
            cargo.args(line.split(' '));
            if name == "documentation" {
                cargo.env("RUSTDOCFLAGS", "-D warnings");
            }
            // Tests run side by side. OpenMP's threads wait for each other by spinning, and two tests with two of them
            // each on two processors would spend most of their time on that.
            cargo.env("OMP_NUM_THREADS", "1").env("VERDICT_SKIPS", &skips);
            if name == "two threads" {
                use_two_threads(&mut cargo, libtorch.as_deref());
            }
            eprintln!("\n==> {name}: {}", command::shown(&cargo));
            Ok(CheckOutcome::passed_if(command::status(&mut cargo)?.success()))
        })?;
        if result == CheckOutcome::Failed {
            break;
        }
    }
    eprint!("\n{}", listed(&std::fs::read_to_string(&skips)?));
    Ok(summary.finish())
}

/// The number of tests that were skipped, and a line for each, of those that `crates/test-support/src/skip.rs` writes.
fn listed(skips: &str) -> String {
    let tests: BTreeMap<_, _> = skips.lines().map(|line| (line.split(", which needs ").next(), line)).collect();
    let lines: String = tests.values().map(|line| format!("{line}\n")).collect();
    format!("{} tests skipped, each known to tests/known_skips.txt; none ignored\n{lines}", tests.len())
}

/// cargo-deny, installed into `target/tools` where it isn't there yet. An error where the registry can't be reached.
fn cargo_deny() -> Result<Command> {
    let tools = command::root().join("target/tools");
    let program = tools.join("bin/cargo-deny");
    let version = program.to_str().and_then(|program| command::output_of(program, &["--version"]));
    if version != Some(format!("cargo-deny {CARGO_DENY}")) {
        let mut install = command::cargo(None);
        install.args("install --quiet --locked --debug --no-default-features cargo-deny --version".split(' '));
        install.args([&format!("={CARGO_DENY}"), "--root"]).arg(&tools).env("CARGO_PROFILE_DEV_DEBUG", "0");
        eprintln!("\n==> {}", command::shown(&install));
        command::must_succeed(&mut install)?;
    }
    // It reads the licenses of the crates of every platform.
    command::must_succeed(command::cargo(None).args(["fetch", "--quiet", "--locked"]))?;
    Ok(Command::new(&program))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_skipped_test_is_listed_once() {
        let (one, two) = ("SKIPPED data a::b, which needs x: no x\n", "SKIPPED tune c, which needs y: no y\n");
        let text = listed(&[one, two, one].concat());
        assert_eq!(text, format!("2 tests skipped, each known to tests/known_skips.txt; none ignored\n{one}{two}"));
    }
}
