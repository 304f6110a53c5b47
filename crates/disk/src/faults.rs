//! Failing calls for tests: a chosen call to the file system fails, once or from then on, on this thread or on one that
//! it has started. Calls are numbered by thread, so that their names don't depend on who is faster.
//!
//! This is compiled into the product: the tests of every crate above use it, and a feature for it would build all of
//! them twice. Without injected faults it costs one read of a thread-local variable per system call.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::{File, Metadata};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One call: the thread that makes it, `""` for the first one, and how many that thread made before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    thread: &'static str,
    number: usize,
}

#[derive(Debug, Clone, Copy)]
pub struct Fault {
    pub at: Call,
    /// The system's error number: 28 for a full disk, 5 for a broken one.
    pub errno: i32,
    /// Whether every later call fails too, on any thread.
    pub for_ever: bool,
}

#[derive(Default)]
struct FaultPlan {
    calls: Vec<Call>,
    fault: Option<Fault>,
    has_failed: bool,
    /// Files with content that isn't known to have reached the disk, by inode.
    unsynced: BTreeSet<u64>,
}

/// A plan, and the name of this thread in it.
#[derive(Clone, Default)]
struct ThreadFaults {
    plan: Arc<Mutex<FaultPlan>>,
    thread: &'static str,
}

impl ThreadFaults {
    fn plan(&self) -> MutexGuard<'_, FaultPlan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

thread_local! {
    /// `None` outside of such tests.
    static PART: RefCell<Option<ThreadFaults>> = const { RefCell::new(None) };
}

pub(crate) fn call<T>(run: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    next()?;
    run()
}

/// Counts a call, and fails it if it is the chosen one.
pub(crate) fn next() -> io::Result<()> {
    PART.with_borrow(|part| {
        let Some(part) = part else { return Ok(()) };
        let mut plan = part.plan();
        let number = plan.calls.iter().filter(|call| call.thread == part.thread).count();
        let call = Call { thread: part.thread, number };
        plan.calls.push(call);
        let Some(fault) = plan.fault else { return Ok(()) };
        plan.has_failed |= call == fault.at;
        let fails = call == fault.at || (plan.has_failed && fault.for_ever);
        if fails { Err(io::Error::from_raw_os_error(fault.errno)) } else { Ok(()) }
    })
}

/// Notes that the content of a file has changed.
pub(crate) fn written(file: &File) {
    note(file, |unsynced, inode| unsynced.insert(inode));
}

/// Notes that the content of a file has reached the disk.
pub(crate) fn synced(file: &File) {
    note(file, |unsynced, inode| unsynced.remove(&inode));
}

fn note(file: &File, change: impl FnOnce(&mut BTreeSet<u64>, u64) -> bool) {
    PART.with_borrow(|part| {
        let Some(part) = part else { return };
        if let Ok(metadata) = file.metadata() {
            change(&mut part.plan().unsynced, inode(&metadata));
        }
    });
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> u64 {
    0
}

/// A task for a new thread, whose calls belong to the plan of this one.
pub(crate) fn on_thread<T>(name: &'static str, task: impl FnOnce() -> T) -> impl FnOnce() -> T {
    let part =
        PART.with_borrow(|part| part.as_ref().map(|part| ThreadFaults { thread: name, plan: Arc::clone(&part.plan) }));
    move || {
        PART.replace(part);
        task()
    }
}

/// The calls that `run` makes, thread by thread.
pub fn count(run: impl FnOnce()) -> Vec<Call> {
    PART.set(Some(ThreadFaults::default()));
    run();
    let part = PART.take().unwrap_or_default();
    let mut calls = std::mem::take(&mut part.plan().calls);
    calls.sort();
    calls
}

/// What `run` makes of a fault. What it left unsynced is remembered on this thread for [`lose_unsynced`].
pub fn with<T>(fault: Fault, run: impl FnOnce() -> T) -> T {
    let plan = Arc::new(Mutex::new(FaultPlan { fault: Some(fault), ..FaultPlan::default() }));
    PART.set(Some(ThreadFaults { plan, thread: "" }));
    let result = run();
    PART.with_borrow(|part| part.iter().for_each(|part| part.plan().fault = None));
    result
}

/// What a power cut would take: of every file below `folder` whose content was written and never synced, the second
/// half goes.
///
/// # Panics
/// If the folder can't be read or its files can't be shortened.
pub fn lose_unsynced(folder: &Path) {
    let unsynced = PART.take().map(|part| std::mem::take(&mut part.plan().unsynced)).unwrap_or_default();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder that can be read") {
            let path = entry.expect("a folder that can be read").path();
            let metadata = path.symlink_metadata().expect("a file that is there");
            if metadata.is_dir() {
                open.push(path);
            } else if unsynced.contains(&inode(&metadata)) {
                let cut = File::options().write(true).open(&path).and_then(|file| file.set_len(metadata.len() / 2));
                cut.expect("a file that can be shortened");
            }
        }
    }
}
