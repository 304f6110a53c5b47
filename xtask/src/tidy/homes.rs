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
    ("try_lock", "crates/disk/", "a lock is taken, waited for, and says who holds it"),
    ("flock", "crates/disk/", "a lock is taken, waited for, and says who holds it"),
    ("lock_exclusive", "crates/disk/", "a lock is taken, waited for, and says who holds it"),
    ("(LOG)", "crates/run/", "a run's log is read by the types that write it"),
    ("\"log.jsonl\"", "crates/run/", "a run's log is read by the types that write it"),
];

/// Packages with a few of their own, so that they build fast.
const APART: &str = "xtask";

/// Other places of today. A place that is gone has to leave the list too.
const KNOWN: &[(&str, &str)] = &[
    ("crates/cli/src/run_report.rs", "(LOG)"),
    ("crates/cli/src/tune/folder.rs", "fs::rename("),
    ("crates/cli/src/tune/process.rs", "(LOG)"),
    ("crates/cli/src/tune/runner.rs", "(LOG)"),
    ("crates/cli/src/verify_resume.rs", "(LOG)"),
    ("crates/cli/src/verify_resume/compare.rs", "(LOG)"),
    ("crates/cli/src/verify_resume/watch.rs", "(LOG)"),
    ("crates/data/src/audit/file.rs", "sha2::"),
    ("crates/data/src/audit/texts.rs", "sha2::"),
    ("crates/data/src/manifest.rs", "fs::rename("),
    ("crates/data/src/manifest.rs", "sha2::"),
    ("crates/data/src/prepare/directory.rs", "fs::rename("),
    ("crates/data/src/prepare/directory.rs", "renameat"),
    ("crates/data/src/prepare/directory.rs", "try_lock"),
    ("crates/data/src/prepare/fingerprint.rs", "sha2::"),
    ("crates/data/src/record.rs", "sha2::"),
    ("crates/data/src/source/mod.rs", "sha2::"),
    ("crates/data/src/store.rs", "sha2::"),
    ("crates/data/src/tokenize/description.rs", "sha2::"),
    ("crates/fetch/src/cache.rs", ".persist("),
    ("crates/fetch/src/cache.rs", "fs::rename("),
    ("crates/fetch/src/cache.rs", "sha2::"),
    ("crates/fetch/src/cache.rs", "try_lock"),
    ("crates/fetch/src/hub.rs", "fs::rename("),
    ("crates/fetch/src/hub/store.rs", "fs::rename("),
    ("crates/model/src/weights.rs", "fs::rename("),
    ("crates/train/src/files.rs", "fs::rename("),
    ("crates/train/src/files.rs", "renameat"),
    ("crates/train/src/files/sum.rs", "sha2::"),
    ("crates/train/src/lock.rs", "try_lock"),
    ("crates/train/src/observe/jsonl.rs", "(LOG)"),
    ("crates/train/src/run_directory.rs", "\"log.jsonl\""),
    ("crates/tune/src/journal/lock.rs", "flock"),
    ("crates/tune/src/journal/lock.rs", "fs::rename("),
    ("crates/tune/src/journal/lock.rs", "try_lock"),
    ("crates/tune/src/journal/mod.rs", "flock"),
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
