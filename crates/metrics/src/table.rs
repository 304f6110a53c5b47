//! The report as a table for the terminal.

use std::fmt;

use unicode_width::UnicodeWidthStr;

use crate::classification::{ClassificationReport, Scores};
use crate::text::{digits, name, pad_right};

impl fmt::Display for ClassificationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let averages =
            [("weighted average", self.weighted), ("macro average", self.macro_average), ("micro average", self.micro)];
        let names: Vec<String> = self.per_class.iter().map(|class| name(&class.label)).collect();
        let side = names.iter().map(|name| name.width()).chain(averages.map(|(name, _)| name.len())).max().unwrap_or(0);
        let count_width = digits(self.examples).max("examples".len());
        let row = |f: &mut fmt::Formatter<'_>, name: &str, scores: Scores, count: u64| {
            let Scores { precision, recall, f1 } = scores;
            let name = pad_right(name, side);
            writeln!(
                f,
                "{name}  {:>9}  {:>9}  {:>9}  {count:>count_width$}",
                score(precision),
                score(recall),
                score(f1)
            )
        };

        let header = pad_right("", side);
        writeln!(f, "{header}  {:>9}  {:>9}  {:>9}  {:>count_width$}", "precision", "recall", "F1", "examples")?;
        for (name, class) in names.iter().zip(&self.per_class) {
            row(f, name, class.scores, class.support)?;
        }
        writeln!(f)?;
        for (name, scores) in averages {
            row(f, name, scores, self.examples)?;
        }
        writeln!(f)?;
        writeln!(f, "{}  {:>9}", pad_right("accuracy", side), score(self.accuracy))?;
        write!(f, "{}  {:>9}", pad_right("Matthews", side), score(self.matthews))
    }
}

fn score(value: f64) -> String {
    if value.is_nan() { "-".to_owned() } else { format!("{value:.4}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ConfusionMatrix, MetricsError, ReportOptions};

    #[test]
    fn the_report_is_a_table() -> Result<(), MetricsError> {
        let matrix = ConfusionMatrix::from_counts(&[vec![411, 37], vec![0, 1200]])?;
        let report = ClassificationReport::new(&matrix, &["negative", "良い"], ReportOptions::default())?;
        let expected = "
                  precision     recall         F1  examples
negative             1.0000     0.9174     0.9569       448
良い                 0.9701     1.0000     0.9848      1200

weighted average     0.9782     0.9775     0.9772      1648
macro average        0.9850     0.9587     0.9709      1648
micro average        0.9775     0.9775     0.9775      1648

accuracy             0.9775
Matthews             0.9434";
        assert_eq!(format!("\n{report}"), expected);
        Ok(())
    }
}
