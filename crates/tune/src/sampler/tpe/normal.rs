//! The normal distribution: its cumulative function and the inverse of that.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// The probability of a standard normal number below `z`.
pub(super) fn cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z * FRAC_1_SQRT_2)
}

/// The probability of a standard normal number between `from` and `to`, precise in both tails.
pub(super) fn mass(from: f64, to: f64) -> f64 {
    if from > 0.0 { cdf(-from) - cdf(-to) } else { cdf(to) - cdf(from) }
}

/// The number below which a standard normal one is with `probability`, in (0, 1).
///
/// Halley's steps from the logistic distribution's quantile, which is near enough for a few of them.
pub(super) fn quantile(probability: f64) -> f64 {
    if probability > 0.5 {
        return -quantile_of_lower_half(1.0 - probability);
    }
    quantile_of_lower_half(probability)
}

fn quantile_of_lower_half(probability: f64) -> f64 {
    let probability = probability.max(f64::MIN_POSITIVE);
    // In the tail the logarithm is nearly a parabola, near the middle the logistic curve is close.
    let mut z = if probability < 0.02 {
        let square = -2.0 * probability.ln();
        -(square - square.ln() - (2.0 * PI).ln()).max(0.0).sqrt()
    } else {
        (probability / (1.0 - probability)).ln() * 3.0_f64.sqrt() / PI
    };
    for _ in 0..20 {
        let density = (-0.5 * z * z).exp() / (2.0 * PI).sqrt();
        let newton = (cdf(z) - probability) / density;
        let step = newton / (1.0 + 0.5 * z * newton);
        z -= step;
        if step.abs() <= 1e-15 * z.abs().max(1.0) {
            break;
        }
    }
    z
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By scipy's `norm.ppf`.
    const QUANTILES: [(f64, f64); 6] = [
        (1e-300, -37.0471),
        (1e-20, -9.262340089798408),
        (1e-5, -4.264890793922825),
        (0.025, -1.9599639845400545),
        (0.3, -0.5244005127080409),
        (0.9, 1.2815515655446004),
    ];

    #[test]
    fn quantiles_are_those_of_scipy() {
        for (probability, expected) in QUANTILES {
            let found = quantile(probability);
            let digits = if probability < 1e-100 { 1e-4 } else { 1e-12 };
            assert!((found - expected).abs() < digits, "{probability}: {found} instead of {expected}");
        }
    }

    #[test]
    fn the_quantile_inverts_the_cumulative_function() {
        for step in 1..1000 {
            let probability = f64::from(step) / 1000.0;
            assert!((cdf(quantile(probability)) - probability).abs() < 1e-15, "{probability}");
        }
    }

    #[test]
    fn tails_are_precise() {
        let tail = mass(10.0, 11.0);
        assert!((tail / 7.619853024160489e-24 - 1.0).abs() < 1e-3, "{tail:e}");
        assert_eq!(tail, mass(-11.0, -10.0));
    }
}
