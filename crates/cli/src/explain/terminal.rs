//! An explanation as lines of a terminal: its words colored where it shows colors, otherwise each with its number.

use std::fmt::Write as _;

use judge::{Completeness, Explanation, WordAttribution};

use crate::predict::visible;

/// A word weaker than this share of the strongest one stays as it is.
const WEAKEST: f64 = 0.05;
/// From this share on a word is bold.
const STRONG: f64 = 0.5;
/// Words that are listed, on either side.
const LISTED: usize = 5;

/// Blue for the label, orange and underlined against it: told apart by other eyes and on other backgrounds, too.
const FOR: &str = "38;5;33";
const AGAINST: &str = "4;38;5;172";

/// The label, the text with its words, the strongest words, and how exactly the numbers add up.
pub(super) fn lines(explanation: &Explanation, is_colored: bool) -> String {
    let Explanation { label, predicted, probability, words, truncated, unknown_words, .. } = explanation;
    let mut out = format!("{} {:.1} %", visible(label), 100.0 * probability);
    if predicted != label {
        let _ = write!(out, " (the model says {})", visible(predicted));
    }
    let _ = write!(out, "\n  {}", text_with_words(explanation, is_colored));
    if *truncated {
        out.push_str("  (truncated: longer than the model's limit)");
    }
    match unknown_words {
        0 => {}
        1 => out.push_str("  (1 unknown word)"),
        unknown => drop(write!(out, "  ({unknown} unknown words)")),
    }
    for (side, is_for) in [("for", true), ("against", false)] {
        let listed = strongest(words, is_for);
        if !listed.is_empty() {
            let _ = write!(out, "\n  {side:<7}  {}", listed.join(" · "));
        }
    }
    let _ = writeln!(out, "\n  {}\n", checked(explanation));
    out
}

fn text_with_words(explanation: &Explanation, is_colored: bool) -> String {
    let characters: Vec<char> = explanation.text.chars().collect();
    let part = |start: usize, end: usize| -> String {
        visible(&characters[start..end.max(start)].iter().collect::<String>()).into_owned()
    };
    let most = explanation.words.iter().map(|word| word.attribution.abs()).fold(0.0, f64::max);
    let (mut shown, mut at) = (String::new(), 0);
    for WordAttribution { start, end, attribution, .. } in &explanation.words {
        shown.push_str(&part(at, *start));
        let (word, strength) = (part(*start, *end), attribution.abs() / most);
        let color = if *attribution > 0.0 { FOR } else { AGAINST };
        let bold = if strength >= STRONG { "1;" } else { "" };
        let _ = match is_colored {
            false => write!(shown, "{word}({attribution:+.2})"),
            true if strength >= WEAKEST => write!(shown, "\u{1b}[{bold}{color}m{word}\u{1b}[0m"),
            true => write!(shown, "{word}"),
        };
        at = *end;
    }
    shown + &part(at, characters.len())
}

/// The strongest words of a side with their numbers.
fn strongest(words: &[WordAttribution], is_for: bool) -> Vec<String> {
    let mut side: Vec<&WordAttribution> =
        words.iter().filter(|word| (word.attribution > 0.0) == is_for && word.attribution.abs() >= 0.005).collect();
    side.sort_by(|a, b| b.attribution.abs().total_cmp(&a.attribution.abs()));
    side.iter().take(LISTED).map(|word| format!("{} {:+.2}", visible(&word.text), word.attribution)).collect()
}

/// How exactly the numbers add up, and what leaving words out says of their order.
pub(super) fn checked(explanation: &Explanation) -> String {
    let completeness = &explanation.completeness;
    let Completeness { logit, baseline_logit, sum, relative_error, steps } = completeness;
    let mut said = format!(
        "sum {sum:+.3} of logit {logit:.3} less {baseline_logit:.3} without words: {}within {:.2} % after {steps} steps",
        if completeness.is_complete() { "" } else { "INCOMPLETE, only " },
        100.0 * relative_error
    );
    if let Some(correlation) = explanation.leave_one_out_correlation {
        let _ = write!(said, "; rank correlation with leaving words out {correlation:.2}");
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str, start: usize, attribution: f64) -> WordAttribution {
        let end = start + text.chars().count();
        WordAttribution { text: text.to_owned(), start, end, attribution, leave_one_out: None }
    }

    fn explanation() -> Explanation {
        Explanation {
            text: "Ein\tschönes , dull film".to_owned(),
            label: "positive".to_owned(),
            predicted: "positive".to_owned(),
            probability: 0.987,
            words: vec![word("Ein", 0, 0.01), word("schönes", 4, 2.0), word(",", 12, -0.004), word("dull", 14, -0.5)],
            completeness: Completeness {
                logit: 1.25,
                baseline_logit: -0.25,
                sum: 1.506,
                relative_error: 0.004,
                steps: 32,
            },
            leave_one_out_correlation: Some(0.8),
            truncated: true,
            unknown_words: 1,
        }
    }

    #[test]
    fn without_colors_each_word_has_its_number() {
        let expected = "positive 98.7 %\n  Ein(+0.01)\\tschönes(+2.00) ,(-0.00) dull(-0.50) film  (truncated: longer than the \
                        model's limit)  (1 unknown word)\n  for      schönes +2.00 · Ein +0.01\n  against  dull -0.50\n  \
                        sum +1.506 of logit 1.250 less -0.250 without words: within 0.40 % after 32 steps; rank \
                        correlation with leaving words out 0.80\n\n";
        assert_eq!(lines(&explanation(), false), expected);
    }

    #[test]
    fn colors_differ_in_more_than_color_and_are_reset_after_each_word() {
        let lines = lines(&explanation(), true);
        let shown = "Ein\\t\u{1b}[1;38;5;33mschönes\u{1b}[0m , \u{1b}[4;38;5;172mdull\u{1b}[0m film";
        assert!(lines.contains(shown), "{lines:?}");
    }

    #[test]
    fn what_is_not_complete_and_what_is_not_predicted_is_said() {
        let mut explanation = explanation();
        explanation.completeness.relative_error = 0.031;
        explanation.predicted = "negative".to_owned();
        explanation.leave_one_out_correlation = None;
        let lines = lines(&explanation, false);
        assert!(lines.starts_with("positive 98.7 % (the model says negative)\n"), "{lines}");
        assert!(lines.ends_with("without words: INCOMPLETE, only within 3.10 % after 32 steps\n\n"), "{lines}");
    }
}
