//! Probabilities of counts, by the binomial and the hypergeometric distribution, exact to about 13 digits for any size (Loader, "Fast
//! and accurate computation of binomial probabilities", 2000; R computes them so, too).

use std::f64::consts::TAU;

/// The probability of `successes` in so many independent trials.
pub(crate) fn binomial(successes: u64, trials: u64, probability: f64) -> f64 {
    if successes > trials {
        return 0.0;
    }
    let (x, n) = (successes as f64, trials as f64);
    let rest = n - x;
    if probability <= 0.0 || probability >= 1.0 {
        let certain = if probability <= 0.0 { 0 } else { trials };
        return f64::from(u8::from(successes == certain));
    }
    if successes == 0 {
        return (n * (-probability).ln_1p()).exp();
    }
    if successes == trials {
        return (n * probability.ln()).exp();
    }
    let exponent = stirling_error(n)
        - stirling_error(x)
        - stirling_error(rest)
        - deviance(x, n * probability)
        - deviance(rest, n * (1.0 - probability));
    (exponent - 0.5 * (TAU * x * (rest / n)).ln()).exp()
}

/// The probability of `found` marked ones among `drawn` of `total`, of which `marked` are marked.
pub(crate) fn hypergeometric(found: u64, marked: u64, drawn: u64, total: u64) -> f64 {
    if found > marked || found > drawn || drawn - found > total - marked {
        return 0.0;
    }
    if drawn == 0 || drawn == total {
        return 1.0;
    }
    let share = drawn as f64 / total as f64;
    binomial(found, marked, share) * binomial(drawn - found, total - marked, share) / binomial(drawn, total, share)
}

/// `ln n!` less Stirling's approximation of it.
fn stirling_error(n: f64) -> f64 {
    if n < 16.0 {
        return libm::lgamma(n + 1.0) - (n + 0.5) * n.ln() + n - 0.5 * TAU.ln();
    }
    let square = n * n;
    (1.0 / 12.0 - (1.0 / 360.0 - (1.0 / 1260.0 - (1.0 / 1680.0 - 1.0 / 1188.0 / square) / square) / square) / square)
        / n
}

/// `x ln(x / mean) + mean - x`, also where both are nearly equal and the terms cancel.
fn deviance(x: f64, mean: f64) -> f64 {
    if (x - mean).abs() >= 0.1 * (x + mean) {
        return x * (x / mean).ln() + mean - x;
    }
    let ratio = (x - mean) / (x + mean);
    let mut sum = (x - mean) * ratio;
    let mut power = 2.0 * x * ratio;
    for term in 1..1000 {
        power *= ratio * ratio;
        let next = sum + power / f64::from(2 * term + 1);
        if next == sum {
            break;
        }
        sum = next;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_sum_to_one() {
        for (trials, probability) in [(1, 0.3), (7, 0.5), (40, 0.01), (2_210, 0.88)] {
            let sum: f64 = (0..=trials).map(|successes| binomial(successes, trials, probability)).sum();
            assert!((sum - 1.0).abs() < 1e-12, "{trials}: {sum}");
        }
        for (marked, drawn, total) in [(3, 5, 12), (12, 12, 12), (0, 4, 9), (900, 300, 2_210)] {
            let sum: f64 = (0..=drawn).map(|found| hypergeometric(found, marked, drawn, total)).sum();
            assert!((sum - 1.0).abs() < 1e-12, "{marked} {drawn} {total}: {sum}");
        }
    }

    #[test]
    fn small_ones_are_what_counting_says() {
        assert!((binomial(2, 4, 0.5) - 6.0 / 16.0).abs() < 1e-15);
        assert!((binomial(1, 3, 0.2) - 3.0 * 0.2 * 0.64).abs() < 1e-15);
        assert!((hypergeometric(1, 2, 2, 4) - 4.0 / 6.0).abs() < 1e-14);
        assert_eq!((binomial(0, 5, 0.0), binomial(4, 5, 1.0), binomial(6, 5, 0.5)), (1.0, 0.0, 0.0));
    }
}
