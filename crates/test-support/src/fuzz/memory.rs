//! The peak memory of a reader.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

static ALIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator with a count of the bytes asked for. A test target makes it its `#[global_allocator]`.
pub struct CountingAllocator;

fn grow(bytes: usize) {
    let alive = ALIVE.fetch_add(bytes, Relaxed) + bytes;
    PEAK.fetch_max(alive, Relaxed);
}

// SAFETY: every call goes to the system's allocator as it came; the counters touch no memory of anybody's.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller guarantees a layout of at least one byte.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller guarantees a layout of at least one byte.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller guarantees that `pointer` is a block of this allocator, so of the system's, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Old and new may be there at the same time.
        grow(size);
        ALIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller guarantees that `pointer` is a block of this allocator, so of the system's, with this layout,
        // and that `size` is not 0 and fits the layout's alignment.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// A way to measure.
#[derive(Clone, Copy)]
pub(super) enum Meter {
    /// [`CountingAllocator`] is the process's allocator: exact, to the byte.
    Counted,
    /// Other code allocates, such as libtorch. Then the pages that the process holds are what can be seen, and what
    /// an earlier mutant left with the allocator counts as this one's; so it is a measure of all of them together.
    Resident {
        /// Bytes held before the first mutant.
        before: usize,
    },
}

impl Meter {
    pub(super) fn new() -> Self {
        if ALIVE.load(Relaxed) > 0 { Self::Counted } else { Self::Resident { before: status("VmRSS:") } }
    }

    /// Starts a measurement, which [`peak`](Self::peak) ends.
    pub(super) fn start(&self) -> usize {
        match self {
            Self::Counted => {
                let alive = ALIVE.load(Relaxed);
                PEAK.store(alive, Relaxed);
                alive
            }
            Self::Resident { before } => {
                // Linux resets the high-water mark on request.
                let _ = std::fs::write("/proc/self/clear_refs", "5");
                *before
            }
        }
    }

    /// The most bytes in use at once since `start` gave `before`, beyond those.
    pub(super) fn peak(&self, before: usize) -> usize {
        match self {
            Self::Counted => PEAK.load(Relaxed).saturating_sub(before),
            Self::Resident { .. } => status("VmHWM:").saturating_sub(before),
        }
    }
}

/// A line of the process's status, in bytes; 0 where the system doesn't say.
fn status(name: &str) -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap_or(0) * 1024
}
