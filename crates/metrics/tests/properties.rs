//! What must hold for any labels.

use metrics::{Average, ClassificationReport, ConfusionMatrix, Labels, MetricsError, ReportOptions, ZeroDivision};
use proptest::prelude::*;

/// A number of classes and pairs of (true, predicted) labels.
fn labeled() -> impl Strategy<Value = (usize, Vec<(u32, u32)>)> {
    (1u32..=8)
        .prop_flat_map(|classes| (Just(classes as usize), prop::collection::vec((0..classes, 0..classes), 1..200)))
}

fn matrix(classes: usize, pairs: &[(u32, u32)]) -> Result<ConfusionMatrix, MetricsError> {
    let (truth, predicted): (Vec<u32>, Vec<u32>) = pairs.iter().copied().unzip();
    ConfusionMatrix::from_pairs(&truth, &predicted, classes)
}

fn report(classes: usize, pairs: &[(u32, u32)], options: ReportOptions) -> Result<ClassificationReport, MetricsError> {
    let names: Vec<String> = (0..classes).map(|class| format!("class {class}")).collect();
    ClassificationReport::new(&matrix(classes, pairs)?, &names, options)
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-12
}

proptest! {
    #[test]
    fn sums_and_bounds((classes, pairs) in labeled()) {
        let matrix = matrix(classes, &pairs)?;
        let n = pairs.len() as u64;
        prop_assert_eq!(matrix.total(), n);
        prop_assert_eq!(matrix.support().iter().sum::<u64>(), n);
        prop_assert_eq!(matrix.predicted().iter().sum::<u64>(), n);
        prop_assert_eq!(matrix.correct(), pairs.iter().filter(|(t, p)| t == p).count() as u64);

        let report = report(classes, &pairs, ReportOptions::default())?;
        prop_assert!((-1.0..=1.0).contains(&report.matthews));
        let averages = [report.weighted, report.macro_average, report.micro];
        for scores in report.per_class.iter().map(|class| class.scores).chain(averages) {
            for value in [scores.precision, scores.recall, scores.f1] {
                prop_assert!((0.0..=1.0 + 1e-12).contains(&value), "{}", value);
            }
        }
    }

    #[test]
    fn accuracy_is_micro_f1_and_weighted_recall((classes, pairs) in labeled()) {
        let report = report(classes, &pairs, ReportOptions::default())?;
        prop_assert!(close(report.micro.f1, report.accuracy));
        prop_assert!(close(report.micro.precision, report.accuracy));
        prop_assert!(close(report.weighted.recall, report.accuracy));
    }

    #[test]
    fn the_order_of_examples_does_not_matter((classes, pairs, shuffled) in labeled().prop_flat_map(|(classes, pairs)| {
        (Just(classes), Just(pairs.clone()), Just(pairs).prop_shuffle())
    })) {
        prop_assert_eq!(matrix(classes, &pairs)?, matrix(classes, &shuffled)?);
    }

    #[test]
    fn renaming_classes_renames_scores((classes, pairs) in labeled(), shift in 0u32..8) {
        let rename = |label: u32| (label + shift) % classes as u32;
        let renamed: Vec<(u32, u32)> = pairs.iter().map(|&(t, p)| (rename(t), rename(p))).collect();
        let (before, after) = (report(classes, &pairs, ReportOptions::default())?, report(classes, &renamed, ReportOptions::default())?);
        prop_assert!(close(before.matthews, after.matthews));
        prop_assert!(close(before.macro_average.f1, after.macro_average.f1));
        prop_assert!(close(before.weighted.precision, after.weighted.precision));
        for (class, scores) in before.per_class.iter().enumerate() {
            prop_assert_eq!(scores.scores, after.per_class[rename(class as u32) as usize].scores);
        }
    }

    #[test]
    fn swapping_truth_and_prediction_swaps_precision_and_recall((classes, pairs) in labeled()) {
        let swapped: Vec<(u32, u32)> = pairs.iter().map(|&(t, p)| (p, t)).collect();
        let (report, swapped) = (report(classes, &pairs, ReportOptions::default())?, report(classes, &swapped, ReportOptions::default())?);
        prop_assert!(close(report.macro_average.precision, swapped.macro_average.recall));
        prop_assert!(close(report.macro_average.f1, swapped.macro_average.f1));
        prop_assert!(close(report.matthews, swapped.matthews));
    }

    #[test]
    fn perfect_predictions_score_one_everywhere(classes in 1usize..8, truth in prop::collection::vec(0u32..100, 1..50)) {
        let pairs: Vec<(u32, u32)> = truth.iter().map(|t| (t % classes as u32, t % classes as u32)).collect();
        let report = report(classes, &pairs, ReportOptions::default())?;
        prop_assert_eq!(report.accuracy, 1.0);
        for average in [Average::Weighted, Average::Macro, Average::Micro] {
            prop_assert_eq!(report.average(average).f1, 1.0);
        }
        let several = pairs.iter().any(|pair| pair != &pairs[0]);
        prop_assert_eq!(report.matthews, if several { 1.0 } else { 0.0 });
    }

    #[test]
    fn a_class_that_never_occurs_matters_only_when_all_labels_count((classes, pairs) in labeled()) {
        let with = |labels| ReportOptions { zero_division: ZeroDivision::Zero, labels };
        let plain = report(classes, &pairs, with(Labels::Present))?;
        let more = report(classes + 1, &pairs, with(Labels::Present))?;
        prop_assert_eq!(plain.macro_average, more.macro_average);
        prop_assert_eq!(plain.weighted, more.weighted);
        let all = report(classes + 1, &pairs, with(Labels::All))?;
        prop_assert!(all.macro_average.f1 < plain.macro_average.f1 || plain.macro_average.f1 == 0.0);
    }

    #[test]
    fn any_matrix_renders_within_its_width((classes, pairs) in labeled(), width in 60usize..200) {
        let names: Vec<String> = (0..classes).map(|class| format!("klass 第{class}")).collect();
        let text = matrix(classes, &pairs)?.render_within(&names, width)?;
        let widest = text.lines().skip(1).map(unicode_width::UnicodeWidthStr::width).max();
        prop_assert!(widest <= Some(width), "{:?}\n{}", widest, text);
    }
}
