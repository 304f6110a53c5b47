//! The project's rules as tests: the invariants of ARCHITECTURE.md that a compiler does not check.

mod cycles;
mod documents;
mod features;
mod files;
mod homes;
mod packages;
mod source;
mod type_names;

use std::process::Command;

use crate::command::root;

/// What a command of cargo's prints.
fn printed(command: &mut Command) -> String {
    let output = command.current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
