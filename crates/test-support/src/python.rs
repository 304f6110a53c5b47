//! Python with packages that a test needs.

use std::path::PathBuf;
use std::process::Command;

use crate::{repository, skipped};

/// The Python of a virtual environment that can import `modules`: the one that `VERDICT_PEERS` names, or one of `peers/venv`,
/// `venv` and `own` in `target/`. Where there is none, the test is skipped with the commands that make `own` with these pip
/// `packages`.
pub fn python_with(modules: &str, packages: &str, own: &str) -> Option<PathBuf> {
    let imports = |python: &PathBuf| {
        let imported = Command::new(python).args(["-c", &format!("import {modules}")]).output();
        imported.is_ok_and(|output| output.status.success())
    };
    let named = std::env::var_os("VERDICT_PEERS").map(PathBuf::from);
    let folders = ["peers/venv", "venv", own].map(|folder| repository().join("target").join(folder));
    let found = named.into_iter().chain(folders).map(|folder| folder.join("bin/python")).find(imports);
    if found.is_none() {
        skipped(&format!(
            "no virtual environment with {packages} (`python3 -m venv target/{own}` and `target/{own}/bin/pip install \
             {packages}` make one)"
        ));
    }
    found
}
