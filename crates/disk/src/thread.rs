//! Threads that write: the faults of the thread that starts one hold on it too.

use std::io;
use std::thread::{Builder, Scope, ScopedJoinHandle};

use crate::faults;

/// Begins `task` on a thread of its own.
pub fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &'static str,
    task: impl FnOnce() -> T + Send + 'scope,
) -> io::Result<ScopedJoinHandle<'scope, T>> {
    let started = Builder::new().name(name.to_owned()).spawn_scoped(scope, faults::on_thread(name, task));
    started.map_err(|error| io::Error::new(error.kind(), format!("the system gives no thread to save on: {error}")))
}

pub fn join<T>(thread: ScopedJoinHandle<T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
