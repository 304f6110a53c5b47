//! Commands that the tasks call, and where they call them.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    // Cargo says at run time where the package is; the compiled-in path would be that of another checkout where two
    // of them share a target folder.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let package = package.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    package.parent().map(Path::to_path_buf).unwrap_or(package)
}

/// A cargo command, as a user would start it from a shell.
///
/// This process was itself started by `cargo run`, which describes the package `xtask` in its environment. Some build
/// scripts are run again when those variables change, so without this a command given by hand and the same command
/// given here would rebuild each other's work in turn.
pub(crate) fn cargo(libtorch: Option<&Path>) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(describes_this_package) {
            command.env_remove(name);
        }
    }
    // `cargo run` also passes on the LIBTORCH of `.cargo/libtorch.toml` as it was when it started.
    if let Some(folder) = libtorch {
        command.env("LIBTORCH", folder);
    }
    command
}

fn describes_this_package(name: &str) -> bool {
    let prefixes = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CFG_"];
    let names = ["CARGO", "CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE", "OUT_DIR"];
    prefixes.iter().any(|prefix| name.starts_with(prefix)) || names.contains(&name)
}

/// The command as one would type it, for messages.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_stem().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(quoted).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_alphanumeric() || "-_./:=,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.into_owned() } else { format!("{word:?}") }
}

/// Runs a command to its end with our own input and output.
pub(crate) fn status(command: &mut Command) -> Result<ExitStatus> {
    command.status().with_context(|| format!("failed to start `{}`", shown(command)))
}

/// Runs a command to its end and fails where it fails.
pub(crate) fn must_succeed(command: &mut Command) -> Result<()> {
    let status = status(command)?;
    if !status.success() {
        bail!("`{}` failed ({status})", shown(command));
    }
    Ok(())
}

/// What a command printed, trimmed; `None` where it is missing or failed.
pub(crate) fn output_of(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The path of a program in cargo's JSON messages, by the name of its target.
pub(crate) fn built_program(messages: &str, name: &str) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut built = messages.filter(|message| message["target"]["name"] == name);
    built.find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

/// Replaces this process by the command, so that its exit code and signals are the command's.
pub(crate) fn exec(mut command: Command) -> Result<ExitCode> {
    let error = command.exec();
    Err(error).with_context(|| format!("failed to start `{}`", shown(&command)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nested_cargo_keeps_the_users_settings_and_drops_this_packages() {
        for dropped in ["CARGO_PKG_NAME", "CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "CARGO", "OUT_DIR"] {
            assert!(describes_this_package(dropped), "{dropped}");
        }
        for kept in ["CARGO_HOME", "CARGO_TARGET_DIR", "CARGO_NET_OFFLINE", "CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS"] {
            assert!(!describes_this_package(kept), "{kept}");
        }
    }

    #[test]
    fn commands_are_shown_as_typed() {
        let mut command = Command::new("/some/where/cargo");
        command.args(["run", "--", "a text", ""]);
        assert_eq!(shown(&command), "cargo run -- \"a text\" \"\"");
    }

    #[test]
    fn cargo_names_the_program_that_it_built() {
        let messages = "\
{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"data\"},\"executable\":null}
{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"verdict\"},\"executable\":\"/t/debug/verdict\",\"fresh\":true}
{\"reason\":\"build-finished\",\"success\":true}
";
        assert_eq!(built_program(messages, "verdict"), Some("/t/debug/verdict".into()));
        assert_eq!(built_program(messages, "data"), None);
    }

    #[test]
    fn the_root_is_the_workspace() {
        assert!(root().join("xtask/Cargo.toml").is_file());
    }
}
