//! A script stands in for the Python interpreter, so that every answer of pip can be simulated.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::error::FetchError;
use disk::{sha256_file, sha256_hex};

/// A cache, an archive with the one file `a.txt`, and an interpreter whose pip delivers it.
struct FakePip {
    folder: tempfile::TempDir,
    package: Package,
}

const CONTENT: &str = "the content\n";

impl FakePip {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join("archive.whl");
        let mut zip = zip::ZipWriter::new(File::create(&archive).unwrap());
        zip.start_file("inside/a.txt", zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(CONTENT.as_bytes()).unwrap();
        zip.finish().unwrap();
        let files = vec![("a.txt", &*sha256_hex(CONTENT).leak())];
        let package = Package {
            folder: "thing",
            what: "a thing",
            requirement: "thing==1.0",
            sha256: sha256_file(&archive).unwrap().leak(),
            inside: "inside",
            files: files.leak(),
            inner_archive: None,
        };
        Self { folder, package }
    }

    /// An interpreter that runs `script` for `-m pip download`, with the target folder in `$dest`.
    fn python(&self, script: &str) -> String {
        let path = self.folder.path().join("python");
        let text = format!(
            "#!/bin/sh\ncd {}\necho \"$@\" >> calls\n[ \"$3\" = --version ] && exit 0\n\
             for dest in \"$@\"; do :; done\nmkdir -p \"$dest\"\n{script}\n",
            self.folder.path().display()
        );
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    fn install(&self, script: &str) -> Result<PathBuf> {
        install(&self.package, &self.cache(), &self.python(script))
    }

    /// What pip was asked, without the questions for its version.
    fn downloads(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.folder.path().join("calls")).unwrap_or_default();
        calls.lines().filter(|call| !call.contains("--version")).map(str::to_owned).collect()
    }

    fn assert_nothing_left(&self) {
        let entries = fs::read_dir(self.cache().join("packaged")).unwrap().flatten();
        let left: Vec<_> = entries.map(|entry| entry.file_name()).filter(|name| name != "thing.lock").collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

const DELIVER: &str = "cp archive.whl \"$dest\"";

#[test]
fn an_archive_is_fetched_once_and_with_its_digest() {
    let pip_setup = FakePip::new();
    let place = pip_setup.install(DELIVER).unwrap();
    assert_eq!(place, pip_setup.cache().join("packaged/thing"));
    assert_eq!(fs::read_to_string(place.join("a.txt")).unwrap(), CONTENT);
    let [call] = &pip_setup.downloads()[..] else { panic!("{:?}", pip_setup.downloads()) };
    assert!(call.contains("--require-hashes") && call.contains("--no-deps"), "{call}");
    // No interpreter is needed any more.
    assert_eq!(install(&pip_setup.package, &pip_setup.cache(), "/no/such/python").unwrap(), place);
}

#[test]
fn a_damaged_file_is_fetched_again() {
    let pip_setup = FakePip::new();
    let place = pip_setup.install(DELIVER).unwrap();
    fs::write(place.join("a.txt"), "something else").unwrap();
    assert_eq!(pip_setup.install(DELIVER).unwrap(), place);
    assert_eq!(fs::read_to_string(place.join("a.txt")).unwrap(), CONTENT);
    assert_eq!(pip_setup.downloads().len(), 2);
}

#[test]
fn another_archive_and_another_content_are_refused() {
    let pip_setup = FakePip::new();
    let error = pip_setup.install("echo other > \"$dest/archive.whl\"").unwrap_err();
    assert!(matches!(error, FetchError::WrongDigest { .. }) && !error.is_unreachable(), "{error}");
    assert!(error.to_string().contains(pip_setup.package.sha256), "{error}");
    pip_setup.assert_nothing_left();

    let mut pip_setup = FakePip::new();
    let files = vec![("a.txt", pip_setup.package.sha256)];
    pip_setup.package.files = files.leak();
    let error = pip_setup.install(DELIVER).unwrap_err().to_string();
    assert!(error.contains("a.txt") && error.contains("sha256"), "{error}");
    pip_setup.assert_nothing_left();
}

#[test]
fn the_error_includes_the_message_of_pip() {
    let pip_setup = FakePip::new();
    let error = pip_setup.install("echo 'ERROR: No matching distribution found for thing' >&2; exit 1").unwrap_err();
    assert!(matches!(error, FetchError::Pip { .. }) && error.is_unreachable(), "{error}");
    let message = error.to_string();
    assert!(message.contains("thing==1.0: No matching distribution found"), "{message}");
    pip_setup.assert_nothing_left();
    let message = pip_setup.install("true").unwrap_err().to_string();
    assert!(message.contains("downloaded no file"), "{message}");
}

#[test]
fn a_slow_index_gets_more_time() {
    let pip_setup = FakePip::new();
    let slow =
        "case \"$*\" in *'--timeout 60'*) cp archive.whl \"$dest\";; *) echo 'Read timed out.' >&2; exit 1;; esac";
    pip_setup.install(slow).unwrap();
    assert_eq!(pip_setup.downloads().len(), 2);
}

#[test]
fn without_pip_the_error_says_how_to_get_it() {
    let pip_setup = FakePip::new();
    let message = install(&pip_setup.package, &pip_setup.cache(), "/no/such/python").unwrap_err().to_string();
    assert!(message.contains("/no/such/python -m pip") && message.contains("python3-pip"), "{message}");
    let python = pip_setup.python("");
    fs::write(&python, "#!/bin/sh\necho 'No module named pip' >&2\nexit 1\n").unwrap();
    let message = install(&pip_setup.package, &pip_setup.cache(), &python).unwrap_err().to_string();
    assert!(message.contains("No module named pip"), "{message}");
}

#[test]
fn leftovers_of_a_killed_process_are_removed() {
    let pip_setup = FakePip::new();
    let left = pip_setup.cache().join("packaged/.thing.partial-11");
    fs::create_dir_all(&left).unwrap();
    pip_setup.install(DELIVER).unwrap();
    assert!(!left.exists());
}

#[test]
fn no_code_of_a_source_archive_is_run() {
    let folder = tempfile::tempdir().unwrap();
    let python = folder.path().join("python");
    let ran = folder.path().join("ran");
    if let Err(error) = pip::check_pip("python3") {
        return test_support::skipped(&error.to_string());
    }
    let archive = folder.path().join("thing-1.0.zip");
    let mut zip = zip::ZipWriter::new(File::create(&archive).unwrap());
    let setup = format!("open({ran:?}, 'w')\nfrom setuptools import setup\nsetup(name='thing', version='1.0')\n");
    for (name, text) in [("setup.py", &*setup), ("PKG-INFO", "Metadata-Version: 1.0\nName: thing\nVersion: 1.0\n")] {
        zip.start_file(format!("thing-1.0/{name}"), zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap();
    let text = format!("#!/bin/sh\nPIP_NO_INDEX=1 PIP_FIND_LINKS={} exec python3 \"$@\"\n", folder.path().display());
    fs::write(&python, text).unwrap();
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();

    let into = tempfile::tempdir().unwrap();
    let sha256 = sha256_file(&archive).unwrap();
    let found = pip::download(python.to_str().unwrap(), "thing==1.0", &sha256, into.path()).unwrap();
    assert_eq!(sha256_file(&found).unwrap(), sha256);
    assert!(!ran.exists(), "setup.py was run");
}
