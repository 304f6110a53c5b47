//! The interval of a bootstrap from a statistic's values: bias-corrected and accelerated (Efron, "Better bootstrap confidence
//! intervals", 1987), as `scipy.stats.bootstrap` computes it.

use crate::normal::{Z_95, cumulative, quantile};

/// Which quantiles of the resampled values are the ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BootstrapMethod {
    /// Corrected for bias and for a spread that depends on the value itself.
    Bca,
    /// 2.5 % and 97.5 %, where the corrections are not defined: all values are equal, some are NaN, or all are on one side of
    /// the statistic.
    Percentile,
}

/// A statistic with its 95 % interval; NaN where there is none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BootstrapInterval {
    /// The statistic of all rows.
    pub value: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// How the ends were found.
    pub method: BootstrapMethod,
}

/// The interval of a statistic with `value` on all rows, `resampled` on each resample and `left_out` on all rows but one or a
/// few, each with the number of times that it counts.
pub(crate) fn interval(value: f64, mut resampled: Vec<f64>, left_out: &[(f64, u64)]) -> BootstrapInterval {
    let drawn = resampled.len();
    resampled.retain(|value| !value.is_nan());
    if value.is_nan() || resampled.is_empty() {
        return BootstrapInterval { value, low: f64::NAN, high: f64::NAN, method: BootstrapMethod::Percentile };
    }
    resampled.sort_unstable_by(f64::total_cmp);
    let ends = (resampled.len() == drawn).then(|| corrected_ends(value, &resampled, left_out)).flatten();
    let method = if ends.is_some() { BootstrapMethod::Bca } else { BootstrapMethod::Percentile };
    let (low, high) = ends.unwrap_or((0.025, 0.975));
    BootstrapInterval { value, low: linear_quantile(&resampled, low), high: linear_quantile(&resampled, high), method }
}

/// The shares of resampled values below both ends; `None` where the corrections are not defined.
fn corrected_ends(value: f64, sorted: &[f64], left_out: &[(f64, u64)]) -> Option<(f64, f64)> {
    // Half of the equal ones count as lower, as in scipy.
    let (below, up_to) = (sorted.partition_point(|x| *x < value), sorted.partition_point(|x| *x <= value));
    let bias = quantile((below + up_to) as f64 / (2 * sorted.len()) as f64);
    let acceleration = acceleration(left_out)?;
    let end = |z: f64| {
        let shifted = bias + z;
        let stretch = 1.0 - acceleration * shifted;
        // Beyond the pole the ends would change sides.
        (stretch > 0.0).then(|| cumulative(bias + shifted / stretch))
    };
    let (low, high) = (end(-Z_95)?, end(Z_95)?);
    (low.is_finite() && high.is_finite() && low < high).then_some((low, high))
}

/// A sixth of the skewness of the jackknife's values, whose sign is turned; `None` where they are all equal.
fn acceleration(left_out: &[(f64, u64)]) -> Option<f64> {
    let total: f64 = left_out.iter().map(|(_, times)| *times as f64).sum();
    let mean = left_out.iter().map(|(value, times)| value * *times as f64).sum::<f64>() / total;
    let moment =
        |power: i32| left_out.iter().map(|(value, times)| (mean - value).powi(power) * *times as f64).sum::<f64>();
    let (squares, cubes) = (moment(2), moment(3));
    // What rounding leaves of equal values is no spread.
    let spread = (squares / total).sqrt();
    (spread > 1e-13 * mean.abs() && spread.is_finite()).then(|| cubes / (6.0 * squares.powf(1.5)))
}

/// The quantile between neighboring values (type 7 of Hyndman & Fan 1996, numpy's default).
pub(crate) fn linear_quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (lower, upper) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    // Infinite values have no distance.
    if place.fract() == 0.0 || lower == upper { lower } else { lower + (upper - lower) * place.fract() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 0 to 999, in another order.
    fn resampled() -> Vec<f64> {
        (0..1000).map(|place| f64::from(place * 7 % 1000)).collect()
    }

    fn even() -> Vec<(f64, u64)> {
        vec![(1.0, 3), (-1.0, 3)]
    }

    #[test]
    fn without_bias_and_skewness_the_ends_are_quantiles() {
        let found = interval(499.5, resampled(), &even());
        assert_eq!(found.method, BootstrapMethod::Bca);
        assert!((found.low - 0.025 * 999.0).abs() < 1e-9 && (found.high - 0.975 * 999.0).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn a_value_above_most_resamples_moves_both_ends_up() {
        let found = interval(600.0, resampled(), &even());
        assert!(found.low > 50.0 && found.high > 985.0, "{found:?}");
        let skewed = interval(499.5, resampled(), &[(0.0, 9), (-9.0, 1)]);
        assert!(skewed.low > 30.0 && skewed.high > 980.0, "{skewed:?}");
    }

    #[test]
    fn where_the_corrections_are_not_defined_the_ends_are_quantiles() {
        let plain = |found: BootstrapInterval| {
            assert_eq!(found.method, BootstrapMethod::Percentile);
            assert!((found.low - 24.975).abs() < 1e-9 && (found.high - 974.025).abs() < 1e-9, "{found:?}");
        };
        plain(interval(-1.0, resampled(), &even()));
        plain(interval(2000.0, resampled(), &even()));
        plain(interval(500.0, resampled(), &[(3.0, 10)]));
        plain(interval(500.0, resampled(), &[]));
        plain(interval(500.0, resampled().into_iter().chain([f64::NAN]).collect(), &even()));
    }

    #[test]
    fn infinite_values_are_ends_like_others() {
        let found = interval(1.0, [vec![0.0; 500], vec![f64::INFINITY; 500]].concat(), &even());
        assert_eq!((found.low, found.high), (0.0, f64::INFINITY));
    }
}
