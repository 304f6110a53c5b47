//! A group of cases: runs them, collects their output, and compares it with the group's snapshot.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::support::Sandbox;

/// The command that writes all snapshots again.
const UPDATE_COMMAND: &str = "INSTA_UPDATE=always cargo test -p cli --test end_to_end error_messages";

/// The folder of the snapshots.
pub(super) fn snapshots() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/snapshots");
    folder.canonicalize().expect("the snapshots")
}

/// How a valid file is changed.
pub(super) enum Edit<'a> {
    /// Its content is replaced by these bytes, or the file is created.
    Content(&'a [u8]),
    /// Every occurrence of the first text is replaced by the second.
    Replace(&'a str, &'a str),
    /// It is truncated to this many bytes.
    Truncate(usize),
    /// The bytes at this offset are overwritten.
    Overwrite(usize, &'a [u8]),
    /// It is deleted.
    Delete,
}

/// The cases of one group, in a folder of their own, and the output of each.
pub(super) struct MessageGroup {
    group: &'static str,
    title: &'static str,
    sandbox: Sandbox,
    outputs: Vec<(String, String)>,
    failures: Vec<String>,
}

impl MessageGroup {
    pub(super) fn new(group: &'static str, title: &'static str, sandbox: Sandbox) -> Self {
        Self { group, title, sandbox, outputs: Vec::new(), failures: Vec::new() }
    }

    pub(super) fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// Runs a command that must be refused.
    pub(super) fn fails(&mut self, name: &str, line: &str) {
        self.fails_except(name, line, None);
    }

    /// As [`fails`](Self::fails), where the text between two markers depends on the machine and is left out.
    pub(super) fn fails_except(&mut self, name: &str, line: &str, between: Option<(&str, &str)>) {
        let output = self.sandbox.run_with(&[("HF_HOME", "hf")], line);
        let error = match self.sandbox.failure(&output) {
            Ok(error) => error,
            Err(what) => return self.failures.push(format!("{name}: verdict {line}\n{what}")),
        };
        if error.contains("panicked") || error.contains(&*std::env::temp_dir().to_string_lossy()) {
            self.failures.push(format!("{name}: verdict {line}\n{error}"));
        }
        let error = match between.and_then(|(from, to)| {
            let start = error.find(from)? + from.len();
            Some((start, start + error[start..].find(to)?))
        }) {
            Some((start, end)) => format!("{}...{}", &error[..start], &error[end..]),
            None => error,
        };
        if self.outputs.iter().any(|(known, _)| known == name) {
            self.failures.push(format!("{name}: two cases have this name"));
        }
        self.outputs.push((name.to_owned(), format!("    verdict {line}\n\n{error}")));
    }

    /// Runs a command that must be refused with one file changed, and restores the file.
    pub(super) fn fails_with(&mut self, name: &str, file: &str, edit: Edit<'_>, line: &str) {
        let path = self.sandbox.path(file);
        let before = std::fs::read(&path).ok();
        let valid = || before.clone().unwrap_or_else(|| panic!("{name}: there is no {file} to change"));
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        let after = match edit {
            Edit::Content(bytes) => Some(bytes.to_vec()),
            Edit::Replace(from, to) => {
                let text = String::from_utf8(valid()).expect("UTF-8");
                assert!(text.contains(from), "{name}: no {from:?} in {file}:\n{text}");
                Some(text.replace(from, to).into_bytes())
            }
            Edit::Truncate(length) => Some(valid()[..length].to_vec()),
            Edit::Overwrite(offset, bytes) => {
                let mut changed = valid();
                changed[offset..offset + bytes.len()].copy_from_slice(bytes);
                Some(changed)
            }
            Edit::Delete => None,
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

    /// Prepares a table that must be refused. `flags` are added to the usual ones.
    pub(super) fn fails_with_table(&mut self, name: &str, file: &str, content: impl AsRef<[u8]>, flags: &str) {
        let line = format!("prepare --dataset {file} --model tiny --max-length 32 {flags}");
        self.fails_with(name, file, Edit::Content(content.as_ref()), line.trim_end());
    }

    /// Compares what was output with the group's snapshot.
    pub(super) fn finish(self) {
        assert!(
            self.failures.is_empty(),
            "these cases were not refused as expected:\n\n{}",
            self.failures.join("\n\n")
        );
        let mut text = format!("# {}\n", self.title);
        for (name, output) in &self.outputs {
            let _ = write!(text, "\n## {name}\n\n{output}\n");
        }
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(snapshots());
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        // Shown above the difference where a test fails.
        settings.set_description(format!("Accept changed messages with: {UPDATE_COMMAND}"));
        settings.bind(|| insta::assert_snapshot!(self.group, text));
    }
}

/// How many cases a snapshot holds.
pub(super) fn count_cases(snapshot: &str) -> usize {
    snapshot.matches("\n## ").count()
}
