//! What is done in one place only: the package in which a piece of knowledge lives, and nobody beside it.

use std::collections::BTreeSet;

use super::source::{modules, packages};
use crate::command::root;

/// Code as it stands without blanks, the only folder where it may stand, and why.
const HOMES: &[(&str, &str, &str)] = &[
    ("fs::rename(", "crates/disk/", "a file or folder is written beside its place, synced and renamed"),
    (".persist(", "crates/disk/", "a file or folder is written beside its place, synced and renamed"),
    ("renameat", "crates/disk/", "two folders change places, or the reason says which file system can't do it"),
    ("sha2::", "crates/disk/", "a digest is taken and written down"),
    (".try_lock(", "crates/disk/", "a lock is taken, waited for, and says who holds it"),
    ("(LOG)", "crates/run/", "a run's log is read by the types that write it"),
    ("\"log.jsonl\"", "crates/run/", "a run's log is read by the types that write it"),
];

/// Packages with a few of their own, so that they build fast.
const APART: &str = "xtask";

/// The other places, each with its reason. A place that is gone has to leave the list too.
const KNOWN: &[(&str, &str)] = &[
    // Whether the file has changed; nothing in it is read.
    ("crates/cli/src/verify_resume/process.rs", "(LOG)"),
];

#[test]
fn what_has_a_home_is_done_nowhere_else() {
    let mut found = BTreeSet::new();
    for source in
        packages().iter().filter(|(package, _)| *package != APART).flat_map(|(_, src)| modules(src).into_values())
    {
        let code: String = source.tokens.to_string().split_whitespace().collect();
        let path = source.path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        let abroad = HOMES.iter().filter(|(done, home, _)| code.contains(done) && !path.starts_with(home));
        found.extend(abroad.map(|(done, home, what)| (path.clone(), *done, *home, *what)));
    }
    let known = |path: &str, done: &str| KNOWN.contains(&(path, done));
    let new = found.iter().filter(|(path, done, ..)| !known(path, done));
    let new: Vec<String> = new.map(|(path, done, home, what)| format!("{path}: `{done}`: in {home} {what}")).collect();
    assert!(new.is_empty(), "{}", new.join("\n"));
    let gone = KNOWN.iter().filter(|(path, done)| !found.iter().any(|(at, what, ..)| at == path && what == done));
    let gone: Vec<_> = gone.collect();
    assert!(gone.is_empty(), "these places are gone and have to leave the list: {gone:#?}");
}
