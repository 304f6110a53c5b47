//! An invented judgement, for the tests of the crates that show one.

use crate::baselines::{BaselineResult, Baselines};
use crate::calibration::{Calibration, ReliabilityBin};
use crate::comparison::{ChangedPrediction, Comparison, ScoreDifference, Verdict};
use crate::curves::{ClassCurves, CurvePoint};
use crate::estimate::{Estimate, IntervalMethod};
use crate::explanation::WordAttribution;
use crate::judgement::{ClassEstimates, Judgement, SCHEMA_VERSION};
use crate::mistakes::{Mistake, Mistakes};
use crate::selective::{AbstentionThreshold, RiskPoint, SelectivePrediction};
use crate::slices::{Slice, Slices};
use crate::treebank::{NegatedPhrases, NodeGroup, PhraseAgreement, TreebankScores};

/// A judgement of so many rows with every part as full as it gets. `text` is the text of each row that is shown.
pub fn judgement(rows: usize, labels: &[String], text: &str) -> Judgement {
    let names = ["accuracy", "precision", "recall", "f1", "macro_f1", "matthews"];
    let scores =
        names.iter().zip(0..).map(|(name, place)| ((*name).to_owned(), share(0.88 - 0.01 * f64::from(place), rows)));
    Judgement {
        schema_version: SCHEMA_VERSION,
        level: 0.95,
        resamples: 9_999,
        seed: 0,
        scores: scores.collect(),
        per_class: labels.iter().map(|label| class(label, rows / labels.len().max(1))).collect(),
        calibration: calibration(rows),
        selective: selective(),
        curves: labels.iter().zip(1..).map(|(label, place)| curves(label, f64::from(place))).collect(),
        slices: slices(rows, labels),
        baselines: Some(baselines(rows)),
        comparison: Some(comparison(rows, labels, text)),
        mistakes: Mistakes {
            confident: mistakes(rows.min(50), labels, text),
            label_issues: mistakes(rows.min(200), labels, text),
            label_issues_found: rows as u64 / 30,
        },
        treebank: Some(treebank(rows)),
    }
}

fn treebank(rows: usize) -> TreebankScores {
    let nodes = |part: usize| (rows * 20 / part) as u64;
    TreebankScores {
        sentences: rows as u64,
        nodes: nodes(1),
        accuracy: share(0.8, rows),
        by_length: vec![NodeGroup { name: "2 to 3 words".to_owned(), nodes: nodes(4), accuracy: share(0.75, rows) }],
        agreement: Some(PhraseAgreement {
            phrases: nodes(2),
            by_labels: share(0.6, rows),
            by_model: share(0.7, rows),
            alike: share(0.65, rows),
        }),
        negated_positive: NegatedPhrases { pairs: 4, right: 3, share: Some(share(0.75, 4)) },
        negated_negative: NegatedPhrases { pairs: 0, right: 0, share: None },
    }
}

/// A share of so many rows, with an interval as wide as a normal one.
fn share(value: f64, rows: usize) -> Estimate {
    let half = 1.96 * (value * (1.0 - value) / rows.max(1) as f64).sqrt();
    Estimate { value, low: (value - half).max(0.0), high: (value + half).min(1.0), method: IntervalMethod::Wilson }
}

fn measured(value: f64, half: f64) -> Estimate {
    Estimate { value, low: value - half, high: value + half, method: IntervalMethod::Bca }
}

fn class(label: &str, rows: usize) -> ClassEstimates {
    ClassEstimates {
        label: label.to_owned(),
        precision: share(0.89, rows),
        recall: share(0.86, rows),
        f1: measured(0.875, 0.02),
    }
}

/// Bins from 50 % on, of a model that is too sure.
fn calibration(rows: usize) -> Calibration {
    let bin = |place: u32| {
        let low = 0.5 + 0.1 * f64::from(place);
        let rows = rows as u64 * [5, 7, 10, 18, 60][place as usize] / 100;
        ReliabilityBin {
            low,
            high: low + 0.1,
            rows,
            confidence: low + 0.055,
            accuracy: share(low + 0.01 - 0.02 * f64::from(place % 2), rows as usize),
        }
    };
    Calibration {
        log_loss: measured(0.36, 0.04),
        brier: measured(0.19, 0.02),
        ece: measured(0.046, 0.011),
        bins: (0..5).map(bin).filter(|bin| bin.rows > 0).collect(),
    }
}

fn selective() -> SelectivePrediction {
    let point = |step: u32| {
        let coverage = 1.0 - f64::from(step) / 200.0;
        RiskPoint { threshold: 1.0 - 0.5 * coverage, coverage, risk: 0.12 * coverage * coverage }
    };
    let wanted = |(accuracy, coverage): (f64, f64)| AbstentionThreshold {
        accuracy,
        threshold: (coverage > 0.0).then_some(1.0 - 0.5 * coverage),
        coverage,
    };
    SelectivePrediction {
        curve: (0..200).map(point).collect(),
        area: 0.04,
        thresholds: [(0.9, 0.91), (0.95, 0.65), (0.99, 0.29), (1.0, 0.0)].map(wanted).to_vec(),
    }
}

/// Curves of a class that is told the better the higher `skill`.
fn curves(label: &str, skill: f64) -> ClassCurves {
    let along = |y: &dyn Fn(f64) -> f64| -> Vec<CurvePoint> {
        (0..200).map(|step| f64::from(step) / 199.0).map(|x| CurvePoint { x, y: y(x) }).collect()
    };
    ClassCurves {
        label: label.to_owned(),
        roc_auc: Some(1.0 - 1.0 / (5.0 * skill + 1.0)),
        average_precision: Some(1.0 - 1.0 / (4.0 * skill + 1.0)),
        roc: along(&|x| x.powf(1.0 / (5.0 * skill))),
        precision_recall: along(&|x| 1.0 - 0.5 * x.powf(4.0 * skill)),
    }
}

fn slices(rows: usize, labels: &[String]) -> Slices {
    let slice = |group: &str, name: &str, part: usize, accuracy: f64, p: Option<f64>| Slice {
        group: group.to_owned(),
        name: name.to_owned(),
        rows: (rows * part / 100) as u64,
        accuracy: share(accuracy, rows * part / 100),
        p_value: p,
    };
    let mut slices = vec![
        slice("length", "up to 10 tokens", 12, 0.91, Some(0.41)),
        slice("length", "11 to 20 tokens", 40, 0.89, Some(1.0)),
        slice("length", "21 to 40 tokens", 38, 0.87, Some(1.0)),
        slice("length", "more than 40 tokens", 10, 0.84, Some(0.22)),
        slice("negation", "with a negation", 19, 0.79, Some(0.000_4)),
        slice("negation", "without", 81, 0.9, Some(0.000_4)),
        slice("contrast", "with a \"but\"", 14, 0.85, Some(0.6)),
        slice("unknown words", "with unknown words", 1, 0.75, None),
    ];
    slices.extend(labels.iter().map(|label| slice("label", label, 100 / labels.len().max(1), 0.87, Some(1.0))));
    Slices { tested: slices.len() - 1, slices, weakest: Some(4) }
}

fn baselines(rows: usize) -> Baselines {
    let baseline = |name: &str, description: &str, accuracy: f64| BaselineResult {
        name: name.to_owned(),
        description: description.to_owned(),
        accuracy: share(accuracy, rows),
        f1: measured(accuracy - 0.005, 0.02),
        difference: difference("accuracy", 0.88 - accuracy, 0.019),
    };
    Baselines {
        training_rows: 6_920,
        results: vec![
            baseline("majority", "the most frequent training label", 0.5),
            baseline("tf-idf", "words and pairs of words", 0.819),
        ],
    }
}

fn difference(score: &str, value: f64, half: f64) -> ScoreDifference {
    ScoreDifference { score: score.to_owned(), value, low: value - half, high: value + half }
}

fn comparison(rows: usize, labels: &[String], text: &str) -> Comparison {
    let label = |place: usize| labels[place % labels.len()].clone();
    let changed = |place: usize| ChangedPrediction {
        row: place * 7,
        text: format!("{text} ({place})"),
        label: label(place),
        predicted: label(place + place % 3),
        other: label(place + place % 3 + 1),
    };
    Comparison {
        against: "runs/another".to_owned(),
        differences: ["accuracy", "f1", "macro_f1", "matthews"].map(|score| difference(score, 0.004, 0.016)).to_vec(),
        discordant: (rows as u64 / 40, rows as u64 / 44),
        mcnemar_p: 0.62,
        verdict: Verdict::NotDistinguishable,
        changed: (0..rows / 8).map(changed).collect(),
    }
}

fn mistakes(count: usize, labels: &[String], text: &str) -> Vec<Mistake> {
    let mistake = |place: usize| Mistake {
        row: place * 3,
        text: format!("{text} [{place}]"),
        label: labels[place % labels.len()].clone(),
        predicted: labels[(place + 1) % labels.len()].clone(),
        probability: 0.999 - 0.001 * place as f64,
        label_probability: 0.001,
        words: vec![WordAttribution { text: String::new(), start: 0, end: 4, attribution: 0.5, leave_one_out: None }],
    };
    (0..count).map(mistake).collect()
}
