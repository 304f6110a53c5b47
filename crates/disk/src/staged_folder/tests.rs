//! A folder replaced, by one step and by two, what killed processes leave, and power cuts.

use super::*;
use crate::NewFile;
use crate::faults::{self, Fault, power_cuts, without_exchange};

const MANIFEST: &str = "manifest.json";

/// A place `own` in a folder of the test's own.
struct TempFolder(tempfile::TempDir);

impl TempFolder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn own(&self) -> PathBuf {
        self.0.path().join("own")
    }

    /// A folder as a preparation leaves it, or would have.
    fn put(&self, name: &str, manifest: &str) -> PathBuf {
        let dir = self.0.path().join(name);
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join(MANIFEST), manifest).unwrap();
        dir
    }

    fn staged(&self, manifest: &str) -> StagedFolder {
        let staging = StagedFolder::create(&self.own(), MANIFEST).unwrap();
        fs::write(staging.path().join(MANIFEST), manifest).unwrap();
        staging
    }

    fn manifest(&self) -> String {
        fs::read_to_string(self.own().join(MANIFEST)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

#[test]
#[cfg(target_os = "linux")]
fn the_folder_is_never_missing_while_it_is_replaced() {
    use std::sync::atomic::{AtomicBool, Ordering};

    let temp = TempFolder::new();
    temp.staged("0").publish().unwrap();
    let probe = [temp.put("a", "a"), temp.put("b", "b")];
    if !try_exchange(&probe[0], &probe[1]).unwrap() {
        return test_support::skipped("the file system of the temporary folder can't exchange folders");
    }
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut looks = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                assert!(temp.own().join(MANIFEST).is_file(), "empty at look {looks}");
                looks += 1;
            }
            looks
        });
        for round in 1..200 {
            temp.staged(&round.to_string()).publish().unwrap();
        }
        stop.store(true, Ordering::Relaxed);
        assert!(watcher.join().unwrap() > 200);
    });
    assert_eq!(temp.manifest(), "199");
    assert_eq!(temp.names(), ["a", "b", "own"]);
}

#[test]
fn nothing_of_the_older_folder_stays() {
    let temp = TempFolder::new();
    fs::write(temp.put("own", "older").join("old"), "").unwrap();
    temp.staged("newer").publish().unwrap();
    assert!(!temp.own().join("old").exists());
    assert_eq!((temp.manifest().as_str(), temp.names()), ("newer", vec!["own".to_owned()]));
}

#[test]
fn a_file_system_that_cannot_exchange_gets_two_renames() {
    let temp = TempFolder::new();
    temp.put("own", "older");
    without_exchange(|| temp.staged("newer").publish()).unwrap();
    assert_eq!((temp.manifest().as_str(), temp.names()), ("newer", vec!["own".to_owned()]));
}

#[test]
fn another_error_of_the_exchange_leaves_the_older_data() {
    let temp = TempFolder::new();
    temp.put("own", "older");
    let staged = temp.staged("same");
    // Behind the sync of the new folder.
    let at = faults::count(|| staged.publish().unwrap())[1];
    temp.staged("older").publish().unwrap();
    let staged = temp.staged("newer");
    let error = faults::with(Fault { at, errno: 28, for_ever: false }, || staged.publish()).unwrap_err().to_string();
    assert!(error.starts_with("failed to write ") && error.ends_with("own"), "{error}");
    assert_eq!((temp.manifest().as_str(), temp.names()), ("older", vec!["own".to_owned()]));
}

#[test]
fn leftovers_of_killed_preparations_are_removed_and_others_kept() {
    let temp = TempFolder::new();
    temp.put("own", "older");
    for leftover in [".own.partial-11", ".own.old-12", ".own.partial-13"] {
        temp.put(leftover, "half");
    }
    for other in [".owner.partial-11", ".own.partial-x", "own.partial-11", ".another.old-4"] {
        temp.put(other, "not ours");
    }
    // Another preparation that is at work: its lock is held.
    let working = File::open(temp.0.path().join(".own.partial-13")).unwrap();
    working.lock().unwrap();
    temp.staged("newer").publish().unwrap();
    assert_eq!(temp.manifest(), "newer");
    let stay = [".another.old-4", ".own.partial-13", ".own.partial-x", ".owner.partial-11", "own", "own.partial-11"];
    assert_eq!(temp.names(), stay);
}

#[test]
fn data_that_was_moved_aside_by_a_killed_preparation_is_put_back() {
    let temp = TempFolder::new();
    // Killed between the two renames.
    temp.put(".own.old-12", "older");
    temp.put(".own.partial-12", "newer");
    drop(temp.staged("newest"));
    assert_eq!((temp.manifest().as_str(), temp.names()), ("older", vec!["own".to_owned()]));
}

#[test]
fn a_leftover_with_the_same_number_is_replaced() {
    let temp = TempFolder::new();
    temp.put(&format!(".own.partial-{}", std::process::id()), "half");
    let staging = temp.staged("newer");
    assert_eq!(fs::read_dir(staging.path()).unwrap().count(), 1);
    staging.publish().unwrap();
    assert_eq!(temp.names(), ["own"]);
}

#[test]
fn parents_that_were_made_go_with_a_folder_that_is_not_published() {
    let root = tempfile::tempdir().unwrap();
    let place = root.path().join("a/b/place");
    drop(StagedFolder::create(&place, "marker").unwrap());
    assert!(!root.path().join("a").exists());
    let staged = StagedFolder::create(&place, "marker").unwrap();
    fs::write(root.path().join("a/other"), "kept").unwrap();
    drop(staged);
    assert!(root.path().join("a/other").is_file() && !root.path().join("a/b").exists());
    StagedFolder::create(&place, "marker").unwrap().publish().unwrap();
    assert!(place.is_dir());
}

/// Publishes a folder with a folder in it, as a preparation would.
fn publish(place: &Path, manifest: &str) -> Result<()> {
    let staged = StagedFolder::create(place, MANIFEST)?;
    let below = staged.path().join("below");
    create_folder_all(&below)?;
    for file in [below.join("data"), staged.path().join(MANIFEST)] {
        let write = || {
            let mut new = NewFile::create(&file)?;
            io::Write::write_all(&mut new, manifest.as_bytes())?;
            new.finish()
        };
        write().map_err(DiskError::at("write", &file))?;
    }
    staged.publish()
}

/// The manifest of a folder that is whole.
fn published(place: &Path) -> Option<String> {
    let manifest = fs::read_to_string(place.join(MANIFEST)).ok()?;
    assert_eq!(fs::read_to_string(place.join("below/data")).unwrap(), manifest, "{}", place.display());
    Some(manifest)
}

#[test]
fn a_new_folder_and_those_above_it_survive_a_power_cut_once_it_is_published() {
    let root = tempfile::tempdir().unwrap();
    let place = root.path().join("a/b/place");
    let states = power_cuts(
        root.path(),
        || {},
        || publish(&place, "new"),
        |outcome, state| match published(&place).as_deref() {
            Some("new") => {}
            None if outcome.is_err() => assert!(!place.exists(), "{state}"),
            found => panic!("{found:?}: {state}"),
        },
    );
    assert!(states > 50, "{states}");
}

#[test]
fn a_power_cut_leaves_the_older_folder_or_the_newer_one() {
    for exchange in [true, false] {
        let root = tempfile::tempdir().unwrap();
        let place = root.path().join("place");
        let change = || publish(&place, "newer");
        let states = power_cuts(
            root.path(),
            || publish(&place, "older").unwrap(),
            || if exchange { change() } else { without_exchange(change) },
            |outcome, state| {
                if published(&place).is_none() {
                    assert!(!exchange, "{state}");
                    // Without being published.
                    drop(StagedFolder::create(&place, MANIFEST).unwrap());
                }
                match published(&place).as_deref() {
                    Some("newer") => {}
                    Some("older") if outcome.is_err() => {}
                    found => panic!("{found:?}: {state}"),
                }
            },
        );
        assert!(states > 50, "{states}");
    }
}

#[test]
fn clearing_what_a_killed_process_left_loses_nothing_in_a_power_cut() {
    let temp = TempFolder::new();
    let place = temp.own();
    // After the exchange, after the first of two renames, and after the second.
    for killed in ["exchange", "first", "second"] {
        power_cuts(
            temp.0.path(),
            || {
                publish(&place, "older").unwrap();
                publish(&temp.0.path().join(".own.partial-12"), "newer").unwrap();
            },
            || {
                let [partial, aside] = [".own.partial-12", ".own.old-12"].map(|name| temp.0.path().join(name));
                match killed {
                    "exchange" => drop(try_exchange(&partial, &place)?),
                    _ => rename(&place, &aside)?,
                }
                if killed == "second" {
                    rename(&partial, &place)?;
                }
                StagedFolder::create(&place, MANIFEST).map(drop).map_err(io::Error::other)
            },
            |_, state| {
                drop(StagedFolder::create(&place, MANIFEST).unwrap());
                assert!(published(&place).is_some(), "{killed}: {state}");
            },
        );
    }
}
