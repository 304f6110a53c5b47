//! Threads that write: injected faults of the starting thread apply to them too.

use std::io;
use std::thread::{Builder, Scope, ScopedJoinHandle};

use crate::faults;

/// Starts `task` on a new thread.
pub fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &'static str,
    task: impl FnOnce() -> T + Send + 'scope,
) -> io::Result<ScopedJoinHandle<'scope, T>> {
    let started = Builder::new().name(name.to_owned()).spawn_scoped(scope, faults::on_thread(name, task));
    started.map_err(|error| io::Error::new(error.kind(), format!("failed to start a thread: {error}")))
}

pub fn join<T>(thread: ScopedJoinHandle<T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
