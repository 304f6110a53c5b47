//! Every measure of probabilities against scikit-learn, netcal, cleanlab and scipy, on 60 sets of rows, degenerate ones among them.
//!
//! The expected numbers were made by `tests/fixtures/probabilities/make_probabilities.py`; `case` draws the same rows as the
//! function of that name there.

use metrics::{
    ClassRanking, ConfidenceBins, RiskCoverage, TEMPERATURE_LIMITS, brier_scores, check_probabilities, fit_temperature,
    label_issues, log_losses, logits_of,
};
use serde::Deserialize;

const TOLERANCE: f64 = 1e-9;
const KINDS: u64 = 6;
const WANTED: [f64; 4] = [0.5, 0.8, 0.9, 1.0];
const ALL: usize = usize::MAX;

/// Steele, Lea and Flood 2014.
struct SplitMix64(u64);

impl SplitMix64 {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        z % bound
    }
}

/// True classes and probabilities.
fn case(number: u64) -> (Vec<u32>, Vec<Vec<f32>>) {
    let mut random = SplitMix64(number);
    let kind = number % KINDS;
    let classes = 2 + random.below(4);
    let rows = 20 + random.below(61);
    let (mut truth, mut probabilities) = (Vec::new(), Vec::new());
    for _ in 0..rows {
        let mut label = random.below(if kind == 2 && classes > 2 { classes - 1 } else { classes });
        let bound = if kind == 0 { 8 } else { 1000 };
        let mut weights: Vec<u64> = (0..classes).map(|_| 1 + random.below(bound)).collect();
        let boost = random.below(3000);
        let (lucky, sure, wrong) = (random.below(4) > 0, random.below(3) == 0, random.below(5) == 0);
        if lucky {
            weights[label as usize] += if kind == 0 { boost % 8 } else { boost };
        }
        if kind == 1 && sure {
            let most = weights.iter().max().copied();
            let highest = weights.iter().position(|weight| Some(*weight) == most);
            weights = (0..weights.len()).map(|class| u64::from(Some(class) == highest)).collect();
        }
        if kind == 3 {
            weights.iter_mut().for_each(|weight| *weight *= *weight);
        }
        if kind == 4 && wrong {
            label = (label + 1) % classes;
        }
        let total: u64 = weights.iter().sum();
        truth.push(label as u32);
        probabilities.push(weights.iter().map(|weight| (*weight as f64 / total as f64) as f32).collect());
    }
    (truth, probabilities)
}

#[derive(Deserialize)]
struct Fixture {
    cases: Vec<Expected>,
}

#[derive(Deserialize)]
struct Expected {
    rows: usize,
    classes: usize,
    correct: usize,
    log_loss: f64,
    brier: f64,
    brier_by_default: f64,
    ece: f64,
    bins: Bins,
    temperature: Option<f64>,
    classes_ranked: Vec<Ranked>,
    selective: Selective,
    label_issues: Vec<usize>,
}

#[derive(Deserialize)]
struct Bins {
    confidence: Vec<f64>,
    accuracy: Vec<f64>,
}

#[derive(Deserialize)]
struct Ranked {
    roc_auc: Option<f64>,
    average_precision: Option<f64>,
    roc: Option<[Vec<f64>; 2]>,
    precision_recall: Option<[Vec<f64>; 2]>,
}

#[derive(Deserialize)]
struct Selective {
    coverage: Vec<f64>,
    risk: Vec<f64>,
    thresholds: Vec<f64>,
    area: Option<f64>,
    widest: Vec<Option<f64>>,
}

/// A case with what is expected of it.
struct Case {
    number: u64,
    truth: Vec<u32>,
    probabilities: Vec<Vec<f32>>,
    confidences: Vec<f32>,
    correct: Vec<bool>,
    expected: Expected,
}

impl Case {
    fn all() -> Vec<Self> {
        let fixture: Fixture = test_support::fixture("probabilities/probabilities.json");
        let cases: Vec<Self> = (0..).zip(fixture.cases).map(|(number, expected)| Self::new(number, expected)).collect();
        assert_eq!(cases.len(), 60);
        cases
    }

    fn new(number: u64, expected: Expected) -> Self {
        let (truth, probabilities) = case(number);
        check_probabilities(&truth, &probabilities, expected.classes).unwrap();
        let confidences: Vec<f32> = probabilities.iter().map(|row| row.iter().copied().fold(0.0, f32::max)).collect();
        let predicted = probabilities.iter().zip(&confidences).map(|(row, most)| row.iter().position(|p| p == most));
        let correct: Vec<bool> = predicted.zip(&truth).map(|(class, truth)| class == Some(*truth as usize)).collect();
        let right = correct.iter().filter(|correct| **correct).count();
        assert_eq!((truth.len(), right), (expected.rows, expected.correct), "case {number} is another one");
        Self { number, truth, probabilities, confidences, correct, expected }
    }

    #[track_caller]
    fn close(&self, what: &str, found: f64, expected: f64) {
        assert!((found - expected).abs() <= TOLERANCE, "case {}: {what} is {found}, not {expected}", self.number);
    }

    #[track_caller]
    fn all_close(&self, what: &str, found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len(), "case {}: {what}", self.number);
        found.iter().zip(expected).for_each(|(found, expected)| self.close(what, *found, *expected));
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn log_loss_and_brier_score_are_scikit_learns() {
    for case in Case::all() {
        case.close("log loss", mean(&log_losses(&case.truth, &case.probabilities)), case.expected.log_loss);
        let brier = mean(&brier_scores(&case.truth, &case.probabilities));
        case.close("Brier score", brier, case.expected.brier);
        let by_default = if case.expected.classes == 2 { brier / 2.0 } else { brier };
        case.close("scikit-learn's default", by_default, case.expected.brier_by_default);
    }
}

#[test]
fn the_expected_calibration_error_is_netcals_and_its_bins_are_scikit_learns() {
    for case in Case::all() {
        let bins = ConfidenceBins::new(&case.confidences, &case.correct);
        let rows: Vec<u32> = (0..case.truth.len() as u32).collect();
        case.close("ECE", bins.calibration_error(&rows), case.expected.ece);
        let bins = bins.bins();
        let confidence: Vec<f64> = bins.iter().map(|bin| bin.confidence).collect();
        let accuracy: Vec<f64> = bins.iter().map(|bin| bin.correct as f64 / bin.rows as f64).collect();
        case.all_close("confidence of a bin", &confidence, &case.expected.bins.confidence);
        case.all_close("accuracy of a bin", &accuracy, &case.expected.bins.accuracy);
    }
}

#[test]
fn the_temperature_is_where_scipy_finds_the_derivative_to_be_zero() {
    let mut found = 0;
    for case in Case::all() {
        let fitted = fit_temperature(&case.truth, &logits_of(&case.probabilities));
        assert_eq!(
            fitted.degenerate.is_none(),
            case.expected.temperature.is_some(),
            "case {}: {fitted:?}",
            case.number
        );
        match case.expected.temperature {
            Some(expected) => {
                let error = (fitted.temperature / expected - 1.0).abs();
                assert!(error < 1e-10, "case {}: {fitted:?}, not {expected}", case.number);
                found += 1;
            }
            None => assert!([TEMPERATURE_LIMITS.0, TEMPERATURE_LIMITS.1, 1.0].contains(&fitted.temperature)),
        }
    }
    assert!(found > 40, "{found}");
}

#[test]
fn curves_and_their_areas_are_scikit_learns() {
    let (mut curves, mut without) = (0, 0);
    for case in Case::all() {
        for (class, expected) in case.expected.classes_ranked.iter().enumerate() {
            let scores: Vec<f32> = case.probabilities.iter().map(|row| row[class]).collect();
            let positive: Vec<bool> = case.truth.iter().map(|truth| *truth as usize == class).collect();
            let ranking = ClassRanking::new(&scores, &positive);
            let areas = [
                ("ROC AUC", ranking.roc_auc(), expected.roc_auc),
                ("average precision", ranking.average_precision(), expected.average_precision),
            ];
            for (what, found, expected) in areas {
                assert_eq!(found.is_some(), expected.is_some(), "case {}: {what}", case.number);
                found.zip(expected).into_iter().for_each(|(found, expected)| case.close(what, found, expected));
                without += usize::from(found.is_none());
            }
            let lines = [
                ("ROC", ranking.roc(ALL), &expected.roc),
                ("precision-recall", ranking.precision_recall(ALL), &expected.precision_recall),
            ];
            for (what, line, expected) in lines {
                if let Some([x, y]) = expected {
                    case.all_close(what, &line.iter().map(|point| point.0).collect::<Vec<_>>(), x);
                    case.all_close(what, &line.iter().map(|point| point.1).collect::<Vec<_>>(), y);
                    curves += 1;
                }
            }
        }
    }
    assert!(curves > 20 && without > 0, "{curves} curves, {without} areas that are not defined");
}

#[test]
fn risk_and_coverage_are_scikit_learns_precision_of_being_right() {
    let mut areas = 0;
    for case in Case::all() {
        let expected = &case.expected.selective;
        let curve = RiskCoverage::new(&case.confidences, &case.correct);
        let points = curve.curve(ALL);
        let of = |value: fn(&metrics::SelectionPoint) -> f64| points.iter().map(value).collect::<Vec<_>>();
        case.all_close("threshold", &of(|point| point.threshold), &expected.thresholds);
        case.all_close("coverage", &of(|point| point.coverage), &expected.coverage);
        case.all_close("risk", &of(|point| point.risk), &expected.risk);
        if let Some(area) = expected.area {
            case.close("area", curve.area(), area);
            areas += 1;
        }
        for (wanted, expected) in WANTED.iter().zip(&expected.widest) {
            let found = curve.reaching(*wanted).map(|point| point.coverage);
            assert_eq!(found.is_some(), expected.is_some(), "case {}: accuracy {wanted}", case.number);
            found.zip(*expected).into_iter().for_each(|(found, expected)| case.close("widest", found, expected));
        }
    }
    assert!(areas > 20, "{areas} cases without ties");
}

#[test]
fn label_issues_are_cleanlabs_in_its_order() {
    let mut found = 0;
    for case in Case::all() {
        let issues = label_issues(&case.truth, &case.probabilities);
        let sorted = |rows: &[usize]| {
            let mut rows = rows.to_vec();
            rows.sort_unstable();
            rows
        };
        assert_eq!(sorted(&issues), sorted(&case.expected.label_issues), "case {}", case.number);
        // Rows of the same self-confidence may come in any order.
        let self_confidence = |rows: &[usize]| -> Vec<f32> {
            rows.iter().map(|row| case.probabilities[*row][case.truth[*row] as usize]).collect()
        };
        assert_eq!(self_confidence(&issues), self_confidence(&case.expected.label_issues), "case {}", case.number);
        found += issues.len();
    }
    assert!(found > 100, "{found}");
}
