//! The memory of a CPU tensor as a slice, after its type, place and layout were checked.
//!
//! This is the only door from tensors to slices in the optimizers. Whoever asks names the parameter, so that a tensor
//! of the wrong kind is an error that says which one, and not a wild read.

use kernels::element::Bf16;
use tch::{Device, Kind, Tensor};

use crate::error::{Result, TrainError};

/// The fp32 values of a tensor, to be changed in place.
///
/// # Safety
///
/// While the slice lives, nothing else may read or write the tensor's memory: no other slice of it, of a view of it or
/// of a tensor that shares its storage, and no operation of libtorch on any of them.
#[expect(clippy::mut_from_ref, reason = "a tensor's memory is not behind the borrow of its handle")]
pub(super) unsafe fn f32_mut<'a>(tensor: &'a Tensor, name: &str) -> Result<&'a mut [f32]> {
    let (data, len) = checked(tensor, Kind::Float, name)?;
    // SAFETY: `checked` vouches for `len` contiguous fp32 values in CPU memory, the caller for nobody else using them.
    Ok(if len == 0 { &mut [] } else { unsafe { std::slice::from_raw_parts_mut(data.cast(), len) } })
}

/// The bits of a bf16 tensor, to be changed in place.
///
/// # Safety
///
/// As for [`f32_mut`].
#[expect(clippy::mut_from_ref, reason = "a tensor's memory is not behind the borrow of its handle")]
pub(super) unsafe fn bf16_mut<'a>(tensor: &'a Tensor, name: &str) -> Result<&'a mut [Bf16]> {
    let (data, len) = checked(tensor, Kind::BFloat16, name)?;
    // SAFETY: as in `f32_mut`; `Bf16` is the 16 bits of a bf16 value.
    Ok(if len == 0 { &mut [] } else { unsafe { std::slice::from_raw_parts_mut(data.cast(), len) } })
}

/// The fp32 values of a tensor.
///
/// # Safety
///
/// While the slice lives, nothing may write to the tensor's memory. The same holds for the two functions below.
pub(super) unsafe fn f32_ref<'a>(tensor: &'a Tensor, name: &str) -> Result<&'a [f32]> {
    let (data, len) = checked(tensor, Kind::Float, name)?;
    // SAFETY: as in `f32_mut`, but shared: the caller vouches for nobody writing.
    Ok(if len == 0 { &[] } else { unsafe { std::slice::from_raw_parts(data.cast(), len) } })
}

/// The bits of a bf16 tensor.
///
/// # Safety
///
/// As for [`f32_ref`].
pub(super) unsafe fn bf16_ref<'a>(tensor: &'a Tensor, name: &str) -> Result<&'a [Bf16]> {
    let (data, len) = checked(tensor, Kind::BFloat16, name)?;
    // SAFETY: as in `f32_ref`.
    Ok(if len == 0 { &[] } else { unsafe { std::slice::from_raw_parts(data.cast(), len) } })
}

/// The values of an int64 tensor.
///
/// # Safety
///
/// As for [`f32_ref`].
pub(super) unsafe fn i64_ref<'a>(tensor: &'a Tensor, name: &str) -> Result<&'a [i64]> {
    let (data, len) = checked(tensor, Kind::Int64, name)?;
    // SAFETY: as in `f32_ref`.
    Ok(if len == 0 { &[] } else { unsafe { std::slice::from_raw_parts(data.cast(), len) } })
}

/// Address and number of elements of a contiguous CPU tensor of that kind.
fn checked(tensor: &Tensor, kind: Kind, name: &str) -> Result<(*mut std::ffi::c_void, usize)> {
    let found = tensor.f_kind()?;
    let device = tensor.device();
    if device != Device::Cpu || found != kind || !tensor.is_contiguous() {
        let layout = if tensor.is_contiguous() { "contiguous" } else { "not contiguous" };
        return Err(TrainError::UnfitTensor {
            name: name.to_owned(),
            found: format!("{found:?}, {layout}, on {device:?}"),
            needed: format!("{kind:?}, contiguous, on Cpu"),
        });
    }
    Ok((tensor.data_ptr(), tensor.numel()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_contiguous_cpu_tensors_of_the_kind_become_slices() {
        let values = Tensor::from_slice(&[1.0_f32, 2.0, 3.0, 4.0]).view([2, 2]);
        // SAFETY: these tensors are used by this test alone, one slice at a time.
        unsafe {
            assert_eq!(f32_ref(&values, "w").expect("an fp32 tensor"), [1.0, 2.0, 3.0, 4.0]);
            f32_mut(&values, "w").expect("an fp32 tensor")[3] = 5.0;
            assert_eq!(values.double_value(&[1, 1]), 5.0);
            assert!(f32_ref(&Tensor::zeros([0, 3], (Kind::Float, Device::Cpu)), "w").expect("empty").is_empty());

            let transposed = f32_ref(&values.tr(), "bert.pooler.dense.weight").expect_err("not contiguous").to_string();
            assert!(transposed.contains("bert.pooler.dense.weight") && transposed.contains("not contiguous"));
            let wrong_kind = bf16_ref(&values, "w").expect_err("fp32, not bf16").to_string();
            assert!(wrong_kind.contains("BFloat16") && wrong_kind.contains("Float,"), "{wrong_kind}");
        }
    }
}
