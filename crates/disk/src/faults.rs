//! Failing calls for tests: a chosen call to the file system fails, once or from then on, on this thread or on one that
//! it has started. Calls are numbered by thread, so that their names don't depend on who is faster.
//!
//! This is compiled into the product: the tests of every crate above use it, and a feature for it would build all of
//! them twice. Without injected faults it costs one read of a thread-local variable per system call.

mod power_cut;

use std::cell::{Cell, RefCell};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) use power_cut::NameChange;
use power_cut::NameHistory;
pub use power_cut::power_cuts;

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
    /// Of [`power_cuts`].
    history: Option<NameHistory>,
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
    static NO_EXCHANGE: Cell<bool> = const { Cell::new(false) };
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

/// A call that changes names.
pub(crate) fn change<T>(change: NameChange<'_>, run: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    next()?;
    note(|history| history.before(change));
    let done = run()?;
    note(|history| history.after(change));
    Ok(done)
}

/// Notes that the content of a file has changed.
pub(crate) fn written(path: &Path) {
    note(|history| history.content_changed(path, true));
}

/// Notes that the content of a file has reached the disk.
pub(crate) fn synced(path: &Path) {
    note(|history| history.content_changed(path, false));
}

/// Notes that the names in a folder have reached the disk.
pub(crate) fn names_synced(folder: &Path) {
    note(|history| history.names_synced(folder));
}

fn note(note: impl FnOnce(&mut NameHistory)) {
    PART.with_borrow(|part| {
        let Some(part) = part else { return };
        part.plan().history.as_mut().map(note);
    });
}

/// Whether this thread's file system is to lack the exchange of two folders.
pub(crate) fn exchange_is_missing() -> bool {
    NO_EXCHANGE.get()
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
    let ((), plan) = planned(FaultPlan::default(), run);
    let mut calls = plan.calls;
    calls.sort();
    calls
}

/// What `run` makes of a fault.
pub fn with<T>(fault: Fault, run: impl FnOnce() -> T) -> T {
    planned(FaultPlan { fault: Some(fault), ..FaultPlan::default() }, run).0
}

/// What `run` makes of a fault, and of the names in a folder.
fn record<T>(fault: Option<Fault>, history: NameHistory, run: impl FnOnce() -> T) -> (T, NameHistory) {
    let plan = FaultPlan { fault, history: Some(history), ..FaultPlan::default() };
    let (result, mut plan) = planned(plan, run);
    (result, plan.history.take().expect("it was put there"))
}

fn planned<T>(plan: FaultPlan, run: impl FnOnce() -> T) -> (T, FaultPlan) {
    let part = ThreadFaults { plan: Arc::new(Mutex::new(plan)), thread: "" };
    PART.set(Some(part.clone()));
    let result = run();
    PART.take();
    let plan = std::mem::take(&mut *part.plan());
    (result, plan)
}

/// What `run` does on a file system that can't exchange two folders, as NFS can't.
pub fn without_exchange<T>(run: impl FnOnce() -> T) -> T {
    NO_EXCHANGE.set(true);
    let result = run();
    NO_EXCHANGE.set(false);
    result
}
