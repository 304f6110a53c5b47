//! The length, the first line and the name of every source file.

use std::path::PathBuf;

use crate::command::root;

const MAX_LINES: usize = 450;

/// Our files with this extension in some folders of the repository.
pub(super) fn files(folders: &[&str], extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
                open.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn files_are_short_and_have_a_module_doc() {
    let mut faults = Vec::new();
    let sources = files(&["crates", "xtask", "tests", "build"], "rs");
    assert!(sources.len() > 20, "the sources were not found");
    for path in sources {
        let text = std::fs::read_to_string(&path).unwrap();
        let (lines, stem) = (text.lines().count(), path.file_stem().unwrap());
        if lines > MAX_LINES {
            faults.push(format!("{}: expected at most {MAX_LINES} lines, found {lines}", path.display()));
        }
        if !text.starts_with("//!") && stem != "tests" {
            faults.push(format!("{} does not begin with a `//!` comment", path.display()));
        }
        if ["utils", "util", "common", "helpers", "misc"].iter().any(|name| stem == *name) {
            faults.push(format!("{} does not name what it holds", path.display()));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
