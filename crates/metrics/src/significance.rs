//! Whether a difference could be chance: p-values of tests on counts, and their correction for the number of tests.

use crate::counting::{binomial, hypergeometric};

/// Probabilities as large as the observed one but for rounding count as equal to it.
const EQUAL: f64 = 1.0 + 1e-7;

/// The p-value of McNemar's test that two models are right equally often, from the numbers of rows that only one of them has right.
///
/// It is the mid-p of the exact test: the probability of a more uneven split of these rows and half the probability of one as uneven
/// (Fagerland, Lydersen & Laake, "The McNemar test for binary matched-pairs data: mid-p and asymptotic are better than exact
/// conditional", 2013). The exact test itself, which is statsmodels' `mcnemar(exact=True)`, says "chance" more often than it has to.
/// 1 without such rows.
pub fn mcnemar_mid_p(only_first: u64, only_second: u64) -> f64 {
    let (fewer, rows) = (only_first.min(only_second), only_first + only_second);
    if rows == 0 {
        return 1.0;
    }
    let observed = binomial(fewer, rows, 0.5);
    if only_first == only_second {
        return 1.0 - 0.5 * observed;
    }
    let mut more_uneven = 0.0;
    for count in (0..fewer).rev() {
        let probability = binomial(count, rows, 0.5);
        more_uneven += probability;
        // They fall faster and faster.
        if probability < 1e-18 * more_uneven {
            break;
        }
    }
    (2.0 * more_uneven + observed).min(1.0)
}

/// The p-value of Fisher's exact test, two-sided, that two shares are the same: the probability of all tables with these sums that are
/// no likelier than the one found, which is `scipy.stats.fisher_exact`. 1 where one side has no trials.
///
/// # Panics
/// If there are more successes than trials.
pub fn two_proportions_p(successes: u64, trials: u64, other_successes: u64, other_trials: u64) -> f64 {
    assert!(successes <= trials && other_successes <= other_trials, "expected at most as many successes as trials");
    let (marked, total) = (successes + other_successes, trials + other_trials);
    let (least, most) = (trials.saturating_sub(total - marked), trials.min(marked));
    let probability = |found: u64| hypergeometric(found, marked, trials, total);
    let limit = probability(successes) * EQUAL;
    let sum: f64 = (least..=most).map(probability).filter(|probability| *probability <= limit).sum();
    sum.min(1.0)
}

/// p-values corrected for their number (Holm, "A simple sequentially rejective multiple test procedure", 1979), in the order given:
/// below 0.05 are those that are hardly any of them chance, with a risk of 5 % for all together. statsmodels'
/// `multipletests(method="holm")`.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let mut corrected = vec![0.0; p.len()];
    let mut largest = 0.0_f64;
    for (rank, place) in order.into_iter().enumerate() {
        largest = largest.max(p[place] * (p.len() - rank) as f64).min(1.0);
        corrected[place] = largest;
    }
    corrected
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_one_model_has_right_are_split_by_a_coin() {
        assert_eq!(mcnemar_mid_p(0, 0), 1.0);
        assert!((mcnemar_mid_p(3, 0) - 0.125).abs() < 1e-15);
        assert!((mcnemar_mid_p(1, 1) - 0.75).abs() < 1e-15);
        assert_eq!(mcnemar_mid_p(7, 30), mcnemar_mid_p(30, 7));
        assert!(mcnemar_mid_p(0, 100_000) < 1e-300);
    }

    #[test]
    fn shares_of_nothing_are_not_different() {
        assert_eq!(two_proportions_p(0, 0, 3, 9), 1.0);
        assert!((two_proportions_p(5, 5, 9, 9) - 1.0).abs() < 1e-13);
        assert!((two_proportions_p(2, 2, 0, 2) - 1.0 / 3.0).abs() < 1e-14, "1/6 in each tail");
    }

    #[test]
    fn a_corrected_value_is_never_below_a_smaller_one_s() {
        let found = holm(&[0.01, 0.04, 0.03, 0.5]);
        let expected = [0.04, 0.09, 0.09, 0.5];
        assert!(found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-15), "{found:?}");
        assert_eq!(holm(&[]), [0.0; 0]);
        assert_eq!(holm(&[0.7, 0.8]), [1.0, 1.0]);
    }
}
