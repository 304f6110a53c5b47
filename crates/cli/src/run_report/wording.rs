//! How figures are written: shares in percent, their intervals, differences in points, counts.

use judge::{Estimate, ScoreDifference};
use report::PlotInterval;

/// `87.92 %`.
pub(crate) fn percent(share: f64) -> String {
    if share.is_finite() { format!("{} %", fixed(100.0 * share, 2)) } else { "–".to_owned() }
}

/// `87.92 % (86.4 to 89.2)`.
pub(crate) fn percent_with_range(estimate: &Estimate) -> String {
    format!("{} ({})", percent(estimate.value), percent_range(estimate))
}

/// `86.4 to 89.2`, in percent.
pub(crate) fn percent_range(estimate: &Estimate) -> String {
    range(100.0 * estimate.low, 100.0 * estimate.high, 1)
}

/// `0.758 (0.731 to 0.786)`.
pub(crate) fn number_with_range(estimate: &Estimate) -> String {
    format!("{} ({})", fixed(estimate.value, 4), range(estimate.low, estimate.high, 4))
}

/// `86.4 to 89.2`.
pub(crate) fn range(low: f64, high: f64, decimals: usize) -> String {
    format!("{} to {}", fixed(low, decimals), fixed(high, decimals))
}

/// `6.1 points (4.2 to 8.0)`: a difference of two shares, in percentage points.
pub(crate) fn points(difference: &ScoreDifference) -> String {
    let [value, low, high] = [difference.value, difference.low, difference.high].map(|share| 100.0 * share);
    format!("{} points ({})", fixed(value, 1), range(low, high, 1))
}

/// `p = 0.012`, `p < 0.001`.
pub(crate) fn p_value(p: f64) -> String {
    if p < 0.001 { "p < 0.001".to_owned() } else { format!("p = {p:.3}") }
}

/// `8,544`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 row`, `872 rows`.
pub(crate) fn rows(number: u64) -> String {
    format!("{} {}", count(number), if number == 1 { "row" } else { "rows" })
}

/// A name of a score for readers.
pub(crate) fn score_name(name: &str) -> &str {
    match name {
        "accuracy" => "Accuracy",
        "precision" => "Precision, weighted",
        "recall" => "Recall, weighted",
        "f1" => "F1, weighted",
        "macro_f1" => "F1, macro",
        "matthews" => "Matthews correlation",
        other => other,
    }
}

/// A baseline's name for readers.
pub(crate) fn baseline_name(name: &str) -> &str {
    match name {
        "tf-idf" => "TF-IDF with logistic regression",
        "majority" => "always the most frequent label",
        other => other,
    }
}

/// A text that is cut where it would fill the page.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// An argument of a command as one types it into a shell.
pub(crate) fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

pub(super) fn plotted(estimate: &Estimate) -> PlotInterval {
    PlotInterval { value: estimate.value, low: estimate.low, high: estimate.high }
}

/// A number with its decimals, and never `-0.0`.
fn fixed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('-') {
        Some(rest) if rest.chars().all(|c| c == '0' || c == '.') => rest.to_owned(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use judge::IntervalMethod;

    use super::*;

    #[test]
    fn figures_are_written_with_their_intervals() {
        let estimate = Estimate { value: 0.87921, low: 0.8641, high: 0.8922, method: IntervalMethod::Wilson };
        assert_eq!(percent_with_range(&estimate), "87.92 % (86.4 to 89.2)");
        assert_eq!(number_with_range(&estimate), "0.8792 (0.8641 to 0.8922)");
        let difference = ScoreDifference { score: "accuracy".to_owned(), value: 0.061, low: -0.0001, high: 0.08 };
        assert_eq!(points(&difference), "6.1 points (0.0 to 8.0)");
        assert_eq!(percent(f64::NAN), "–");
        assert_eq!([0.0, 0.000_99, 0.0124].map(p_value), ["p < 0.001", "p < 0.001", "p = 0.012"]);
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn a_shell_reads_back_what_is_quoted() {
        assert_eq!(shell_word("runs/a-1.csv"), "runs/a-1.csv");
        assert_eq!(shell_word("my run"), "'my run'");
        assert_eq!(shell_word("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(shell_word(""), "''");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(shortened("déjà vu", 4), "déjà…");
        assert_eq!(shortened("déjà", 4), "déjà");
    }
}
