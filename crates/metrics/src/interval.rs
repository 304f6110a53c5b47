//! The intervals of a share, and of the difference of two shares of the same rows.

use crate::normal::Z_95;

/// The 95 % score interval of the share `successes` of `trials` (Wilson, "Probable inference, the law of succession, and statistical
/// inference", 1927): statsmodels' `proportion_confint(method="wilson")`. 0 to 1 without trials.
pub fn wilson(successes: u64, trials: u64) -> (f64, f64) {
    if trials == 0 {
        return (0.0, 1.0);
    }
    let (n, z2) = (trials as f64, Z_95 * Z_95);
    let share = successes as f64 / n;
    let center = share + z2 / (2.0 * n);
    let half = Z_95 * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt();
    let end = |end: f64| (end / (1.0 + z2 / n)).clamp(0.0, 1.0);
    // At both limits one end is the limit itself, which rounding would miss.
    let low = if successes == 0 { 0.0 } else { end(center - half) };
    let high = if successes >= trials { 1.0 } else { end(center + half) };
    (low, high)
}

/// The 95 % score interval of the difference of two shares of the same `rows` rows, from the numbers of rows that are in only one of
/// them: Wilson's of a difference (Tango, "Equivalence test and confidence interval for the difference in proportions for the
/// paired-sample design", 1998). -1 to 1 without rows.
///
/// # Panics
/// If there are more such rows than rows.
pub fn paired_difference(only_first: u64, only_second: u64, rows: u64) -> (f64, f64) {
    assert!(only_first + only_second <= rows, "expected at most as many rows in one of the shares as rows");
    if rows == 0 {
        return (-1.0, 1.0);
    }
    let (first, second, rows) = (only_first as f64, only_second as f64, rows as f64);
    (lower_end(first, second, rows), -lower_end(second, first, rows))
}

/// The least difference that the score test doesn't reject.
fn lower_end(first: f64, second: f64, rows: f64) -> f64 {
    let is_rejected = |difference: f64| {
        // The likeliest share of rows in only the second, where the shares have this difference.
        let linear = (2.0 * rows - first + second) * difference - first - second;
        let root = (linear * linear + 8.0 * rows * second * difference * (1.0 - difference)).max(0.0).sqrt();
        let likeliest = if linear > 0.0 {
            2.0 * second * difference * (1.0 - difference) / (linear + root)
        } else {
            (root - linear) / (4.0 * rows)
        };
        let variance = rows * (2.0 * likeliest + difference * (1.0 - difference));
        (first - second - rows * difference).powi(2) > Z_95 * Z_95 * variance
    };
    let (mut rejected, mut kept) = (-1.0, (first - second) / rows);
    // Halved until there is no number between them.
    while rejected < kept {
        let middle = 0.5 * (rejected + kept);
        if middle <= rejected || middle >= kept {
            break;
        }
        if is_rejected(middle) { rejected = middle } else { kept = middle }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_at_the_limits_have_an_end_there() {
        assert_eq!(wilson(0, 0), (0.0, 1.0));
        let (low, high) = wilson(0, 10);
        assert!(low == 0.0 && (high - 0.277_532_799_862_889_3).abs() < 1e-12, "{high}");
        let (low, high) = wilson(10, 10);
        assert!(high == 1.0 && (low - 0.722_467_200_137_110_7).abs() < 1e-12, "{low}");
    }
    #[test]
    fn differences_of_shares_are_those_of_the_literature() {
        // Fagerland, Lydersen & Laake, "Statistical Analysis of Contingency Tables", 2017, chapter 8: Bentur et al. and Cavo et al.
        for ((first, second, rows), expected) in [((1, 7, 21), (-0.517, -0.026)), ((6, 16, 161), (-0.1240, -0.0054))] {
            let (low, high) = paired_difference(first, second, rows);
            assert!((low - expected.0).abs() < 5e-4 && (high - expected.1).abs() < 5e-4, "{low} to {high}");
            assert_eq!(paired_difference(second, first, rows), (-high, -low));
        }
    }

    #[test]
    fn without_a_difference_there_is_room_for_one() {
        assert_eq!(paired_difference(0, 0, 0), (-1.0, 1.0));
        let (low, high) = paired_difference(0, 0, 10);
        assert!((high - wilson(0, 10).1).abs() < 1e-15 && low == -high, "{low} to {high}");
        let (low, high) = paired_difference(1, 0, 1);
        assert!(low < 0.0 && high == 1.0, "{low} to {high}");
    }
}
