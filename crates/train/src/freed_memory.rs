//! Freed memory, which goes back to the system from time to time. The allocator is the program's choice, so the program says
//! how.

use std::sync::OnceLock;

static RETURN: OnceLock<fn()> = OnceLock::new();

/// Sets the function by which trainings of this process give freed memory back to the system. Without it they keep what the
/// allocator keeps; a second call changes nothing.
pub fn return_freed_memory_by(function: fn()) {
    let _ = RETURN.set(function);
}

pub(crate) fn return_freed_memory() {
    if let Some(function) = RETURN.get() {
        function();
    }
}
