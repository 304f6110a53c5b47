//! A group of cases: runs them, writes down what was output, and compares that with the group's snapshot.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::support::Sandbox;

/// Writes all snapshots anew.
const ACCEPT: &str = "INSTA_UPDATE=always cargo test -p cli --test end_to_end error_messages";

/// The folder of the snapshots.
pub(super) fn snapshots() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/snapshots");
    folder.canonicalize().expect("the snapshots")
}

/// What is done to a sound file.
pub(super) enum Edit<'a> {
    /// Other bytes take its place; a file that wasn't there comes to be.
    Is(&'a [u8]),
    /// One piece of its text for another, wherever it stands.
    Swap(&'a str, &'a str),
    /// Only its first bytes stay.
    Cut(usize),
    /// These bytes lie over those at an offset.
    Over(usize, &'a [u8]),
    /// It isn't there.
    Gone,
}

/// The cases of one group, in a folder of their own, and what was said to each.
pub(super) struct MessageGroup {
    group: &'static str,
    title: &'static str,
    sandbox: Sandbox,
    found: Vec<(String, String)>,
    faults: Vec<String>,
}

impl MessageGroup {
    pub(super) fn new(group: &'static str, title: &'static str, sandbox: Sandbox) -> Self {
        Self { group, title, sandbox, found: Vec::new(), faults: Vec::new() }
    }

    pub(super) fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// Runs a command that must be refused.
    pub(super) fn fails(&mut self, name: &str, line: &str) {
        self.fails_except(name, line, None);
    }

    /// As [`fails`](Self::fails), where the words between two marks depend on the machine and are left out.
    pub(super) fn fails_except(&mut self, name: &str, line: &str, between: Option<(&str, &str)>) {
        let output = self.sandbox.run_with(&[("HF_HOME", "hf")], line);
        let error = match self.sandbox.failure(&output) {
            Ok(error) => error,
            Err(what) => return self.faults.push(format!("{name}: verdict {line}\n{what}")),
        };
        if error.contains("panicked") || error.contains(&*std::env::temp_dir().to_string_lossy()) {
            self.faults.push(format!("{name}: verdict {line}\n{error}"));
        }
        let error = match between.and_then(|(from, to)| {
            let start = error.find(from)? + from.len();
            Some((start, start + error[start..].find(to)?))
        }) {
            Some((start, end)) => format!("{}...{}", &error[..start], &error[end..]),
            None => error,
        };
        if self.found.iter().any(|(known, _)| known == name) {
            self.faults.push(format!("{name}: two cases have this name"));
        }
        self.found.push((name.to_owned(), format!("    verdict {line}\n\n{error}")));
    }

    /// The same with one file changed, which is put back afterwards.
    pub(super) fn with(&mut self, name: &str, file: &str, edit: Edit<'_>, line: &str) {
        let path = self.sandbox.path(file);
        let before = std::fs::read(&path).ok();
        let sound = || before.clone().unwrap_or_else(|| panic!("{name}: there is no {file} to change"));
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        let after = match edit {
            Edit::Is(bytes) => Some(bytes.to_vec()),
            Edit::Swap(from, to) => {
                let text = String::from_utf8(sound()).expect("UTF-8");
                assert!(text.contains(from), "{name}: no {from:?} in {file}:\n{text}");
                Some(text.replace(from, to).into_bytes())
            }
            Edit::Cut(length) => Some(sound()[..length].to_vec()),
            Edit::Over(offset, bytes) => {
                let mut changed = sound();
                changed[offset..offset + bytes.len()].copy_from_slice(bytes);
                Some(changed)
            }
            Edit::Gone => None,
        };
        match after {
            Some(bytes) => std::fs::write(&path, bytes).expect("writes"),
            None => std::fs::remove_file(&path).expect("removes"),
        }
        self.fails(name, line);
        match before {
            Some(bytes) => std::fs::write(&path, bytes).expect("writes"),
            None => std::fs::remove_file(&path).expect("removes"),
        }
    }

    /// Prepares a table that must be refused. `flags` come behind the usual ones.
    pub(super) fn table(&mut self, name: &str, file: &str, content: impl AsRef<[u8]>, flags: &str) {
        let line = format!("prepare --dataset {file} --model tiny --max-length 32 {flags}");
        self.with(name, file, Edit::Is(content.as_ref()), line.trim_end());
    }

    /// Compares what was output with the group's snapshot.
    pub(super) fn finish(self) {
        assert!(self.faults.is_empty(), "not refused as it must be:\n\n{}", self.faults.join("\n\n"));
        let mut text = format!("# {}\n", self.title);
        for (name, output) in &self.found {
            let _ = write!(text, "\n## {name}\n\n{output}\n");
        }
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(snapshots());
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        // Shown above the difference where a test fails.
        settings.set_description(format!("Accept changed messages with: {ACCEPT}"));
        settings.bind(|| insta::assert_snapshot!(self.group, text));
    }
}

/// How many cases a snapshot holds.
pub(super) fn count_cases(snapshot: &str) -> usize {
    snapshot.matches("\n## ").count()
}
