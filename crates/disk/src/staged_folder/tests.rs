//! A folder replaced, by one step and by two, and what killed processes leave.

use super::*;

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
    temp.staged("newer").publish_by(|_, _| Ok(false)).unwrap();
    assert_eq!((temp.manifest().as_str(), temp.names()), ("newer", vec!["own".to_owned()]));
}

#[test]
fn another_error_of_the_exchange_leaves_the_older_data() {
    let temp = TempFolder::new();
    temp.put("own", "older");
    let error = temp.staged("newer").publish_by(|_, _| Err(io::Error::from_raw_os_error(28))).unwrap_err().to_string();
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
