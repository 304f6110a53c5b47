//! A CPU tensor's memory as a slice: the only access of kernels and optimizers to tensors.
//!
//! libtorch's tensor handles share memory, and borrowing one does not borrow the others. So [`checked_slice`] and
//! [`checked_slice_mut`], which check device, format and layout, are unsafe: the caller must rule out conflicting
//! accesses to that memory. The passes of this crate give a kernel inputs that nothing writes, and outputs that were
//! just created or that only the pass writes, like gradients; [`slice()`] and [`slice_mut`] are the same for them, and panic if a check fails.

use kernels::element::{Bf16, Element};
use tch::{Device, Kind, Tensor};

use crate::device::device_name;
use crate::error::ModelError;
use crate::precision::dtype_name;

/// A number format of tensors that can be slices.
pub trait TensorElement: 'static {
    /// The same format in libtorch.
    const KIND: Kind;
}

impl TensorElement for f32 {
    const KIND: Kind = Kind::Float;
}

impl TensorElement for Bf16 {
    const KIND: Kind = Kind::BFloat16;
}

impl TensorElement for i64 {
    const KIND: Kind = Kind::Int64;
}

/// A number format that the passes compute in.
pub(crate) trait Float: TensorElement + Element {}

impl<T: TensorElement + Element> Float for T {}

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

/// The elements of a tensor, which is called `name` in errors.
///
/// # Errors
/// [`ModelError::UnfitTensor`] unless it is on the CPU, contiguous, and of that format.
///
/// # Safety
/// While the slice lives, nothing writes to the tensor's memory: through no other slice of it or of a tensor that
/// shares its storage, and by no operation of libtorch.
pub unsafe fn checked_slice<'a, T: TensorElement>(tensor: &'a Tensor, name: &str) -> Result<&'a [T], ModelError> {
    let (data, len) = checked::<T>(tensor, name)?;
    // SAFETY: `len` contiguous elements of that format in CPU memory, which the tensor keeps alive; the caller
    // guarantees nothing writing to them.
    Ok(unsafe { std::slice::from_raw_parts(data, len) })
}

/// The elements of a tensor, to be changed in place.
///
/// # Errors
/// As [`checked_slice`].
///
/// # Safety
/// While the slice lives, nothing else reads or writes the tensor's memory: through no other slice of it or of a tensor
/// that shares its storage, and by no operation of libtorch.
#[expect(clippy::mut_from_ref, reason = "a tensor's memory is not behind the borrow of its handle")]
pub unsafe fn checked_slice_mut<'a, T: TensorElement>(
    tensor: &'a Tensor,
    name: &str,
) -> Result<&'a mut [T], ModelError> {
    let (data, len) = checked::<T>(tensor, name)?;
    // SAFETY: `len` contiguous elements of that format in CPU memory, which the tensor keeps alive; the caller
    // guarantees that nothing else uses them.
    Ok(unsafe { std::slice::from_raw_parts_mut(data, len) })
}

/// Address and number of elements of a contiguous CPU tensor of that format.
fn checked<T: TensorElement>(tensor: &Tensor, name: &str) -> Result<(*mut T, usize), ModelError> {
    let (found, device, contiguous) = (tensor.f_kind()?, tensor.device(), tensor.is_contiguous());
    if (found, device, contiguous) != (T::KIND, Device::Cpu, true) {
        let layout = if contiguous { "contiguous" } else { "not contiguous" };
        return Err(ModelError::UnfitTensor {
            name: name.to_owned(),
            found: format!("{}, {layout}, on {}", dtype_name(found), device_name(device)),
            needed: format!("{}, contiguous, on cpu", dtype_name(T::KIND)),
        });
    }
    // An empty tensor may have no memory at all, and a slice needs an address that isn't null.
    let len = tensor.numel();
    Ok((if len == 0 { std::ptr::NonNull::dangling().as_ptr() } else { tensor.data_ptr().cast() }, len))
}

/// The elements of a tensor that a kernel reads.
///
/// # Panics
/// Unless it is on the CPU, contiguous, and of that format: every tensor that the passes create is.
pub(crate) fn slice<T: TensorElement>(tensor: &Tensor) -> &[T] {
    // SAFETY: while kernels run nothing writes to their inputs.
    unsafe { checked_slice(tensor, "a kernel's input") }.unwrap_or_else(|error| panic!("{error}"))
}

/// The elements of a tensor that was just created, or of a part of [`Gradients`](crate::Gradients) that the caller borrows
/// mutably, for a kernel to write.
///
/// # Panics
/// As [`slice()`].
pub(crate) fn slice_mut<T: TensorElement>(tensor: &mut Tensor) -> &mut [T] {
    // SAFETY: the handle is borrowed mutably, and nothing else uses its memory: the callers created the tensor
    // themselves, or borrow the gradients mutably that it is a part of.
    unsafe { checked_slice_mut(tensor, "a kernel's output") }.unwrap_or_else(|error| panic!("{error}"))
}

/// The bytes of an fp32 tensor, to be written to a file.
///
/// # Panics
/// As [`slice()`].
pub(crate) fn bytes(tensor: &Tensor) -> &[u8] {
    let values = slice::<f32>(tensor);
    // SAFETY: the same memory, for the same borrow; any byte of it is a valid `u8`.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}

/// The bytes of an fp32 tensor, or of a part of one, that was just created, to be filled from a file.
///
/// # Panics
/// As [`slice()`].
pub(crate) fn bytes_mut(tensor: &mut Tensor) -> &mut [u8] {
    let values = slice_mut::<f32>(tensor);
    // SAFETY: the same memory, for the same borrow; any four bytes make an fp32 value.
    unsafe { std::slice::from_raw_parts_mut(values.as_mut_ptr().cast(), size_of_val(values)) }
}

/// A tensor with uninitialized elements, as `torch.empty`.
pub(crate) fn empty<T: TensorElement>(shape: &[i64]) -> Tensor {
    Tensor::empty(shape, (T::KIND, Device::Cpu))
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
        bytes_mut(&mut tensor)[8..].copy_from_slice(&5f32.to_ne_bytes());
        assert_eq!(bytes(&tensor), [1f32, 7.0, 5.0].map(f32::to_ne_bytes).concat());
        let rounded = tensor.to_kind(Kind::BFloat16);
        assert_eq!(slice::<Bf16>(&rounded)[1].to_f32(), 7.0);
        let empty = Tensor::zeros([0, 3], (Kind::Float, Device::Cpu));
        assert!(slice::<f32>(&empty).is_empty() && bytes(&empty).is_empty());
    }

    #[test]
    fn only_contiguous_cpu_tensors_of_the_format_become_slices() {
        let values = Tensor::from_slice(&[1.0_f32, 2.0, 3.0, 4.0]).view([2, 2]);
        // SAFETY: these tensors are used by this test alone, one slice at a time.
        unsafe {
            assert_eq!(checked_slice::<f32>(&values, "w").expect("an fp32 tensor"), [1.0, 2.0, 3.0, 4.0]);
            checked_slice_mut::<f32>(&values, "w").expect("an fp32 tensor")[3] = 5.0;
            assert_eq!(values.double_value(&[1, 1]), 5.0);
            let transposed = values.tr();
            let transposed = checked_slice::<f32>(&transposed, "bert.pooler.dense.weight").expect_err("not contiguous");
            let transposed = transposed.to_string();
            assert!(transposed.contains("bert.pooler.dense.weight") && transposed.contains("not contiguous"));
            let wrong_kind = checked_slice::<Bf16>(&values, "w").expect_err("fp32, not bf16").to_string();
            assert!(wrong_kind.contains("expected bfloat16") && wrong_kind.contains("found float32"), "{wrong_kind}");
        }
    }

    #[test]
    #[should_panic(expected = "expected float32, contiguous, on cpu")]
    fn wrong_dtype_panics() {
        let _ = slice::<f32>(&Tensor::from_slice(&[1i64]));
    }

    #[test]
    #[should_panic(expected = "expected float32, contiguous, on cpu")]
    fn non_contiguous_tensor_panics() {
        let _ = slice::<f32>(&Tensor::zeros([4, 4], (Kind::Float, Device::Cpu)).tr());
    }
}
