//! Malformed inputs, and the exact error message for each.
//!
//! Every case runs the built program on an invalid file or flag that a user could give it. Its error is compared with
//! a snapshot in `tests/snapshots`, one file for each group. These files are meant to be read: they list the messages
//! that users see. A failure shows the difference; `INSTA_UPDATE=always cargo test -p cli --test
//! end_to_end error_messages` accepts all that changed, and then `git diff` is what a review looks at.
//!
//! **A new group** takes one function that makes a [`MessageGroup`], adds its cases and ends with `finish()`, and its name
//! in [`GROUPS`].

mod calibration;
mod checkpoints;
mod configuration;
mod group;
mod labels;
mod models;
mod parquet;
mod prepared;
mod requests;
mod run_groups;
mod runs;
mod tables;
mod weights;

use std::collections::BTreeSet;

use group::{Edit, MessageGroup, count_cases, snapshots};

/// Each group, which is a file of `tests/snapshots`.
const GROUPS: [&str; 17] = [
    "calibration",
    "checkpoints",
    "config_file",
    "csv",
    "jsonl",
    "labels",
    "model_config",
    "parquet",
    "prepare_flags",
    "prepared_data",
    "run_groups",
    "runs",
    "splits",
    "tokenizer",
    "train_flags",
    "treebank",
    "weights",
];
/// A smaller number of cases is an error, so that none is lost by accident.
const MIN_CASES: usize = 400;

#[test]
fn no_group_and_no_case_is_lost() {
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        return; // The files are being written.
    }
    let files = std::fs::read_dir(snapshots()).expect("the snapshots");
    let mut names: Vec<String> =
        files.map(|file| file.expect("a file").file_name().into_string().expect("UTF-8")).collect();
    // What insta writes beside a snapshot that differs.
    names.retain(|name| !name.ends_with(".snap.new"));
    let expected: BTreeSet<String> = GROUPS.iter().map(|group| format!("{group}.snap")).collect();
    assert_eq!(BTreeSet::from_iter(names), expected, "tests/snapshots holds one file for each of GROUPS");
    let read = |file: &String| std::fs::read_to_string(snapshots().join(file)).expect("a snapshot");
    let cases: usize = expected.iter().map(|file| count_cases(&read(file))).sum();
    assert!(cases >= MIN_CASES, "expected at least {MIN_CASES} cases, found {cases}");
}
