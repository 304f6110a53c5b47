//! Intervals, tests and correlations against scipy's and statsmodels', bootstraps with the same resamples.
//!
//! The expected numbers were made by `tests/fixtures/statistics/make_statistics.py`.

use metrics::{
    Bootstrap, BootstrapInterval, BootstrapMethod, ClassCounts, OverallScores, ReportOptions, holm, mcnemar_mid_p,
    paired_difference, spearman, two_proportions_p, wilson,
};
use serde::Deserialize;

const TOLERANCE: f64 = 1e-9;

#[derive(Deserialize)]
struct Expected {
    bootstraps: Vec<BootstrapCase>,
    wilson: Vec<(u64, u64, f64, f64)>,
    paired_difference: Vec<(u64, u64, u64, f64, f64)>,
    mcnemar_mid_p: Vec<(u64, u64, f64)>,
    two_proportions: Vec<(u64, u64, u64, u64, f64)>,
    holm: Vec<HolmCase>,
    spearman: Vec<SpearmanCase>,
}

#[derive(Deserialize)]
struct BootstrapCase {
    statistic: String,
    rows: usize,
    resamples: u32,
    seed: u64,
    data: Data,
    first_resample: Vec<u32>,
    value: f64,
    low: f64,
    high: f64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Data {
    values: Vec<f64>,
    others: Vec<f64>,
    truth: Vec<u32>,
    predicted: Vec<u32>,
    other: Vec<u32>,
}

#[derive(Deserialize)]
struct HolmCase {
    p: Vec<f64>,
    corrected: Vec<f64>,
}

#[derive(Deserialize)]
struct SpearmanCase {
    first: Vec<f64>,
    second: Vec<f64>,
    spearman: Option<f64>,
}

fn expected() -> Expected {
    test_support::fixture("statistics/statistics.json")
}

fn close(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= TOLERANCE
}

impl Data {
    fn statistic(&self, name: &str, rows: &[u32]) -> f64 {
        let rows = || rows.iter().map(|row| *row as usize);
        let mean = |values: &[f64]| rows().map(|row| values[row]).sum::<f64>() / rows().len() as f64;
        let deviation = |values: &[f64]| {
            let mean = mean(values);
            (rows().map(|row| (values[row] - mean).powi(2)).sum::<f64>() / rows().len() as f64).sqrt()
        };
        let scores = |predicted: &[u32]| -> OverallScores {
            let mut counts = ClassCounts::new(5);
            rows().for_each(|row| counts.add(self.truth[row], predicted[row], 1));
            counts.overall(ReportOptions::default())
        };
        let macro_f1 = |predicted: &[u32]| scores(predicted).macro_average.f1;
        let value = match name {
            "mean" => mean(&self.values),
            "ratio of deviations" => deviation(&self.values) / deviation(&self.others),
            "accuracy" => scores(&self.predicted).accuracy,
            "f1" => scores(&self.predicted).weighted.f1,
            "macro_f1" => macro_f1(&self.predicted),
            "matthews" => scores(&self.predicted).matthews,
            "difference of macro_f1" => macro_f1(&self.predicted) - macro_f1(&self.other),
            other => panic!("no statistic is called {other}"),
        };
        // What is equal but for rounding is equal, as in the script.
        (value * 1e12).round_ties_even() / 1e12
    }
}

#[test]
fn bootstraps_are_scipy_s_on_the_same_resamples() {
    let cases = expected().bootstraps;
    assert!(cases.len() >= 18);
    for case in cases {
        let BootstrapCase { statistic, rows, resamples, seed, data, .. } = &case;
        let bootstrap = Bootstrap { resamples: *resamples, seed: *seed };
        assert_eq!(bootstrap.resample(0, *rows), case.first_resample, "{statistic} of {rows} rows");
        let found = bootstrap.intervals(*rows, 1, &|rows, values| values[0] = data.statistic(statistic, rows));
        let BootstrapInterval { value, low, high, method } = found[0];
        assert_eq!(method, BootstrapMethod::Bca, "{statistic} of {rows} rows");
        let equal = close(value, case.value) && close(low, case.low) && close(high, case.high);
        let expected = (case.value, case.low, case.high);
        assert!(equal, "{statistic} of {rows} rows: {:?}, scipy says {expected:?}", (value, low, high));
    }
}

#[test]
fn shares_have_statsmodels_wilson_intervals() {
    for (successes, trials, low, high) in expected().wilson {
        let found = wilson(successes, trials);
        assert!(close(found.0, low) && close(found.1, high), "{successes} of {trials}: {found:?}, not {low} to {high}");
    }
}

#[test]
fn differences_of_paired_shares_are_what_scipy_s_solvers_find() {
    for (first, second, rows, low, high) in expected().paired_difference {
        let found = paired_difference(first, second, rows);
        let equal = close(found.0, low) && close(found.1, high);
        assert!(equal, "{first} and {second} of {rows}: {found:?}, not {low} to {high}");
    }
}

#[test]
fn tests_on_counts_are_those_of_statsmodels_and_scipy() {
    for (first, second, p) in expected().mcnemar_mid_p {
        let found = mcnemar_mid_p(first, second);
        assert!(close(found, p), "McNemar, {first} and {second}: {found}, not {p}");
    }
    for (successes, trials, other_successes, other_trials, p) in expected().two_proportions {
        let found = two_proportions_p(successes, trials, other_successes, other_trials);
        let table = (successes, trials, other_successes, other_trials);
        assert!(close(found, p), "Fisher, {table:?}: {found}, scipy says {p}");
    }
}

#[test]
fn corrected_p_values_are_those_of_statsmodels() {
    for HolmCase { p, corrected } in expected().holm {
        let found = holm(&p);
        assert_eq!(found.len(), corrected.len());
        assert!(found.iter().zip(&corrected).all(|(found, expected)| close(*found, *expected)), "{p:?}: {found:?}");
    }
}

#[test]
fn rank_correlations_are_those_of_scipy() {
    for SpearmanCase { first, second, spearman: expected } in expected().spearman {
        let found = spearman(&first, &second);
        match (found, expected) {
            (Some(found), Some(expected)) => {
                assert!(close(found, expected), "{first:?} {second:?}: {found}, not {expected}")
            }
            (found, expected) => assert_eq!(found, expected),
        }
    }
}
