//! What every file of ours looks like from outside.

use std::path::PathBuf;

use crate::command::root;

const MOST_LINES: usize = 450;

/// Our Rust files.
fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = ["crates", "xtask", "tests", "build"].map(|folder| root().join(folder)).into();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    assert!(found.len() > 20, "the sources were not found");
    found
}

#[test]
fn files_are_short_and_say_what_they_are() {
    let mut faults = Vec::new();
    for path in sources() {
        let text = std::fs::read_to_string(&path).unwrap();
        let (lines, stem) = (text.lines().count(), path.file_stem().unwrap());
        if lines > MOST_LINES {
            faults.push(format!("{} has {lines} lines, and {MOST_LINES} is the most", path.display()));
        }
        if !text.starts_with("//!") && stem != "tests" {
            faults.push(format!("{} does not begin with a `//!` that says what it is", path.display()));
        }
        if ["utils", "util", "common", "helpers", "misc"].iter().any(|name| stem == *name) {
            faults.push(format!("{} is named after nothing that it holds", path.display()));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
