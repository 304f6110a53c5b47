//! Panics of third-party readers as errors.
//!
//! The Parquet library panics on some damaged files. Such a panic becomes an error of the file, and its message is not
//! printed.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// What `work` returns, or its panic's message. `work` must stay on this thread, and state that it changed must not be
/// used after a panic.
pub(crate) fn catch_panic<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |about| {
            if !QUIET.get() {
                usual(about);
            }
        }));
    });
    let before = QUIET.replace(true);
    let outcome = panic::catch_unwind(AssertUnwindSafe(work));
    QUIET.set(before);
    outcome.map_err(|payload| {
        let text = payload.downcast_ref::<&str>().map(|text| text.to_string());
        text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no reason given".into())
    })
}

#[cfg(test)]
mod tests {
    use super::catch_panic;

    #[test]
    fn a_panic_becomes_its_message_and_later_calls_work() {
        let number = std::hint::black_box(3_usize);
        assert_eq!(catch_panic(|| number), Ok(3));
        assert!(catch_panic(|| [1, 2][number]).expect_err("out of bounds").starts_with("index out of bounds"));
        assert_eq!(catch_panic(|| number), Ok(3));
    }
}
