//! Unpacks chosen members of zip archives, with Python's `zipfile`: xtask has no archive library.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::output_of;

const SCRIPT: &str = include_str!("extract.py");

/// The CPU build unpacks to less than 0.6 GB on every system; a larger archive is something else.
const MAX_BYTES: u64 = 3_000_000_000;

/// Unpacks the members that the rules choose; `extract.py` says what a rule is and what is refused.
pub(crate) fn members(archive: &Path, folder: &Path, rules: &[&str]) -> Result<()> {
    at_most(MAX_BYTES, archive, folder, rules)
}

fn at_most(bytes: u64, archive: &Path, folder: &Path, rules: &[&str]) -> Result<()> {
    let mut command = python()?;
    command.args(["-c", SCRIPT]).arg(archive).arg(folder).arg(bytes.to_string()).args(rules);
    let output = command.output().context("failed to start python3")?;
    if !output.status.success() {
        bail!("failed to unpack {}: {}", archive.display(), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// Python, which set-up needs only for downloads.
pub(crate) fn python() -> Result<Command> {
    if output_of("python3", &["--version"]).is_none() {
        bail!("python3 is needed to download libtorch (hint: apt-get install python3 python3-pip, or set LIBTORCH)");
    }
    Ok(Command::new("python3"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes an archive of (name, bytes of content, whether it is a link).
    fn archive(folder: &Path, members: &[(&str, usize, bool)]) -> std::path::PathBuf {
        let path = folder.join("archive.zip");
        let script = "import sys, zipfile\n\
                      with zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED) as archive:\n\
                      \x20 for name, size, link in zip(*[iter(sys.argv[2:])] * 3):\n\
                      \x20   info = zipfile.ZipInfo(name)\n\
                      \x20   info.external_attr = (0o120777 if link == 'true' else 0o100644) << 16\n\
                      \x20   archive.writestr(info, b'x' * int(size), zipfile.ZIP_DEFLATED)";
        let mut python = python().unwrap();
        python.args(["-c", script]).arg(&path);
        for (name, size, link) in members {
            python.args([name.to_string(), size.to_string(), link.to_string()]);
        }
        assert!(python.status().unwrap().success());
        path
    }

    #[test]
    fn members_land_where_the_rules_say() {
        let folder = tempfile::tempdir().unwrap();
        let archive = archive(
            folder.path(),
            &[("a/lib/one.so", 3, false), ("a/lib/two_python.so", 3, false), ("b/three", 3, false)],
        );
        let out = folder.path().join("out");
        members(&archive, &out, &["a/lib/=lib/", "!*python*"]).unwrap();
        assert_eq!(std::fs::read(out.join("lib/one.so")).unwrap(), b"xxx");
        assert_eq!(std::fs::read_dir(out.join("lib")).unwrap().count(), 1);
        assert_eq!(std::fs::read_dir(&out).unwrap().count(), 1);
        let error = members(&archive, &out, &["absent/=lib/"]).unwrap_err().to_string();
        assert!(error.contains("absent/"), "{error}");
    }

    #[test]
    fn hostile_archives_are_refused_before_anything_is_written() {
        for (member, bytes, word) in [
            (("a/../../evil", 3, false), 100, "points out"),
            (("a//etc/evil", 3, false), 100, "points out"),
            (("a/link", 3, true), 100, "link"),
            (("a/bomb", 5_000_000, false), 100, "5000003"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let archive = archive(folder.path(), &[("a/good", 3, false), member]);
            let out = folder.path().join("out");
            let error = at_most(bytes, &archive, &out, &["a/="]).unwrap_err().to_string();
            assert!(error.contains("refused") && error.contains(word), "{error}");
            assert!(!out.exists(), "{member:?} left something behind");
        }
    }

    #[test]
    fn a_file_that_is_not_an_archive_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let page = folder.path().join("proxy.html");
        std::fs::write(&page, "<html>please sign in</html>").unwrap();
        assert!(members(&page, folder.path(), &["a/="]).is_err());
    }
}
