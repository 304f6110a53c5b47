//! What the figures say, in sentences: for the report, the terminal and the model card.

use judge::{Baselines, Calibration, Comparison, Judgement, ScoreDifference, Slices, Verdict};
use report::{Remark, Tone};
use run::EvaluationResult;

use super::wording::{baseline_name, count, p_value, percent, percent_range, percent_with_range, rows};

/// Half an interval of the accuracy above which an evaluation has few rows.
const WIDE: f64 = 0.025;
/// The largest share of rows of which confident learning is believed that their labels are wrong.
const MOST_LABEL_ISSUES: f64 = 0.1;
/// The least calibration error that is worth a sentence.
const MISCALIBRATED: f64 = 0.02;

/// Everything that a reader should know about a model, the most important first.
pub(crate) fn remarks(result: &EvaluationResult, judgement: &Judgement) -> Vec<Remark> {
    let mut remarks = Vec::new();
    remarks.extend(accuracy(result, judgement));
    remarks.extend(judgement.baselines.iter().flat_map(baselines));
    remarks.extend(judgement.comparison.as_ref().map(comparison));
    remarks.extend(unrecognized(result));
    remarks.extend(weakest_slice(&judgement.slices));
    remarks.push(calibration(&judgement.calibration));
    remarks.extend(label_issues(result, judgement));
    remarks
}

fn accuracy(result: &EvaluationResult, judgement: &Judgement) -> Vec<Remark> {
    let Some(accuracy) = judgement.scores.get("accuracy") else { return Vec::new() };
    let examples = result.report.examples;
    let mut remarks = vec![plain(format!(
        "{} of {} are labeled right; the 95 % interval, for the luck in which rows these are, is {} %.",
        percent(accuracy.value),
        rows(examples),
        percent_range(accuracy)
    ))];
    let half = (accuracy.high - accuracy.low) / 2.0;
    if half > WIDE {
        remarks.push(bad(format!(
            "Few rows: {} tell the accuracy to about {:.0} points up or down, so smaller differences mean nothing.",
            count(examples),
            100.0 * half
        )));
    }
    remarks
}

fn baselines(baselines: &Baselines) -> Vec<Remark> {
    // Worth a sentence: the strongest baseline, and whatever the model doesn't beat.
    let strongest = baselines.results.iter().max_by(|a, b| a.accuracy.value.total_cmp(&b.accuracy.value));
    let is_told = |name: &str, difference: &ScoreDifference| {
        difference.low <= 0.0 || strongest.is_some_and(|strongest| strongest.name == name)
    };
    let told = baselines.results.iter().filter(|baseline| is_told(&baseline.name, &baseline.difference));
    told.map(|baseline| {
        let name = baseline_name(&baseline.name);
        let tone = if baseline.difference.low > 0.0 { Tone::Good } else { Tone::Bad };
        Remark { tone, text: against(name, &baseline.difference) }
    })
    .collect()
}

/// `Better than NAME by 6.1 points (4.2 to 8.0).`
pub(crate) fn against(name: &str, difference: &ScoreDifference) -> String {
    sentence(&difference.in_words(difference.verdict(), name))
}

/// Words as a sentence: with a capital letter and a full stop.
pub(crate) fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
}

fn comparison(comparison: &Comparison) -> Remark {
    let tone = match comparison.verdict {
        Verdict::Better => Tone::Good,
        Verdict::Worse => Tone::Bad,
        Verdict::NotDistinguishable => Tone::Plain,
    };
    Remark { tone, text: sentence(&comparison.to_string()) }
}

/// Classes that the model never finds.
fn unrecognized(result: &EvaluationResult) -> Option<Remark> {
    let missed = result.report.per_class.iter().filter(|class| class.support > 0 && class.predicted == 0);
    let missed: Vec<String> = missed.map(|class| format!("{} ({})", class.label, rows(class.support))).collect();
    (!missed.is_empty()).then(|| bad(format!("Never predicted: {}.", missed.join(", "))))
}

fn weakest_slice(slices: &Slices) -> Option<Remark> {
    match slices.weakest.and_then(|weakest| slices.slices.get(weakest)) {
        Some(slice) => {
            let p = slice.p_value.map_or_else(String::new, |p| format!("; {}", p_value(p)));
            Some(bad(format!(
                "Weakest on {}: {}: {} of {}{p}, corrected for the {} slices that were tried.",
                slice.group,
                slice.name,
                percent_with_range(&slice.accuracy),
                rows(slice.rows),
                slices.tested
            )))
        }
        None if slices.tested > 0 => Some(good(format!(
            "No slice is worse than the other rows beyond chance, of {} that were tried.",
            slices.tested
        ))),
        None => None,
    }
}

fn calibration(calibration: &Calibration) -> Remark {
    let ece = &calibration.ece;
    let error = format!("{:.1} points ({})", 100.0 * ece.value, percent_range(ece));
    if ece.low <= MISCALIBRATED {
        return plain(format!("Probabilities differ from what comes true by {error} on average."));
    }
    let rows: u64 = calibration.bins.iter().map(|bin| bin.rows).sum();
    let mean = |value: fn(&judge::ReliabilityBin) -> f64| {
        calibration.bins.iter().map(|bin| bin.rows as f64 * value(bin)).sum::<f64>() / rows.max(1) as f64
    };
    let surplus = mean(|bin| bin.confidence) - mean(|bin| bin.accuracy.value);
    let how = if surplus > 0.0 { "too sure of itself" } else { "right more often than it says" };
    bad(format!("The model is {how}: probabilities differ from what comes true by {error} on average."))
}

fn label_issues(result: &EvaluationResult, judgement: &Judgement) -> Option<Remark> {
    let found = judgement.mistakes.label_issues_found;
    let all = result.report.examples;
    // A model that is often wrong contradicts many labels, and most of them are right.
    let is_believable = found as f64 <= MOST_LABEL_ISSUES * all as f64;
    (found > 0 && is_believable).then(|| {
        plain(format!(
            "{} of {} may have a wrong label in the data: a look at them is worth it.",
            count(found),
            rows(all)
        ))
    })
}

fn good(text: String) -> Remark {
    Remark { tone: Tone::Good, text }
}

fn bad(text: String) -> Remark {
    Remark { tone: Tone::Bad, text }
}

fn plain(text: String) -> Remark {
    Remark { tone: Tone::Plain, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_said_by_its_interval() {
        let difference = |value, low, high| ScoreDifference { score: "accuracy".to_owned(), value, low, high };
        assert_eq!(
            against("TF-IDF", &difference(0.061, 0.042, 0.08)),
            "Better than TF-IDF by 6.1 points (4.2 to 8.0)."
        );
        assert_eq!(
            against("runs/a", &difference(-0.02, -0.03, -0.01)),
            "Worse than runs/a by 2.0 points (1.0 to 3.0)."
        );
        assert_eq!(
            against("runs/a", &difference(0.004, -0.012, 0.02)),
            "Not distinguishable from runs/a (-1.2 to 2.0 points)."
        );
        assert!(against("x", &difference(0.0, 0.0, 0.0)).starts_with("Not distinguishable"), "no difference at all");
    }
}
