//! Every number against scikit-learn's on 1,000 random cases, degenerate ones among them.
//!
//! The expected numbers were made by `tests/fixtures/metrics/make_metrics.py`; `case` draws the same labels as the
//! function of that name there.

use std::error::Error;

use metrics::{Average, ClassificationReport, ConfusionMatrix, Labels, ReportOptions, Scores, ZeroDivision};

const TOLERANCE: f64 = 1e-12;

/// Steele, Lea and Flood 2014.
struct SplitMix64(u64);

impl SplitMix64 {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        (z % u64::from(bound)) as u32
    }
}

fn case(number: u64) -> (u32, Vec<u32>, Vec<u32>) {
    let mut random = SplitMix64(number);
    let classes = 1 + random.below(12);
    let kind = number % 8;
    let n = if kind == 7 { 1 } else { 1 + random.below(120) };
    let fixed = random.below(classes);
    let mut labels = (Vec::new(), Vec::new());
    for _ in 0..n {
        let (t, p) = (random.below(classes), random.below(classes));
        let lucky = random.below(4) > 0;
        let half = classes.div_ceil(2);
        let (t, p) = match kind {
            1 if lucky => (t, t),
            2 if classes > 1 => (t, (t + 1 + p % (classes - 1)) % classes),
            3 => (t, t),
            4 => (fixed, p),
            5 => (t, fixed),
            6 => (t % half, classes - 1 - p % half),
            _ => (t, p),
        };
        labels.0.push(t);
        labels.1.push(p);
    }
    (classes, labels.0, labels.1)
}

fn options(number: u64) -> ReportOptions {
    let zero_divisions = [ZeroDivision::Zero, ZeroDivision::One, ZeroDivision::Nan];
    let labels = [Labels::Present, Labels::All];
    ReportOptions {
        zero_division: zero_divisions[(number / 8 % 3) as usize],
        labels: labels[(number / 24 % 2) as usize],
    }
}

fn ours(report: &ClassificationReport) -> Vec<f64> {
    let flat = |scores: Scores| [scores.precision, scores.recall, scores.f1];
    let averages = [Average::Weighted, Average::Macro, Average::Micro];
    let mut values = vec![report.accuracy, report.matthews];
    values.extend(averages.iter().flat_map(|&average| flat(report.average(average))));
    values.extend(report.per_class.iter().flat_map(|class| flat(class.scores)));
    values
}

#[test]
fn agrees_with_scikit_learn_on_a_thousand_cases() -> Result<(), Box<dyn Error>> {
    let mut cases = 0;
    let expected = test_support::fixture_text("metrics/scikit_learn.txt");
    for (number, line) in expected.lines().filter(|line| !line.starts_with('#')).enumerate() {
        let number = number as u64;
        let (classes, truth, predicted) = case(number);
        let mut fields = line.split(' ');
        let checksum: u64 = fields.next().ok_or("an empty line")?.parse()?;
        let expected = fields.map(str::parse).collect::<Result<Vec<f64>, _>>()?;

        let matrix = ConfusionMatrix::from_pairs(&truth, &predicted, classes as usize)?;
        let sum: u64 = (1..).zip(matrix.rows().flatten()).map(|(weight, count)| weight * count).sum();
        assert_eq!(sum, checksum, "case {number}: the confusion matrix differs");

        let names: Vec<String> = (0..classes).map(|class| class.to_string()).collect();
        let report = ClassificationReport::new(&matrix, &names, options(number))?;
        let values = ours(&report);
        assert_eq!(values.len(), expected.len(), "case {number}");
        for (place, (value, expected)) in values.iter().zip(&expected).enumerate() {
            let equal = (value - expected).abs() <= TOLERANCE || (value.is_nan() && expected.is_nan());
            assert!(equal, "case {number}, number {place}: {value}, scikit-learn says {expected}\n{report}");
        }
        cases += 1;
    }
    assert_eq!(cases, 1000);
    Ok(())
}
