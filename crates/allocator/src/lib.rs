//! The allocator of the programs that run a model.
//!
//! A training step allocates and frees the same few hundred megabytes again and again. glibc returns such blocks to the
//! kernel and pays for zeroed pages the next time, which costs more than the arithmetic on them. mimalloc, built to
//! override `malloc` for the whole process and thereby for libtorch too, keeps the pages. By default it returns memory
//! that was free for a second; steps that take about as long would pay for it again, so [`prepare`] disables that.
//!
//! What is kept grows, though: batches differ in their sizes, so freed blocks don't fit the next ones, and others are taken
//! beside them. A training that comes near its estimate therefore returns all free memory ([`return_free_memory`]);
//! one that has not keeps the pages, which cost time to get again.
//!
//! A program chooses its allocator by declaring it, and no library does so for it:
//!
//! ```no_run
//! #[global_allocator]
//! static ALLOCATOR: allocator::MiMalloc = allocator::MiMalloc;
//!
//! fn main() {
//!     allocator::prepare();
//! }
//! ```
//!
//! Using either links mimalloc, and so replaces `malloc`: a program that does neither has glibc's.

#![warn(missing_docs)]

use std::ffi::{c_int, c_long};

pub use mimalloc::MiMalloc;

unsafe extern "C" {
    // Functions of mimalloc; the Rust package declares them only under a feature that adds a dependency.
    fn mi_option_get(option: c_int) -> c_long;
    fn mi_option_set(option: c_int, value: c_long);
    fn mi_collect(force: bool);
}

/// `mi_option_purge_delay`: milliseconds after which freed pages go back to the kernel.
const PURGE_DELAY: c_int = 15;
/// mimalloc's default; any other value was set by the user (`MIMALLOC_PURGE_DELAY`).
const DEFAULT_PURGE_DELAY: c_long = 1000;
/// About eleven days. A negative number would make [`return_free_memory`] return nothing.
const NEVER_PURGE: c_long = 1_000_000_000;

/// `mi_option_allow_large_os_pages`: whether memory is requested in pages of 2 MiB.
const ALLOW_LARGE_OS_PAGES: c_int = 6;

/// Configures mimalloc for tensors, unless environment variables set these options. Freed memory is kept for the next
/// step, so the process keeps its peak size. And memory is requested in large pages: a product that walks through
/// hundreds of megabytes of weights spends a tenth of its time on looking up small ones.
///
/// For processes that load a model, before they do. Others would only use more memory.
pub fn prepare() {
    // SAFETY: the declarations above are those of mimalloc's header, the numbers are options of this version (a test
    // compares the first), and both functions may be called from any thread at any time: an option is one word.
    unsafe {
        if mi_option_get(PURGE_DELAY) == DEFAULT_PURGE_DELAY {
            mi_option_set(PURGE_DELAY, NEVER_PURGE);
        }
        if std::env::var_os("MIMALLOC_ALLOW_LARGE_OS_PAGES").is_none() {
            mi_option_set(ALLOW_LARGE_OS_PAGES, 1);
            advise_large_pages();
        }
    }
}

/// Gives all memory that is free now back to the kernel.
pub fn return_free_memory() {
    // SAFETY: it may be called from any thread at any time and changes no memory that is in use.
    unsafe { mi_collect(true) };
}

/// Requests large pages for the memory that mimalloc got from the kernel before the option was set: its first arena, a
/// mapping of a gigabyte of which little is in use yet.
#[cfg(target_os = "linux")]
fn advise_large_pages() {
    const ARENA: usize = 64 << 20;
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    for (start, end) in maps.lines().filter_map(anonymous_mapping) {
        if end - start >= ARENA {
            // SAFETY: the advice changes no content of any mapping, whatever has become of the range since the kernel
            // listed it; it may be refused.
            unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_HUGEPAGE) };
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn advise_large_pages() {}

/// The addresses in a line of `/proc/self/maps`, if it is private, writable memory without a file or a name.
#[cfg(target_os = "linux")]
fn anonymous_mapping(line: &str) -> Option<(usize, usize)> {
    let mut words = line.split_ascii_whitespace();
    let (range, rights, inode) = (words.next()?, words.next()?, words.nth(2)?);
    let (start, end) = range.split_once('-')?;
    if rights != "rw-p" || inode != "0" || words.next().is_some() {
        return None;
    }
    Some((usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails if another version of mimalloc has another number for the option.
    #[test]
    fn freed_memory_is_kept() {
        let user_setting = std::env::var("MIMALLOC_PURGE_DELAY").ok().and_then(|value| value.parse().ok());
        prepare();
        // SAFETY: it reads one word, and may be called from any thread at any time.
        assert_eq!(unsafe { mi_option_get(PURGE_DELAY) }, user_setting.unwrap_or(NEVER_PURGE));
    }

    /// Other tests run at the same time, so only half of it must be gone.
    #[cfg(target_os = "linux")]
    #[test]
    fn free_memory_is_given_back_when_asked_for() {
        const BYTES: usize = 256 << 20;
        let resident = || -> usize {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
            1024 * line.trim().trim_end_matches("kB").trim().parse::<usize>().unwrap()
        };
        prepare();
        // Blocks of a training's size, not one that the allocator would ask the kernel for by itself.
        let blocks: Vec<Vec<u8>> = (0..64).map(|_| vec![1; BYTES / 64]).collect();
        drop(std::hint::black_box(blocks));
        let kept = resident();
        return_free_memory();
        let returned = kept.saturating_sub(resident());
        assert!(returned > BYTES / 2, "{returned} bytes");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn only_anonymous_memory_is_advised() {
        let line = "7f12a0000000-7f12e0000000 rw-p 00000000 00:00 0 ";
        assert_eq!(anonymous_mapping(line), Some((0x7f12_a000_0000, 0x7f12_e000_0000)));
        for other in [
            "7f12a0000000-7f12e0000000 r--p 00000000 00:00 0 ",
            "7f12a0000000-7f12e0000000 rw-p 00000000 00:00 0 [stack]",
            "7f12a0000000-7f12e0000000 rw-p 00001000 fe:00 1234 /usr/lib/libc.so.6",
            "",
        ] {
            assert_eq!(anonymous_mapping(other), None, "{other:?}");
        }
    }
}
