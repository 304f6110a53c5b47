//! What a calibration changed, for the terminal.

use std::fmt::Write as _;

use judge::Estimate;
use run::{CalibratedSplit, CalibrationRecord};

/// A higher log loss on rows that the temperature was not fitted on is worth a warning from here on, in nats.
const WORSE: f64 = 0.002;

pub(super) fn text(record: &CalibrationRecord) -> String {
    let CalibrationRecord { temperature, fitted_on, held_out, .. } = record;
    let mut text = format!("temperature  {temperature:.4}\n");
    section(&mut text, fitted_on, "the temperature was fitted on these rows");
    if let Some(held_out) = held_out {
        section(&mut text, held_out, "held out");
        let (before, after) = (held_out.before.log_loss.value, held_out.after.log_loss.value);
        if after > before + WORSE {
            let _ = writeln!(
                text,
                "\nwarning: on {} the log loss is worse than before: {after:.4}, not {before:.4} (hint: a larger validation split \
                 gives a temperature that holds elsewhere)",
                held_out.split
            );
        }
    }
    let _ = writeln!(text, "\nno label changes; intervals are of 95 %");
    text
}

fn section(text: &mut String, split: &CalibratedSplit, role: &str) {
    let CalibratedSplit { split, rows, before, after } = split;
    let _ = writeln!(text, "\n{split}: {rows} rows, {role}\n  {:<10}{:<28}after", "", "before");
    let figures = [
        ("log loss", before.log_loss, after.log_loss),
        ("Brier", before.brier, after.brier),
        ("ECE", before.ece, after.ece),
    ];
    for (name, before, after) in figures {
        let _ = writeln!(text, "  {name:<10}{:<28}{}", with_ends(before), with_ends(after));
    }
}

fn with_ends(Estimate { value, low, high, .. }: Estimate) -> String {
    format!("{value:.4} ({low:.4} to {high:.4})")
}

#[cfg(test)]
mod tests {
    use judge::{Calibration, IntervalMethod};

    use super::*;

    fn measured(log_loss: f64) -> Calibration {
        let estimate =
            |value: f64| Estimate { value, low: value - 0.01, high: value + 0.01, method: IntervalMethod::Bca };
        Calibration { log_loss: estimate(log_loss), brier: estimate(0.2), ece: estimate(0.05), bins: Vec::new() }
    }

    fn record(test: Option<[f64; 2]>) -> CalibrationRecord {
        let split = |split: &str, rows, [before, after]: [f64; 2]| CalibratedSplit {
            split: split.to_owned(),
            rows,
            before: measured(before),
            after: measured(after),
        };
        CalibrationRecord {
            temperature: 1.25,
            data: "data".to_owned(),
            fitted_on: split("validation", 872, [0.4, 0.35]),
            held_out: test.map(|losses| split("test", 1821, losses)),
            precision: "fp32".to_owned(),
            trained_weights_sha256: String::new(),
            calibrated_weights_sha256: String::new(),
        }
    }

    #[test]
    fn both_splits_are_shown_with_what_they_are_to_the_temperature() {
        let expected = "\
temperature  1.2500

validation: 872 rows, the temperature was fitted on these rows
            before                      after
  log loss  0.4000 (0.3900 to 0.4100)   0.3500 (0.3400 to 0.3600)
  Brier     0.2000 (0.1900 to 0.2100)   0.2000 (0.1900 to 0.2100)
  ECE       0.0500 (0.0400 to 0.0600)   0.0500 (0.0400 to 0.0600)

test: 1821 rows, held out
            before                      after
  log loss  0.4200 (0.4100 to 0.4300)   0.3800 (0.3700 to 0.3900)
  Brier     0.2000 (0.1900 to 0.2100)   0.2000 (0.1900 to 0.2100)
  ECE       0.0500 (0.0400 to 0.0600)   0.0500 (0.0400 to 0.0600)

no label changes; intervals are of 95 %
";
        assert_eq!(text(&record(Some([0.42, 0.38]))), expected);
    }

    #[test]
    fn a_temperature_that_makes_held_out_rows_worse_is_warned_of() {
        assert!(
            text(&record(Some([0.4, 0.41]))).contains("warning: on test the log loss is worse than before: 0.4100")
        );
        assert!(!text(&record(Some([0.4, 0.4015]))).contains("warning"));
        assert!(!text(&record(None)).contains("test"));
    }
}
