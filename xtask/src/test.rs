//! `cargo xtask test`: all checks of the project. CI runs exactly this.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::arguments::Arguments;
use crate::steps::{CheckOutcome, CheckSummary};
use crate::{command, setup};

pub(crate) const HELP: &str = "\
cargo xtask test

Sets up, then checks format, lints, tests (the rules in xtask/src/tidy/ are among them), the kernels on two threads,
documentation and, where cargo-deny is installed, licenses and sources of dependencies. Stops at the first step that fails.
A single test: cargo test -p PACKAGE NAME.";

/// The tests of the CPU's kernels, against their definitions and against libtorch, for [`use_two_threads`].
pub(crate) const TWO_THREADS: &str = "test -p kernels -p model --lib";

/// Gives the tests that a cargo command runs two threads of libtorch's OpenMP. The kernels' own tests don't link it, so it
/// is loaded into them; `VERDICT_TEST_OPENMP` makes them fail without it.
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
    for (name, line) in [
        ("format", "fmt --all --check"),
        ("lints", "clippy --workspace --all-targets -- -D warnings"),
        ("tests", "test --workspace"),
        ("two threads", TWO_THREADS),
        ("documentation", "doc --workspace --no-deps --document-private-items"),
        ("dependencies", "deny --workspace check bans licenses sources"),
    ] {
        let result = summary.step(name, || {
            if name == "dependencies" && command::output_of("cargo", &["deny", "--version"]).is_none() {
                eprintln!("\n==> {name}: SKIPPED, cargo-deny is not installed (cargo install --locked cargo-deny)");
                return Ok(CheckOutcome::Skipped);
            }
            let mut cargo = command::cargo(libtorch.as_deref());
            cargo.args(line.split(' '));
            if name == "documentation" {
                cargo.env("RUSTDOCFLAGS", "-D warnings");
            }
            // Tests run side by side. OpenMP's threads wait for each other by spinning, and two tests with two of them
            // each on two processors would spend most of their time on that.
            cargo.env("OMP_NUM_THREADS", "1");
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
    Ok(summary.finish())
}
