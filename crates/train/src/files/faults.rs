//! Failing calls for tests: a chosen call to the file system fails, once or from then on, on this thread or on one that
//! it has started. Calls are numbered by thread, so that their names don't depend on who is faster.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One call: the thread that makes it, `""` for the first one, and how many that thread made before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Call {
    thread: &'static str,
    number: usize,
}

/// Which call fails, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    pub at: Call,
    /// The system's error number: 28 for a full disk, 5 for a broken one.
    pub errno: i32,
    /// Whether every later call fails too, on any thread.
    pub for_ever: bool,
}

#[derive(Default)]
struct Plan {
    calls: Vec<Call>,
    fault: Option<Fault>,
    struck: bool,
    /// Files with content that isn't known to have reached the disk, by inode.
    unsynced: BTreeSet<u64>,
}

/// A plan, and which of its threads this one is.
#[derive(Clone, Default)]
struct Part {
    plan: Arc<Mutex<Plan>>,
    thread: &'static str,
}

impl Part {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

thread_local! {
    static PART: RefCell<Part> = RefCell::default();
}

/// Counts a call, and fails it if its time has come.
pub(super) fn next() -> io::Result<()> {
    PART.with_borrow(|part| {
        let mut plan = part.plan();
        let number = plan.calls.iter().filter(|call| call.thread == part.thread).count();
        let call = Call { thread: part.thread, number };
        plan.calls.push(call);
        let Some(fault) = plan.fault else { return Ok(()) };
        plan.struck |= call == fault.at;
        let fails = call == fault.at || (plan.struck && fault.for_ever);
        if fails { Err(io::Error::from_raw_os_error(fault.errno)) } else { Ok(()) }
    })
}

pub(super) fn written(file: &File) {
    if let Ok(metadata) = file.metadata() {
        PART.with_borrow(|part| part.plan().unsynced.insert(metadata.ino()));
    }
}

pub(super) fn synced(file: &File) {
    if let Ok(metadata) = file.metadata() {
        PART.with_borrow(|part| part.plan().unsynced.remove(&metadata.ino()));
    }
}

/// A task for a new thread, whose calls belong to the plan of this one.
pub(super) fn on_thread<T>(name: &'static str, task: impl FnOnce() -> T) -> impl FnOnce() -> T {
    let part = Part { thread: name, ..PART.with_borrow(Part::clone) };
    move || {
        PART.replace(part);
        task()
    }
}

/// The calls that `run` makes, thread by thread.
pub(crate) fn count(run: impl FnOnce()) -> Vec<Call> {
    PART.replace(Part::default());
    run();
    let part = PART.replace(Part::default());
    let mut calls = std::mem::take(&mut part.plan().calls);
    calls.sort();
    calls
}

/// What `run` makes of a fault.
pub(crate) fn with<T>(fault: Fault, run: impl FnOnce() -> T) -> T {
    let plan = Arc::new(Mutex::new(Plan { fault: Some(fault), ..Plan::default() }));
    PART.replace(Part { plan, thread: "" });
    let result = run();
    PART.with_borrow(|part| part.plan().fault = None);
    result
}

/// What a power cut would take: of every file below `folder` whose content was written and never synced, the second
/// half goes.
pub(crate) fn lose_unsynced(folder: &Path) {
    let unsynced = std::mem::take(&mut PART.take().plan().unsynced);
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
