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
pub(crate) mod testing {
    /// The standard normal distribution's cumulative distribution function in fp64, by the Taylor series and the
    /// continued fraction of `erfc`.
    pub(crate) fn phi(x: f64) -> f64 {
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
}

#[cfg(test)]
mod tests {
    use super::testing::phi;
    use super::*;
    use crate::isa::testing::with_each_isa;
    use crate::isa::{Isa, Supported};
    use crate::multiversion;

    /// All functions of each value: exp, tanh, cdf and density.
    type Values<'a> = (&'a [f32], &'a mut Vec<[f32; 4]>);

    multiversion!(fn run(Values<'_>) = run_inline);

    #[inline(always)]
    fn run_inline<const ISA: u8>((x, values): Values, _: Supported<ISA>) {
        values.extend(x.iter().map(|x| {
            let (cdf, density) = normal::<ISA>(*x);
            [exp::<ISA>(*x), tanh::<ISA>(*x), cdf, density]
        }));
    }

    /// Calls `check` with each value and its results, on each instruction set.
    fn for_each_value(x: &[f32], check: impl Fn(f64, [f32; 4], Isa)) {
        with_each_isa(|isa| {
            let mut values = Vec::new();
            run((x, &mut values), isa);
            x.iter().zip(values).for_each(|(x, values)| check(f64::from(*x), values, isa));
        });
    }

    #[test]
    fn exp_matches_fp64() {
        let x: Vec<f32> = (-870_000..=880_000).map(|i| i as f32 / 10_000.0).collect();
        for_each_value(&x, |x, [ours, ..], isa| {
            let reference = x.exp();
            let close = (f64::from(ours) / reference - 1.0).abs() < 2.5e-7;
            assert!(close, "{x}, {isa:?}: {ours:e} against {reference:e}");
        });
        for_each_value(&[f32::NEG_INFINITY, f32::NAN], |x, [ours, ..], isa| {
            assert!(if x.is_nan() { ours.is_nan() } else { ours < 1e-37 }, "{x}, {isa:?}: {ours}");
        });
    }

    #[test]
    fn tanh_matches_fp64() {
        let x: Vec<f32> = (-20_000..=20_000).map(|i| i as f32 / 1000.0).collect();
        for_each_value(&x, |x, [_, ours, ..], isa| {
            assert!((f64::from(ours) - x.tanh()).abs() < 3e-7, "{x}, {isa:?}: {ours}");
        });
    }

    #[test]
    fn normal_matches_fp64() {
        let x: Vec<f32> = (-12_000..=12_000).map(|i| i as f32 / 1000.0).collect();
        for_each_value(&x, |x, [_, _, cdf, density], isa| {
            let reference = phi(x);
            // exp rounds its argument: half a unit in the last place of z^2 / 2 is a relative error of z^2 / 2 times
            // 6e-8.
            let tolerance = 6e-7 + 1.2e-7 * (x * x / 2.0);
            let error = (f64::from(cdf) / reference - 1.0).abs();
            assert!(error < tolerance, "{x}, {isa:?}: {cdf:e} against {reference:e}");
            let reference = (-x.powi(2) / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
            assert!((f64::from(density) / reference - 1.0).abs() < tolerance, "{x}, {isa:?}: {density:e}");
        });
    }
}
