//! Third-party crates are built once: every command asks for each of them with the same features.
//!
//! Cargo joins the features that the packages of one command ask for. Where `cargo run -p train` and `cargo test --workspace`
//! come to different sets for a crate, that crate and all that depends on it are built once for each.

use std::collections::BTreeSet;

use super::packages::metadata;
use super::printed;
use crate::command::{cargo, root};

/// Built first and kept small, so that its few dependencies may have other features.
const EXEMPT: &str = "xtask";

/// The third-party crates that `cargo build` or, with `tests`, `cargo test` builds for `packages`, each with its features.
fn built(packages: &[&str], tests: bool) -> BTreeSet<String> {
    let edges = if tests { "--edges=normal,build,dev" } else { "--edges=normal,build" };
    let mut tree = cargo(None);
    tree.args(["tree", "--offline", "--prefix=none", "--format={p} {f}", edges]);
    tree.args(packages.iter().flat_map(|package| ["--package", package]));
    let ours = root().display().to_string();
    let listing = printed(&mut tree);
    let lines = listing.lines().map(|line| line.trim_end_matches(" (*)").trim_end().to_owned());
    lines.filter(|line| !line.contains(&ours)).collect()
}

#[test]
fn every_command_builds_third_party_crates_with_the_same_features() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap().iter().map(|package| package["name"].as_str().unwrap());
    let packages: Vec<&str> = packages.filter(|package| *package != EXEMPT).collect();
    let whole = built(&packages, true);
    let crates: BTreeSet<_> = whole.iter().map(|line| line.split(' ').take(2).collect::<Vec<_>>()).collect();
    let mut again: Vec<String> = Vec::new();
    for package in &packages {
        for (tests, command) in [(false, "cargo build"), (true, "cargo test")] {
            let other = built(&[package], tests);
            again.extend(other.difference(&whole).map(|line| format!("{command} -p {package}: {line}")));
        }
    }
    let hint = "name the features in crates/workspace-hack/Cargo.toml";
    assert!(again.is_empty(), "built again, with other features than `cargo test --workspace` has; {hint}: {again:#?}");
    // The same crate for us and for a build script or a derive macro counts as two, unless both ask for the same.
    assert_eq!(crates.len(), whole.len(), "one crate has two sets of features; {hint}: {whole:#?}");
}
