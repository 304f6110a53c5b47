//! The number formats that gradients and compute weights come in, for loops that the compiler turns into vectors.

/// Something that reads as an fp32 value.
pub(super) trait Element: Copy + Send + Sync {
    /// The value in fp32, exact.
    fn value(self) -> f32;
}

impl Element for f32 {
    #[inline(always)]
    fn value(self) -> f32 {
        self
    }
}

/// The bits of a bf16 value: the upper half of an fp32 value's.
impl Element for u16 {
    #[inline(always)]
    fn value(self) -> f32 {
        f32::from_bits(u32::from(self) << 16)
    }
}

/// A gradient that isn't there. It takes no memory, so a slice of any length of it costs nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Absent;

impl Element for Absent {
    #[inline(always)]
    fn value(self) -> f32 {
        0.0
    }
}

/// The bits of the bf16 value nearest to `value`; ties go to the even one, as everywhere in libtorch.
#[inline(always)]
pub(super) fn to_bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
    // Rounding could carry a NaN over into infinity or zero; nothing else can wrap. Plain `+` would be checked in a dev
    // build, and a loop with sixteen ways out isn't turned into vectors.
    if value.is_nan() { 0x7fc0 } else { rounded as u16 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Kind, Tensor};

    #[test]
    fn rounds_to_bf16_as_libtorch_does() {
        let mut values = vec![
            0.0,
            -0.0,
            1.0,
            f32::MAX,
            f32::MIN,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::NAN,
            f32::from_bits(u32::MAX),
            1e-40,
        ];
        // Around ties: an even and an odd upper half, with the lower half just below, at and just above the middle.
        for upper in [0x3f80_0000_u32, 0x3f81_0000, 0xbf80_0000, 0xbf81_0000, 0x0001_0000, 0x7f7f_0000] {
            values.extend([0x7fff, 0x8000, 0x8001, 0xffff].map(|lower| f32::from_bits(upper | lower)));
        }
        let libtorch = Tensor::from_slice(&values).to_kind(Kind::BFloat16).to_kind(Kind::Float);
        for (index, value) in values.iter().enumerate() {
            let (ours, theirs) = (to_bf16(*value).value(), libtorch.double_value(&[index as i64]) as f32);
            assert!(ours.to_bits() == theirs.to_bits() || (ours.is_nan() && theirs.is_nan()), "{value:e}");
        }
    }
}
