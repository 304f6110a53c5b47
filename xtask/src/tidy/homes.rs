//! Code that only one package may contain.

use super::source::{modules, packages};
use crate::command::root;

/// Code without its blanks, the only folder that may hold it, and what is done there.
const HOMES: &[(&str, &str, &str)] = &[
    ("fs::rename(", "crates/disk/", "a file or folder is written under another name, synced and renamed"),
    (".persist(", "crates/disk/", "a file or folder is written under another name, synced and renamed"),
    ("renameat", "crates/disk/", "two folders are exchanged, or an error names the file system that can't do it"),
    ("sha2::", "crates/disk/", "a digest is taken and written down"),
    (".try_lock(", "crates/disk/", "a lock is acquired, with a message while it waits"),
    ("(LOG)", "crates/run/", "a run's log is read by the types that write it"),
    ("\"log.jsonl\"", "crates/run/", "a run's log is read by the types that write it"),
];

/// The one file that names the log without reading it: it looks whether the file has changed.
const EXCEPTION: (&str, &str) = ("crates/cli/src/verify_resume/process.rs", "(LOG)");

#[test]
fn restricted_calls_are_made_only_in_their_module() {
    let mut found = Vec::new();
    // xtask may have its own, so that it builds fast, and test-support, which the product is held against.
    let exempt = ["xtask", "test-support"];
    for (_, src) in packages().into_iter().filter(|(package, _)| !exempt.contains(&package.as_str())) {
        for source in modules(&src).into_values() {
            let code: String = source.tokens.to_string().split_whitespace().collect();
            let path = source.path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            let elsewhere = HOMES.iter().filter(|(done, home, _)| code.contains(done) && !path.starts_with(home));
            found.extend(elsewhere.map(|(done, home, what)| (path.clone(), *done, *home, *what)));
        }
    }
    let count = found.len();
    found.retain(|(path, done, ..)| (path.as_str(), *done) != EXCEPTION);
    assert!(found.is_empty(), "code, and the folder that should hold it: {found:#?}");
    assert_eq!(count, 1, "the exception is no longer needed");
}
