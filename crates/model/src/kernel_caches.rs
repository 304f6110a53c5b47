//! The caches of generated code in libtorch's CPU library oneDNN.
//!
//! For bf16 products oneDNN generates code for each shape and keeps it, about 0.3 MB a shape; ideep, the layer between it
//! and libtorch, keeps what it has prepared for a shape as well. By default each holds 1024 shapes. A training whose
//! batches differ in their number of tokens meets hundreds: its memory grows by 600 MB over the first 150 steps, which no
//! estimate from the model's size foresees. So both caches hold the shapes of a few steps only. Generating code again costs a
//! training of MiniLM up to a twentieth of its time; with 256 shapes a tiny BERT would need 1.18 of its estimate.

use std::env;

/// oneDNN's cache: the shapes of two or three steps.
const PRIMITIVES: (&str, &str) = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64");
/// ideep's cache: the shapes of one step, which all layers share.
const PREPARED: (&str, &str) = ("LRU_CACHE_CAPACITY", "32");

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
