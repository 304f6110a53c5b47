//! The memory of CPU tensors as slices: the only door from tensors to kernels.

use kernels::element::{Bf16, Element};
use tch::{Device, Kind, Tensor};

/// A format of the passes.
pub(crate) trait Float: Element {
    const KIND: Kind;
}

impl Float for f32 {
    const KIND: Kind = Kind::Float;
}

impl Float for Bf16 {
    const KIND: Kind = Kind::BFloat16;
}

/// Runs the block with `$t` as the format of `$tensor`.
macro_rules! with_float {
    ($tensor:expr, $t:ident => $body:expr) => {
        match $tensor.kind() {
            tch::Kind::BFloat16 => {
                type $t = kernels::element::Bf16;
                $body
            }
            _ => {
                type $t = f32;
                $body
            }
        }
    };
}
pub(crate) use with_float;

/// The elements of a tensor.
///
/// # Panics
/// Unless it lies on the CPU, in one piece, in that format: everything that the passes make does.
pub(crate) fn slice<T: Float>(tensor: &Tensor) -> &[T] {
    check(tensor, T::KIND);
    // SAFETY: as many elements of that format as the line above found, in CPU memory that the tensor keeps alive. While
    // kernels run nobody writes to their inputs.
    unsafe { std::slice::from_raw_parts(pointer(tensor), tensor.numel()) }
}

/// The elements of a tensor that was just made, to be written.
///
/// # Panics
/// As [`slice()`].
pub(crate) fn slice_mut<T: Float>(tensor: &mut Tensor) -> &mut [T] {
    check(tensor, T::KIND);
    // SAFETY: as in `slice`. The handle is borrowed mutably, and the callers made the tensor themselves, so there is no
    // other handle on its memory.
    unsafe { std::slice::from_raw_parts_mut(pointer(tensor), tensor.numel()) }
}

/// A tensor whose elements are left from whatever was there before.
pub(crate) fn empty<T: Float>(shape: &[i64]) -> Tensor {
    Tensor::empty(shape, (T::KIND, Device::Cpu))
}

/// Whether kernels can work on it.
pub(crate) fn is_cpu(tensor: &Tensor) -> bool {
    tensor.device() == Device::Cpu
}

fn check(tensor: &Tensor, kind: Kind) {
    let found = (tensor.device(), tensor.kind(), tensor.is_contiguous());
    assert!(found == (Device::Cpu, kind, true), "a kernel was given a tensor on {found:?}, and needs {kind:?}");
}

fn pointer<T>(tensor: &Tensor) -> *mut T {
    // An empty tensor may have no memory at all, and a slice needs an address that isn't null.
    if tensor.numel() == 0 { std::ptr::NonNull::dangling().as_ptr() } else { tensor.data_ptr().cast() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_those_of_the_tensor() {
        let mut tensor = Tensor::from_slice(&[1f32, 2.0, 3.0]);
        slice_mut::<f32>(&mut tensor)[1] = 7.0;
        assert_eq!(slice::<f32>(&tensor), [1.0, 7.0, 3.0]);
        assert_eq!(Vec::<f32>::try_from(&tensor).expect("floats"), [1.0, 7.0, 3.0]);
        let rounded = tensor.to_kind(Kind::BFloat16);
        assert_eq!(slice::<Bf16>(&rounded)[1].to_f32(), 7.0);
        assert!(slice::<f32>(&Tensor::zeros([0, 3], (Kind::Float, Device::Cpu))).is_empty());
    }

    #[test]
    #[should_panic(expected = "needs Float")]
    fn another_format_is_a_bug() {
        let _ = slice::<f32>(&Tensor::from_slice(&[1i64]));
    }

    #[test]
    #[should_panic(expected = "needs Float")]
    fn a_view_with_gaps_is_a_bug() {
        let _ = slice::<f32>(&Tensor::zeros([4, 4], (Kind::Float, Device::Cpu)).tr());
    }
}
