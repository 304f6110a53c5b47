//! Folders created, replaced, cleared and removed, with failing calls and power cuts.

use std::fmt::Debug;

use super::*;
use crate::faults::{self, Fault, power_cuts, without_exchange};
use crate::write_atomic;

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn removing_a_folder_is_retried_while_it_is_not_empty() {
    let root = tempfile::tempdir().unwrap();
    let fill = || {
        let folder = root.path().join("old");
        fs::create_dir(&folder).unwrap();
        ["a", "b"].iter().for_each(|name| fs::write(folder.join(name), "content").unwrap());
        folder
    };
    let folder = fill();
    let calls = faults::count(|| remove_folder(&folder).unwrap());
    assert!(calls.len() == 3 && names(root.path()).is_empty(), "two files and a folder: {calls:?}");
    let folder = fill();
    let not_empty = rustix::io::Errno::NOTEMPTY.raw_os_error();
    faults::with(Fault { at: calls[2], errno: not_empty, for_ever: false }, || remove_folder(&folder)).unwrap();
    assert!(names(root.path()).is_empty());
    let folder = fill();
    faults::with(Fault { at: calls[2], errno: not_empty, for_ever: true }, || remove_folder(&folder)).unwrap_err();
    assert_eq!(names(root.path()), ["old"]);
}

#[test]
fn folders_that_are_reported_as_created_survive_a_power_cut() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("a/b/c");
    let check = |created: &Result<()>, state: &str| assert!(created.is_err() || folder.is_dir(), "{state}");
    let states = power_cuts(root.path(), || {}, || create_folder_all(&folder), check);
    assert!(states > 10, "{states}");
    // A process that was killed has created a part of them, and has not synced the last one.
    for part in ["a", "a/b", "a/b/c"] {
        let part = root.path().join(part);
        let change = || {
            create_folder_all(folder_of(&part))?;
            create_dir(&part).map_err(DiskError::at("create the folder", &part))?;
            create_folder_all(&folder)
        };
        power_cuts(root.path(), || {}, change, check);
    }
}

#[test]
fn a_file_in_the_place_of_a_folder_is_refused() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("file"), "kept").unwrap();
    for path in ["file", "file/below", "file/a/b"] {
        let folder = root.path().join(path);
        let (found, expected) =
            (create_folder_all(&folder).unwrap_err().source, fs::create_dir_all(&folder).unwrap_err());
        assert_eq!(found.kind(), expected.kind(), "{path}");
    }
    create_folder_all(&root.path().join("a/../b")).unwrap();
    create_folder_all(&root.path().join("b")).unwrap();
    assert_eq!(names(root.path()), ["a", "b", "file"]);
}

/// A folder `step` and one that is to take its place.
struct Replacement(tempfile::TempDir);

impl Replacement {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn prepare(&self) {
        for (name, content) in [("step", "older"), (".unfinished-step", "newer")] {
            fs::create_dir(self.path(name)).unwrap();
            ["a", "b"].iter().for_each(|file| fs::write(self.path(name).join(file), content).unwrap());
        }
    }

    fn replace(&self) -> io::Result<()> {
        replace_folder(&self.path(".unfinished-step"), &self.path("step"))
    }

    /// The content of the folder that is in the place; panics if it isn't whole.
    fn content(&self, state: &str) -> String {
        let [a, b] = ["a", "b"].map(|file| fs::read_to_string(self.path("step").join(file)));
        let (a, b) = (a.unwrap_or_else(|error| panic!("{error}: {state}")), b.unwrap());
        assert_eq!(a, b, "{state}");
        a
    }

    /// Checks that the place holds a whole folder, at once or after what killed processes left was cleared.
    fn check<T: Debug>(&self, outcome: &io::Result<T>, at_once: bool, state: &str) {
        if at_once {
            self.content(state);
        }
        clear_unfinished(self.0.path()).unwrap();
        assert!(outcome.is_err() || self.content(state) == "newer", "{state}");
        self.content(state);
        assert_eq!(names(self.0.path()), ["step"], "{state}");
    }
}

/// EINVAL, ENOSYS, EOPNOTSUPP.
#[cfg(target_os = "linux")]
#[test]
fn folders_are_replaced_without_file_system_support_too() {
    let at = {
        let folders = Replacement::new();
        folders.prepare();
        faults::count(|| folders.replace().unwrap())[0]
    };
    for (errno, replaced) in [(22, true), (38, true), (95, true), (28, false)] {
        let folders = Replacement::new();
        folders.prepare();
        let outcome = faults::with(Fault { at, errno, for_ever: false }, || folders.replace());
        assert_eq!(outcome.is_ok(), replaced, "another error changes nothing");
        assert_eq!(folders.content(""), if replaced { "newer" } else { "older" });
        assert_eq!(names(folders.0.path()).len(), if replaced { 1 } else { 2 });
    }
}

#[test]
fn a_folder_that_is_replaced_survives_a_kill_and_a_power_cut() {
    let folders = Replacement::new();
    for exchange in [true, false] {
        let replace = || if exchange { folders.replace() } else { without_exchange(|| folders.replace()) };
        let check = |outcome: &io::Result<()>, state: &str| folders.check(outcome, exchange, state);
        let states = power_cuts(folders.0.path(), || folders.prepare(), replace, check);
        assert!(states > 15, "{states}");
    }
}

#[test]
fn an_older_folder_that_could_not_be_put_back_is_kept() {
    let folders = Replacement::new();
    folders.prepare();
    let calls = without_exchange(|| faults::count(|| folders.replace().unwrap()));
    // The exchange, two renames, the sync.
    for at in &calls[1..4] {
        let folders = Replacement::new();
        folders.prepare();
        let fault = Fault { at: *at, errno: 5, for_ever: true };
        without_exchange(|| faults::with(fault, || folders.replace())).unwrap_err();
        clear_unfinished(folders.0.path()).unwrap();
        folders.content("");
    }
}

/// A process is killed during a replacement, and the power is cut while the next one clears what it left.
#[test]
fn clearing_what_a_killed_process_left_loses_nothing_in_a_power_cut() {
    let folders = Replacement::new();
    let [new, place, aside] = [".unfinished-step", "step", ".replaced-step"].map(|name| folders.path(name));
    for killed in ["exchange", "first", "second"] {
        let change = || {
            match killed {
                "exchange" => drop(try_exchange(&new, &place)?),
                _ => rename(&place, &aside)?,
            }
            if killed == "second" {
                rename(&new, &place)?;
            }
            clear_unfinished(folders.0.path()).map_err(io::Error::other)
        };
        power_cuts(
            folders.0.path(),
            || folders.prepare(),
            change,
            |_, state| {
                folders.check(&Err::<(), _>(io::Error::other("")), false, &format!("{killed}: {state}"));
            },
        );
    }
}

#[test]
fn a_file_that_is_removed_stays_removed_after_a_power_cut() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("metrics.json");
    let prepare = || write_atomic(&file, "{}").unwrap();
    power_cuts(
        root.path(),
        prepare,
        || remove_file_durably(&file),
        |removed, state| {
            assert!(removed.is_err() || !file.exists(), "{state}");
        },
    );
    prepare();
    remove_file_durably(&file).unwrap();
    remove_file_durably(&file).unwrap();
}

/// A test that forgets a call would promise too much.
#[test]
#[should_panic(expected = "no call of `disk` did it")]
fn a_change_by_other_means_is_noticed() {
    let root = tempfile::tempdir().unwrap();
    power_cuts(root.path(), || {}, || fs::create_dir(root.path().join("a")), |_, _| {});
}
