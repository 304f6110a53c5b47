//! The allocator of every binary that runs the model.
//!
//! A training step allocates and frees the same few hundred megabytes again and again. glibc returns such blocks to the
//! kernel and pays for zeroed pages the next time, which costs more than the arithmetic on them. mimalloc, built to
//! override `malloc` for the whole process and thereby for libtorch too, keeps the pages. By default it returns memory
//! that was free for a second; steps that take about as long would pay for it again, so it is told to wait for ever.
//!
//! What is kept grows, though: batches differ in their sizes, so freed blocks don't fit the next ones, and others are taken
//! beside them. A training therefore returns all free memory every fifty steps ([`return_free_memory`]), which costs about
//! a hundredth of their time.

use std::ffi::{c_int, c_long};

use tch::{Device, Kind, Tensor};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
pub(crate) fn prepare() {
    // SAFETY: both may be called from any thread at any time; an option is one word.
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
            // SAFETY: the kernel lists the range as mapped, and the advice changes no content. The kernel may refuse
            // it.
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

/// An fp32 tensor of zeros. The pages of a large CPU tensor are not touched here: the kernel provides each page,
/// zeroed, when a thread first uses it.
pub fn untouched_zeros(shape: &[i64], device: Device) -> Tensor {
    let mut tensor = Tensor::empty(shape, (Kind::Float, device));
    if device == Device::Cpu && release_pages(&tensor) { tensor } else { tensor.zero_() }
}

/// Whether most of the tensor's memory was given back to the kernel and all of it reads as zeros.
///
/// Only whole huge pages are given back: a part of one would split it, and ordinary pages cost more per byte to get.
#[cfg(target_os = "linux")]
fn release_pages(tensor: &Tensor) -> bool {
    /// The size of a huge page, which is also a multiple of every ordinary page size.
    const HUGE_PAGE: usize = 2 << 20;
    let (start, bytes) = (tensor.data_ptr() as usize, tensor.numel() * size_of::<f32>());
    let (first, last) = (start.next_multiple_of(HUGE_PAGE), (start + bytes) / HUGE_PAGE * HUGE_PAGE);
    if bytes < 4 * HUGE_PAGE || !tensor.is_contiguous() {
        return false;
    }
    // SAFETY: the pages are entirely within the tensor, which is new and has no other handle. They are anonymous and
    // private, like all memory of an allocator, so that they are zeros when they are used again; if the call isn't
    // possible (locked memory), it changes nothing and returns an error. The bytes before the first page and after the
    // last one belong to the tensor, too.
    unsafe {
        if libc::madvise(first as *mut libc::c_void, last - first, libc::MADV_DONTNEED) != 0 {
            return false;
        }
        std::ptr::write_bytes(start as *mut u8, 0, first - start);
        std::ptr::write_bytes(last as *mut u8, 0, start + bytes - last);
    }
    true
}

#[cfg(not(target_os = "linux"))]
fn release_pages(_: &Tensor) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails if another version of mimalloc has another number for the option.
    #[test]
    fn freed_memory_is_kept() {
        let user_setting = std::env::var("MIMALLOC_PURGE_DELAY").ok().and_then(|value| value.parse().ok());
        prepare();
        // SAFETY: as above.
        assert_eq!(unsafe { mi_option_get(PURGE_DELAY) }, user_setting.unwrap_or(NEVER_PURGE));
    }

    /// Other tests run at the same time, so only half of it must be gone.
    #[cfg(target_os = "linux")]
    #[test]
    fn free_memory_is_given_back_when_asked_for() {
        const BYTES: i64 = 256 << 20;
        let resident = || -> i64 {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
            1024 * line.trim().trim_end_matches("kB").trim().parse::<i64>().unwrap()
        };
        prepare();
        // Blocks of a training's size, not one that the allocator would ask the kernel for by itself.
        let tensors: Vec<Tensor> =
            (0..64).map(|_| Tensor::ones([BYTES / 64 / 4], (Kind::Float, Device::Cpu))).collect();
        drop(tensors);
        let kept = resident();
        return_free_memory();
        let returned = kept - resident();
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

    #[test]
    fn zeros_are_zeros_in_reused_memory() {
        for elements in [0, 1, 1000, (3 << 20) + 17, 5 << 20] {
            // Freed memory is what the next tensor of its size gets.
            drop(Tensor::full([elements], 7.0, (Kind::Float, Device::Cpu)));
            let zeros = untouched_zeros(&[elements], Device::Cpu);
            assert_eq!((zeros.size(), zeros.kind()), (vec![elements], Kind::Float));
            assert!(!bool::try_from(zeros.not_equal(0.0).any()).unwrap(), "{elements} elements");
        }
    }
}
