//! Number formats that the kernels read and write, computing in fp32.

/// A number format with conversions from and to fp32.
pub trait Element: Copy + Default + Send + Sync + 'static {
    /// The value in fp32, exact.
    fn to_f32(self) -> f32;
    /// The nearest value of this format; ties round to even.
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

/// The bits of a bfloat16: the upper half of an fp32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bf16(pub u16);

impl Element for Bf16 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }
    #[inline(always)]
    fn from_f32(value: f32) -> Bf16 {
        let bits = value.to_bits();
        // Rounding could carry a NaN over into infinity or zero; nothing else can wrap. Plain `+` would be checked in a
        // dev build, and a loop with sixteen exits isn't vectorized.
        let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
        Bf16(if value.is_nan() { 0x7fc0 } else { rounded as u16 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bf16_rounds_to_the_nearest_and_ties_to_even() {
        for (bits, expected) in [
            (0x3f80_0000_u32, 0x3f80_u16), // 1 exactly
            (0x3f80_7fff, 0x3f80),         // just below the middle
            (0x3f80_8000, 0x3f80),         // a tie, even below
            (0x3f81_8000, 0x3f82),         // a tie, even above
            (0x3f80_8001, 0x3f81),         // just above the middle
            (0x7f7f_ffff, 0x7f80),         // the largest number rounds to infinity
            (0xff80_0000, 0xff80),         // minus infinity stays
            (0x8000_0000, 0x8000),         // minus zero stays
        ] {
            assert_eq!(Bf16::from_f32(f32::from_bits(bits)).0, expected, "{bits:#x}");
        }
        assert!(Bf16::from_f32(f32::from_bits(0x7fff_ffff)).to_f32().is_nan());
        assert!((0..=u16::MAX).all(|bits| {
            let value = Bf16(bits).to_f32();
            value.is_nan() || Bf16::from_f32(value).0 == bits
        }));
    }
}
