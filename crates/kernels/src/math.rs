//! Elementary functions that the compiler can vectorize in loops.

use crate::isa::fma;

/// `e^x` to within two units in the last place for -87 <= x <= 88; 1.6e-38 below and 1.7e38 above that.
#[inline(always)]
pub(crate) fn exp<const ISA: u8>(x: f32) -> f32 {
    // Adding this rounds to a whole number in the low bits, which are then those of the exponent of a power of two.
    const ROUND: f32 = 12_582_912.0 + 127.0;
    const LN_2_HIGH: f32 = 0.693_145_75;
    const LN_2_LOW: f32 = 1.428_606_8e-6;
    let x = x.clamp(-87.0, 88.0);
    let shifted = fma::<ISA>(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    // x = n ln 2 + r with |r| <= ln 2 / 2.
    let r = fma::<ISA>(n, -LN_2_LOW, fma::<ISA>(n, -LN_2_HIGH, x));
    // Taylor's series; the first term left out is below 1e-8.
    let mut series = 1.0 / 5040.0;
    for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        series = fma::<ISA>(series, r, coefficient);
    }
    series * f32::from_bits(shifted.to_bits() << 23)
}

/// `tanh x`, to within 3e-7.
#[inline(always)]
pub(crate) fn tanh<const ISA: u8>(x: f32) -> f32 {
    let e = exp::<ISA>(-2.0 * x.abs());
    ((1.0 - e) / (1.0 + e)).copysign(x)
}

/// The standard normal distribution's cumulative distribution function (relative error below 6e-7 near zero) and
/// density.
///
/// `Phi(-z) = exp(-z^2 / 2) P(1 / (1 + C z))` for z >= 0, the form of Abramowitz and Stegun's 26.2.17; the polynomial
/// is our own fit of degree 8, by `tests/fixtures/kernels/fit_normal.py`, with a relative error of 1e-7 up to z = 13.
#[inline(always)]
pub(crate) fn normal<const ISA: u8>(x: f32) -> (f32, f32) {
    const C: f32 = 0.2316;
    /// From the highest power down.
    const P: [f32; 8] =
        [-0.071_221_695, 0.251_275, -0.207_974_23, 0.231_254_77, 0.010_226_997, 0.103_700_6, 0.090_220_01, 0.092_518_6];
    const FRAC_1_SQRT_2PI: f32 = 0.398_942_3;
    let z = x.abs();
    let e = exp::<ISA>(-0.5 * z * z);
    let t = 1.0 / fma::<ISA>(C, z, 1.0);
    let mut series = 0.0;
    for coefficient in P {
        series = fma::<ISA>(series, t, coefficient);
    }
    let tail = e * series * t;
    (if x > 0.0 { 1.0 - tail } else { tail }, e * FRAC_1_SQRT_2PI)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::BASELINE;

    /// `erfc` in fp64 by its Taylor series and its continued fraction.
    fn phi(x: f64) -> f64 {
        let z = x.abs();
        let tail = if z < 3.0 {
            let (mut term, mut sum) = (z, z);
            for k in 1..200 {
                term *= z * z / f64::from(2 * k + 1);
                sum += term;
            }
            0.5 - sum * (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
        } else {
            let mut fraction = z;
            for k in (1..200).rev() {
                fraction = z + f64::from(k) / fraction;
            }
            (-z * z / 2.0).exp() / (fraction * (2.0 * std::f64::consts::PI).sqrt())
        };
        if x > 0.0 { 1.0 - tail } else { tail }
    }

    #[test]
    fn exp_matches_fp64() {
        for i in -870_000..=880_000 {
            let x = i as f32 / 10_000.0;
            let (ours, reference) = (f64::from(exp::<BASELINE>(x)), f64::from(x).exp());
            assert!((ours / reference - 1.0).abs() < 2.5e-7, "{x}: {ours:e} against {reference:e}");
        }
        assert!(exp::<BASELINE>(f32::NEG_INFINITY) < 1e-37);
        assert!(exp::<BASELINE>(f32::NAN).is_nan());
    }

    #[test]
    fn tanh_matches_fp64() {
        for i in -20_000..=20_000 {
            let x = i as f32 / 1000.0;
            assert!((f64::from(tanh::<BASELINE>(x)) - f64::from(x).tanh()).abs() < 3e-7, "{x}");
        }
    }

    #[test]
    fn normal_matches_fp64() {
        for i in -12_000..=12_000 {
            let x = i as f32 / 1000.0;
            let (cdf, density) = normal::<BASELINE>(x);
            let reference = phi(f64::from(x));
            // exp rounds its argument: half a unit in the last place of z^2 / 2 is a relative error of z^2 / 2 times
            // 6e-8.
            let tolerance = 6e-7 + 1.2e-7 * f64::from(x * x / 2.0);
            assert!((f64::from(cdf) / reference - 1.0).abs() < tolerance, "{x}: {cdf:e} against {reference:e}");
            let reference = (-f64::from(x).powi(2) / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
            assert!((f64::from(density) / reference - 1.0).abs() < tolerance, "{x}");
        }
    }
}
