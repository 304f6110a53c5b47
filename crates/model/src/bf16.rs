//! bfloat16 as the upper half of an fp32, in a form that loops over it vectorise.

/// A number that kernels read and write as fp32.
pub(crate) trait Element: Copy + Default {
    fn to_f32(self) -> f32;
    fn from_f32(value: f32) -> Self;
}

impl Element for f32 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }
    #[inline(always)]
    fn from_f32(value: f32) -> f32 {
        value
    }
}

/// The bits of a bfloat16.
#[derive(Clone, Copy, Default)]
#[repr(transparent)]
pub(crate) struct Bf16(u16);

impl Element for Bf16 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }
    /// Rounds to the nearest, ties to even, as libtorch does.
    #[inline(always)]
    fn from_f32(value: f32) -> Bf16 {
        let bits = value.to_bits();
        let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
        Bf16(if value.is_nan() { 0x7fc0 } else { rounded as u16 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Kind, Tensor};

    #[test]
    fn rounds_as_libtorch_does() {
        let mut values: Vec<f32> = (0..10_000u32).map(|i| f32::from_bits(i.wrapping_mul(0x9e37_79b9))).collect();
        values.extend([
            0.0,
            -0.0,
            1.0,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::MAX,
            f32::MIN_POSITIVE,
            1.0 + 1.0 / 256.0,
        ]);
        values.retain(|value| !value.is_nan());
        let reference: Vec<f32> =
            Vec::try_from(Tensor::from_slice(&values).to_kind(Kind::BFloat16).to_kind(Kind::Float)).expect("floats");
        let ours: Vec<f32> = values.iter().map(|&value| Bf16::from_f32(value).to_f32()).collect();
        assert_eq!(ours, reference);
        assert!(Bf16::from_f32(f32::from_bits(0x7fff_ffff)).to_f32().is_nan());
    }
}
