//! The caches of generated code in libtorch's CPU library oneDNN.
//!
//! Where libtorch multiplies bf16, oneDNN generates code for each shape and keeps it, about 0.3 MB a shape; ideep, the layer between it
//! and libtorch, keeps what it has prepared for a shape as well. By default each holds 1024 shapes. A training whose
//! batches differ in their number of tokens meets hundreds: its memory grows by 600 MB over the first 150 steps, which no
//! estimate from the model's size foresees. So both caches hold the shapes of some steps only, and the memory estimate of a
//! bf16 training counts them. A training of MiniLM takes 2 % more processor time than with all shapes; with 64 shapes it
//! would be 5 % more, and 75 MB less memory.

use std::env;

/// oneDNN's cache: the shapes of a dozen steps.
const PRIMITIVES: (&str, &str) = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "256");
/// ideep's cache: the same for its larger entries, which all layers share.
const PREPARED: (&str, &str) = ("LRU_CACHE_CAPACITY", "128");

/// Limits the caches, unless the environment already says how large they are. Both libraries read the environment when
/// they are first used.
///
/// # Safety
/// No other thread runs: `main` calls this before anything else.
pub unsafe fn limit_kernel_caches() {
    for (name, capacity) in [PRIMITIVES, PREPARED] {
        if env::var_os(name).is_none() {
            // SAFETY: the caller promises that no other thread runs, so none reads the environment.
            unsafe { env::set_var(name, capacity) };
        }
    }
}
