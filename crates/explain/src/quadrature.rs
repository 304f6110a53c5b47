//! Gauss-Legendre quadrature on `[0, 1]`, as Captum integrates by default.

/// The nodes, ascending, and their weights, which sum to 1: exact for polynomials of degree `2 n - 1`.
///
/// Newton's method on the Legendre polynomial of degree `n`, from the estimates of its roots in Abramowitz and Stegun 1964,
/// 22.16.6; weights by their 25.4.29.
///
/// # Panics
/// If `n` is 0.
pub(crate) fn gauss_legendre(n: usize) -> Vec<(f64, f64)> {
    assert!(n > 0, "a quadrature needs at least one node");
    let node = |index: usize| {
        let mut x = -(std::f64::consts::PI * (index as f64 + 0.75) / (n as f64 + 0.5)).cos();
        let mut derivative = 1.0;
        for _ in 0..100 {
            let value;
            (value, derivative) = legendre(n, x);
            let step = value / derivative;
            x -= step;
            if step.abs() < 1e-16 {
                break;
            }
        }
        let weight = 2.0 / ((1.0 - x * x) * derivative * derivative);
        (0.5 * (1.0 + x), 0.5 * weight)
    };
    (0..n).map(node).collect()
}

/// The Legendre polynomial of degree `n` and its derivative, inside of (-1, 1).
fn legendre(n: usize, x: f64) -> (f64, f64) {
    let (mut before, mut value) = (1.0, x);
    for k in 2..=n {
        let k = k as f64;
        (before, value) = (value, ((2.0 * k - 1.0) * x * value - (k - 1.0) * before) / k);
    }
    (value, n as f64 * (x * value - before) / (x * x - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literal_nodes() {
        assert_eq!(gauss_legendre(1), [(0.5, 1.0)]);
        let off = 0.5 / 3f64.sqrt();
        for ((node, weight), expected) in gauss_legendre(2).into_iter().zip([0.5 - off, 0.5 + off]) {
            assert!((node - expected).abs() < 1e-15 && (weight - 0.5).abs() < 1e-15, "{node} {weight}");
        }
    }

    #[test]
    fn polynomials_up_to_the_degree_are_integrated_exactly_and_not_beyond() {
        for n in [1, 2, 3, 8, 50, 64, 512] {
            let nodes = gauss_legendre(n);
            assert!(nodes.windows(2).all(|pair| pair[0].0 < pair[1].0), "{n}: ascending");
            let integral = |power: i32| nodes.iter().map(|(x, weight)| weight * x.powi(power)).sum::<f64>();
            for power in [0, 1, n as i32, 2 * n as i32 - 1] {
                let exact = 1.0 / f64::from(power + 1);
                assert!((integral(power) - exact).abs() < 1e-13, "{n} nodes, x^{power}: {}", integral(power));
            }
            if n <= 8 {
                assert!((integral(2 * n as i32) - 1.0 / (2 * n + 1) as f64).abs() > 1e-12, "{n} nodes");
            }
        }
    }
}
