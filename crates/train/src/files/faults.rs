//! Failing calls for tests: the Nth call to the file system on this thread fails, once or from then on.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Which call fails, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    /// The call, from 0.
    pub at: u64,
    /// The system's error number: 28 for a full disk, 5 for a broken one.
    pub errno: i32,
    /// Whether every later call fails too.
    pub for_ever: bool,
}

#[derive(Default)]
struct Plan {
    calls: u64,
    fault: Option<Fault>,
    /// Files with content that isn't known to have reached the disk, by inode.
    unsynced: BTreeSet<u64>,
}

thread_local! {
    static PLAN: RefCell<Plan> = RefCell::default();
}

/// Counts a call, and fails it if its time has come.
pub(super) fn next() -> io::Result<()> {
    PLAN.with_borrow_mut(|plan| {
        let number = plan.calls;
        plan.calls += 1;
        match plan.fault {
            Some(fault) if number == fault.at || fault.for_ever && number > fault.at => {
                Err(io::Error::from_raw_os_error(fault.errno))
            }
            _ => Ok(()),
        }
    })
}

pub(super) fn written(file: &File) {
    if let Ok(metadata) = file.metadata() {
        PLAN.with_borrow_mut(|plan| plan.unsynced.insert(metadata.ino()));
    }
}

pub(super) fn synced(file: &File) {
    if let Ok(metadata) = file.metadata() {
        PLAN.with_borrow_mut(|plan| plan.unsynced.remove(&metadata.ino()));
    }
}

/// How many calls `run` makes.
pub(crate) fn count(run: impl FnOnce()) -> u64 {
    PLAN.replace(Plan::default());
    run();
    PLAN.replace(Plan::default()).calls
}

/// What `run` makes of a fault.
pub(crate) fn with<T>(fault: Fault, run: impl FnOnce() -> T) -> T {
    PLAN.replace(Plan { fault: Some(fault), ..Plan::default() });
    let result = run();
    PLAN.with_borrow_mut(|plan| plan.fault = None);
    result
}

/// What a power cut would take: of every file below `folder` whose content was written and never synced, the second
/// half goes.
pub(crate) fn lose_unsynced(folder: &Path) {
    let unsynced = PLAN.take().unsynced;
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            if metadata.is_dir() {
                open.push(path);
            } else if unsynced.contains(&metadata.ino()) {
                File::options().write(true).open(&path).unwrap().set_len(metadata.len() / 2).unwrap();
            }
        }
    }
}
