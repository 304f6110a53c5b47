//! `cargo xtask test`: all checks of the project. CI runs exactly this.

use std::process::ExitCode;

use anyhow::Result;

use crate::arguments::Arguments;
use crate::steps::{CheckOutcome, CheckSummary};
use crate::{command, setup};

pub(crate) const HELP: &str = "\
cargo xtask test

Sets up, then checks format, lints, tests (the rules in xtask/src/tidy/ are among them), documentation and, where
cargo-deny is installed, licenses and sources of dependencies. Stops at the first step that fails.
A single test: cargo test -p PACKAGE NAME.";

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
            eprintln!("\n==> {name}: {}", command::shown(&cargo));
            Ok(CheckOutcome::passed_if(command::status(&mut cargo)?.success()))
        })?;
        if result == CheckOutcome::Failed {
            break;
        }
    }
    Ok(summary.finish())
}
