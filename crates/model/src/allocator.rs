//! The allocator of every binary that runs the model.
//!
//! A training step allocates and frees the same few hundred megabytes again and again. glibc gives such blocks back
//! to the kernel and pays for zeroed pages the next time, which costs more than the arithmetic on them. mimalloc,
//! built to override `malloc` for the whole process and thereby for libtorch too, keeps the pages. It would give back
//! what was free for a second; steps that take about as long would pay for it again, so it is told not to.

use std::ffi::{c_int, c_long};

use tch::{Device, Kind, Tensor};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

unsafe extern "C" {
    // Of mimalloc itself; the Rust package declares them only under a feature that brings a dependency of its own.
    fn mi_option_get(option: c_int) -> c_long;
    fn mi_option_set(option: c_int, value: c_long);
}

/// `mi_option_purge_delay`: milliseconds after which freed pages go back to the kernel.
const PURGE_DELAY: c_int = 15;
/// What mimalloc sets it to; any other value is somebody's wish (`MIMALLOC_PURGE_DELAY`).
const USUAL_DELAY: c_long = 1000;
const NEVER: c_long = -1;

/// Keeps freed memory for the next step, unless the environment says otherwise. The process's peak stays, what it holds
/// between peaks doesn't shrink.
pub(crate) fn keep_freed_memory() {
    // SAFETY: both may be called from any thread at any time; an option is one word.
    unsafe {
        if mi_option_get(PURGE_DELAY) == USUAL_DELAY {
            mi_option_set(PURGE_DELAY, NEVER);
        }
    }
}

/// Zeros whose memory nobody has touched: a page comes from the kernel, zeroed, when it is first used, by the thread that
/// uses it. fp32.
pub fn untouched_zeros(shape: &[i64], device: Device) -> Tensor {
    let tensor = Tensor::empty(shape, (Kind::Float, device));
    if device == Device::Cpu && give_up_pages(&tensor) { tensor } else { tensor.zero() }
}

/// Whether the tensor's pages were given back to the kernel, so that they read as zeros.
#[cfg(target_os = "linux")]
fn give_up_pages(tensor: &Tensor) -> bool {
    /// Below this a system call costs more than it saves; and a multiple of any page's size.
    const LARGE: usize = 1 << 20;
    let (start, bytes) = (tensor.data_ptr() as usize, tensor.numel() * size_of::<f32>());
    if bytes < 2 * LARGE || !tensor.is_contiguous() {
        return false;
    }
    // SAFETY: no pointers.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(LARGE).max(1);
    let (first, last) = (start.next_multiple_of(page), (start + bytes) / page * page);
    // SAFETY: the pages lie wholly inside the tensor, which is new and known to nobody else. They are anonymous and
    // private, as all that an allocator hands out, so that they come back as zeros; where the call isn't possible
    // (locked memory) it changes nothing and says so. What lies before the first and after the last whole page is
    // the tensor's too.
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
fn give_up_pages(_: &Tensor) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The option's number is mimalloc's; another version's would show here.
    #[test]
    fn freed_memory_is_kept() {
        let wish = std::env::var("MIMALLOC_PURGE_DELAY").ok().and_then(|value| value.parse().ok());
        keep_freed_memory();
        // SAFETY: as above.
        assert_eq!(unsafe { mi_option_get(PURGE_DELAY) }, wish.unwrap_or(NEVER));
    }

    #[test]
    fn zeros_are_zeros_whatever_lay_there() {
        for elements in [0, 1, 1000, (3 << 20) + 17, 5 << 20] {
            // Freed memory is what the next tensor of its size gets.
            drop(Tensor::full([elements], 7.0, (Kind::Float, Device::Cpu)));
            let zeros = untouched_zeros(&[elements], Device::Cpu);
            assert_eq!((zeros.size(), zeros.kind()), (vec![elements], Kind::Float));
            assert!(!bool::try_from(zeros.not_equal(0.0).any()).unwrap(), "{elements} elements");
        }
    }
}
