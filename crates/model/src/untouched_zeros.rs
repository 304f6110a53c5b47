//! Zeroed memory for the optimizer's state that costs nothing until it is used.

use tch::{Device, Kind, Tensor};

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
