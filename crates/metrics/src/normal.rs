//! The standard normal distribution.

use std::f64::consts::{FRAC_1_SQRT_2, TAU};

/// The 0.975 quantile of the standard normal distribution: half the width of a 95 % interval in standard deviations.
pub(crate) const Z_95: f64 = 1.959_963_984_540_054;

/// The probability of a value up to `z`.
pub(crate) fn cumulative(z: f64) -> f64 {
    0.5 * libm::erfc(-z * FRAC_1_SQRT_2)
}

/// The value up to which `probability` lies: infinite for 0 and 1.
///
/// A start with an error below 4.5e-4 (Abramowitz & Stegun, "Handbook of Mathematical Functions", 26.2.23) is refined by Halley's
/// method, which cubes the error in each step.
pub(crate) fn quantile(probability: f64) -> f64 {
    // The smaller of both tails has the more exact digits.
    let tail = probability.min(1.0 - probability);
    if tail <= 0.0 || tail.is_nan() {
        return match probability {
            p if p <= 0.0 => f64::NEG_INFINITY,
            p if p >= 1.0 => f64::INFINITY,
            _ => f64::NAN,
        };
    }
    let t = (-2.0 * tail.ln()).sqrt();
    let numerator = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let denominator = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    let mut z = numerator / denominator - t;
    for _ in 0..3 {
        let density = (-0.5 * z * z).exp() / TAU.sqrt();
        let step = (cumulative(z) - tail) / density;
        z -= step / (1.0 + 0.5 * z * step);
    }
    if probability <= 0.5 { z } else { -z }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quantile_inverts_the_cumulative_probability() {
        for step in 1..2000 {
            let probability = f64::from(step) / 2000.0;
            assert!((cumulative(quantile(probability)) - probability).abs() < 1e-15, "{probability}");
        }
        for exponent in 4..300 {
            let tail = 10f64.powi(-exponent);
            assert!((cumulative(quantile(tail)) / tail - 1.0).abs() < 1e-11, "{tail}");
        }
        assert!((quantile(0.975) - Z_95).abs() < 1e-15);
        assert!(quantile(0.5).abs() < 1e-15);
        assert_eq!((quantile(0.0), quantile(1.0)), (f64::NEG_INFINITY, f64::INFINITY));
        assert!(quantile(f64::NAN).is_nan());
    }
}
