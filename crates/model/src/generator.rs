//! libtorch's random numbers as a function of a seed.
//!
//! libtorch has one generator per device, which all threads share. A lock keeps the draws of one thread from changing
//! those of another, for example of tests that run at the same time.

use std::sync::{Mutex, PoisonError};

static GENERATOR: Mutex<()> = Mutex::new(());

/// Seeds the generators of all devices and draws from them. The draw depends on nothing but the seed, and no later draw
/// depends on what was drawn before.
pub(crate) fn draw_with_seed<T>(seed: u64, draw: impl FnOnce() -> T) -> T {
    let _guard = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    tch::manual_seed((seed >> 1) as i64);
    draw()
}
