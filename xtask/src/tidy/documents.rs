//! Documents name only paths that a clone has, and flags that the commands have.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::files::files;
use super::source::{modules, packages};
use crate::command::root;

/// Every Markdown file that is ours, with its text.
fn documents() -> Vec<(PathBuf, String)> {
    let top = std::fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path());
    let top = top.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let all = top.chain(files(&["docs", "crates", "tests", "xtask"], "md"));
    all.map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn documents_and_defaults_name_no_path_outside_the_repository() {
    let mut faults = BTreeSet::new();
    for (document, text) in documents() {
        let words = text.split(|c: char| c.is_whitespace() || "`()[]\"'#".contains(c));
        for path in words.filter(|word| word.starts_with("../")) {
            let target = document.with_file_name(path).canonicalize().unwrap_or_default();
            if !target.starts_with(root().canonicalize().unwrap()) {
                faults.insert((document.clone(), path.to_owned()));
            }
        }
    }
    // Tests may look for the treebank beside the repository; they say so where it is missing.
    let product = packages().into_iter().filter(|(package, _)| package != "test-support");
    let sources = product.flat_map(|(_, src)| modules(&src).into_values());
    let sources = sources.filter(|source| source.tokens.to_string().contains("../shared"));
    faults.extend(sources.map(|source| (source.path, "../shared".to_owned())));
    assert!(faults.is_empty(), "paths that a clone of the repository does not have: {faults:#?}");
}

/// In commands of the documents each `--flag` must at least be a word of the source: a field, an option or a string.
#[test]
fn documents_show_commands_with_flags_that_exist() {
    let sources = packages().into_values().flat_map(|src| files(&[src.to_str().unwrap()], "rs"));
    let source: String = sources.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let words = source.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'));
    let known: BTreeSet<String> = words.map(|word| word.replace('_', "-")).collect();
    let is_command =
        |line: &str| ["cargo xtask ", "verdict ", "cargo run "].iter().any(|begin| line.starts_with(begin));
    let mut unknown = BTreeSet::new();
    for (document, text) in documents() {
        assert!(!text.contains("```sh\n```"), "{document:?}: a block of commands without a command");
        let text = text.replace("\\\n", " ");
        let words = text.lines().filter(|line| is_command(line.trim_start())).flat_map(str::split_whitespace);
        let flags = words.filter_map(|word| word.strip_prefix("--")?.split('=').next());
        let missing = flags.filter(|flag| !flag.is_empty() && !known.contains(*flag)).map(str::to_owned);
        unknown.extend(missing.map(|flag| (document.clone(), flag)));
    }
    assert!(unknown.is_empty(), "flags that no command has: {unknown:#?}");
    let readme = include_str!("../../../README.md");
    assert!(readme.contains("\ncargo xtask quickstart ") && readme.contains("\ncargo xtask test "), "the set-up");
}
