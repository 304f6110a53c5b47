//! Tests that a machine can't run, because it lacks what they need.

use std::collections::BTreeMap;
use std::env;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use crate::process::this_test;
use crate::repository;

/// Names the file that gets a line for each skipped test. `cargo xtask test` sets it, and prints the file at the end.
const LIST: &str = "VERDICT_SKIPS";

/// Says that the test that calls this is skipped, and why. Where `VERDICT_SKIPS` names a file, a line is added to it.
///
/// # Panics
/// Where `tests/known_skips.txt` doesn't name the test: a test that isn't run doesn't pass unless that is expected.
pub fn skipped(reason: &str) {
    let test = format!("{} {}", env::var("CARGO_PKG_NAME").unwrap_or_default(), this_test());
    let list = env::var_os(LIST).filter(|path| !path.is_empty());
    record(&known(), list.as_deref().map(Path::new), &test, reason);
}

/// The tests that may be skipped, and what they need.
fn known() -> BTreeMap<String, String> {
    let path = repository().join("tests/known_skips.txt");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let parts =
        lines.map(|line| line.split_once(": ").unwrap_or_else(|| panic!("expected `TEST: NEEDS`, found {line:?}")));
    parts.map(|(test, needs)| (test.to_owned(), needs.to_owned())).collect()
}

fn record(known: &BTreeMap<String, String>, list: Option<&Path>, test: &str, reason: &str) {
    let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    let Some(needs) = known.get(test) else {
        panic!("expected a test that tests/known_skips.txt names, {test:?} was skipped: {reason}");
    };
    let line = format!("SKIPPED {test}, which needs {needs}: {reason}\n");
    // Not by `eprintln!`, whose output the test harness keeps to itself where a test passes.
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(path) = list {
        // In one write, so that the lines of tests that run side by side stay whole.
        let file = File::options().create(true).append(true).open(path);
        let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
        written.unwrap_or_else(|error| panic!("{LIST} names {}: {error}", path.display()));
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn a_known_skip_is_a_line_with_test_and_reason() {
        let folder = tempfile::tempdir().expect("a folder");
        let list = folder.path().join("list");
        let known = ["disk one", "cli two"].map(|test| (test.to_owned(), "df".to_owned())).into();
        record(&known, Some(&list), "disk one", "there is no\n  df here");
        record(&known, None, "disk one", "not in the list");
        record(&known, Some(&list), "cli two", "df: not found");
        let expected =
            "SKIPPED disk one, which needs df: there is no df here\nSKIPPED cli two, which needs df: df: not found\n";
        assert_eq!(std::fs::read_to_string(list).expect("written"), expected);
    }

    #[test]
    #[should_panic(
        expected = "\"test-support skip::tests::an_unknown_skip_fails_the_test\" was skipped: this one may not be"
    )]
    fn an_unknown_skip_fails_the_test() {
        skipped("this one may not be");
    }

    /// The source files of tests, with their text.
    fn sources() -> Vec<(PathBuf, String)> {
        let (mut found, mut open) = (Vec::new(), vec![repository().join("crates"), repository().join("tests")]);
        while let Some(folder) = open.pop() {
            for path in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
                if path.is_dir() {
                    open.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let text = std::fs::read_to_string(&path).expect("UTF-8");
                    found.push((path, text));
                }
            }
        }
        found
    }

    #[test]
    fn each_known_skip_is_a_test_of_its_package() {
        let sources = sources();
        for test in known().keys() {
            let (package, name) = test.split_once(' ').expect("a package and a test");
            let folder = repository().join("crates").join(package);
            assert!(folder.is_dir(), "{test}: there is no package {package}");
            let function = format!("fn {}() {{", name.rsplit("::").next().unwrap_or(name));
            let end_to_end = repository().join("tests");
            let own = |path: &Path| path.starts_with(&folder) || (package == "cli" && path.starts_with(&end_to_end));
            assert!(sources.iter().any(|(path, text)| own(path) && text.contains(&function)), "{test}: no such test");
        }
    }

    /// Neither an ignored test nor a message that the harness swallows would be in the list.
    #[test]
    fn tests_are_skipped_only_by_saying_so_here() {
        let (ignore, message) = (["#[", "ignore"].concat(), ["SKIP", "PED"].concat());
        let silent = sources().into_iter().filter(|(path, text)| {
            text.contains(&ignore)
                || (text.contains(&format!("\"{message}")) && !path.ends_with("test-support/src/skip.rs"))
        });
        assert_eq!(silent.map(|(path, _)| path).collect::<Vec<_>>(), Vec::<PathBuf>::new());
    }
}
